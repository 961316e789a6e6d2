//! Which buffers can use the same memory: those of which each is dead before the next one is written.

/// A buffer: its size, and the times when it is first written and last used.
#[derive(Debug, Clone, Copy)]
pub(super) struct Life {
    pub(super) numbers: usize,
    pub(super) born: usize,
    pub(super) dies: usize,
}

/// A buffer and its memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Buffer {
    pub(super) slot: usize,
    pub(super) numbers: usize,
}

/// Assigns a slot to each buffer. Returns the buffers in the same order, and the sizes of the slots.
pub(super) fn assign(lives: &[Life]) -> (Vec<Buffer>, Vec<usize>) {
    let mut order: Vec<usize> = (0..lives.len()).collect();
    order.sort_by_key(|i| lives[*i].born);
    let mut buffers: Vec<Buffer> =
        lives.iter().map(|life| Buffer { slot: usize::MAX, numbers: life.numbers }).collect();
    // For each slot: its size, and when its last buffer dies.
    let mut slots: Vec<(usize, usize)> = Vec::new();
    for i in order {
        let Life { numbers, born, dies } = lives[i];
        let free = slots.iter().enumerate().filter(|(_, (_, until))| *until < born);
        // The smallest one that is large enough, otherwise the largest.
        let best = free.min_by_key(|(_, (size, _))| (*size < numbers, size.abs_diff(numbers)));
        let slot = best.map_or(slots.len(), |(slot, _)| slot);
        if slot == slots.len() {
            slots.push((0, 0));
        }
        slots[slot] = (slots[slot].0.max(numbers), dies);
        buffers[i].slot = slot;
    }
    (buffers, slots.into_iter().map(|(size, _)| size).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buffers_that_live_at_the_same_time_have_different_memory() {
        let lives: Vec<Life> = (0..40)
            .map(|i| {
                let born = i * 7 % 40;
                Life { numbers: 1 + i * i % 11, born, dies: born + i * 5 % 13 }
            })
            .collect();
        let (buffers, sizes) = assign(&lives);
        for (i, (a, life)) in buffers.iter().zip(&lives).enumerate() {
            assert!(a.numbers == life.numbers && a.numbers <= sizes[a.slot]);
            for (b, other) in buffers.iter().zip(&lives).skip(i + 1) {
                let overlap = life.born <= other.dies && other.born <= life.dies;
                assert!(!overlap || a.slot != b.slot, "{life:?} {other:?}");
            }
        }
        assert!(sizes.len() < 20, "{sizes:?}");
    }
}
