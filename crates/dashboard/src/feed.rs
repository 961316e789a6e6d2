//! The changes that the tabs of one sweep receive: a log that the reader of the store appends to, and a cursor for each tab. All tabs
//! share the same texts.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::watch;

/// Most bytes of changed rows that are kept for tabs that slept; a tab that missed more reads all rows again.
const MOST_BYTES: usize = 8 << 20;

/// A new tab may have read its data this long ago.
const OVERLAP: Duration = Duration::from_secs(15);

/// The position of a tab in the log: which log, and the version of the data.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Cursor {
    pub(crate) epoch: u32,
    pub(crate) version: u64,
}

impl std::fmt::Display for Cursor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:08x}.{}", self.epoch, self.version)
    }
}

impl std::str::FromStr for Cursor {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let (epoch, version) = text.split_once('.').ok_or(())?;
        let epoch = u32::from_str_radix(epoch, 16).map_err(|_| ())?;
        Ok(Self { epoch, version: version.parse().map_err(|_| ())? })
    }
}

/// How often each kind of view has changed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Stamps {
    pub(crate) overview: u64,
    pub(crate) curves: u64,
    pub(crate) stages: u64,
    pub(crate) sweeps: u64,
}

impl Stamps {
    /// The names of the views that differ.
    pub(crate) fn changed_since(self, before: Self) -> Vec<&'static str> {
        [
            ("overview", self.overview != before.overview),
            ("curves", self.curves != before.curves),
            ("stages", self.stages != before.stages),
            ("sweeps", self.sweeps != before.sweeps),
        ]
        .into_iter()
        .filter_map(|(name, is_changed)| is_changed.then_some(name))
        .collect()
    }
}

/// Changed rows: the data of an event, from the version before it.
#[derive(Debug, Clone)]
struct Delta {
    version: u64,
    at: Instant,
    event: Arc<str>,
}

#[derive(Debug, Default)]
struct Log {
    version: u64,
    /// The oldest version from which the log continues.
    oldest: u64,
    bytes: usize,
    deltas: VecDeque<Delta>,
    progress: Option<(u64, Arc<str>)>,
    stamps: Stamps,
}

/// The log of one sweep.
#[derive(Debug)]
pub(crate) struct Feed {
    epoch: u32,
    log: Mutex<Log>,
    /// Number of tabs.
    tabs: AtomicUsize,
    changed: watch::Sender<u64>,
}

impl Feed {
    /// An empty log that begins with this version of the data.
    pub(crate) fn new(epoch: u32, version: u64) -> Arc<Self> {
        let log = Log { version, oldest: version, ..Log::default() };
        Arc::new(Self {
            epoch,
            log: Mutex::new(log),
            tabs: AtomicUsize::new(0),
            changed: watch::channel(0).0,
        })
    }

    fn log(&self) -> MutexGuard<'_, Log> {
        self.log.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether any tab is open.
    pub(crate) fn is_watched(&self) -> bool {
        self.tabs.load(Ordering::Relaxed) > 0
    }

    /// Appends changed rows.
    pub(crate) fn append(&self, version: u64, event: String) {
        let mut log = self.log();
        log.version = version;
        log.bytes += event.len();
        log.deltas.push_back(Delta { version, at: Instant::now(), event: event.into() });
        while log.bytes > MOST_BYTES {
            let Some(first) = log.deltas.pop_front() else { break };
            log.bytes -= first.event.len();
            log.oldest = first.version;
        }
        drop(log);
        self.notify();
    }

    /// All rows may have changed.
    pub(crate) fn reset(&self, version: u64) {
        let mut log = self.log();
        (log.version, log.oldest, log.bytes) = (version, version, 0);
        log.deltas.clear();
        drop(log);
        self.notify();
    }

    /// Sets the data of the event `progress`.
    pub(crate) fn set_progress(&self, event: String) {
        let mut log = self.log();
        if log.progress.as_ref().is_some_and(|(_, known)| **known == *event) {
            return;
        }
        let number = log.progress.as_ref().map_or(1, |(number, _)| number + 1);
        log.progress = Some((number, event.into()));
        drop(log);
        self.notify();
    }

    /// Counts changes of views.
    pub(crate) fn stamp(&self, with: impl FnOnce(&mut Stamps)) {
        with(&mut self.log().stamps);
        self.notify();
    }

    fn notify(&self) {
        self.changed.send_modify(|number| *number += 1);
    }
}

/// An event for a tab.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct TabEvent {
    pub(crate) name: &'static str,
    pub(crate) id: String,
    pub(crate) data: Arc<str>,
}

/// A tab that receives events. The sweep is read as long as it has one.
#[derive(Debug)]
pub(crate) struct Tab {
    feed: Arc<Feed>,
    changed: watch::Receiver<u64>,
    version: u64,
    progress: u64,
    stamps: Option<Stamps>,
    pending: VecDeque<TabEvent>,
}

impl Tab {
    /// A tab that has the data of `cursor`; `None` for a new tab.
    pub(crate) fn new(feed: &Arc<Feed>, cursor: Option<&str>) -> Self {
        feed.tabs.fetch_add(1, Ordering::Relaxed);
        let changed = feed.changed.subscribe();
        let mut tab = Self {
            feed: Arc::clone(feed),
            changed,
            version: 0,
            progress: 0,
            stamps: None,
            pending: VecDeque::new(),
        };
        let log = feed.log();
        match cursor.map(str::parse::<Cursor>) {
            None => {
                // Its data may be a little older than this stream.
                let since = log.deltas.iter().rev().find(|delta| delta.at.elapsed() > OVERLAP);
                tab.version = since.map_or(log.oldest, |delta| delta.version);
                tab.stamps = Some(log.stamps);
            }
            Some(Ok(cursor))
                if cursor.epoch == feed.epoch && (log.oldest..=log.version).contains(&cursor.version) =>
            {
                // It has missed events, and which views changed meanwhile is not known.
                tab.version = cursor.version;
            }
            Some(_) => {
                tab.version = log.version;
                tab.pending.push_back(tab.reset_event());
            }
        }
        drop(log);
        tab
    }

    fn event(&self, name: &'static str, data: impl Into<Arc<str>>) -> TabEvent {
        let cursor = Cursor { epoch: self.feed.epoch, version: self.version };
        TabEvent { name, id: cursor.to_string(), data: data.into() }
    }

    fn reset_event(&self) -> TabEvent {
        self.event("trials", format!(r#"{{"version":{},"rows":null,"reset":true}}"#, self.version))
    }

    /// The next event; waits for it.
    pub(crate) async fn next(&mut self) -> Option<TabEvent> {
        loop {
            if let Some(event) = self.pending.pop_front() {
                return Some(event);
            }
            self.changed.borrow_and_update();
            self.collect();
            if self.pending.is_empty() && self.changed.changed().await.is_err() {
                return None;
            }
        }
    }

    /// Takes what is new in the log.
    fn collect(&mut self) {
        let feed = Arc::clone(&self.feed);
        let log = feed.log();
        if self.version < log.oldest {
            self.version = log.version;
            self.pending.push_back(self.reset_event());
        }
        let from = log.deltas.partition_point(|delta| delta.version <= self.version);
        for delta in log.deltas.range(from..) {
            self.version = delta.version;
            let event = self.event("trials", Arc::clone(&delta.event));
            self.pending.push_back(event);
        }
        if let Some((number, event)) = log.progress.as_ref().filter(|(number, _)| *number != self.progress) {
            self.progress = *number;
            self.pending.push_back(self.event("progress", Arc::clone(event)));
        }
        let what = match self.stamps {
            Some(before) => log.stamps.changed_since(before),
            None => vec!["overview", "curves", "stages", "sweeps"],
        };
        self.stamps = Some(log.stamps);
        if !what.is_empty() {
            self.pending.push_back(self.event("changed", serde_json::json!({ "what": what }).to_string()));
        }
    }
}

impl Drop for Tab {
    fn drop(&mut self) {
        self.feed.tabs.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drain(tab: &mut Tab) -> Vec<(&'static str, String, String)> {
        tab.collect();
        tab.pending.drain(..).map(|event| (event.name, event.id, event.data.to_string())).collect()
    }

    #[test]
    fn a_cursor_is_text() {
        let cursor = Cursor { epoch: 0xab, version: 12 };
        assert_eq!((cursor.to_string(), "000000ab.12".parse()), ("000000ab.12".to_owned(), Ok(cursor)));
        for wrong in ["", "1", ".", "x.1", "1.x", "1.-1", "1.1.1"] {
            assert_eq!(wrong.parse::<Cursor>(), Err(()), "{wrong}");
        }
    }

    #[test]
    fn a_tab_that_slept_gets_what_it_missed() {
        let feed = Feed::new(7, 1);
        feed.append(2, "two".to_owned());
        let mut tab = Tab::new(&feed, Some("00000007.2"));
        feed.append(3, "three".to_owned());
        feed.append(4, "four".to_owned());
        feed.set_progress("half".to_owned());
        let events = drain(&mut tab);
        let short: Vec<(&str, &str)> = events.iter().map(|(name, id, _)| (*name, id.as_str())).collect();
        assert_eq!(
            short,
            [
                ("trials", "00000007.3"),
                ("trials", "00000007.4"),
                ("progress", "00000007.4"),
                ("changed", "00000007.4")
            ]
        );
        assert_eq!(events[0].2, "three");
        assert!(drain(&mut tab).is_empty());
        feed.set_progress("half".to_owned());
        feed.stamp(|stamps| stamps.curves += 1);
        assert_eq!(
            drain(&mut tab),
            [("changed", "00000007.4".to_owned(), r#"{"what":["curves"]}"#.to_owned())]
        );
        assert!(feed.is_watched());
        drop(tab);
        assert!(!feed.is_watched());
    }

    #[test]
    fn an_unknown_cursor_reads_everything_again() {
        let feed = Feed::new(7, 5);
        for cursor in ["00000008.5", "00000007.4", "00000007.6", "nonsense"] {
            let mut tab = Tab::new(&feed, Some(cursor));
            let first = drain(&mut tab).remove(0);
            assert_eq!(first.2, r#"{"version":5,"rows":null,"reset":true}"#, "{cursor}");
        }
        let mut new = Tab::new(&feed, None);
        assert!(drain(&mut new).is_empty());
        feed.reset(9);
        assert_eq!(drain(&mut new)[0].1, "00000007.9");
        feed.append(10, "x".repeat(MOST_BYTES + 1));
        assert_eq!(drain(&mut new)[0].2, r#"{"version":10,"rows":null,"reset":true}"#, "too large to keep");
    }
}
