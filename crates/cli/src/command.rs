//! Reads the command line. `sweep FILE` is short for `sweep run FILE`.

use std::ffi::OsString;

use clap::{CommandFactory, Parser};

use crate::args::WITH_VALUE;
use crate::verb::Cli;

/// Names of all verbs.
pub(crate) fn verbs() -> Vec<String> {
    let names = |verb: &clap::Command| verb.get_name().to_owned();
    Cli::command().get_subcommands().map(names).chain(["help".to_owned()]).collect()
}

/// Reads the command line; prints help, version or what is wrong with it, and exits, where that is due.
pub(crate) fn parse() -> Cli {
    let mut words: Vec<OsString> = std::env::args_os().collect();
    if is_short_for_run(&words) {
        words.insert(1, OsString::from("run"));
    }
    Cli::parse_from(words)
}

/// `sweep FILE` leaves out the verb: the first word that is no option is not the name of one.
fn is_short_for_run(words: &[OsString]) -> bool {
    let mut words = words.iter().skip(1).map(|word| word.to_str());
    while let Some(word) = words.next() {
        match word {
            Some(option) if WITH_VALUE.contains(&option) => {
                words.next();
            }
            Some(option) if option.starts_with('-') && option != "-" => {}
            Some(word) => return !verbs().iter().any(|verb| verb == word),
            None => return true,
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_verb_may_be_left_out() {
        let short = |line: &str| is_short_for_run(&line.split(' ').map(OsString::from).collect::<Vec<_>>());
        for line in [
            "sweep a.yaml",
            "sweep --store run a.yaml",
            "sweep -q a.yaml --workers 2",
            "sweep -",
            "sweep rnak",
        ] {
            assert!(short(line), "{line}");
        }
        for line in [
            "sweep run a.yaml",
            "sweep",
            "sweep --help",
            "sweep -V",
            "sweep --store x rank",
            "sweep help run",
        ] {
            assert!(!short(line), "{line}");
        }
    }

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }
}
