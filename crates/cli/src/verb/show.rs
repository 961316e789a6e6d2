//! `sweep show`: one trial, or its steps.

use report::{Cell, Format, Rows};
use store::TrialRow;

use crate::args::{Global, Show};
use crate::exit::{Outcome, print};
use crate::stored::{open, trial, utc, wait_for};

pub(crate) fn run(args: &Show, global: &Global) -> Outcome {
    let (row, steps) = wait_for(async {
        let mut reader = open(global).await?;
        let row = trial(&mut reader, &args.which, global).await?;
        let steps = if args.metrics { reader.steps(&row.trial_id).await? } else { Vec::new() };
        Ok((row, steps))
    })?;
    let format = Format::from(&args.format);
    if args.metrics {
        let mut rows = Rows::new(["step", "lr", "train_loss", "valid_loss", "grad_norm"]);
        for step in steps {
            let (train_loss, grad_norm) = step.known(row.diverged_at);
            rows.rows.push(vec![
                step.step.into(),
                step.lr.into(),
                train_loss.into(),
                step.valid_loss.into(),
                grad_norm.into(),
            ]);
        }
        return print(&rows.render(format));
    }
    let fields = fields(&row);
    let rows = match format {
        // One field a line, for people.
        Format::Table => {
            let known = fields.into_iter().filter(|(_, value)| *value != Cell::Null);
            let rows = known.map(|(name, value)| vec![name.into(), Cell::Text(value.shown(name))]).collect();
            Rows { columns: vec!["field".to_owned(), "value".to_owned()], rows }
        }
        Format::Json | Format::Csv => {
            let (names, values): (Vec<_>, Vec<_>) = fields.into_iter().unzip();
            Rows { columns: names.into_iter().map(str::to_owned).collect(), rows: vec![values] }
        }
    };
    print(&rows.render(format))
}

fn fields(row: &TrialRow) -> Vec<(&'static str, Cell)> {
    let text = |text: &Option<String>| Cell::from(text.as_deref());
    let environment = row.environment.as_ref();
    vec![
        ("trial_id", row.trial_id.as_str().into()),
        ("sweep", row.sweep.as_str().into()),
        ("schedule", row.schedule.as_str().into()),
        ("config_id", row.config_id.as_str().into()),
        ("base_lr", row.base_lr.into()),
        ("seed", row.seed.into()),
        ("axes", (!row.axes.0.is_empty()).then(|| row.axes.to_string()).into()),
        ("status", row.status.name().into()),
        ("steps", row.steps.into()),
        ("steps_done", row.steps_done.into()),
        ("final_train_loss", row.final_train_loss.into()),
        ("final_valid_loss", row.final_valid_loss.into()),
        ("valid_accuracy", row.valid_accuracy.into()),
        ("test_loss", row.test_loss.into()),
        ("test_accuracy", row.test_accuracy.into()),
        ("diverged_at", row.diverged_at.into()),
        ("diverged_loss", row.diverged_loss.into()),
        ("error", text(&row.error)),
        ("attempts", row.attempts.into()),
        ("started_at", row.started_at.map(utc).into()),
        ("finished_at", row.finished_at.map(utc).into()),
        ("digest", text(&row.digest)),
        ("weights_hash", text(&row.weights_hash)),
        ("bits", row.bits.into()),
        (
            "loaded",
            row.loaded.as_ref().map(|files| files.keys().cloned().collect::<Vec<_>>().join(" ")).into(),
        ),
        ("version", environment.map(|e| e.version.as_str()).into()),
        ("git_commit", environment.map(|e| e.git_commit.as_str()).into()),
        ("cpu", environment.map(|e| e.cpu.as_str()).into()),
        ("cpu_features", environment.map(|e| e.cpu_features.as_str()).into()),
        ("threads", environment.map(|e| e.threads).into()),
        ("device", environment.map(|e| e.device.as_str()).into()),
        ("os", environment.map(|e| e.os.as_str()).into()),
        ("config", row.config.to_string().into()),
    ]
}
