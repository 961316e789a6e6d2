//! The header of a sweep: data, model, optimizer, length, seeds, grid and date, each in a few words.

use std::collections::BTreeSet;

use schedule::problem::counted;
use spec::protocol::Purpose;
use spec::trial::{Choice, Data, Dataset, Model, Source, Task, Trial, Workload};
use store::TrialRecord;

/// The rows of the header. `trial` is one of the trials of the sweep, `rows` are its runs, and `text` is its sweep file.
pub(crate) fn about(trial: Option<&Trial>, rows: &[TrialRecord], text: &str) -> Vec<(String, String)> {
    let mut about: Vec<(&str, String)> = Vec::new();
    if let Some(trial) = trial {
        of_task(&trial.config.task, &mut about);
    }
    let search = spec::search::in_text(text);
    let chooses =
        |row: &&TrialRecord| search.as_ref().is_some_and(|search| search.chooses(&row.schedule, row.purpose));
    let (choosing, named): (Vec<&TrialRecord>, Vec<&TrialRecord>) = rows.iter().partition(chooses);
    about.push(("seeds", seeds(&named)));
    about.push(("grid", grid(&named)));
    if let Some(search) = search {
        let tried = search.tried();
        about.push(("search", shapes(choosing.into_iter().filter(|row| row.schedule == tried))));
    }
    let ends = rows.iter().filter_map(|row| row.finished_at.or(row.started_at));
    if let Some(last) = ends.max() {
        about.push(("date", minute(last)));
    }
    // A value that an axis varies is that of one trial only.
    let varied = |name: &str| rows.iter().flat_map(|row| &row.axes.0).any(|(path, _)| path.starts_with(name));
    let shown = about.into_iter().map(|(name, text)| {
        let more = matches!(name, "data" | "model" | "optimizer" | "trainer") && varied(name);
        (name.to_owned(), if more { format!("{text} (varied by an axis)") } else { text })
    });
    shown.collect()
}

fn of_task(task: &Task, about: &mut Vec<(&'static str, String)>) {
    match &task.workload {
        Workload::Network(network) => {
            if let Some(data) = &network.data {
                about.push(("data", data_text(data, network.model.context())));
            }
            about.push(("model", model(&network.model)));
            about.push(("optimizer", choice(&network.optimizer)));
        }
        Workload::Program { trainer } => about.push(("program", trainer.command.join(" "))),
    }
    about.push(("steps", steps(task)));
}

fn data_text(data: &Data, context: usize) -> String {
    let name = match &data.dataset {
        Dataset::Mnist => "MNIST".to_owned(),
        Dataset::FashionMnist => "Fashion-MNIST".to_owned(),
        Dataset::Digits => "digits (the first 2,000 images of MNIST)".to_owned(),
        Dataset::Emma => "Emma (text)".to_owned(),
        Dataset::Table(table) => match &table.source {
            Source::Csv { file, .. } | Source::Npz { file, .. } | Source::Idx { file, .. } => file.clone(),
        },
        Dataset::Text(text) => text.file.clone(),
    };
    let [train, valid, test] = data.dataset.sizes(context, data.limit);
    let unit = if data.dataset.is_text() { "windows" } else { "examples" };
    format!(
        "{name}: {} training, {} validation and {} test {unit}",
        grouped(train as u64),
        grouped(valid as u64),
        grouped(test as u64)
    )
}

fn model(model: &Model) -> String {
    match model {
        Model::BuiltIn(model) => choice(model),
        Model::Custom(task) => format!("{} (custom task, version {})", task.task, task.version),
    }
}

/// As in `sgd, momentum 0.9`. Values that switch something off are left out.
fn choice(choice: &Choice) -> String {
    let value = |value: &serde_json::Value| match value {
        serde_json::Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    let is_off = |value: &serde_json::Value| {
        value.is_null() || *value == serde_json::Value::Bool(false) || value.as_f64() == Some(0.0)
    };
    let values = choice.values.iter().filter(|(_, value)| !is_off(value));
    let each: Vec<String> = values.map(|(name, found)| format!("{name} {}", value(found))).collect();
    std::iter::once(choice.kind.clone()).chain(each).collect::<Vec<_>>().join(", ")
}

/// As in `1,860 (2 epochs of batches of 64)`.
fn steps(task: &Task) -> String {
    let batch = task.network().map(|network| format!(" of batches of {}", network.batch_size()));
    let epochs = task.steps_per_epoch.filter(|steps| *steps > 0).map(|per| task.steps as f64 / per as f64);
    match epochs {
        Some(epochs) => {
            let number = report::rounded(epochs, 3);
            let unit = if number == "1" { "epoch" } else { "epochs" };
            format!("{} ({number} {unit}{})", grouped(task.steps), batch.unwrap_or_default())
        }
        None => grouped(task.steps),
    }
}

/// As in `2 to tune, 8 to decide`.
fn seeds(rows: &[&TrialRecord]) -> String {
    let of = |purpose| {
        let seeds = rows.iter().filter(|row| row.purpose == purpose).map(|row| row.seed);
        seeds.collect::<BTreeSet<_>>().len()
    };
    match (of(Purpose::All), of(Purpose::Tune), of(Purpose::Decide)) {
        (all, 0, 0) => format!("{all}, which choose and judge"),
        (_, tune, 0) => format!("{tune} to tune"),
        (_, tune, decide) => format!("{tune} to tune, {decide} to decide"),
    }
}

/// As in `15 schedules × 4 lrs`.
fn grid(rows: &[&TrialRecord]) -> String {
    let schedules: BTreeSet<&str> = rows.iter().map(|row| row.schedule.as_str()).collect();
    let lrs: BTreeSet<u64> = rows.iter().map(|row| row.base_lr.to_bits()).collect();
    let lengths: BTreeSet<i64> = rows.iter().map(|row| row.steps).collect();
    let lengths =
        if lengths.len() > 1 { format!(" × {}", counted(lengths.len(), "length")) } else { String::new() };
    format!("{} × {}{lengths}", counted(schedules.len(), "schedule"), counted(lrs.len(), "lr"))
}

/// As in `1,998 trials of 104 shapes`. The axes of a trial are the numbers of its generation and its shape.
fn shapes<'a>(tried: impl Iterator<Item = &'a TrialRecord>) -> String {
    let (mut trials, mut shapes) = (0_u64, BTreeSet::new());
    for row in tried {
        trials += 1;
        shapes.insert(row.axes.0.iter().collect::<Vec<_>>());
    }
    format!("{} of {}", counted(grouped(trials), "trial"), counted(shapes.len(), "shape"))
}

/// As in `2026-11-30 06:12 UTC`.
pub(crate) fn minute(milliseconds: i64) -> String {
    let text = crate::exported::utc(milliseconds);
    format!("{} UTC", text.get(..16).unwrap_or(&text).replace('T', " "))
}

/// A number with commas, as in `55,000`.
pub(crate) fn grouped(n: u64) -> String {
    let digits = n.to_string();
    let mut text = String::new();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_times_are_for_people() {
        for (n, text) in
            [(0, "0"), (999, "999"), (1000, "1,000"), (55_000, "55,000"), (1_234_567, "1,234,567")]
        {
            assert_eq!(grouped(n), text);
        }
        assert_eq!(minute(1_796_018_400_000), "2026-11-30 06:00 UTC");
    }
}
