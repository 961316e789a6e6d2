//! The output format of rows.

use clap::{Args, ValueEnum};

#[derive(Debug, Args)]
pub(crate) struct FormatArg {
    /// Output format
    #[arg(long, value_enum, default_value_t = Format::Table)]
    pub format: Format,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// Aligned columns
    Table,
    /// JSON
    Json,
    /// CSV with a header line
    Csv,
}

impl From<&FormatArg> for report::Format {
    fn from(arg: &FormatArg) -> Self {
        match arg.format {
            Format::Table => report::Format::Table,
            Format::Json => report::Format::Json,
            Format::Csv => report::Format::Csv,
        }
    }
}
