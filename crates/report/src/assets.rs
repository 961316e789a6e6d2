//! The files of the page, compiled into the program: its shell, one style sheet, one script, one icon. The live page and the
//! offline report use the same ones.

use crate::escape::{escape, is_bidi_mark};

/// The shell of the page: `{{title}}`, `{{head}}` and `{{scripts}}` are replaced.
const SHELL: &str = include_str!("../web/shell.html");

/// The style sheet of the page. `web/assets.txt` lists its parts in order, `web/build.mjs` joins them.
pub const STYLE: &str = include_str!("../web/dist/app.css");

/// The script of the page, made in the same way.
pub const SCRIPT: &str = include_str!("../web/dist/app.js");

/// The icon of the page.
pub const ICON: &str = include_str!("../web/favicon.svg");

/// The page that a server sends: it loads everything else from there.
pub fn live_page() -> String {
    shell(
        "sweep dashboard",
        "<link rel=\"icon\" href=\"favicon.svg\">\n<link rel=\"stylesheet\" href=\"app.css\">",
        "<script src=\"app.js\" defer></script>",
    )
}

/// A page that contains everything. `snapshot` is JSON; `body` is shown where scripts are off.
pub(crate) fn offline_page(title: &str, snapshot: &str, body: &str) -> String {
    let head = format!(
        "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'; script-src \
         'unsafe-inline'; img-src data:\">\n<link rel=\"icon\" href=\"data:,\">\n<style>\n{}</style>",
        STYLE
    );
    let scripts = format!(
        "<noscript>\n{body}</noscript>\n<script type=\"application/json\" id=\"snapshot\">{}</script>\n<script>\n{}</script>",
        within_script(snapshot),
        SCRIPT
    );
    shell(title, &head, &scripts)
}

fn shell(title: &str, head: &str, scripts: &str) -> String {
    // In one pass, so that a replacement is never searched for placeholders.
    let mut page = String::with_capacity(SHELL.len() + head.len() + scripts.len());
    let mut rest = SHELL;
    while let Some((before, after)) = rest.split_once("{{") {
        page.push_str(before);
        let Some((name, after)) = after.split_once("}}") else { break };
        match name {
            "title" => page.push_str(&escape(title)),
            "head" => page.push_str(head),
            "scripts" => page.push_str(scripts),
            _ => {}
        }
        rest = after;
    }
    page.push_str(rest);
    page
}

/// JSON that is safe within a script element.
fn within_script(json: &str) -> String {
    let mut safe = String::with_capacity(json.len());
    for c in json.chars() {
        if c == '<' || is_bidi_mark(c) || matches!(c, '\u{2028}' | '\u{2029}') {
            safe.push_str(&format!("\\u{:04x}", u32::from(c)));
        } else {
            safe.push(c);
        }
    }
    safe
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_is_complete() {
        let live = live_page();
        assert!(live.contains("src=\"app.js\"") && !live.contains("{{"), "{live}");
        let offline = offline_page("<b>", r#"{"a":"</script>{{head}}"}"#, "<p>text</p>\n");
        assert!(offline.contains("<title>&lt;b&gt;</title>") && offline.contains("<p>text</p>"));
        assert!(offline.contains(r#"{"a":"\u003c/script>{{head}}"}"#));
        assert!(
            SCRIPT.contains("\"use strict\"") && !SCRIPT.contains("</script") && !STYLE.contains("</style")
        );
    }
}
