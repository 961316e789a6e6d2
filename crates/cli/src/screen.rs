//! Whether stdout is a terminal, and how wide.

use std::io::IsTerminal;

/// Whether a person looks at stdout.
pub(crate) fn is_terminal() -> bool {
    std::io::stdout().is_terminal()
}

/// Columns for text on stdout: the terminal's, within reason; 80 for a file or a pipe.
pub(crate) fn width() -> usize {
    let stdout = std::io::stdout();
    let size = if stdout.is_terminal() { terminal_size::terminal_size_of(&stdout) } else { None };
    size.map_or(80, |(width, _)| usize::from(width.0)).clamp(30, 120)
}
