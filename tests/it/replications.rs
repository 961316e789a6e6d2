//! The studies: their sweep files give no warning, and their pages show the stored results.

use std::process::Command;

use crate::support::{Sandbox, root};

#[test]
fn sweep_files_of_the_studies_give_no_warning() {
    let sandbox = Sandbox::new();
    let data = root().join("data").display().to_string();
    let mut files = 0;
    for entry in std::fs::read_dir(root().join("experiments/replications")).expect("the files") {
        let path = entry.expect("a file").path();
        if path.extension().is_none_or(|extension| extension != "yaml") {
            continue;
        }
        let text = std::fs::read_to_string(&path).expect("a text").replace("data/", &format!("{data}/"));
        // The initial weights of the fine-tuning task come from another sweep.
        let lines: Vec<_> = text.lines().filter(|line| !line.starts_with("init_from:")).collect();
        sandbox.write("study.yaml", lines.join("\n"));
        let output = sandbox.run(&["check", "--deny-warnings", "study.yaml"]);
        assert_eq!(output.code, 0, "{}: {}", path.display(), output.stderr);
        files += 1;
    }
    assert!(files > 0);
}

/// Every number in a table of docs/studies follows from a stored result. Needs SciPy, as the script does.
#[test]
fn tables_of_the_studies_show_the_stored_results() {
    if !Command::new("python3").args(["-c", "import scipy"]).output().is_ok_and(|done| done.status.success())
    {
        eprintln!("tables of docs/studies not checked: python3 has no scipy");
        return;
    }
    let script = root().join("scripts/replications");
    let done =
        Command::new("python3").arg(script).args(["pages", "--check"]).output().expect("python3 starts");
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stdout));
}
