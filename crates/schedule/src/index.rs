//! One list of all documented items (kinds, combinators and presets), by family and by name. It is built from
//! the three tables and has nothing about a single schedule.

use crate::catalogue::{ENTRIES, Ends, Entry, Param, SYMBOLS};
use crate::combine::{COMBINATORS, Combinator, FOR, Form, Group};
use crate::preset::{PRESETS, Preset};
use crate::problem::nearest;

/// A documented item.
#[derive(Debug, Clone, Copy)]
pub enum Item {
    /// A kind of schedule.
    Kind(&'static Entry),
    /// A schedule made of other schedules.
    Combinator(&'static Combinator),
    /// A named expansion.
    Preset(&'static Preset),
}

/// A group of items.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Family {
    /// Curves from one lr to another.
    Ramps,
    /// Functions of the step.
    Clock,
    /// Rules that watch the loss.
    Loss,
    /// Rules that watch gradients.
    Gradients,
    /// Schedules made of schedules.
    Combinators,
    /// Documented expansions.
    Presets,
}

/// All families, in display order.
pub const FAMILIES: [Family; 6] =
    [Family::Ramps, Family::Clock, Family::Loss, Family::Gradients, Family::Combinators, Family::Presets];

impl Family {
    /// A short name, for programs.
    pub fn name(self) -> &'static str {
        match self {
            Family::Ramps => "ramp",
            Family::Clock => "clock",
            Family::Loss => "loss",
            Family::Gradients => "gradient",
            Family::Combinators => "combinator",
            Family::Presets => "preset",
        }
    }

    /// A heading.
    pub fn title(self) -> &'static str {
        match self {
            Family::Ramps => "Ramps: from one lr to another",
            Family::Clock => "Functions of the step",
            Family::Loss => "Rules that watch the loss",
            Family::Gradients => "Rules that watch gradients",
            Family::Combinators => "Combinators: schedules made of other schedules",
            Family::Presets => "Presets: named expansions, to be copied into the file",
        }
    }

    /// Its items, in the order of the tables.
    pub fn items(self) -> impl Iterator<Item = Item> {
        all().filter(move |item| item.family() == self)
    }
}

fn all() -> impl Iterator<Item = Item> {
    let kinds = ENTRIES.iter().map(|entry| Item::Kind(entry));
    let combinators = COMBINATORS.iter().map(|each| Item::Combinator(each));
    kinds.chain(combinators).chain(PRESETS.iter().map(|preset| Item::Preset(preset)))
}

impl Item {
    /// Its name: the `kind`, the key, or the preset's name.
    pub fn name(&self) -> &'static str {
        match self {
            Item::Kind(entry) => entry.kind,
            Item::Combinator(each) => each.key,
            Item::Preset(preset) => preset.name,
        }
    }

    /// Its names in other libraries.
    pub fn aliases(&self) -> &'static [&'static str] {
        match self {
            Item::Kind(entry) => entry.aliases,
            Item::Combinator(each) => each.aliases,
            Item::Preset(preset) => preset.aliases,
        }
    }

    /// One line: what it does.
    pub fn summary(&self) -> &'static str {
        match self {
            Item::Kind(entry) => entry.summary,
            Item::Combinator(each) => each.summary,
            Item::Preset(preset) => preset.summary,
        }
    }

    /// An example that parses; for a preset its expansion.
    pub fn example(&self) -> &'static str {
        match self {
            Item::Kind(entry) => entry.example,
            Item::Combinator(each) => each.example,
            Item::Preset(preset) => preset.expansion,
        }
    }

    /// Its formula; presets have none.
    pub fn formula(&self) -> Option<&'static str> {
        match self {
            Item::Kind(entry) => Some(entry.formula),
            Item::Combinator(each) => Some(each.formula),
            Item::Preset(_) => None,
        }
    }

    /// The symbols of its formula with their meaning: shared symbols, then its own. Parameters are documented
    /// separately.
    pub fn symbols(&self) -> Vec<(&'static str, &'static str)> {
        let own = match self {
            Item::Kind(entry) => entry.symbols,
            Item::Combinator(each) => each.symbols,
            Item::Preset(_) => &[],
        };
        let formula = self.formula().unwrap_or_default();
        let words: Vec<&str> = formula.split(|c: char| !c.is_ascii_alphanumeric() && c != '_').collect();
        let shared = SYMBOLS
            .iter()
            .filter(|(symbol, _)| words.contains(symbol) && own.iter().all(|(known, _)| known != symbol));
        shared.chain(own).copied().collect()
    }

    /// Its own parameters, then the parameters of each group.
    pub fn params(&self) -> Vec<(Option<&'static Group>, Vec<&'static Param>)> {
        match self {
            Item::Kind(entry) => vec![(None, entry.all_params().collect())],
            Item::Combinator(each) => {
                let own = each.params.iter().chain((each.form == Form::Phases).then_some(&FOR));
                let groups = each.groups.iter().map(|group| (Some(group), group.params.iter().collect()));
                std::iter::once((None, own.collect())).chain(groups).collect()
            }
            Item::Preset(_) => Vec::new(),
        }
    }

    /// For a preset, how it differs from the library's own form.
    pub fn note(&self) -> Option<&'static str> {
        match self {
            Item::Preset(preset) => Some(preset.note),
            _ => None,
        }
    }

    /// Its lr at the start, at the end and after the end.
    pub fn ends(&self) -> &'static Ends {
        match self {
            Item::Kind(entry) => &entry.ends,
            Item::Combinator(each) => &each.ends,
            Item::Preset(preset) => &preset.ends,
        }
    }

    /// The paper or library that defines it.
    pub fn source(&self) -> &'static str {
        match self {
            Item::Kind(entry) => entry.source,
            Item::Combinator(each) => each.source,
            Item::Preset(preset) => preset.source,
        }
    }

    /// Its family.
    pub fn family(&self) -> Family {
        match self {
            Item::Kind(entry) if entry.is_ramp() => Family::Ramps,
            Item::Kind(entry) if !entry.is_rule() => Family::Clock,
            // Only rules that watch a metric have the parameter `watch`.
            Item::Kind(entry) if entry.params.iter().any(|param| param.name == "watch") => Family::Loss,
            Item::Kind(_) => Family::Gradients,
            Item::Combinator(_) => Family::Combinators,
            Item::Preset(_) => Family::Presets,
        }
    }
}

/// A name in lower case without separators, so that `CosineAnnealingLR` equals `cosine_annealing_lr`.
pub(crate) fn normalized(name: &str) -> String {
    name.to_lowercase().replace(['_', '-', ' '], "")
}

/// Finds an item by its name or by its name in another library, with or without the library's name before it.
///
/// # Errors
/// The name is unknown. The error holds the nearest name, if any.
pub fn find(name: &str) -> Result<Item, Option<&'static str>> {
    let last = name.rsplit('.').next().unwrap_or(name);
    let known = |wanted: &str| {
        let named = all().find(|item| normalized(item.name()) == wanted);
        named.or_else(|| all().find(|item| item.aliases().iter().any(|alias| normalized(alias) == wanted)))
    };
    known(&normalized(name)).or_else(|| known(&normalized(last))).ok_or_else(|| {
        let own = nearest(last, all().map(|item| item.name()));
        own.or_else(|| {
            let alias = nearest(last, all().flat_map(|item| item.aliases().iter().copied()))?;
            known(&normalized(alias)).map(|item| item.name())
        })
    })
}
