//! All `unsafe` code of the crate: vectors of `f32` behind one small trait, the choice of the instruction set, and the kernels that
//! are written with vectors ([`matmul`], [`sparse`], `strips`, [`tiles`], [`windows`]). Each kernel first checks that its slices are as long as
//! its shapes require, and then computes only addresses inside them.
//!
//! All instruction sets give the same bits: each operation acts on every lane separately and is correctly rounded (add, multiply,
//! fused multiply-add, square root).

#![allow(unsafe_code)]

pub mod matmul;
pub mod sparse;
pub(crate) mod strips;
pub mod tiles;
pub mod windows;

use std::sync::OnceLock;

/// The instruction sets that kernels are compiled for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Level {
    /// Plain Rust, any processor.
    Scalar,
    /// x86-64 with AVX2 and FMA.
    #[cfg(target_arch = "x86_64")]
    Avx2,
    /// x86-64 with AVX-512F.
    #[cfg(target_arch = "x86_64")]
    Avx512,
    /// 64-bit Arm, where every processor has NEON.
    #[cfg(target_arch = "aarch64")]
    Neon,
}

impl Level {
    /// All levels that this processor supports, the best one last.
    pub fn available() -> Vec<Level> {
        #[cfg(target_arch = "x86_64")]
        {
            let avx2 =
                std::arch::is_x86_feature_detected!("avx2") && std::arch::is_x86_feature_detected!("fma");
            let avx512 = avx2 && std::arch::is_x86_feature_detected!("avx512f");
            let levels = [(Level::Scalar, true), (Level::Avx2, avx2), (Level::Avx512, avx512)];
            levels.into_iter().filter(|(_, has)| *has).map(|(level, _)| level).collect()
        }
        #[cfg(target_arch = "aarch64")]
        return vec![Level::Scalar, Level::Neon];
        #[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
        vec![Level::Scalar]
    }

    /// Its name in `SWEEP_CPU`.
    pub fn name(self) -> &'static str {
        match self {
            Level::Scalar => "scalar",
            #[cfg(target_arch = "x86_64")]
            Level::Avx2 => "avx2",
            #[cfg(target_arch = "x86_64")]
            Level::Avx512 => "avx512",
            #[cfg(target_arch = "aarch64")]
            Level::Neon => "neon",
        }
    }

    /// Runs a kernel with the vectors of this level.
    ///
    /// # Safety
    /// The processor has the level (it is one of [`Level::available`]), and the slices of the kernel are as long as it requires.
    pub(crate) unsafe fn run(self, kernel: impl Kernel) {
        #[cfg(target_arch = "x86_64")]
        #[target_feature(enable = "avx2,fma")]
        unsafe fn avx2(kernel: impl Kernel) {
            unsafe { kernel.run::<std::arch::x86_64::__m256>() }
        }
        #[cfg(target_arch = "x86_64")]
        #[target_feature(enable = "avx512f,avx2,fma")]
        unsafe fn avx512(kernel: impl Kernel) {
            unsafe { kernel.run::<std::arch::x86_64::__m512>() }
        }
        // SAFETY: guaranteed by the caller.
        unsafe {
            match self {
                Level::Scalar => kernel.run::<f32>(),
                #[cfg(target_arch = "x86_64")]
                Level::Avx2 => avx2(kernel),
                #[cfg(target_arch = "x86_64")]
                Level::Avx512 => avx512(kernel),
                #[cfg(target_arch = "aarch64")]
                Level::Neon => kernel.run::<std::arch::aarch64::float32x4_t>(),
            }
        }
    }
}

/// A computation that is written once for all kinds of vectors; [`Level::run`] selects one.
pub(crate) trait Kernel {
    /// Computes it. Implementations must be `#[inline(always)]`: only then are they compiled with V's instruction set.
    ///
    /// # Safety
    /// The processor has V's instruction set; the slices are as long as their shapes require.
    unsafe fn run<V: Vector>(self);
}

/// The level that kernels use: the one in the environment variable `SWEEP_CPU`, or the best of this processor.
///
/// # Errors
/// `SWEEP_CPU` is not a level, or this processor does not support it.
pub fn selected_level() -> Result<Level, String> {
    let available = Level::available();
    let best = available.last().copied().unwrap_or(Level::Scalar);
    let Some(name) = std::env::var_os("SWEEP_CPU") else { return Ok(best) };
    let found = available.iter().find(|level| name.to_str() == Some(level.name()));
    found.copied().ok_or_else(|| {
        let names: Vec<&str> = available.iter().map(|level| level.name()).collect();
        format!("unsupported SWEEP_CPU {name:?}; this processor supports {}", names.join(", "))
    })
}

/// [`selected_level`], computed once. An invalid `SWEEP_CPU` is reported before training starts; here it is ignored.
pub fn level() -> Level {
    #[cfg(test)]
    if let Some(level) = forced::level() {
        return level;
    }
    static LEVEL: OnceLock<Level> = OnceLock::new();
    *LEVEL.get_or_init(|| {
        selected_level().unwrap_or_else(|_| Level::available().last().copied().unwrap_or(Level::Scalar))
    })
}

/// Runs kernels on every instruction set in tests.
#[cfg(test)]
pub(crate) mod forced {
    use std::cell::Cell;

    use super::Level;

    thread_local! {
        static LEVEL: Cell<Option<Level>> = const { Cell::new(None) };
    }

    pub(super) fn level() -> Option<Level> {
        LEVEL.get()
    }

    /// Runs `f` at every level that this processor supports, and compares the bits of its numbers. NaN equals NaN. Returns them.
    pub(crate) fn same_on_every_level(name: &str, f: impl Fn() -> Vec<f32>) -> Vec<f32> {
        let mut all = Level::available().into_iter().map(|level| {
            LEVEL.set(Some(level));
            let found = f();
            LEVEL.set(None);
            (level, found)
        });
        let (_, expected) = all.next().expect("every processor has a level");
        let bits = |x: &f32| if x.is_nan() { f32::NAN.to_bits() } else { x.to_bits() };
        for (level, found) in all {
            assert!(found.iter().map(bits).eq(expected.iter().map(bits)), "{name}, {level:?}: other bits");
        }
        expected
    }
}

/// Defines a function that is compiled once for each instruction set, and runs the version for [`level`]. The compiler vectorizes
/// its loops; it may use wider vectors but not other arithmetic, so the bits are the same.
#[macro_export]
macro_rules! multiversioned {
    ($(#[$meta:meta])* $vis:vis fn $name:ident($($arg:ident: $type:ty),* $(,)?) $(-> $ret:ty)? $body:block) => {
        $(#[$meta])*
        $vis fn $name($($arg: $type),*) $(-> $ret)? {
            #[inline(always)]
            fn plain($($arg: $type),*) $(-> $ret)? $body
            #[cfg(target_arch = "x86_64")]
            #[target_feature(enable = "avx2,fma")]
            fn avx2($($arg: $type),*) $(-> $ret)? {
                plain($($arg),*)
            }
            #[cfg(target_arch = "x86_64")]
            #[target_feature(enable = "avx512f,avx2,fma")]
            fn avx512($($arg: $type),*) $(-> $ret)? {
                plain($($arg),*)
            }
            #[allow(unsafe_code)]
            match $crate::simd::level() {
                $crate::simd::Level::Scalar => plain($($arg),*),
                // SAFETY: a level is selected only where the processor has it.
                #[cfg(target_arch = "x86_64")]
                $crate::simd::Level::Avx2 => unsafe { avx2($($arg),*) },
                #[cfg(target_arch = "x86_64")]
                $crate::simd::Level::Avx512 => unsafe { avx512($($arg),*) },
                // NEON is part of every aarch64 build, so the plain version uses it.
                #[cfg(target_arch = "aarch64")]
                $crate::simd::Level::Neon => plain($($arg),*),
            }
        }
    };
}

/// A vector of `LANES` numbers.
///
/// # Safety
/// Implementations do lane by lane what the names of the functions say. Callers must check that the processor has the instruction
/// set, and pointers must be valid for all numbers that are read or written: `LANES`, or the first `count` with
/// `count <= LANES`.
pub(crate) unsafe trait Vector: Copy {
    /// Vectors that fit into the processor's registers.
    const REGISTERS: usize;
    /// Numbers in a vector.
    const LANES: usize;
    /// Rows and vectors of a tile of C that fits into registers.
    const TILE: (usize, usize);
    /// The most rows of a tile of two vectors that fits into registers: a height of [`matmul`].
    const HIGHEST: usize;
    /// The most rows of a tile of 16 numbers that fits into registers.
    const STRIP: usize;
    /// Height and width of the blocks that `transpose` transposes.
    const BLOCK: usize = 1;
    /// Runs a kernel in a separate function, which has all registers for itself.
    unsafe fn call(kernel: impl Kernel);
    /// Transposes a block; the distances between rows are `row` and `to_row`.
    #[inline(always)]
    unsafe fn transpose(from: *const f32, _row: usize, to: *mut f32, _to_row: usize) {
        unsafe { *to = *from }
    }
    /// Brings the cache line of a number into the L1 cache, if the processor does that; the number need not exist.
    #[inline(always)]
    fn prefetch(_: *const f32) {}
    /// The same number in each lane.
    unsafe fn splat(x: f32) -> Self;
    /// Reads a full vector.
    unsafe fn load(from: *const f32) -> Self;
    /// Reads `count` numbers; the other lanes are 0.
    unsafe fn load_some(from: *const f32, count: usize) -> Self;
    /// Writes a full vector.
    unsafe fn store(self, to: *mut f32);
    /// Writes the first `count` lanes.
    unsafe fn store_some(self, to: *mut f32, count: usize);
    /// `self * b + c`, rounded once.
    unsafe fn mul_add(self, b: Self, c: Self) -> Self;
    /// `self + b`.
    unsafe fn add(self, b: Self) -> Self;
    /// 0 where `self` is below 0, otherwise `self`. NaN stays NaN.
    unsafe fn relu(self) -> Self;
}

/// A cache line, so that panels are aligned.
#[derive(Debug, Clone, Copy)]
#[repr(align(64))]
pub(crate) struct Line(#[expect(dead_code, reason = "read and written through pointers")] [f32; 16]);

/// At least `numbers` numbers, on whole cache lines. Their values are arbitrary.
fn room(buffer: &mut Vec<Line>, numbers: usize) -> *mut f32 {
    let lines = numbers.div_ceil(16);
    if buffer.len() < lines {
        buffer.resize(lines, Line([0.0; 16]));
    }
    buffer.as_mut_ptr().cast()
}

/// Loads vector `j` of `WIDE` consecutive vectors; with EDGE the last one has only `last` numbers.
///
/// # Safety
/// As for [`Vector`]: the numbers can be read.
#[inline(always)]
unsafe fn load<V: Vector, const WIDE: usize, const EDGE: bool>(from: *const f32, j: usize, last: usize) -> V {
    unsafe {
        let from = from.add(j * V::LANES);
        if EDGE && j == WIDE - 1 { V::load_some(from, last) } else { V::load(from) }
    }
}

/// Stores vector `j` of `WIDE` consecutive vectors; with EDGE the last one has only `last` numbers.
///
/// # Safety
/// As for [`Vector`]: the numbers can be written.
#[inline(always)]
unsafe fn store<V: Vector, const WIDE: usize, const EDGE: bool>(x: V, to: *mut f32, j: usize, last: usize) {
    unsafe {
        let to = to.add(j * V::LANES);
        if EDGE && j == WIDE - 1 { x.store_some(to, last) } else { x.store(to) }
    }
}

// SAFETY: plain Rust; a "vector" is one number, so `count` is 0 or 1.
unsafe impl Vector for f32 {
    const REGISTERS: usize = 16;
    const LANES: usize = 1;
    const TILE: (usize, usize) = (4, 4);
    const HIGHEST: usize = 4;
    const STRIP: usize = 4;
    #[inline(never)]
    unsafe fn call(kernel: impl Kernel) {
        unsafe { kernel.run::<Self>() }
    }
    #[inline(always)]
    unsafe fn splat(x: f32) -> Self {
        x
    }
    #[inline(always)]
    unsafe fn load(from: *const f32) -> Self {
        unsafe { *from }
    }
    #[inline(always)]
    unsafe fn load_some(from: *const f32, count: usize) -> Self {
        if count == 0 { 0.0 } else { unsafe { *from } }
    }
    #[inline(always)]
    unsafe fn store(self, to: *mut f32) {
        unsafe { *to = self }
    }
    #[inline(always)]
    unsafe fn store_some(self, to: *mut f32, count: usize) {
        if count != 0 {
            unsafe { *to = self }
        }
    }
    #[inline(always)]
    unsafe fn mul_add(self, b: Self, c: Self) -> Self {
        f32::mul_add(self, b, c)
    }
    #[inline(always)]
    unsafe fn add(self, b: Self) -> Self {
        self + b
    }
    #[inline(always)]
    unsafe fn relu(self) -> Self {
        if 0.0 > self { 0.0 } else { self }
    }
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use std::arch::x86_64::{
        __m256, __m256i, __m512, _MM_HINT_T0, _mm_loadu_ps, _mm_prefetch, _mm256_add_ps,
        _mm256_castps128_ps256, _mm256_fmadd_ps, _mm256_insertf128_ps, _mm256_loadu_ps, _mm256_loadu_si256,
        _mm256_maskload_ps, _mm256_maskstore_ps, _mm256_max_ps, _mm256_set1_ps, _mm256_setzero_ps,
        _mm256_shuffle_ps, _mm256_storeu_ps, _mm256_unpackhi_ps, _mm256_unpacklo_ps, _mm512_add_ps,
        _mm512_fmadd_ps, _mm512_loadu_ps, _mm512_mask_storeu_ps, _mm512_maskz_loadu_ps, _mm512_max_ps,
        _mm512_set1_ps, _mm512_setzero_ps, _mm512_storeu_ps,
    };

    use super::{Kernel, Vector};

    // SAFETY: each function is the single instruction of its name (x86's `max(0, x)` returns its second operand, x, if x is NaN);
    // masked loads and stores access only the first `count` lanes.
    unsafe impl Vector for __m512 {
        const REGISTERS: usize = 32;
        const LANES: usize = 16;
        const TILE: (usize, usize) = (6, 4);
        const HIGHEST: usize = 12;
        const STRIP: usize = 12;
        const BLOCK: usize = 8;
        #[inline(always)]
        unsafe fn call(kernel: impl Kernel) {
            #[inline(never)]
            #[target_feature(enable = "avx512f,avx2,fma")]
            unsafe fn call(kernel: impl Kernel) {
                unsafe { kernel.run::<__m512>() }
            }
            unsafe { call(kernel) }
        }
        #[inline(always)]
        unsafe fn transpose(from: *const f32, row: usize, to: *mut f32, to_row: usize) {
            unsafe { transpose(from, row, to, to_row) }
        }
        #[inline(always)]
        fn prefetch(at: *const f32) {
            prefetch(at);
        }
        #[inline(always)]
        unsafe fn splat(x: f32) -> Self {
            unsafe { _mm512_set1_ps(x) }
        }
        #[inline(always)]
        unsafe fn load(from: *const f32) -> Self {
            unsafe { _mm512_loadu_ps(from) }
        }
        #[inline(always)]
        unsafe fn load_some(from: *const f32, count: usize) -> Self {
            unsafe { _mm512_maskz_loadu_ps(first(count), from) }
        }
        #[inline(always)]
        unsafe fn store(self, to: *mut f32) {
            unsafe { _mm512_storeu_ps(to, self) }
        }
        #[inline(always)]
        unsafe fn store_some(self, to: *mut f32, count: usize) {
            unsafe { _mm512_mask_storeu_ps(to, first(count), self) }
        }
        #[inline(always)]
        unsafe fn mul_add(self, b: Self, c: Self) -> Self {
            unsafe { _mm512_fmadd_ps(self, b, c) }
        }
        #[inline(always)]
        unsafe fn add(self, b: Self) -> Self {
            unsafe { _mm512_add_ps(self, b) }
        }
        #[inline(always)]
        unsafe fn relu(self) -> Self {
            unsafe { _mm512_max_ps(_mm512_setzero_ps(), self) }
        }
    }

    /// Transposes 8 rows of 8 numbers.
    #[inline(always)]
    unsafe fn transpose(from: *const f32, row: usize, to: *mut f32, to_row: usize) {
        // SAFETY: the numbers are inside both blocks.
        unsafe {
            for j in [0, 4] {
                // Four numbers of row i, and of row i + 4.
                let rows = |i: usize| {
                    let low = _mm256_castps128_ps256(_mm_loadu_ps(from.add(i * row + j)));
                    _mm256_insertf128_ps::<1>(low, _mm_loadu_ps(from.add((i + 4) * row + j)))
                };
                let [a, b, c, d] = [rows(0), rows(1), rows(2), rows(3)];
                let (ab, cd) = (_mm256_unpacklo_ps(a, b), _mm256_unpacklo_ps(c, d));
                _mm256_storeu_ps(to.add(j * to_row), _mm256_shuffle_ps::<0x44>(ab, cd));
                _mm256_storeu_ps(to.add((j + 1) * to_row), _mm256_shuffle_ps::<0xee>(ab, cd));
                let (ab, cd) = (_mm256_unpackhi_ps(a, b), _mm256_unpackhi_ps(c, d));
                _mm256_storeu_ps(to.add((j + 2) * to_row), _mm256_shuffle_ps::<0x44>(ab, cd));
                _mm256_storeu_ps(to.add((j + 3) * to_row), _mm256_shuffle_ps::<0xee>(ab, cd));
            }
        }
    }

    #[inline(always)]
    fn prefetch(at: *const f32) {
        // SAFETY: every x86-64 processor has the instruction, and it accepts any address.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(at.cast()) }
    }

    /// The mask of the first `count` of 16 lanes.
    #[inline(always)]
    fn first(count: usize) -> u16 {
        ((1u32 << count) - 1) as u16
    }

    // SAFETY: as above.
    unsafe impl Vector for __m256 {
        const REGISTERS: usize = 16;
        const LANES: usize = 8;
        const TILE: (usize, usize) = (6, 2);
        const HIGHEST: usize = 6;
        const STRIP: usize = 6;
        const BLOCK: usize = 8;
        #[inline(always)]
        unsafe fn call(kernel: impl Kernel) {
            #[inline(never)]
            #[target_feature(enable = "avx2,fma")]
            unsafe fn call(kernel: impl Kernel) {
                unsafe { kernel.run::<__m256>() }
            }
            unsafe { call(kernel) }
        }
        #[inline(always)]
        unsafe fn transpose(from: *const f32, row: usize, to: *mut f32, to_row: usize) {
            unsafe { transpose(from, row, to, to_row) }
        }
        #[inline(always)]
        fn prefetch(at: *const f32) {
            prefetch(at);
        }
        #[inline(always)]
        unsafe fn splat(x: f32) -> Self {
            unsafe { _mm256_set1_ps(x) }
        }
        #[inline(always)]
        unsafe fn load(from: *const f32) -> Self {
            unsafe { _mm256_loadu_ps(from) }
        }
        #[inline(always)]
        unsafe fn load_some(from: *const f32, count: usize) -> Self {
            unsafe { _mm256_maskload_ps(from, mask(count)) }
        }
        #[inline(always)]
        unsafe fn store(self, to: *mut f32) {
            unsafe { _mm256_storeu_ps(to, self) }
        }
        #[inline(always)]
        unsafe fn store_some(self, to: *mut f32, count: usize) {
            unsafe { _mm256_maskstore_ps(to, mask(count), self) }
        }
        #[inline(always)]
        unsafe fn mul_add(self, b: Self, c: Self) -> Self {
            unsafe { _mm256_fmadd_ps(self, b, c) }
        }
        #[inline(always)]
        unsafe fn add(self, b: Self) -> Self {
            unsafe { _mm256_add_ps(self, b) }
        }
        #[inline(always)]
        unsafe fn relu(self) -> Self {
            unsafe { _mm256_max_ps(_mm256_setzero_ps(), self) }
        }
    }

    /// A mask of the first `count` of 8 lanes, read from a table of 8 ones and 8 zeros.
    #[inline(always)]
    unsafe fn mask(count: usize) -> __m256i {
        const BITS: [i32; 16] = [-1, -1, -1, -1, -1, -1, -1, -1, 0, 0, 0, 0, 0, 0, 0, 0];
        unsafe { _mm256_loadu_si256(BITS.as_ptr().add(8 - count).cast()) }
    }
}

#[cfg(target_arch = "aarch64")]
mod arm {
    use std::arch::aarch64::{
        float32x4_t, vaddq_f32, vbicq_u32, vcltzq_f32, vcombine_f32, vdup_n_f32, vdupq_n_f32, vfmaq_f32,
        vget_high_f32, vget_low_f32, vld1_f32, vld1_lane_f32, vld1q_f32, vld1q_lane_f32,
        vreinterpretq_f32_u32, vreinterpretq_u32_f32, vst1_f32, vst1_lane_f32, vst1q_f32, vst1q_lane_f32,
    };

    use super::{Kernel, Vector};

    // SAFETY: each function is the instruction of its name; loads and stores of some numbers access one or two at a time.
    unsafe impl Vector for float32x4_t {
        const REGISTERS: usize = 32;
        const LANES: usize = 4;
        const TILE: (usize, usize) = (6, 4);
        const HIGHEST: usize = 12;
        const STRIP: usize = 6;
        #[inline(never)]
        unsafe fn call(kernel: impl Kernel) {
            unsafe { kernel.run::<Self>() }
        }
        #[inline(always)]
        unsafe fn splat(x: f32) -> Self {
            unsafe { vdupq_n_f32(x) }
        }
        #[inline(always)]
        unsafe fn load(from: *const f32) -> Self {
            unsafe { vld1q_f32(from) }
        }
        #[inline(always)]
        unsafe fn load_some(from: *const f32, count: usize) -> Self {
            unsafe {
                match count {
                    0 => vdupq_n_f32(0.0),
                    1 => vld1q_lane_f32::<0>(from, vdupq_n_f32(0.0)),
                    2 => vcombine_f32(vld1_f32(from), vdup_n_f32(0.0)),
                    3 => vcombine_f32(vld1_f32(from), vld1_lane_f32::<0>(from.add(2), vdup_n_f32(0.0))),
                    _ => vld1q_f32(from),
                }
            }
        }
        #[inline(always)]
        unsafe fn store(self, to: *mut f32) {
            unsafe { vst1q_f32(to, self) }
        }
        #[inline(always)]
        unsafe fn store_some(self, to: *mut f32, count: usize) {
            unsafe {
                match count {
                    0 => {}
                    1 => vst1q_lane_f32::<0>(to, self),
                    2 => vst1_f32(to, vget_low_f32(self)),
                    3 => {
                        vst1_f32(to, vget_low_f32(self));
                        vst1_lane_f32::<0>(to.add(2), vget_high_f32(self));
                    }
                    _ => vst1q_f32(to, self),
                }
            }
        }
        #[inline(always)]
        unsafe fn mul_add(self, b: Self, c: Self) -> Self {
            unsafe { vfmaq_f32(c, self, b) }
        }
        #[inline(always)]
        unsafe fn add(self, b: Self) -> Self {
            unsafe { vaddq_f32(self, b) }
        }
        /// Clears the bits of negative numbers. Arm's maximum would change -0 to 0, which x86's does not.
        #[inline(always)]
        unsafe fn relu(self) -> Self {
            unsafe { vreinterpretq_f32_u32(vbicq_u32(vreinterpretq_u32_f32(self), vcltzq_f32(self))) }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// All functions of a vector on some numbers, one list of bits for each.
    struct Functions<'a> {
        numbers: &'a [f32],
        found: &'a mut Vec<Vec<u32>>,
    }

    impl Kernel for Functions<'_> {
        #[inline(always)]
        unsafe fn run<V: Vector>(self) {
            let mut map = |function: &dyn Fn(V) -> V| {
                let mut to = vec![f32::NAN; self.numbers.len()];
                for (from, to) in self.numbers.chunks(V::LANES).zip(to.chunks_mut(V::LANES)) {
                    // SAFETY: both chunks have the same length, at most `LANES`.
                    unsafe {
                        function(V::load_some(from.as_ptr(), from.len()))
                            .store_some(to.as_mut_ptr(), to.len())
                    }
                }
                self.found.push(to.iter().map(|x| x.to_bits()).collect());
            };
            // SAFETY: `Level::run` was called with a level of this processor.
            unsafe {
                map(&|x| x);
                map(&|x| x.relu());
                map(&|x| x.add(V::splat(0.1)));
                map(&|x| x.mul_add(x, V::splat(-0.01)));
            }
        }
    }

    #[test]
    fn vectors_compute_what_numbers_do() {
        let mut numbers = vec![-0.0, 0.0, -1e-40, 1e-40, f32::INFINITY, f32::NEG_INFINITY];
        numbers.extend([f32::NAN, -f32::NAN, f32::from_bits(0x7fc0_1234), f32::MAX, -f32::MAX]);
        numbers.extend((0..60).map(|i| (i as f32 - 30.0) * 0.037));
        for count in 1..=numbers.len() {
            let numbers = &numbers[..count];
            let mut expected = Vec::new();
            // SAFETY: every processor has it, and `Functions` has no shapes.
            unsafe { Level::Scalar.run(Functions { numbers, found: &mut expected }) };
            for level in Level::available() {
                let mut found = Vec::new();
                // SAFETY: as above; the level is available.
                unsafe { level.run(Functions { numbers, found: &mut found }) };
                assert_eq!(found, expected, "{level:?}, {count} numbers");
            }
        }
    }

    /// Loads and stores the first numbers of a vector.
    struct FirstLanes<'a> {
        lanes: &'a mut usize,
        rows: &'a mut Vec<(Vec<f32>, Vec<f32>)>,
    }

    impl Kernel for FirstLanes<'_> {
        #[inline(always)]
        unsafe fn run<V: Vector>(self) {
            *self.lanes = V::LANES;
            for count in 1..=V::LANES {
                let from: Vec<f32> = (1..=count).map(|i| i as f32).collect();
                let (mut loaded, mut stored) = (vec![9.0; V::LANES], vec![9.0; V::LANES + 1]);
                // SAFETY: `from` has `count` numbers, and the others have `LANES` or more.
                unsafe {
                    let vector = V::load_some(from.as_ptr(), count);
                    vector.store(loaded.as_mut_ptr());
                    vector.store_some(stored.as_mut_ptr(), count);
                }
                self.rows.push((loaded, stored));
            }
        }
    }

    #[test]
    fn some_numbers_are_loaded_with_zeros_and_stored_without_others() {
        for level in Level::available() {
            let (mut lanes, mut rows) = (0, Vec::new());
            // SAFETY: the level is available, and `FirstLanes` has no shapes.
            unsafe { level.run(FirstLanes { lanes: &mut lanes, rows: &mut rows }) };
            assert!(lanes > 0 && rows.len() == lanes, "{level:?}");
            for (count, (loaded, stored)) in (1..).zip(rows) {
                let filled = |rest: f32, length: usize| -> Vec<f32> {
                    (1..=count).map(|i| i as f32).chain(std::iter::repeat(rest)).take(length).collect()
                };
                assert_eq!(loaded, filled(0.0, lanes), "{level:?}, {count} numbers loaded");
                assert_eq!(stored, filled(9.0, lanes + 1), "{level:?}, {count} numbers stored");
            }
        }
    }

    #[cfg(target_arch = "aarch64")]
    #[test]
    fn every_aarch64_processor_has_neon() {
        assert_eq!(Level::available(), [Level::Scalar, Level::Neon]);
    }
}
