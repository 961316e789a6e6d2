//! Terminals: whether stdout is one, and widths.

use std::io::IsTerminal;

/// Whether stdout is a terminal.
pub(crate) fn is_terminal() -> bool {
    std::io::stdout().is_terminal()
}

/// Width of text on stdout in columns: that of the terminal, from 30 to 120; 80 for a file or a pipe.
pub(crate) fn width() -> usize {
    let stdout = std::io::stdout();
    let size = if stdout.is_terminal() { terminal_size::terminal_size_of(&stdout) } else { None };
    size.map_or(80, |(width, _)| usize::from(width.0)).clamp(30, 120)
}

/// Width of the terminal on stderr in columns; 80 if it is unknown.
pub(crate) fn stderr_width() -> usize {
    terminal_size::terminal_size_of(std::io::stderr()).map_or(80, |(width, _)| usize::from(width.0))
}
