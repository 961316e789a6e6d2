//! README and CONTRIBUTING: size, badges, and the changes that CONTRIBUTING shows.

use std::process::Command;

use crate::generated::hold;
use crate::support::root;

/// A README is for the first five minutes.
const README_BYTES: usize = 10_000;

#[test]
fn the_readme_is_short() {
    let readme = std::fs::read_to_string(root().join("README.md")).expect("a README");
    assert!(readme.len() <= README_BYTES, "README.md has {} bytes, more than {README_BYTES}", readme.len());
}

/// A value of `[workspace.package]`.
fn package(key: &str) -> String {
    let manifest = std::fs::read_to_string(root().join("Cargo.toml")).expect("a manifest");
    let line = manifest.lines().find(|line| line.starts_with(&format!("{key} = ")));
    line.and_then(|line| line.split('"').nth(1)).expect("a value in quotes").to_owned()
}

/// A badge: a label on grey, and what is true on blue. A character is about 6.5 pixels wide.
fn badge(label: &str, value: &str) -> String {
    let width = |text: &str| (text.len() * 13).div_ceil(2) + 12;
    let (left, right) = (width(label), width(value));
    let text = |x: usize, text: &str| format!("<text x=\"{x}\" y=\"14\">{text}</text>");
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{all}\" height=\"20\" role=\"img\" aria-label=\"{label}: {value}\">\
         <rect width=\"{left}\" height=\"20\" fill=\"#555\"/><rect x=\"{left}\" width=\"{right}\" height=\"20\" fill=\"#0969a8\"/>\
         <g fill=\"#fff\" text-anchor=\"middle\" font-family=\"Verdana,DejaVu Sans,sans-serif\" font-size=\"11\">{first}{second}</g></svg>\n",
        all = left + right,
        first = text(left / 2, label),
        second = text(left + right / 2, value),
    )
}

#[test]
fn badges_say_what_the_manifest_says() {
    let images = root().join("docs/images");
    hold(&images.join("licence.svg"), &badge("licence", &package("license")));
    hold(&images.join("msrv.svg"), &badge("rust", &format!("{}+", package("rust-version"))));
}

#[test]
fn the_changes_that_contributing_shows_apply() {
    for name in ["schedule", "model", "verb"] {
        let diff = format!("docs/contributing/{name}.diff");
        let output = Command::new("git").args(["apply", "--check", &diff]).current_dir(root()).output();
        let output = output.expect("git runs");
        assert!(output.status.success(), "{diff}: {}", String::from_utf8_lossy(&output.stderr));
    }
}
