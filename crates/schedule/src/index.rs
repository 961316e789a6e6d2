//! Everything that has a page: the kinds, the combinators and the presets as one list, by family and by
//! name. Made from the three tables; nothing about a single schedule stands here.

use crate::catalogue::{ENTRIES, Ends, Entry, Param, SYMBOLS};
use crate::combine::{COMBINATORS, Combinator, FOR, Form, Group};
use crate::preset::{PRESETS, Preset};
use crate::problem::nearest;

/// One thing that has a page.
#[derive(Debug, Clone, Copy)]
pub enum Item {
    /// A kind of schedule.
    Kind(&'static Entry),
    /// A schedule made of schedules.
    Combinator(&'static Combinator),
    /// A name for an expansion.
    Preset(&'static Preset),
}

/// What belongs together in a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Family {
    /// From one lr to another.
    Ramps,
    /// Functions of the clock.
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

/// Every family, in the order of a list.
pub const FAMILIES: [Family; 6] =
    [Family::Ramps, Family::Clock, Family::Loss, Family::Gradients, Family::Combinators, Family::Presets];

impl Family {
    /// One word, for programs.
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
            Family::Clock => "Functions of the clock",
            Family::Loss => "Rules that watch the loss",
            Family::Gradients => "Rules that watch gradients",
            Family::Combinators => "Combinators: schedules made of schedules",
            Family::Presets => "Presets: names for expansions, to be written out",
        }
    }

    /// What belongs to it, in the order of the tables.
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

    /// What other libraries call it.
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

    /// A node that parses; a preset's expansion.
    pub fn example(&self) -> &'static str {
        match self {
            Item::Kind(entry) => entry.example,
            Item::Combinator(each) => each.example,
            Item::Preset(preset) => preset.expansion,
        }
    }

    /// Its formula; a preset has that of its parts.
    pub fn formula(&self) -> Option<&'static str> {
        match self {
            Item::Kind(entry) => Some(entry.formula),
            Item::Combinator(each) => Some(each.formula),
            Item::Preset(_) => None,
        }
    }

    /// The symbols of its formula with their meaning: the shared ones that stand in it, then its own.
    /// Parameters are described as such.
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

    /// Its own parameters, then those of each mapping inside it.
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

    /// What else is to be known: where a preset differs from the library's own form.
    pub fn note(&self) -> Option<&'static str> {
        match self {
            Item::Preset(preset) => Some(preset.note),
            _ => None,
        }
    }

    /// How it ends.
    pub fn ends(&self) -> &'static Ends {
        match self {
            Item::Kind(entry) => &entry.ends,
            Item::Combinator(each) => &each.ends,
            Item::Preset(preset) => &preset.ends,
        }
    }

    /// Paper or library.
    pub fn source(&self) -> &'static str {
        match self {
            Item::Kind(entry) => entry.source,
            Item::Combinator(each) => each.source,
            Item::Preset(preset) => preset.source,
        }
    }

    /// Where it is listed.
    pub fn family(&self) -> Family {
        match self {
            Item::Kind(entry) if entry.is_ramp() => Family::Ramps,
            Item::Kind(entry) if !entry.is_rule() => Family::Clock,
            // What a rule watches is a parameter of those that watch a loss alone.
            Item::Kind(entry) if entry.params.iter().any(|param| param.name == "watch") => Family::Loss,
            Item::Kind(_) => Family::Gradients,
            Item::Combinator(_) => Family::Combinators,
            Item::Preset(_) => Family::Presets,
        }
    }
}

/// Letters and digits in small letters: `CosineAnnealingLR` is `cosine_annealing_lr`.
pub(crate) fn normalized(name: &str) -> String {
    name.to_lowercase().replace(['_', '-', ' '], "")
}

/// What a name stands for: its own, one of another library, also with the library's name before it.
///
/// # Errors
/// There is no such name; the nearest one, if one is near.
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
