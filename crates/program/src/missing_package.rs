//! Advice for a Python that lacks the package `sweep_trial`.

use std::path::Path;

/// How Python reports it.
const ERROR: &str = "No module named 'sweep_trial'";

/// Which Python lacks the package, and how to install it there. `detail`: the error of a program with this command.
pub(crate) fn advice(detail: &str, command: &[String]) -> Option<String> {
    let name = command.first().filter(|_| detail.contains(ERROR))?;
    const FOLDER: &str = "in the folder of the sweep repository";
    let file = Path::new(name).file_name().and_then(|file| file.to_str()).unwrap_or_default();
    let python = which::which(name).ok().filter(|_| file.starts_with("python") || file.starts_with("pypy"));
    Some(match python.map(|path| path.display().to_string()) {
        Some(path) => format!(
            "this Python is {path}: install the package with `{path} -m pip install ./python` {FOLDER}"
        ),
        None => format!(
            "install the package into the Python that `{name}` runs, with `pip install ./python` {FOLDER}"
        ),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const DETAIL: &str = "its last traceback: ModuleNotFoundError: No module named 'sweep_trial'";

    fn of(detail: &str, program: &str) -> Option<String> {
        advice(detail, &[program.to_owned(), "train.py".to_owned()])
    }

    #[test]
    fn the_advice_names_the_python_that_ran() {
        let dir = tempfile::tempdir().expect("a folder");
        let python = dir.path().join("python3");
        std::fs::write(&python, "#!/bin/sh\n").expect("a file");
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        std::fs::set_permissions(&python, mode).expect("it can be run");
        let path = python.display().to_string();
        let found = of(DETAIL, &path).expect("advice");
        assert!(found.contains(&format!("this Python is {path}: ")), "{found}");
        assert!(found.contains(&format!("`{path} -m pip install ./python`")), "{found}");
        let launched = of(DETAIL, "torchrun").expect("advice");
        assert!(
            launched.contains("the Python that `torchrun` runs, with `pip install ./python`"),
            "{launched}"
        );
    }

    #[test]
    fn other_errors_need_no_advice() {
        assert_eq!(of("ModuleNotFoundError: No module named 'torch'", "python3"), None);
        assert_eq!(of("No module named 'sweep_trial_2'", "python3"), None);
    }
}
