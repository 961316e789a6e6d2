//! Parses the command line. `sweep FILE` is short for `sweep run FILE`.

use std::ffi::OsString;
use std::path::Path;

use clap::builder::StyledStr;
use clap::{Command, CommandFactory, FromArgMatches};
use schedule::problem::nearest;

use crate::args::WITH_VALUE;
use crate::diagnostics::{document, sentence};
use crate::exit::{Errors, print};
use crate::verb::{Cli, GROUPS};

/// Names of all verbs, with their aliases.
fn verbs() -> Vec<String> {
    let names = |verb: &Command| verb.get_name_and_visible_aliases().into_iter().map(str::to_owned).collect();
    Cli::command().get_subcommands().flat_map::<Vec<String>, _>(names).chain(["help".to_owned()]).collect()
}

/// Parses the command line. Prints help, version or an error and exits where that is requested or needed.
pub(crate) fn parse() -> (Cli, Errors) {
    let mut words: Vec<OsString> = std::env::args_os().collect();
    if is_short_for_run(&words) {
        words.insert(1, OsString::from("run"));
    }
    let errors = errors(&words);
    let matches = command().try_get_matches_from(&words).unwrap_or_else(|error| exit(error, words, errors));
    (Cli::from_arg_matches(&matches).unwrap_or_else(|error| error.exit()), errors)
}

/// Where errors are printed. It is read from the words, since a command line with a mistake may also request JSON.
fn errors(words: &[OsString]) -> Errors {
    let mut words =
        words.iter().map(|word| word.to_string_lossy()).take_while(|word| word != "--").peekable();
    while let Some(word) = words.next() {
        let value = match word.strip_prefix("--format") {
            Some("") => words.peek().map_or("", |next| next.as_ref()),
            Some(rest) => rest.strip_prefix('=').unwrap_or(""),
            None => "",
        };
        if value == "json" {
            return Errors::Both;
        }
    }
    Errors::Stderr
}

/// Prints the error, and exits. clap's usage line shows the options that are set, also by a variable of the environment, as if they
/// were required. So the error without these variables is printed, if it is one without them too.
fn exit(error: clap::Error, words: Vec<OsString>, errors: Errors) -> ! {
    if !error.use_stderr() {
        // Help, which lists the variables.
        error.exit();
    }
    let error = without_environment(command()).try_get_matches_from(words).err().unwrap_or(error);
    if errors == Errors::Both {
        let text = error.render().to_string();
        let text = text.split("\n\nUsage:").next().unwrap_or(&text);
        let message = text.strip_prefix("error: ").unwrap_or(text).trim_end();
        // A failure to write it is ignored: the error is on stderr too.
        let _ = print(&document(vec![sentence(message)], 2));
    }
    error.exit()
}

/// The command without options from variables of the environment.
fn without_environment(command: Command) -> Command {
    let names: Vec<String> = command.get_subcommands().map(|verb| verb.get_name().to_owned()).collect();
    let command = command.mut_args(|option| option.env(None::<&'static str>));
    names.into_iter().fold(command, |command, name| command.mut_subcommand(name, without_environment))
}

/// The command line, with the verbs in groups in its help.
fn command() -> Command {
    let command = Cli::command();
    let template = template(&command);
    command.help_template(template)
}

/// clap has one heading for all subcommands, so the grouped list is part of the template.
fn template(command: &Command) -> StyledStr {
    let styles = command.get_styles();
    let (header, literal) = (styles.get_header(), styles.get_literal());
    let width = command.get_subcommands().map(|verb| verb.get_name().len()).max().unwrap_or(0);
    let mut list = String::new();
    for (group, verbs) in GROUPS {
        list.push_str(&format!("{header}{group}:{header:#}\n"));
        for verb in verbs.iter().filter_map(|module| command.find_subcommand(module.replace('_', "-"))) {
            let (name, about) = (verb.get_name(), verb.get_about().cloned().unwrap_or_default());
            let aliases: String =
                verb.get_visible_aliases().map(|alias| format!(" [alias: {alias}]")).collect();
            list.push_str(&format!("  {literal}{name:<width$}{literal:#}  {about}{aliases}\n"));
        }
        list.push('\n');
    }
    StyledStr::from(format!(
        "{{about-with-newline}}\n{{usage-heading}} {{usage}}\n\n{list}{header}Options:{header:#}\n{{options}}{{after-help}}"
    ))
}

/// Whether the first word that is not an option is not a verb, as in `sweep FILE`.
fn is_short_for_run(words: &[OsString]) -> bool {
    let mut words = words.iter().skip(1).map(|word| word.to_str());
    while let Some(word) = words.next() {
        match word {
            Some(option) if WITH_VALUE.contains(&option) => {
                words.next();
            }
            Some(option) if option.starts_with('-') && option != "-" => {}
            Some(word) => return !is_meant_as_verb(word),
            None => return true,
        }
    }
    false
}

/// Whether a word is a verb, or looks like a misspelt one: then clap suggests the right one.
fn is_meant_as_verb(word: &str) -> bool {
    let verbs = verbs();
    let is_near = || nearest(word, verbs.iter().map(String::as_str)).is_some();
    verbs.iter().any(|verb| verb == word)
        || (!word.contains(['.', '/']) && !Path::new(word).exists() && is_near())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_verb_run_may_be_left_out() {
        let short = |line: &str| is_short_for_run(&line.split(' ').map(OsString::from).collect::<Vec<_>>());
        for line in ["sweep a.yaml", "sweep --store run a.yaml", "sweep -q a.yaml --workers 2", "sweep -"] {
            assert!(short(line), "{line}");
        }
        for line in [
            "sweep run a.yaml",
            "sweep",
            "sweep --help",
            "sweep -V",
            "sweep --store x rank",
            "sweep help run",
            "sweep chekc a.yaml",
        ] {
            assert!(!short(line), "{line}");
        }
    }

    #[test]
    fn the_command_line_is_consistent() {
        command().debug_assert();
    }

    #[test]
    fn each_verb_is_in_one_group_and_fits_80_columns() {
        let grouped: Vec<String> = GROUPS
            .iter()
            .flat_map(|(_, verbs)| verbs.iter().map(|module| module.replace('_', "-")))
            .collect();
        let command = Cli::command();
        let all: Vec<&str> = command.get_subcommands().map(Command::get_name).collect();
        assert_eq!(grouped, all);
        let help = command.help_template(template(&Cli::command())).render_help().to_string();
        for line in help.lines() {
            assert!(line.chars().count() <= 100, "{line}");
        }
        let list = help.lines().skip_while(|line| *line != "Run:").take_while(|line| *line != "Options:");
        for line in list {
            assert!(line.chars().count() <= 80, "{line}");
        }
    }
}
