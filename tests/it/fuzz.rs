//! Fuzzing with structured input: real documents that are cut, spliced, and filled with values that often break programs. Each
//! input must be accepted, or refused with a message; a panic fails the test. `SWEEP_FUZZ=1000000` (or `500..1000`) sets the cases
//! of each kind, and limits each case to a second and the process to 1 GB (`scripts/check-fuzz`).

use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};
use schedule::index::FAMILIES;
use schedule::{Feedback, Horizon};

use crate::support::root;

/// The number of cases of each kind without `SWEEP_FUZZ`.
const DEFAULT_CASES: u64 = 3_000;

/// The largest sweep to plan, in steps of all configs and in trials. Planning larger ones takes too long for a test.
const MOST_PLANNED: (u64, u64) = (2_000_000, 100_000);

/// Words that replace other words or are inserted between them.
const WORDS: [&str; 78] = [
    "0",
    "-0",
    "1",
    "-1",
    "2",
    "7",
    "1e-3",
    "0.1x",
    "1x",
    "-1x",
    "1e400",
    "1e-400",
    "1e308",
    "5e-324",
    "NaN",
    ".nan",
    ".inf",
    "-.inf",
    "null",
    "~",
    "true",
    "no",
    "9223372036854775807",
    "9223372036854775808",
    "18446744073709551616",
    "1e18",
    "99999999999999999999999",
    "0x10",
    "0o17",
    "1_000",
    "\"50%\"",
    "\"-5%\"",
    "\"1e9%\"",
    "\"3 epochs\"",
    "\"0 epochs\"",
    "\"1e30 epochs\"",
    "{values: [1, 2]}",
    "{values: []}",
    "{linspace: [0, 1, 1000000000]}",
    "{logspace: [1e-9, 1e9, 5]}",
    "{logspace: [0, 1, 3]}",
    "{values: {values: [1]}}",
    "[",
    "]",
    "{",
    "}",
    ":",
    ",",
    "-",
    "|",
    ">",
    "'",
    "\"",
    "#",
    "&a",
    "*a",
    "&a [*a, *a]",
    "<<: *a",
    "!!str",
    "!!python/object:os.system",
    "%YAML 1.2",
    "---",
    "...",
    "\t",
    "\u{0}",
    "\u{1b}[2J",
    "\u{202e}",
    "\u{feff}",
    "é",
    "🦀",
    "../../etc/passwd",
    "a/b",
    "<script>",
    "kind",
    "values",
    "over",
    "schedules",
    "allow",
];

/// The panics of all threads in a long run.
static PANICS: AtomicU64 = AtomicU64::new(0);

fn words(text: &str) -> Vec<String> {
    let mut words: Vec<String> = vec![String::new()];
    let mut last = None;
    for c in text.chars() {
        let class = if c.is_alphanumeric() || "._%".contains(c) { 0 } else { u32::from(c) };
        if last != Some(class) || class != 0 {
            words.push(String::new());
        }
        last = Some(class);
        if let Some(word) = words.last_mut() {
            word.push(c);
        }
    }
    words
}

struct Dice(ChaCha8Rng);

impl Dice {
    fn below(&mut self, n: usize) -> usize {
        (self.0.next_u64() % n.max(1) as u64) as usize
    }

    fn one<'a, T>(&mut self, all: &'a [T]) -> &'a T {
        let i = self.below(all.len());
        &all[i]
    }

    /// A random text made from these documents.
    fn mutated(&mut self, documents: &[String]) -> String {
        let mut text = words(self.one::<String>(documents));
        for _ in 0..=self.below(4) {
            let at = self.below(text.len());
            match self.below(8) {
                0 => text[at] = (*self.one(&WORDS)).to_owned(),
                1 => text.insert(at, format!(" {} ", self.one(&WORDS))),
                2 => drop(text.remove(at)),
                3 => {
                    let other = words(self.one::<String>(documents));
                    let from = self.below(other.len());
                    let many = self.below(20);
                    text.splice(at..at, other.into_iter().skip(from).take(many));
                }
                4 => {
                    let many = self.below(30);
                    let piece: Vec<String> = text.iter().skip(at).take(many).cloned().collect();
                    text.splice(at..at, piece);
                }
                5 => text.truncate(at),
                6 => {
                    let depth = self.below(300);
                    text[at] = match self.below(3) {
                        0 => "[".repeat(depth),
                        1 => format!("{}1{}", "{a: ".repeat(depth), "}".repeat(depth)),
                        _ => format!("{}1{}", "(".repeat(depth), ")".repeat(depth)),
                    };
                }
                _ => text[at] = text[at].repeat(self.below(50)),
            }
            if text.is_empty() {
                text.push(String::new());
            }
        }
        text.concat()
    }

    /// Bytes with random changes, cuts and additions.
    fn damaged(&mut self, bytes: &[u8]) -> Vec<u8> {
        let mut bytes = bytes.to_vec();
        for _ in 0..=self.below(6) {
            let at = self.below(bytes.len());
            match self.below(6) {
                0 => bytes.truncate(at),
                1 => bytes.insert(at.min(bytes.len()), self.below(256) as u8),
                2 => {
                    let end = (at + self.below(64)).min(bytes.len());
                    bytes[at.min(end)..end].fill(0xff);
                }
                _ => {
                    if let Some(byte) = bytes.get_mut(at) {
                        *byte = self.below(256) as u8;
                    }
                }
            }
        }
        bytes
    }
}

/// Runs many cases of a kind. A panic or a slow case is reported with its seed and input.
#[expect(clippy::print_stderr, reason = "the long run says how it went")]
fn fuzz(kind: &str, case: impl Fn(&mut Dice, &mut String) -> bool) {
    let requested = std::env::var("SWEEP_FUZZ").ok().map(|text| {
        let (first, end) = text.split_once("..").unwrap_or(("0", &text));
        first.parse().expect("a number")..end.parse().expect("a number")
    });
    // Only the long run is timed: in CI, other tests may slow this one down.
    let most = if requested.is_some() { Duration::from_secs(1) } else { Duration::from_secs(30) };
    if requested.is_some() {
        // A panic in a thread of a library is not caught here, so it is counted.
        let usual = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            PANICS.fetch_add(1, Ordering::Relaxed);
            usual(info);
        }));
    }
    let (mut taken, mut longest) = (0, Duration::ZERO);
    let is_long = requested.is_some();
    let cases: Range<u64> = requested.unwrap_or(0..DEFAULT_CASES);
    for seed in cases.clone() {
        let mut dice = Dice(ChaCha8Rng::seed_from_u64(seed));
        let mut input = String::new();
        let begun = Instant::now();
        let outcome = catch_unwind(AssertUnwindSafe(|| case(&mut dice, &mut input)));
        let took = begun.elapsed();
        longest = longest.max(took);
        assert_eq!(PANICS.load(Ordering::Relaxed), 0, "{kind}, seed {seed}: a panic on\n{input}");
        match outcome {
            Ok(good) => taken += u64::from(good),
            Err(_) => panic!("{kind}, seed {seed}: a panic on\n{input}"),
        }
        assert!(took < most, "{kind}, seed {seed}: {took:?} for\n{input}");
    }
    assert!(taken > 0, "{kind}: nothing was good, so nothing behind the first check was tried");
    if is_long {
        let peak = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
        let peak =
            peak.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap_or("0 kB").trim().to_owned();
        let kib: u64 = peak.split(' ').next().and_then(|kib| kib.parse().ok()).unwrap_or(0);
        assert!(kib < 1 << 20, "{kind}: {peak}");
        eprintln!(
            "{kind}: cases {cases:?}, {taken} of them good; the longest took {longest:?}, {peak} at most"
        );
    }
}

fn sweep_files() -> Vec<String> {
    let folder = std::fs::read_dir(root().join("experiments")).expect("the experiments");
    let mut files: Vec<_> = folder.map(|entry| entry.expect("an entry").path()).collect();
    files.sort();
    let texts = files.iter().filter(|path| path.extension().is_some_and(|kind| kind == "yaml"));
    texts.map(|path| std::fs::read_to_string(path).expect("a text")).collect()
}

fn schedules() -> Vec<String> {
    FAMILIES.iter().flat_map(|family| family.items()).map(|item| item.example().to_owned()).collect()
}

#[test]
fn random_sweep_files_are_refused_or_planned() {
    let documents = sweep_files();
    fuzz("sweep file", |dice, input| {
        *input = dice.mutated(&documents);
        match trainer::read(input, "fuzz") {
            Ok(spec) => {
                let steps: u64 =
                    spec.points.iter().map(|point| point.task.steps).fold(0, u64::saturating_add);
                let variants: u64 =
                    spec.schedules.iter().map(|schedule| schedule.variants.len() as u64).sum();
                let seeds = spec.seeds.choosing() + spec.seeds.deciding();
                let trials = (spec.points.len() as u64).saturating_mul(variants).saturating_mul(seeds);
                if steps.saturating_mul(variants) <= MOST_PLANNED.0 && trials <= MOST_PLANNED.1 {
                    let _ = spec::plan(&spec);
                }
                true
            }
            Err(problems) => {
                assert!(!problems.is_empty());
                false
            }
        }
    });
}

/// Reads a schedule like `sweep lr`, and asserts that every lr is a number of at least 0.
fn evaluated(text: &str) -> bool {
    let Ok(tree) = spec::yaml::read(text) else { return false };
    let mut problems = Vec::new();
    let node = interop::parse(&tree, "", &mut problems);
    let Some(node) = node.filter(|_| problems.is_empty()) else {
        assert!(!problems.is_empty(), "refused without a message");
        return false;
    };
    let horizon = Horizon { base_lr: 0.1, total: 60, steps_per_epoch: Some(10) };
    let Ok(schedule) = node.resolve(&horizon) else { return false };
    let state = schedule.start();
    // The next lrs of a closed-loop rule depend on its metrics, so only the first one is read.
    let steps = if schedule.feedback() == Feedback::OpenLoop { 60 } else { 1 };
    for t in 0..steps {
        let lr = schedule.lr(t, &state);
        assert!(lr.is_finite() && lr >= 0.0, "lr({t}) is {lr}");
    }
    true
}

#[test]
fn random_schedules_are_refused_or_give_learning_rates() {
    let documents = schedules();
    fuzz("schedule", |dice, input| {
        *input = dice.mutated(&documents);
        if interop::is_program(input) {
            return interop::parse_program(input).is_ok();
        }
        evaluated(input)
    });
}

#[test]
fn random_expressions_are_refused_or_give_learning_rates() {
    let documents: Vec<String> = [
        "1 / (1 + 0.1 * t)",
        "0.5 * (1 + cos(pi * t / T))",
        "max(0.1, 1 - t / T) ** 2",
        "exp(-t / 10) if t > 5 else t / 5",
        "0.95 ** epoch",
        "min((t + 1) ** -0.5, (t + 1) * 10 ** -1.5)",
        "sqrt(abs(sin(t))) + floor(t / 3) % 2",
    ]
    .map(str::to_owned)
    .to_vec();
    fuzz("expression", |dice, input| {
        let expression = dice.mutated(&documents).replace('\'', "''").replace('\n', " ");
        *input = format!("{{kind: lambda, expr: '{expression}'}}");
        evaluated(input)
    });
}

#[test]
fn random_idx_files_are_refused_or_read() {
    let mut good = vec![0, 0, 8, 2, 0, 0, 0, 3, 0, 0, 0, 5];
    good.extend(0..15);
    fuzz("IDX file", |dice, input| {
        let bytes = if dice.below(20) == 0 { good.clone() } else { dice.damaged(&good) };
        *input = format!("{bytes:?}");
        trainer::data::idx::parse(&bytes, &[3, 5]).is_ok_and(|numbers| numbers.len() == 15)
    });
}

/// A checkpoint of a real run, and the names of its two files.
fn checkpoint(dir: &Path) -> (String, Vec<u8>, Vec<u8>) {
    let text = "data: {dataset: digits, batch_size: 20, limit: 100}\nmodel: {kind: mlp, hidden: [4]}\n\
                optimizer: {kind: adamw}\nbudget: {steps: 9}\nlr: 0.1\nschedules: {plateau: {kind: plateau}}\n";
    let plan = trainer::read(text, "x").and_then(|spec| spec::plan(&spec)).expect("a plan");
    let network = plan.trials[0].config.task.network().expect("a network");
    let images = trainer::data::load(network, Some(&root().join("data")), &trainer::custom::Tasks::new());
    let images = images.expect("the digits");
    let shared = trainer::Shared {
        device: trainer::device::Device::Cpu,
        width: 1,
        block: 1,
        state_counter: trainer::StateCounter::default(),
        most_states: 9,
        parking: None,
        time_limit: None,
        next_stage: std::sync::Arc::default(),
    };
    let folder = trainer::checkpoint::Folder { dir: dir.to_owned(), writer: 1 };
    let branch = trainer::Branch::initial(plan.trials, false).pop().expect("a branch");
    let mut stack = trainer::Stack::new(branch, &images, &shared, &mut |_| true).expect("it begins");
    stack.advance(&mut |_| true);
    let mut name = String::new();
    stack.checkpoint(&folder, &mut |event| {
        if let spec::event::Event::Checkpoint { file, .. } = event {
            name = file;
        }
        true
    });
    let side_car = std::fs::read(dir.join(&name)).expect("the side-car");
    let tensors = std::fs::read(dir.join(&name).with_extension("safetensors")).expect("the tensors");
    (name, side_car, tensors)
}

#[test]
fn random_checkpoints_are_refused_or_unchanged() {
    let dir = tempfile::tempdir().expect("a folder");
    let (name, side_car, tensors) = checkpoint(dir.path());
    let texts = [String::from_utf8(side_car.clone()).expect("JSON")];
    fuzz("checkpoint", |dice, input| {
        let (new_side_car, new_tensors) = match dice.below(4) {
            0 => (dice.damaged(&side_car), tensors.clone()),
            1 => (dice.mutated(&texts).into_bytes(), tensors.clone()),
            2 => (side_car.clone(), dice.damaged(&tensors)),
            _ => (side_car.clone(), tensors.clone()),
        };
        *input = String::from_utf8_lossy(&new_side_car).into_owned();
        std::fs::write(dir.path().join(&name), &new_side_car).expect("written");
        std::fs::write(dir.path().join(&name).with_extension("safetensors"), &new_tensors).expect("written");
        let taken = trainer::checkpoint::load(dir.path(), &name).is_ok();
        let same = new_tensors == tensors
            && serde_json::from_slice::<serde_json::Value>(&new_side_car).ok()
                == serde_json::from_slice(&side_car).ok();
        assert!(!taken || same, "a changed checkpoint was taken");
        taken
    });
}

#[test]
fn random_databases_are_refused_or_read() {
    let dir = tempfile::tempdir().expect("a folder");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        store::Store::open(dir.path()).await.expect("a store").close().await.expect("closed");
    });
    let path = dir.path().join("sweep.db");
    let good = std::fs::read(&path).expect("the database");
    fuzz("database", |dice, input| {
        for end in ["-wal", "-shm"] {
            let mut name = path.clone().into_os_string();
            name.push(end);
            let _ = std::fs::remove_file(name);
        }
        let bytes = if dice.below(10) == 0 { good.clone() } else { dice.damaged(&good) };
        std::fs::write(&path, &bytes).expect("written");
        let name = match dice.below(8) {
            0 => dir.path().join(dice.one(&WORDS).replace('\0', "0")),
            1 => dir.path().join("\u{202e}file:../x?mode=memory"),
            _ => dir.path().to_owned(),
        };
        *input = format!("{}", name.display());
        runtime.block_on(async {
            let Ok(mut reader) = store::Reader::open(&name).await else { return false };
            let _ = reader.sweeps().await;
            let _ = reader.status().await;
            let _ = reader.results("x").await;
            true
        })
    });
}
