//! The state of one sweep at the last read: its runs, its numbers, and the answers that were made of them. A read takes
//! only what changed, and pauses are so long that reading takes little of a processor, however large the sweep is.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::body::Bytes;
use report::views::{State, Trials};
use store::{Reader, SweepCounts, TrialRecord, now};
use sweep::completeness::Planned;
use sweep::results::Values;
use sweep::stored::values;
use sweep::{Context, Error};

use crate::feed::Feed;
use crate::gather::overview::{Known, Situation, is_trained, situation};

/// The shortest pause between two reads.
const PAUSE: Duration = Duration::from_secs(1);
/// The shortest time between two announcements of an overview.
const OVERVIEW_PAUSE: Duration = Duration::from_secs(2);
/// The same for curves and stages, which take longer.
const CURVES_PAUSE: Duration = Duration::from_secs(5);
/// After work of some length there is a pause of this multiple of it.
const REST: u32 = 50;
/// No pause is longer.
const LONGEST: Duration = Duration::from_secs(60);
/// Trials that ended in this time before the last read are read again: clocks differ.
const OVERLAP_MS: i64 = 15_000;
/// How often the processes are looked at if nothing was written.
const LOOK: Duration = Duration::from_secs(5);
/// The rate is measured over this time.
const MEASURED: Duration = Duration::from_secs(60);

/// The pause after work that took this long.
pub(crate) fn rest(work: Duration, shortest: Duration) -> Duration {
    (work * REST).clamp(shortest, LONGEST)
}

/// An answer that was made.
#[derive(Debug, Clone)]
pub(crate) struct Made {
    body: Bytes,
    version: u64,
    at: Instant,
    /// How long it took.
    work: Duration,
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Watched {
    pub(crate) sweep: String,
    pub(crate) feed: Arc<Feed>,
    pub(crate) rows: Vec<TrialRecord>,
    /// The places of each trial in `rows`.
    at: HashMap<String, Vec<usize>>,
    pub(crate) counts: SweepCounts,
    /// Grows with each change of the data.
    pub(crate) version: u64,
    is_trained: bool,
    text: String,
    planned: Option<Planned>,
    /// The values of the sweep's metric.
    values: Values,
    /// The situation of this version, with the rate.
    situation: Option<(u64, Situation)>,
    /// The counter of the database at the last read.
    counter: Option<i64>,
    read_at: i64,
    /// Whether its runs were read.
    loaded: bool,
    next_read: Instant,
    last_look: Instant,
    /// Times and numbers of stored steps.
    pace: Vec<(Instant, i64)>,
    made: HashMap<String, Made>,
    /// When views were last announced, and which version.
    overview_announced: (Instant, u64),
    curves_announced: (Instant, u64),
    pub(crate) used: Instant,
    /// How long answers take that another thread makes.
    pub(crate) work: Duration,
}

impl Watched {
    /// A sweep that was not read yet.
    pub(crate) fn new(sweep: &str, epoch: u32) -> Self {
        let past = Instant::now();
        Self {
            sweep: sweep.to_owned(),
            feed: Feed::new(epoch, 1),
            rows: Vec::new(),
            at: HashMap::new(),
            counts: SweepCounts::default(),
            version: 1,
            is_trained: false,
            text: String::new(),
            planned: None,
            values: Values::default(),
            situation: None,
            counter: None,
            read_at: 0,
            loaded: false,
            next_read: past,
            last_look: past,
            pace: Vec::new(),
            made: HashMap::new(),
            overview_announced: (past, 1),
            curves_announced: (past, 1),
            used: past,
            work: Duration::ZERO,
        }
    }

    /// When the next read is due.
    pub(crate) fn due(&self) -> Instant {
        self.next_read
    }

    /// Reads what changed since the last read, unless that was just now. Returns whether the sweep exists.
    ///
    /// # Errors
    /// The store can't be read.
    pub(crate) async fn refresh(&mut self, reader: &mut Reader, context: &Context) -> Result<bool, Error> {
        let started = Instant::now();
        if self.loaded && started < self.next_read {
            return Ok(true);
        }
        self.next_read = started + PAUSE;
        let exists = self.read(reader, context).await?;
        if exists {
            self.loaded = true;
            self.announce();
        }
        self.next_read = Instant::now() + rest(started.elapsed(), PAUSE);
        Ok(exists)
    }

    /// The next request looks whether anything changed, also the processes.
    pub(crate) fn read_if_changed(&mut self) {
        let now = Instant::now();
        (self.next_read, self.last_look) = (now, now.checked_sub(LOOK).unwrap_or(now));
    }

    /// The next request reads, also if the database reports no change.
    pub(crate) fn read_soon(&mut self) {
        (self.counter, self.next_read) = (None, Instant::now());
    }

    /// Forgets everything but the tabs, which read all rows again: the store was replaced, or the sweep was removed.
    pub(crate) fn forget(&mut self) {
        if !self.loaded {
            return;
        }
        let (feed, version, next_read) = (Arc::clone(&self.feed), self.version + 1, self.next_read);
        *self = Self { feed, version, next_read, ..Self::new(&self.sweep, 0) };
        self.feed.reset(version);
    }

    async fn read(&mut self, reader: &mut Reader, context: &Context) -> Result<bool, Error> {
        let counter = reader.change_counter().await?;
        let is_first = !self.loaded;
        let may_differ = is_first || counter.is_none() || counter != self.counter;
        if !may_differ && self.last_look.elapsed() < LOOK {
            return Ok(true);
        }
        self.last_look = Instant::now();
        let was_trained =
            std::mem::replace(&mut self.is_trained, is_trained(&reader.runners().await?, &self.sweep));
        if may_differ {
            reader.hold_snapshot().await?;
            let read = self.read_rows(reader, context, is_first).await;
            reader.release_snapshot().await?;
            if !read? {
                return Ok(false);
            }
            self.counter = counter;
        }
        if was_trained != self.is_trained && !is_first {
            self.version += 1;
            self.feed.append(self.version, self.event(&[]));
            self.feed.stamp(|stamps| stamps.sweeps += 1);
        }
        Ok(true)
    }

    async fn read_rows(
        &mut self,
        reader: &mut Reader,
        context: &Context,
        is_first: bool,
    ) -> Result<bool, Error> {
        let Some(counts) = reader.counts(&self.sweep).await? else { return Ok(false) };
        let now = now();
        if !is_first && counts == self.counts {
            return Ok(true);
        }
        let is_new_plan = counts.updated_at != self.counts.updated_at || counts.cells != self.counts.cells;
        if is_first || is_new_plan {
            let text = reader.file_text(&self.sweep).await?;
            if is_first || text != self.text {
                self.planned = Planned::new(&self.sweep, &text, context);
                self.text = text;
            }
        }
        let mut changed = Vec::new();
        if !is_first && !is_new_plan {
            let recent = reader.recent(&self.sweep, self.read_at - OVERLAP_MS).await?;
            changed = self.merge(recent);
        }
        let is_whole = is_first || is_new_plan || !self.agrees_with(&counts);
        if is_whole {
            self.set_rows(reader.results(&self.sweep).await?);
        }
        let metric = self.planned.as_ref().map(|planned| planned.spec().metric.clone()).unwrap_or_default();
        self.values = values(reader, &self.sweep, &metric).await?;
        self.read_at = now;
        self.counts = counts;
        self.measure();
        if !is_first {
            self.version += 1;
            if is_whole {
                self.feed.reset(self.version);
            } else {
                self.feed.append(self.version, self.event(&changed));
            }
        }
        Ok(true)
    }

    fn set_rows(&mut self, rows: Vec<TrialRecord>) {
        self.rows = rows;
        self.at.clear();
        for (i, row) in self.rows.iter_mut().enumerate() {
            // Not shown in any list.
            (row.digest, row.weights_hash, row.loaded) = (None, None, None);
            self.at.entry(row.trial_id.clone()).or_default().push(i);
        }
    }

    /// Takes over trials that were read again. Returns the places of those that differ.
    fn merge(&mut self, recent: Vec<TrialRecord>) -> Vec<usize> {
        let mut changed = Vec::new();
        for new in recent {
            for i in self.at.get(&new.trial_id).into_iter().flatten() {
                let Some(row) = self.rows.get_mut(*i) else { continue };
                if row.status == new.status
                    && row.steps_done == new.steps_done
                    && row.attempts == new.attempts
                    && row.finished_at == new.finished_at
                {
                    continue;
                }
                *row = TrialRecord {
                    sweep: std::mem::take(&mut row.sweep),
                    schedule: std::mem::take(&mut row.schedule),
                    base_lr: row.base_lr,
                    purpose: row.purpose,
                    digest: None,
                    weights_hash: None,
                    loaded: None,
                    ..new.clone()
                };
                changed.push(*i);
            }
        }
        changed
    }

    /// Whether the runs add up to these numbers, so that no change was missed.
    fn agrees_with(&self, counts: &SweepCounts) -> bool {
        let mut found = SweepCounts {
            cells: i64::try_from(self.rows.len()).unwrap_or(i64::MAX),
            updated_at: counts.updated_at,
            steps: counts.steps,
            // Which of the trials in progress are leased is not in the runs.
            running: counts.running,
            ..SweepCounts::default()
        };
        for row in self.at.values().filter_map(|at| self.rows.get(*at.first()?)) {
            found.trials += 1;
            found.steps_done += row.steps_done;
            found.attempts += row.attempts;
            *match row.status {
                store::Status::Done => &mut found.done,
                store::Status::Diverged => &mut found.diverged,
                store::Status::Running => &mut found.left_over,
                store::Status::Queued => &mut found.queued,
                store::Status::Stopped => &mut found.stopped,
                store::Status::Failed => &mut found.failed,
            } += 1;
        }
        found.left_over -= counts.running;
        found == *counts
    }

    /// Notes the number of steps for the rate.
    fn measure(&mut self) {
        let now = Instant::now();
        // After a change of the plan the numbers are of other trials.
        if self.pace.last().is_some_and(|(_, steps)| *steps > self.counts.steps_done) {
            self.pace.clear();
        }
        self.pace.push((now, self.counts.steps_done));
        let old = self.pace.iter().take_while(|(at, _)| now.duration_since(*at) > MEASURED).count();
        self.pace.drain(..old.saturating_sub(1));
    }

    /// Steps per second.
    fn rate(&self) -> Option<f64> {
        let ((from, first), (to, last)) = (self.pace.first()?, self.pace.last()?);
        let time = to.duration_since(*from).as_secs_f64();
        (time > 0.9).then(|| (last - first) as f64 / time).filter(|rate| *rate > 0.0)
    }

    /// Where the sweep is.
    pub(crate) fn situation(&mut self) -> Situation {
        if let Some((_, known)) = self.situation.as_ref().filter(|(version, _)| *version == self.version) {
            return known.clone();
        }
        let found = situation(&Known {
            rows: &self.rows,
            counts: &self.counts,
            is_trained: self.is_trained,
            planned: self.planned.as_ref(),
            values: &self.values,
            rate: self.rate(),
            now: now(),
        });
        self.situation = Some((self.version, found.clone()));
        found
    }

    /// Announces to the tabs what changed, if there are any.
    fn announce(&mut self) {
        if !self.feed.is_watched() {
            return;
        }
        let before = self.situation.as_ref().map(|(_, known)| known.state);
        let Situation { state, progress, verdict } = self.situation();
        let mut short = serde_json::to_value(&verdict).unwrap_or_default();
        if let Some(fields) = short.as_object_mut() {
            // The sentence comes with the overview.
            fields.shift_remove("sentence");
        }
        let event = serde_json::json!({ "progress": progress, "state": state, "verdict": short });
        self.feed.set_progress(event.to_string());
        let is_over = state != State::Running && before != Some(state);
        let now = Instant::now();
        let pause = |shortest| rest(self.work.max(self.work_of_answers()), shortest);
        let overview = self.overview_announced.1 != self.version
            && (is_over || now.duration_since(self.overview_announced.0) >= pause(OVERVIEW_PAUSE));
        let curves = self.curves_announced.1 != self.version
            && (is_over || now.duration_since(self.curves_announced.0) >= pause(CURVES_PAUSE));
        if overview {
            self.overview_announced = (now, self.version);
            self.feed.stamp(|stamps| stamps.overview += 1);
        }
        if curves {
            self.curves_announced = (now, self.version);
            self.feed.stamp(|stamps| {
                stamps.curves += 1;
                stamps.stages += 1;
            });
        }
    }

    /// How long the current answers took together.
    pub(crate) fn work_of_answers(&self) -> Duration {
        self.made.values().map(|made| made.work).sum()
    }

    /// The data of an event with these rows.
    fn event(&self, changed: &[usize]) -> String {
        let part = changed.iter().filter_map(|i| self.rows.get(*i));
        let rows = Trials::new(self.version, &self.rows, part);
        serde_json::json!({ "version": self.version, "rows": rows, "reset": false }).to_string()
    }

    /// All runs as columns.
    pub(crate) fn trials(&self) -> Trials {
        Trials::new(self.version, &self.rows, &self.rows)
    }

    /// A known answer, if it is of this version, or so young that it is not made again yet. After an announcement, and once the
    /// sweep is not trained any more, it is made again.
    pub(crate) fn known(&self, key: &str) -> Option<Bytes> {
        let made = self.made.get(key)?;
        let announced =
            if key.starts_with("stages") { self.curves_announced } else { self.overview_announced };
        let is_young = made.at >= announced.0 && made.at.elapsed() < rest(made.work, Duration::ZERO);
        // Rows must be of the version from which the events continue.
        let may_be_older = is_young && self.is_trained && key != "trials";
        (made.version == self.version || may_be_older).then(|| made.body.clone())
    }

    /// Keeps an answer.
    pub(crate) fn keep(&mut self, key: String, body: Bytes, started: Instant) {
        /// Most answers to keep.
        const MOST: usize = 24;
        if self.made.len() >= MOST {
            self.made.clear();
        }
        let made = Made { body, version: self.version, at: Instant::now(), work: started.elapsed() };
        self.made.insert(key, made);
    }
}
