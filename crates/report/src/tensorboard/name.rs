//! The folders of runs, whose names are what TensorBoard's list of runs shows.

use std::collections::HashSet;

/// The most bytes of a file's name that are used; file systems allow 255.
const LONGEST: usize = 120;

/// A path of folders for each run: its schedule, then its lr, axes and seed, made safe and all different.
/// `runs` gives for each run the words of its path, outermost first.
pub fn names(runs: impl IntoIterator<Item = Vec<String>>) -> Vec<Vec<String>> {
    let mut taken = HashSet::new();
    let different = |words: Vec<String>| {
        let safe: Vec<String> = words.iter().map(|word| safe(word)).collect();
        let mut path = safe.clone();
        // Some file systems don't tell `A` from `a`.
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
    runs.into_iter().map(different).collect()
}

/// One folder's name: no separators, no controls, nothing that means a place or that a shell or a file
/// system reads otherwise.
fn safe(word: &str) -> String {
    let keep = |c: char| c.is_alphanumeric() || "-_.,=+@%() ".contains(c);
    let mut name = String::new();
    for c in word.chars().map(|c| if keep(c) { c } else { '_' }) {
        if name.len() + c.len_utf8() > LONGEST {
            break;
        }
        name.push(c);
    }
    // `.` and `..` are places, what begins with a dot is hidden, and Windows drops dots and spaces at the end.
    let bare = name.trim_matches(|c| c == '.' || c == ' ');
    if bare.is_empty() { "_".to_owned() } else { bare.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_stay_within_their_folder_and_apart() {
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
