//! Laws of loss curves, fitted to stored runs: one for each task and base lr. They predict configs that were not trained.

use std::sync::Arc;

use predict::{Law, Losses, Model};
use schedule::problem::counted;
use spec::protocol::Predicted;
use spec::screen::unusable;
use spec::trial::{Config, Task};
use verdict::numbers::short;

use crate::curves::{Curves, same_task};

/// Laws of several tasks and base lrs.
#[derive(Debug)]
pub struct Laws(Vec<Fitted>);

/// The law of one task and base lr.
#[derive(Debug)]
struct Fitted {
    task: Task,
    lr: f64,
    runs: usize,
    kind: Losses,
    model: Result<Model, String>,
}

/// The prediction of a config.
#[derive(Debug, Clone, PartialEq)]
pub struct Found {
    /// The final loss.
    pub predicted: Predicted,
    /// The law that predicts it.
    pub law: Law,
    /// Mean absolute error of that law on runs that were left out.
    pub held_out_error: Option<f64>,
}

/// The fewest runs that a law is fitted to.
const FEWEST: usize = 2;

impl Laws {
    /// Fits a law to each entry of `curves`. Takes about a second for each.
    pub fn learn(curves: Vec<Curves>) -> Self {
        let fitted = curves.into_iter().map(|Curves { runs, kind, lrs, task, .. }| {
            let model = match runs.len() {
                0..FEWEST => {
                    Err(format!("there is only {} to learn from", counted(runs.len(), "finished run")))
                }
                _ => Model::learn(&runs, kind, None).map_err(|error| error.to_string()),
            };
            Fitted { task, lr: lrs.first().copied().unwrap_or(1.0), runs: runs.len(), kind, model }
        });
        Self(fitted.collect())
    }

    /// Predicts a config by the law of its task whose base lr is nearest to the config's peak lr.
    ///
    /// # Errors
    /// Why it is not predicted.
    pub fn predict(&self, config: &Config) -> Result<Found, String> {
        if let Some(why) = unusable(&config.schedule) {
            return Err(closed(why));
        }
        let start = config.start();
        let lrs: Vec<f64> = (0..config.task.steps).map(|t| config.schedule.lr(t, &start)).collect();
        let peak = lrs.iter().copied().fold(0.0, f64::max);
        let far = |fitted: &&Fitted| (peak / fitted.lr).ln().abs();
        let own = self.0.iter().filter(|fitted| same_task(&fitted.task, &config.task));
        let nearest = own.min_by(|a, b| far(a).total_cmp(&far(b)));
        let nearest = nearest.ok_or("no run of its task can be learned from")?;
        let at = |why: String| format!("at lr {}: {why}", short(config.base_lr));
        let model = nearest.model.as_ref().map_err(|why| at(why.clone()))?;
        let found = model.predict(lrs.iter().copied(), config.task.steps);
        let found = found.map_err(|refusal| at(refusal.to_string()))?;
        let predicted = Predicted {
            loss: rounded(found.last),
            interval: found.interval.map(|(low, high)| (rounded(low), rounded(high))),
        };
        if !predicted.loss.is_finite() {
            return Err(at("the law gives no finite loss".to_owned()));
        }
        Ok(Found { predicted, law: model.law(), held_out_error: model.held_out_error() })
    }

    /// The config with the lowest predicted loss, and its prediction.
    ///
    /// # Errors
    /// Why none of them is predicted.
    pub fn best<'a>(&self, configs: &'a [Arc<Config>]) -> Result<(&'a Arc<Config>, Found), String> {
        let (mut best, mut refused) = (None::<(&Arc<Config>, Found)>, None);
        for config in configs {
            match self.predict(config) {
                Ok(found) => {
                    let is_lower =
                        best.as_ref().is_none_or(|(_, old)| found.predicted.loss < old.predicted.loss);
                    if is_lower {
                        best = Some((config, found));
                    }
                }
                Err(why) => refused = refused.or(Some(why)),
            }
        }
        best.ok_or_else(|| refused.unwrap_or_else(|| "it has no config".to_owned()))
    }

    /// The laws in words, one for each base lr.
    pub fn described(&self) -> Vec<String> {
        self.0.iter().map(Fitted::described).collect()
    }

    /// Whether there is any law.
    pub fn any(&self) -> bool {
        self.0.iter().any(|fitted| fitted.model.is_ok())
    }
}

impl Fitted {
    fn described(&self) -> String {
        let (lr, runs) = (short(self.lr), counted(self.runs, "run"));
        let model = match &self.model {
            Ok(model) => model,
            Err(why) => return format!("at lr {lr}: no law: {why}"),
        };
        let loss = if self.kind == Losses::Validation { "validation" } else { "training" };
        let error = model.held_out_error().map(|error| format!(", off by {} on runs left out", short(error)));
        let law = model.law().name();
        format!("at lr {lr}: {law}, {runs}, {loss} loss{}", error.unwrap_or_default())
    }
}

/// Why a schedule can't be predicted, from [`unusable`].
pub fn closed(why: &str) -> String {
    format!("{why}: the laws need lrs that are known before training, and nothing else that changes")
}

/// A number with 6 significant digits: the last digits of a fit depend on the machine's exp and ln, and a decision must not.
fn rounded(x: f64) -> f64 {
    format!("{x:.5e}").parse().unwrap_or(x)
}
