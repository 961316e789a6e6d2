//! The help of the command line.

use crate::support::Sandbox;

#[test]
fn the_help_lists_all_commands_in_groups() {
    let sandbox = Sandbox::new();
    let help = sandbox.run(&["--help"]).exits(0).stdout;
    insta::assert_snapshot!("help", help.split("\nOptions:").next().unwrap_or_default());
    assert_eq!(sandbox.run(&["help"]).exits(0).stdout, help);
    assert!(!help.contains('\u{1b}'), "colors are for terminals");
}

#[test]
fn the_help_of_each_command_starts_with_one_line() {
    let sandbox = Sandbox::new();
    let help = sandbox.run(&["--help"]).exits(0).stdout;
    let verbs =
        help.lines().take_while(|line| *line != "Options:").filter_map(|line| line.strip_prefix("  "));
    let mut count = 0;
    for line in verbs {
        let (verb, about) = line.split_once("  ").expect("a verb and what it does");
        let own = sandbox.run(&[verb, "--help"]).exits(0).stdout;
        let first = own.lines().next().unwrap_or_default();
        assert!(about.trim().starts_with(first), "{verb}: {first}");
        count += 1;
    }
    assert!(count > 25, "{help}");
}

/// The data folder is set in the environment of these tests.
#[test]
fn the_usage_in_an_error_is_that_of_the_command() {
    let sandbox = Sandbox::new();
    for (args, usage) in [
        (&["rank", "--zzzzzz"][..], "Usage: sweep rank [OPTIONS] [SWEEP]"),
        (&["compare", "a"], "Usage: sweep compare <A> <B>"),
        (&["submit", "slurm"], "Usage: sweep submit slurm <FILE>"),
    ] {
        let stderr = sandbox.run(args).exits(2).stderr;
        assert!(stderr.contains(usage) && !stderr.contains("--data-dir"), "{stderr}");
    }
    let help = sandbox.run(&["rank", "--help"]).exits(0).stdout;
    assert!(help.contains("[env: SWEEP_DATA_DIR="), "{help}");
}
