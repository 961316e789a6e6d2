//! The stages of a sweep with the processes that train them, what is in progress, and what is stuck.

use std::collections::{BTreeMap, HashMap, HashSet};

use report::views::{FailedTrial, RunnerRow, RunningRow, SharingCounts, StageRow, Stages, TimelineRow};
use store::{Reader, RunnerStatus, Status, SweepStatus, TrialRecord};
use sweep::{Error, processes};

/// Most trials whose stages are shown.
const MOST_TRIALS: usize = 400;
/// Most trials of the timeline.
const MOST_TIMES: usize = 2000;
/// Most trials in progress.
const MOST_RUNNING: i64 = 100;
/// Most failed trials.
const MOST_FAILED: usize = 200;
/// Most names of schedules of a stage.
const MOST_NAMES: usize = 6;

/// The stages of the sweep whose runs and status these are.
///
/// # Errors
/// The store can't be read.
pub(crate) async fn stages(
    reader: &mut Reader,
    rows: &[TrialRecord],
    status: &SweepStatus,
) -> Result<Stages, Error> {
    let sweep = status.sweep.as_str();
    let runners: Vec<RunnerStatus> =
        reader.runners().await?.into_iter().filter(|runner| runner.sweep.as_deref() == Some(sweep)).collect();
    let leased: HashMap<String, i64> = reader.leased(sweep).await?.into_iter().collect();
    let running = reader.running(Some(sweep), MOST_RUNNING).await?;
    let shown = shown(rows);
    let names: HashMap<&str, &TrialRecord> = shown.iter().map(|row| (row.trial_id.as_str(), *row)).collect();
    let sharing = reader.sharing(sweep).await?;
    let all: HashSet<&str> = rows.iter().map(|row| row.trial_id.as_str()).collect();
    let mut stuck = processes::advice_on_runners(&runners);
    stuck.extend(processes::advice_on_sweep(status, &runners));
    Ok(Stages {
        sharing: sharing.map_or_else(SharingCounts::default, |sharing| SharingCounts {
            steps_asked: sharing.steps_asked,
            steps_trained: sharing.steps_trained,
        }),
        trials_shown: shown.len(),
        trials_all: all.len(),
        stages: stage_rows(reader, &shown, &leased).await?,
        timeline: timeline(rows, &leased),
        runners: runners.iter().map(runner_row).collect(),
        running: running
            .into_iter()
            .map(|trial| RunningRow {
                schedule: names
                    .get(trial.trial_id.as_str())
                    .map_or(trial.schedule, |row| row.schedule.clone()),
                trial_id: trial.trial_id,
                base_lr: trial.base_lr,
                seed: trial.seed,
                steps_done: trial.steps_done,
                steps: trial.steps,
                attempts: trial.attempts,
                started_at: trial.started_at,
                runner_id: trial.runner_id,
            })
            .collect(),
        stuck,
        failed: failed(rows),
    })
}

/// The trials whose stages are shown: those in progress first, then those that started last. Each once.
fn shown(rows: &[TrialRecord]) -> Vec<&TrialRecord> {
    let mut seen = HashSet::new();
    let mut shown: Vec<&TrialRecord> =
        rows.iter().filter(|row| row.started_at.is_some() && seen.insert(row.trial_id.as_str())).collect();
    shown.sort_by_key(|row| (row.status != Status::Running, std::cmp::Reverse(row.started_at)));
    shown.truncate(MOST_TRIALS);
    shown
}

async fn stage_rows(
    reader: &mut Reader,
    shown: &[&TrialRecord],
    leased: &HashMap<String, i64>,
) -> Result<Vec<StageRow>, Error> {
    let ids: Vec<String> = shown.iter().map(|row| row.trial_id.clone()).collect();
    let rows: HashMap<&str, &TrialRecord> = shown.iter().map(|row| (row.trial_id.as_str(), *row)).collect();
    let mut stages: BTreeMap<i64, StageRow> = BTreeMap::new();
    let mut before: Option<(String, i64)> = None;
    for part in reader.trial_stages(&ids).await? {
        let Some(row) = rows.get(part.trial_id.as_str()) else { continue };
        let parent = before.filter(|(trial, _)| *trial == part.trial_id).map(|(_, stage)| stage);
        let stage = stages.entry(part.stage_id).or_insert_with(|| StageRow {
            id: part.stage_id,
            parent,
            first: part.first_step,
            end: part.end_step,
            seed: row.seed,
            state: "waiting",
            ..StageRow::default()
        });
        stage.parent = stage.parent.or(parent);
        stage.first = stage.first.min(part.first_step);
        stage.end = stage.end.max(part.end_step);
        stage.trials += 1;
        if stage.schedules.len() < MOST_NAMES && !stage.schedules.contains(&row.schedule) {
            stage.schedules.push(row.schedule.clone());
        }
        let is_here = row.status == Status::Running && row.steps_done < part.end_step;
        if is_here && row.steps_done >= part.first_step && stage.runner.is_none() {
            stage.runner = leased.get(&part.trial_id).copied();
        }
        before = Some((part.trial_id, part.stage_id));
    }
    let numbers: Vec<i64> = stages.keys().copied().collect();
    for (stage, last) in reader.last_steps(&numbers).await? {
        if let Some(stage) = stages.get_mut(&stage) {
            stage.trained = (last + 1 - stage.first).max(0);
        }
    }
    for stage in stages.values_mut() {
        let all = stage.end - stage.first;
        stage.state = match stage.runner {
            _ if stage.trained >= all => "done",
            Some(_) if stage.trained > 0 => "training",
            _ => "waiting",
        };
    }
    Ok(stages.into_values().collect())
}

fn timeline(rows: &[TrialRecord], leased: &HashMap<String, i64>) -> Vec<TimelineRow> {
    let mut seen = HashSet::new();
    let mut times: Vec<TimelineRow> = rows
        .iter()
        .filter(|row| seen.insert(row.trial_id.as_str()))
        .filter_map(|row| {
            Some(TimelineRow {
                trial_id: row.trial_id.clone(),
                schedule: row.schedule.clone(),
                base_lr: row.base_lr,
                seed: row.seed,
                runner: leased.get(&row.trial_id).copied(),
                host: row.host.clone(),
                started_at: row.started_at?,
                finished_at: row.finished_at,
                status: row.status.name(),
            })
        })
        .collect();
    times.sort_by_key(|row| std::cmp::Reverse(row.started_at));
    times.truncate(MOST_TIMES);
    times
}

fn runner_row(runner: &RunnerStatus) -> RunnerRow {
    RunnerRow {
        runner_id: runner.runner_id,
        host: runner.host.clone(),
        pid: runner.pid,
        job: runner.job.clone(),
        workers: runner.workers,
        state: processes::state(runner),
        trials: runner.trials,
        running: runner.running,
        started_at: runner.started_at,
        seen_at: runner.seen_at,
    }
}

fn failed(rows: &[TrialRecord]) -> Vec<FailedTrial> {
    let mut seen = HashSet::new();
    let failed = rows.iter().filter(|row| row.status == Status::Failed && seen.insert(row.trial_id.as_str()));
    failed
        .take(MOST_FAILED)
        .map(|row| FailedTrial {
            trial_id: row.trial_id.clone(),
            schedule: row.schedule.clone(),
            base_lr: row.base_lr,
            seed: row.seed,
            error: row.error.clone(),
            attempts: row.attempts,
        })
        .collect()
}
