//! Folder names of runs, which TensorBoard shows in its list of runs.

use std::collections::HashSet;

/// The largest length of a folder name in bytes; file systems allow 255.
const MAX_LENGTH: usize = 120;

/// A folder path for each run: its schedule, then its lr, axes and seed. Names are made safe, and paths unique. `runs` has the
/// folder names of each run, outermost first.
pub fn names(runs: impl IntoIterator<Item = Vec<String>>) -> Vec<Vec<String>> {
    let mut taken = HashSet::new();
    let unique = |words: Vec<String>| {
        let safe: Vec<String> = words.iter().map(|word| safe(word)).collect();
        let mut path = safe.clone();
        // Some file systems ignore case.
        for i in 2_u64.. {
            if taken.insert(path.join("/").to_lowercase()) {
                break;
            }
            path.clone_from(&safe);
            if let Some(last) = path.last_mut() {
                last.push_str(&format!(",{i}"));
            }
        }
        path
    };
    runs.into_iter().map(unique).collect()
}

/// A folder name without separators, control characters, and characters that are special for shells or file systems.
fn safe(word: &str) -> String {
    let keep = |c: char| c.is_alphanumeric() || "-_.,=+@%() ".contains(c);
    let mut name = String::new();
    for c in word.chars().map(|c| if keep(c) { c } else { '_' }) {
        if name.len() + c.len_utf8() > MAX_LENGTH {
            break;
        }
        name.push(c);
    }
    // `.` and `..` are special, names with a leading dot are hidden, and Windows drops trailing dots and spaces.
    let bare = name.trim_matches(|c| c == '.' || c == ' ');
    if bare.is_empty() { "_".to_owned() } else { bare.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_safe_and_unique() {
        let one = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
        let long = "é".repeat(100);
        let given = [
            one(&["cosine", "lr=0.1,seed=0"]),
            one(&["Cosine", "lr=0.1,seed=0"]),
            one(&["../../etc", "lr=0.1"]),
            one(&["..", "a/b\\c\0\n\"'"]),
            one(&["", "."]),
            one(&[&long, "x"]),
        ];
        let names = names(given);
        assert_eq!(names[0].join("/"), "cosine/lr=0.1,seed=0");
        assert_eq!(names[1].join("/"), "Cosine/lr=0.1,seed=0,2");
        assert_eq!(names[2].join("/"), "_.._etc/lr=0.1");
        assert_eq!(names[3].join("/"), "_/a_b_c____");
        assert_eq!(names[4].join("/"), "_/_");
        assert_eq!(names[5].join("/"), format!("{}/x", "é".repeat(60)));
    }
}
