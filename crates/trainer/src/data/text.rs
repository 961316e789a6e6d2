//! A text in memory, encoded as character numbers, and its windows.

use std::collections::BTreeSet;

use spec::trial::{self, DataInfo};

use super::files::{DataError, MAX_BYTES, read_user_file};
use super::{Batch, Part};

/// A text in three parts, one after another: training, validation, test.
#[derive(Debug)]
pub struct Text {
    /// The characters of each part, as indices into the alphabet.
    parts: [Vec<u32>; 3],
    /// Number of windows of each part.
    windows: [usize; 3],
    context: usize,
    alphabet: Vec<char>,
}

impl Text {
    /// `parts`: number of characters of each part. `windows`: number of windows of each part.
    pub(super) fn new(text: &str, parts: [usize; 3], windows: [usize; 3], context: usize) -> Self {
        let alphabet: Vec<char> = alphabet(text).into_iter().collect();
        let number = |c: char| alphabet.binary_search(&c).unwrap_or_default() as u32;
        let mut all = text.chars().map(number);
        let parts = parts.map(|n| all.by_ref().take(n).collect());
        Self { parts, windows, context, alphabet }
    }

    pub(super) fn len(&self, part: Part) -> usize {
        self.windows[part as usize]
    }

    /// Writes windows into a batch: their characters, and for each the next character as label.
    pub(super) fn gather(
        &self,
        part: Part,
        indices: impl Iterator<Item = usize>,
        offset: usize,
        batch: &mut Batch,
    ) {
        batch.clear(0, 0.0);
        let all = &self.parts[part as usize];
        for i in indices {
            let first = i * self.context + offset;
            if let Some(window) = all.get(first..first + self.context + 1) {
                batch.tokens.extend(&window[..self.context]);
                batch.labels.extend(&window[1..]);
            }
        }
    }

    /// The different characters, sorted. The index of a character is its number.
    pub fn alphabet(&self) -> &[char] {
        &self.alphabet
    }

    pub(crate) fn context(&self) -> usize {
        self.context
    }
}

fn alphabet(text: &str) -> BTreeSet<char> {
    text.chars().collect()
}

/// Inspects a text file. Its examples are the characters, its classes the different characters.
///
/// # Errors
/// A message for the user: what is wrong with the file.
pub fn inspect(file: &str) -> Result<DataInfo, String> {
    let (text, blake3) = utf8(file)?;
    let (examples, classes) = (text.chars().count(), alphabet(&text).len());
    if classes < 2 {
        return Err(format!("{file}: expected at least 2 different characters, found {classes}"));
    }
    if classes > 10_000 {
        return Err(format!("{file}: expected at most 10000 different characters, found {classes}"));
    }
    Ok(DataInfo { blake3, examples, inputs: classes, classes, bytes: false })
}

fn utf8(file: &str) -> Result<(String, String), String> {
    let bytes = read_user_file(file, MAX_BYTES)?;
    let blake3 = blake3::hash(&bytes).to_hex().to_string();
    let text = String::from_utf8(bytes).map_err(|error| {
        let line =
            error.as_bytes()[..error.utf8_error().valid_up_to()].iter().filter(|b| **b == b'\n').count();
        format!("{file}:{}: not UTF-8 text", line + 1)
    })?;
    let text = text.strip_prefix('\u{feff}').map(str::to_owned).unwrap_or(text);
    Ok((text, blake3))
}

/// The text that a trial was planned with.
pub(super) fn read(text: &trial::Text) -> Result<String, DataError> {
    let (found, blake3) = utf8(&text.file).map_err(DataError::Invalid)?;
    if blake3 == text.blake3 { Ok(found) } else { Err(DataError::Changed(text.file.clone())) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_are_adjacent_and_labels_are_the_next_characters() {
        // a = 0 ... j = 9, then the validation part.
        let text = Text::new("abcdefghijklmno", [10, 5, 0], [2, 1, 0], 3);
        let mut batch = Batch::default();
        text.gather(Part::Train, [1, 0].into_iter(), 1, &mut batch);
        assert_eq!(
            (&batch.tokens[..], &batch.labels[..]),
            (&[4, 5, 6, 1, 2, 3][..], &[5, 6, 7, 2, 3, 4][..])
        );
        text.gather(Part::Valid, 0..1, 0, &mut batch);
        assert_eq!((&batch.tokens[..], &batch.labels[..]), (&[10, 11, 12][..], &[11, 12, 13][..]));
        // The last window at the largest offset ends with the last character.
        text.gather(Part::Train, 1..2, 2, &mut batch);
        assert_eq!(batch.labels, [6, 7, 8]);
        assert_eq!((text.len(Part::Train), text.len(Part::Test)), (2, 0));
    }

    #[test]
    fn invalid_texts_are_rejected() {
        let dir = tempfile::tempdir().expect("a folder");
        let file = |bytes: &[u8]| {
            let path = dir.path().join("a.txt");
            std::fs::write(&path, bytes).expect("a file");
            inspect(path.to_str().expect("a name"))
        };
        assert!(file(b"one\ntwo \xff\n").expect_err("bytes").contains("a.txt:2: not UTF-8"));
        assert!(file(b"aaaa").expect_err("one letter").contains("different characters, found 1"));
        // A byte order mark does not count as a character.
        for text in ["añb\n", "\u{feff}añb\n"] {
            let found = file(text.as_bytes()).expect("a text");
            assert_eq!((found.examples, found.classes), (4, 4));
        }
        assert!(inspect("none.txt").expect_err("no file").contains("file not found: none.txt"));
    }
}
