//! Names that users give: of sweeps, schedules and parameter groups.

/// Checks that a name is safe in tables, file names and terminals: printable and not too long.
///
/// # Errors
/// The problem, as a sentence.
pub fn check_name(name: &str) -> Result<(), String> {
    if name.trim().is_empty() {
        return Err("a name can't be empty".to_owned());
    }
    if name.chars().count() > 100 {
        return Err("a name can have at most 100 characters".to_owned());
    }
    // Control characters and bidirectional marks could corrupt what a terminal shows.
    let is_unsafe = |c: char| {
        c.is_control()
            || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
    };
    match name.chars().find(|c| is_unsafe(*c)) {
        Some(c) => Err(format!("a name can't contain the invisible character U+{:04X}", c as u32)),
        None => Ok(()),
    }
}
