//! The course of a search: the shapes of the named schedules, then generations of new shapes, then the choice among a few centers of the
//! search. Every generation has separate seeds, so no shape is favoured because it suits the seeds of an earlier one; the shapes of a
//! generation share them, so that they are compared seed by seed.

use std::cmp::Ordering;

use crate::cma::Cma;
use crate::knots::{Knots, Proposal};
use crate::random::Normal;

/// How shapes are proposed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    /// CMA-ES: each generation is drawn around what the earlier ones found.
    CmaEs,
    /// Every shape is drawn from the first distribution: what the optimiser has to beat.
    Random,
}

/// The space of a search, and its number of trials.
#[derive(Debug, Clone, PartialEq)]
pub struct Settings {
    /// The space of shapes.
    pub knots: Knots,
    /// How shapes are proposed.
    pub method: Method,
    /// The most trials of the search.
    pub trials: u64,
    /// Number of shapes in a generation, at least 4.
    pub population: usize,
    /// Number of seeds of the first generation, at least 1. It rises to [`RISE`] times as many in the last one.
    pub seeds: u64,
    /// The first seed of its trials.
    pub first_seed: u64,
    /// Seed of the random numbers of the proposals.
    pub seed: u64,
}

/// How many times more seeds the last generation has than the first: differences become smaller as the search closes in.
pub const RISE: u64 = 4;

/// Standard deviation of the first shapes, in units of the log lr: most are within a factor of 2 to 3 of the best named schedule.
const SPREAD: f64 = 0.5;

/// The part of the trials that chooses among the centers at the end, in percent.
const LAST: u64 = 15;

/// The share of the generations, the latest ones, whose centers are averaged.
const AVERAGED: f64 = 0.5;

/// The most shapes of the last stage that a random search compares.
const FINALISTS: usize = 3;

/// The purpose of a generation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// The shapes of the named schedules, the best of which is where the search starts.
    Start,
    /// New shapes.
    Search,
    /// The candidates for the result.
    Last,
}

/// Shapes to train on the same seeds.
#[derive(Debug, Clone, PartialEq)]
pub struct Generation {
    /// Its purpose.
    pub stage: Stage,
    /// The shapes.
    pub proposals: Vec<Proposal>,
    /// The seeds of each.
    pub seeds: Vec<u64>,
}

impl Generation {
    /// Number of its trials.
    pub fn trials(&self) -> u64 {
        (self.proposals.len() * self.seeds.len()) as u64
    }
}

/// The next need of a search.
#[derive(Debug, Clone, PartialEq)]
pub enum Ask {
    /// The losses of a generation.
    Losses(Generation),
    /// Nothing: this is the result.
    Found(Proposal),
}

impl Settings {
    /// The fewest trials with which a search has a generation of new shapes.
    pub fn least_trials(&self) -> u64 {
        (2 * self.population as u64).saturating_mul(self.seeds).saturating_mul(100).div_ceil(100 - LAST)
    }

    /// The population that CMA-ES recommends for this number of coordinates, doubled because losses are noisy.
    pub fn default_population(knots: &Knots) -> usize {
        let n = knots.dimensions() as f64;
        2 * (4.0 + (3.0 * n.ln()).floor()).max(4.0) as usize
    }
}

/// A search. It is a function of its settings, the starting points and the losses so far.
#[derive(Debug, Clone)]
pub struct Search {
    settings: Settings,
    optimiser: Cma,
    stage: Stage,
    /// The points whose losses are needed next; empty at the end.
    points: Vec<Vec<f64>>,
    /// Number of seeds of each.
    seeds: u64,
    number: u64,
    spent: u64,
    used_seeds: u64,
    /// The center after each generation.
    centers: Vec<Vec<f64>>,
    /// For a random search: points with their mean loss relative to their generation, best first.
    best: Vec<(f64, Vec<f64>)>,
    start: Vec<f64>,
    found: Option<Vec<f64>>,
}

impl Search {
    /// Begins a search at the best of `starts`: points of the named schedules, the best first, at least one.
    pub fn new(settings: Settings, starts: Vec<Vec<f64>>) -> Self {
        let mut points: Vec<Vec<f64>> = Vec::new();
        for start in starts {
            if !points.contains(&start) && points.len() < settings.population {
                points.push(start);
            }
        }
        let start = points.first().cloned().unwrap_or_else(|| vec![0.0; settings.knots.dimensions()]);
        Self {
            optimiser: Cma::new(start.clone(), SPREAD, settings.population),
            seeds: settings.seeds,
            stage: Stage::Start,
            number: 0,
            spent: 0,
            used_seeds: 0,
            centers: Vec::new(),
            best: Vec::new(),
            found: None,
            start,
            points,
            settings,
        }
    }

    /// Its next need.
    pub fn ask(&self) -> Ask {
        let shape = |point: &Vec<f64>| self.settings.knots.proposal(point);
        match &self.found {
            Some(found) => Ask::Found(shape(found)),
            None => {
                let first = self.settings.first_seed.saturating_add(self.used_seeds);
                Ask::Losses(Generation {
                    stage: self.stage,
                    proposals: self.points.iter().map(shape).collect(),
                    seeds: (first..first.saturating_add(self.seeds)).collect(),
                })
            }
        }
    }

    /// The shape that it would choose now.
    pub fn center(&self) -> Proposal {
        let point = match (&self.found, self.settings.method) {
            (Some(found), _) => found.clone(),
            (None, Method::CmaEs) => self.optimiser.mean().to_vec(),
            (None, Method::Random) => self.best.first().map_or(&self.start, |(_, point)| point).clone(),
        };
        self.settings.knots.proposal(&point)
    }

    /// Trials so far.
    pub fn spent(&self) -> u64 {
        self.spent
    }

    /// Takes the losses that it needs, `[shape][seed]`; a diverged run is infinite.
    pub fn tell(&mut self, losses: &[Vec<f64>]) {
        let scores: Vec<Score> = losses.iter().map(|losses| Score::of(losses)).collect();
        let mut order: Vec<usize> = (0..self.points.len()).collect();
        order.sort_by(|a, b| compared(scores.get(*a), scores.get(*b)));
        let ranked: Vec<Vec<f64>> = order.iter().filter_map(|i| self.points.get(*i)).cloned().collect();
        self.spent += self.points.len() as u64 * self.seeds;
        self.used_seeds += self.seeds;
        match self.stage {
            Stage::Start => {
                self.start = ranked.first().unwrap_or(&self.start).clone();
                self.optimiser = Cma::new(self.start.clone(), SPREAD, self.settings.population);
                self.stage = Stage::Search;
            }
            Stage::Search => self.learn(&ranked, &scores),
            Stage::Last => self.found = ranked.first().cloned(),
        }
        if self.found.is_none() {
            self.propose();
        }
    }

    fn learn(&mut self, ranked: &[Vec<f64>], scores: &[Score]) {
        match self.settings.method {
            Method::CmaEs => {
                self.optimiser.tell(ranked);
                self.centers.push(self.optimiser.mean().to_vec());
            }
            Method::Random => {
                let finite: Vec<f64> =
                    scores.iter().filter(|score| score.diverged == 0).map(|score| score.mean).collect();
                let mean = finite.iter().sum::<f64>() / finite.len().max(1) as f64;
                let fine = self.points.iter().zip(scores).filter(|(_, score)| score.diverged == 0);
                self.best.extend(fine.map(|(point, score)| (score.mean - mean, point.clone())));
                self.best.sort_by(|(a, _), (b, _)| a.total_cmp(b));
                self.best.truncate(FINALISTS);
            }
        }
    }

    /// The next points and their number of seeds.
    fn propose(&mut self) {
        let Settings { trials, population, seeds, seed, .. } = self.settings;
        self.number += 1;
        let last = trials * LAST / 100;
        let searching = trials - last;
        let share = self.spent as f64 / searching.max(1) as f64;
        self.seeds = (seeds as f64 * (1.0 + (RISE - 1) as f64 * share.min(1.0))).round() as u64;
        if self.stage == Stage::Search && self.spent + self.seeds * population as u64 <= searching {
            let mut normal = Normal::new(seed, self.number);
            let points = match self.settings.method {
                Method::CmaEs => self.optimiser.population(population, &mut normal),
                Method::Random => {
                    Cma::new(self.start.clone(), SPREAD, population).population(population, &mut normal)
                }
            };
            self.points = points.into_iter().map(|point| self.settings.knots.repaired(point)).collect();
            return;
        }
        self.stage = Stage::Last;
        self.points = self.finalists();
        self.seeds = (trials.saturating_sub(self.spent) / self.points.len().max(1) as u64).max(1);
    }

    /// The candidates for the result, each once.
    fn finalists(&self) -> Vec<Vec<f64>> {
        let mut all = vec![self.start.clone()];
        match self.settings.method {
            Method::CmaEs => {
                all.push(self.optimiser.mean().to_vec());
                let from = (self.centers.len() as f64 * (1.0 - AVERAGED)).floor() as usize;
                all.push(average(self.centers.get(from..).unwrap_or_default()));
            }
            Method::Random => all.extend(self.best.iter().map(|(_, point)| point.clone())),
        }
        let mut each: Vec<Vec<f64>> = Vec::new();
        for point in all {
            if point.len() == self.settings.knots.dimensions() && !each.contains(&point) {
                each.push(point);
            }
        }
        each
    }
}

fn average(points: &[Vec<f64>]) -> Vec<f64> {
    let mut sum = vec![0.0; points.first().map_or(0, Vec::len)];
    for point in points {
        sum.iter_mut().zip(point).for_each(|(sum, x)| *sum += x / points.len() as f64);
    }
    sum
}

/// The losses of a shape: fewer diverged runs are better, then a lower mean of the others.
#[derive(Debug, Clone, Copy)]
struct Score {
    diverged: usize,
    mean: f64,
}

impl Score {
    fn of(losses: &[f64]) -> Self {
        let finite: Vec<f64> = losses.iter().copied().filter(|loss| loss.is_finite()).collect();
        let mean =
            if finite.is_empty() { f64::INFINITY } else { finite.iter().sum::<f64>() / finite.len() as f64 };
        Self { diverged: losses.len() - finite.len(), mean }
    }
}

fn compared(a: Option<&Score>, b: Option<&Score>) -> Ordering {
    match (a, b) {
        (Some(a), Some(b)) => a.diverged.cmp(&b.diverged).then(a.mean.total_cmp(&b.mean)),
        _ => b.is_some().cmp(&a.is_some()),
    }
}
