//! Every kind, combinator and preset has a unique name and complete documentation.

use std::collections::HashMap;

use schedule::catalogue::{Param, ParamType};
use schedule::index::{FAMILIES, Family, Item, find};
use schedule::preset::PRESETS;

fn all() -> impl Iterator<Item = Item> {
    FAMILIES.into_iter().flat_map(Family::items)
}

fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_').filter(|word| !word.is_empty())
}

/// Parameters and their choices, which are documented in their table.
fn params(item: &Item) -> Vec<&'static str> {
    let params: Vec<&Param> = match item {
        Item::Kind(entry) => entry.all_params().collect(),
        Item::Combinator(each) => {
            each.params.iter().chain(each.groups.iter().flat_map(|group| group.params)).collect()
        }
        Item::Preset(_) => Vec::new(),
    };
    let words = |param: &&Param| match param.ty {
        ParamType::Choice(words) => words,
        _ => &[],
    };
    params.iter().map(|param| param.name).chain(params.iter().flat_map(words).copied()).collect()
}

#[test]
fn every_item_documents_its_ends_and_source() {
    for item in all() {
        let (name, ends) = (item.name(), item.ends());
        for text in [item.summary(), ends.before, ends.at, ends.after, item.source(), item.example()] {
            assert!(!text.trim().is_empty(), "{name}");
        }
        assert!(!item.summary().contains('\n') && item.summary().len() <= 90, "{name}: one short line");
        assert!(item.formula().is_none_or(|formula| formula.contains("lr")), "{name}");
    }
}

/// A symbol is a word of one letter (except the article) or with an underscore, as in `f_t`.
#[test]
fn every_symbol_of_a_formula_has_a_meaning() {
    for item in all() {
        let formula = item.formula().unwrap_or_default();
        let symbols = item.symbols();
        let meant: Vec<&str> =
            symbols.iter().flat_map(|(symbol, _)| words(symbol)).chain(params(&item)).collect();
        for word in words(formula) {
            let letter = word.len() == 1 && word != "a" && !word.starts_with(|c: char| c.is_ascii_digit());
            let symbol = letter || word.contains('_');
            assert!(!symbol || meant.contains(&word), "{}: what is `{word}` in {formula}", item.name());
        }
        for (symbol, meaning) in symbols {
            assert!(formula.contains(symbol) && !meaning.is_empty(), "{}: `{symbol}`", item.name());
        }
    }
}

#[test]
fn every_name_identifies_one_item() {
    let mut seen: HashMap<String, &str> = HashMap::new();
    for item in all() {
        for name in item.aliases().iter().copied().chain([item.name()]) {
            let plain = name.to_lowercase().replace(['_', '-', ' '], "");
            let other = seen.insert(plain, item.name());
            assert!(other.is_none_or(|other| other == item.name()), "{name}: {other:?} and {}", item.name());
            assert_eq!(find(name).map(|found| found.name()), Ok(item.name()), "{name}");
        }
    }
    assert!(PRESETS.len() >= 12);
}

#[test]
fn names_are_found_as_people_write_them() {
    let found = |name| find(name).map(|item| item.name());
    assert_eq!(found("torch.optim.lr_scheduler.CosineAnnealingLR"), Ok("cosine"));
    assert_eq!(found("Warmup-Stable-Decay"), Ok("wsd"));
    assert_eq!(found("cosin"), Err(Some("cosine")));
    assert_eq!(found("CosineAnealingLR"), Err(Some("cosine")));
    assert_eq!(found("gradient_boosting"), Err(None));
}

#[test]
fn rules_are_grouped_by_what_they_watch() {
    let family = |name| find(name).map(|item| item.family());
    assert_eq!(family("plateau"), Ok(Family::Loss));
    assert_eq!(family("polyak"), Ok(Family::Gradients));
}
