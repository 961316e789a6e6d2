//! Curves of the ranked configs: sampled runs in, means and bands out.

use serde::Serialize;

use crate::compose::Band;

/// A sampled run: number of updates and value, in order.
pub type Sampled = Vec<(i64, f64)>;

/// The sampled runs of a schedule.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ScheduleRuns {
    /// Its name.
    pub schedule: String,
    /// The base lr of the config.
    pub base_lr: f64,
    /// The config.
    pub config_id: String,
    /// Its runs, sampled at the same steps.
    pub runs: Vec<Sampled>,
    /// Number of all runs of the config that judge it.
    pub all: usize,
    /// Number of its diverged runs.
    pub diverged: usize,
    /// Steps and learning rates of one run.
    pub lrs: Sampled,
    /// The learning rates of its parameter groups at these steps, the first group first. Empty without groups.
    pub groups: Vec<GroupLrs>,
}

/// The learning rates of a parameter group.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct GroupLrs {
    /// Its name.
    pub group: String,
    /// One for each step in `lr_x`. None if they depend on training, since only those of the first group are stored.
    pub lr: Option<Vec<f64>>,
}

/// A schedule's curve.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct ScheduleCurve {
    /// Its name.
    pub schedule: String,
    /// The base lr of the config.
    pub base_lr: f64,
    /// The config.
    pub config_id: String,
    /// Number of drawn runs, and number of runs that judge the schedule.
    pub runs: (usize, usize),
    /// Number of diverged runs.
    pub diverged: usize,
    /// Numbers of updates.
    pub x: Vec<i64>,
    /// Mean over runs.
    pub mean: Vec<f64>,
    /// One standard deviation below the mean.
    pub low: Vec<f64>,
    /// One standard deviation above the mean.
    pub high: Vec<f64>,
    /// Number of runs in each mean.
    pub n: Vec<usize>,
    /// Steps of the learning rates.
    pub lr_x: Vec<i64>,
    /// Learning rates of one run, of its first parameter group if it has groups.
    pub lr: Vec<f64>,
    /// Learning rates by parameter group. Empty without groups.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub groups: Vec<GroupLrs>,
}

/// The curves of a sweep.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Curves {
    /// `valid` or `train`.
    pub metric: String,
    /// Length of the runs in steps.
    pub budget: i64,
    /// One curve for each schedule, in the order of the ranking.
    pub schedules: Vec<ScheduleCurve>,
    /// The last step of any curve.
    pub last_step: i64,
}

/// Means and bands over runs.
pub fn curves(metric: &str, budget: i64, schedules: Vec<ScheduleRuns>) -> Curves {
    let schedules: Vec<ScheduleCurve> = schedules.into_iter().map(curve).collect();
    let ends = schedules.iter().flat_map(|curve| curve.x.last().into_iter().chain(curve.lr_x.last()));
    let last_step = ends.max().copied().unwrap_or(budget);
    Curves { metric: metric.to_owned(), budget, schedules, last_step }
}

fn curve(own: ScheduleRuns) -> ScheduleCurve {
    let mut at: Vec<i64> = own.runs.iter().flatten().map(|(step, _)| *step).collect();
    at.sort_unstable();
    at.dedup();
    let (lr_x, lr) = own.lrs.into_iter().unzip();
    let mut curve = ScheduleCurve {
        schedule: own.schedule,
        base_lr: own.base_lr,
        config_id: own.config_id,
        runs: (own.runs.len(), own.all.max(own.runs.len())),
        diverged: own.diverged,
        lr_x,
        lr,
        groups: own.groups,
        ..ScheduleCurve::default()
    };
    let mut runs: Vec<_> = own.runs.iter().map(|run| run.iter().peekable()).collect();
    for step in at {
        // The samples of a run are in order, so each is compared once.
        let values =
            runs.iter_mut().filter_map(|run| run.next_if(|(at, _)| *at == step)).map(|(_, value)| *value);
        let Some(band) = Band::over(values) else { continue };
        curve.x.push(step);
        curve.mean.push(band.mean);
        curve.low.push(band.low);
        curve.high.push(band.high);
        curve.n.push(band.n);
    }
    curve
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_that_ends_early_leaves_the_mean() {
        let runs = ScheduleRuns {
            schedule: "a".to_owned(),
            runs: vec![
                vec![(10, 1.0), (20, 0.5), (30, 0.25)],
                vec![(10, 3.0), (20, f64::INFINITY)],
                Vec::new(),
            ],
            all: 3,
            lrs: vec![(0, 0.1), (29, 0.0)],
            ..ScheduleRuns::default()
        };
        let found = curves("valid", 30, vec![runs]);
        let curve = &found.schedules[0];
        assert_eq!((curve.x.as_slice(), curve.mean.as_slice()), (&[10, 20, 30][..], &[2.0, 0.5, 0.25][..]));
        assert_eq!((curve.n.as_slice(), curve.runs, found.last_step), (&[2, 1, 1][..], (3, 3), 30));
        assert_eq!((curve.low[1], curve.high[1]), (0.5, 0.5));
    }
}
