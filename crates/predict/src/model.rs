//! A law fitted to runs, and what it predicts.

use statrs::distribution::{ContinuousCDF, StudentsT};

use crate::bootstrap::resampled;
use crate::fit::{Fit, Sample, Setting};
use crate::held_out::{HeldOut, held_out, mean_error, typical_error};
use crate::law::Law;
use crate::limits::{Refusal, Seen};
use crate::lrs::Lrs;
use crate::parallel;
use crate::run::{Losses, Run};

/// A law fitted to runs.
#[derive(Debug, Clone)]
pub struct Model {
    fit: Fit,
    kind: Losses,
    held_out: Vec<HeldOut>,
    resampled: Vec<Fit>,
    seen: Seen,
}

/// Why nothing can be learned.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TooLittle {
    /// There is no run.
    #[error("there is no run to learn from")]
    NoRun,
    /// The lr of no run falls.
    #[error(
        "the lr of no run falls by a tenth of its peak, so the effect of a falling lr can't be learned; add a run with a decay"
    )]
    NoDecay,
    /// No fit succeeded.
    #[error("no law could be fitted to these runs")]
    NoFit,
}

/// The loss of a run that was not trained.
#[derive(Debug, Clone, PartialEq)]
pub struct Prediction {
    /// The final loss.
    pub last: f64,
    /// A 95 % interval of the final loss. `None` if no run could be left out.
    pub interval: Option<(f64, f64)>,
    /// Steps and the losses after them.
    pub curve: Vec<(f64, f64)>,
}

/// Number of points of a predicted curve.
const CURVE: u32 = 100;
/// How many times smaller the error of the multi-power law has to be, which has two parameters more: errors of few runs are uncertain.
const MORE_PARAMETERS: f64 = 1.25;
/// The probability below the upper end of an interval.
const UPPER: f64 = 0.975;

impl Model {
    /// Fits `law`, or else the law that predicts runs that are left out better: Tissue's, unless the mean error of the multi-power law is
    /// a fifth smaller.
    ///
    /// # Errors
    /// The runs are too few, or say nothing about a falling lr.
    pub fn learn(runs: &[Run], kind: Losses, law: Option<Law>) -> Result<Self, TooLittle> {
        if runs.is_empty() {
            return Err(TooLittle::NoRun);
        }
        if !runs.iter().any(|run| run.lrs.falls()) {
            return Err(TooLittle::NoDecay);
        }
        let laws = Law::ALL.into_iter().filter(|each| law.is_none_or(|law| law == *each));
        let fitted = laws.filter_map(|law| {
            let all: Vec<&Run> = runs.iter().collect();
            let setting = Setting::new(law, &all)?;
            let samples: Vec<Sample<'_>> = runs.iter().map(Sample::of).collect();
            let fit = setting.fit(&samples)?;
            Some((setting, fit, held_out(law, runs)))
        });
        let error = |law: Law, held_out: &[HeldOut]| {
            let handicap = if law == Law::MultiPower { MORE_PARAMETERS } else { 1.0 };
            mean_error(held_out).map_or(f64::INFINITY, |error| error * handicap)
        };
        let best = fitted.min_by(|(a, _, x), (b, _, y)| error(a.law, x).total_cmp(&error(b.law, y)));
        let (setting, fit, held_out) = best.ok_or(TooLittle::NoFit)?;
        let resampled = resampled(&setting, &fit, runs);
        Ok(Self { fit, kind, held_out, resampled, seen: Seen::of(runs) })
    }

    /// The law.
    pub fn law(&self) -> Law {
        self.fit.law
    }

    /// Each run, predicted from the others by the law.
    pub fn held_out(&self) -> &[HeldOut] {
        &self.held_out
    }

    /// The mean absolute error of the final loss on runs that were left out.
    pub fn held_out_error(&self) -> Option<f64> {
        mean_error(&self.held_out)
    }

    /// Predicts a run with these lrs.
    ///
    /// # Errors
    /// The law is not used so far from its runs.
    pub fn predict(&self, lrs: impl Iterator<Item = f64> + Clone, steps: u64) -> Result<Prediction, Refusal> {
        let steps = steps as f64;
        let each = steps / f64::from(CURVE);
        let at: Vec<f64> = (1..=CURVE).map(|i| f64::from(i) * each).collect();
        self.predict_lrs(&Lrs::ending(lrs, &at, self.kind.end(steps)))
    }

    /// The same for lrs that are reduced already. Their last point is where the final loss is.
    ///
    /// # Errors
    /// The law is not used so far from its runs.
    pub fn predict_lrs(&self, lrs: &Lrs) -> Result<Prediction, Refusal> {
        self.seen.check(lrs)?;
        let last = self.fit.last(lrs);
        let half = self.half_width(lrs);
        let count = lrs.points.len().saturating_sub(1);
        let curve = lrs.points.iter().take(count).map(|point| (point.step, self.fit.loss(lrs, point)));
        Ok(Prediction { last, interval: half.map(|half| (last - half, last + half)), curve: curve.collect() })
    }

    /// Half the width of the interval: the errors on runs that were left out, and how much the prediction varies over resampled runs,
    /// as independent normal errors whose size is known from as many runs as were left out.
    fn half_width(&self, lrs: &Lrs) -> Option<f64> {
        let students = StudentsT::new(0.0, 1.0, self.held_out.len() as f64).ok()?;
        let last = self.fit.last(lrs);
        let squares =
            self.resampled.iter().map(|fit| (fit.last(lrs) - last).powi(2)).filter(|x| x.is_finite());
        let mut squares: Vec<f64> = squares.collect();
        // A few resampled runs may lack what the prediction depends on; the median is not moved by them.
        squares.sort_by(f64::total_cmp);
        let median = squares.get(squares.len() / 2).copied()?;
        // The median of the square of a normal number is 0.4549 times its mean.
        let variance = median / 0.4549 + typical_error(&self.held_out).powi(2);
        Some(students.inverse_cdf(UPPER) * variance.sqrt())
    }
}

/// A run that was predicted by a model of the other runs.
#[derive(Debug, Clone, PartialEq)]
pub struct Checked {
    /// Its name.
    pub name: String,
    /// Its final loss.
    pub observed: f64,
    /// The law that the other runs chose.
    pub law: Law,
    /// Its prediction.
    pub prediction: Prediction,
}

/// Learns from all runs but one and predicts that one, for each run. A run is skipped if the others can't be learned from, or it is too far
/// from them.
pub fn check(runs: &[Run], kind: Losses, law: Option<Law>) -> Vec<Checked> {
    let each: Vec<usize> = (0..runs.len()).collect();
    let checked = parallel::map(&each, |out| {
        let run = runs.get(*out)?;
        let others = runs.iter().enumerate().filter(|(i, _)| i != out).map(|(_, run)| run.clone());
        let model = Model::learn(&others.collect::<Vec<_>>(), kind, law).ok()?;
        let prediction = model.predict_lrs(run.lrs()).ok()?;
        Some(Checked { name: run.name.clone(), observed: run.last(), law: model.law(), prediction })
    });
    checked.into_iter().flatten().collect()
}
