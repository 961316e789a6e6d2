//! Warnings about compared results that different programs trained.

use std::collections::{BTreeMap, BTreeSet};

use super::{Input, Kind, Warning, warning};

pub(super) fn mixed_bits(input: Input<'_>) -> Vec<Warning> {
    let mut bits: BTreeMap<i64, i64> = BTreeMap::new();
    for of in &input.history.origins {
        if let Some(version) = of.bits {
            *bits.entry(version).or_default() += of.trials;
        }
    }
    if bits.len() < 2 {
        return Vec::new();
    }
    let each: Vec<String> = bits.iter().map(|(bits, trials)| format!("{trials} by version {bits}")).collect();
    let text =
        format!("these trials were trained by different versions of the arithmetic: {}", each.join(", "));
    let advice = "equal configurations may give different bits; to retrain all with this version, use `sweep rm` and run the \
                  sweep again";
    warning(Kind::MixedBits, Vec::new(), text, advice)
}

pub(super) fn mixed_files(input: Input<'_>) -> Vec<Warning> {
    let mut files: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for (name, hash) in input.history.origins.iter().flat_map(|of| &of.loaded) {
        files.entry(name).or_default().insert(hash);
    }
    let several: Vec<&str> =
        files.iter().filter(|(_, hashes)| hashes.len() > 1).map(|(name, _)| *name).collect();
    if several.is_empty() {
        return Vec::new();
    }
    let names = schedule::problem::listed(several);
    let text = format!("these trials loaded different versions of {names}");
    let advice =
        "their results may not be comparable; add the file to `trainer.files` and run the sweep again";
    warning(Kind::MixedFiles, Vec::new(), text, advice)
}

#[cfg(test)]
mod tests {
    use spec::origin::Origins;

    use super::*;
    use crate::ranking::{Options, rank};
    use crate::warnings::{History, warnings};

    fn kinds(origins: &[Origins]) -> Vec<Kind> {
        let (ranking, options) = (rank(&[], &Options::default()), Options::default());
        let history = History { origins: origins.to_vec(), ..History::default() };
        warnings(&ranking, &[], &options, &history).into_iter().map(|warning| warning.kind).collect()
    }

    fn of(bits: Option<i64>, loaded: &[(&str, &str)], trials: i64) -> Origins {
        let loaded = loaded.iter().map(|(name, hash)| ((*name).to_owned(), (*hash).to_owned())).collect();
        Origins { bits, loaded, trials }
    }

    #[test]
    fn results_of_several_versions_or_files_give_a_warning() {
        for one in [vec![], vec![of(Some(1), &[], 3)], vec![of(None, &[("a", "x")], 3), of(Some(1), &[], 2)]]
        {
            assert_eq!(kinds(&one), []);
        }
        assert_eq!(kinds(&[of(Some(1), &[], 3), of(Some(2), &[], 4)]), [Kind::MixedBits]);
        let files = [of(None, &[("model.py", "a")], 2), of(None, &[("model.py", "b")], 1)];
        assert_eq!(kinds(&files), [Kind::MixedFiles]);
    }
}
