//! The golden files: learning rates that the named libraries give, step by step. They stand beside the
//! schedule crate; they are read here, where YAML is known. Field by field: `yaml` is the schedule,
//! `metrics[i]` is what was observed after step i, `inputs` holds gradients and losses, `lr` and
//! `momentum` start at step 0 and may go on beyond the end of the run.

use std::path::PathBuf;

use schedule::problem::Problem;
use schedule::{AfterUpdate, BeforeUpdate, Horizon, Schedule};
use serde_json::Value as Json;

/// How many files there are: a copy that lost some must not pass.
const FILES: usize = 227;

/// Kinds and combinators that the crate does not have yet. One that it has is found out.
const NOT_YET: [&str; 8] = [
    "d_adaptation",
    "dog",
    "hypergradient",
    "line_search", // also needs function values at other points than the run's
    "multiplicative",
    "noise",
    "prodigy",
    "schedule_free",
];

/// Files that say nothing of a schedule: torch's recursive ChainedScheduler around a cosine with a floor
/// is no product of factors, and has no form here.
const NO_FORM: [&str; 1] = ["chain__torch__05"];

/// One file.
pub(crate) struct Golden {
    pub(crate) name: String,
    pub(crate) json: Json,
}

impl Golden {
    fn numbers(&self, key: &str) -> Option<Vec<f64>> {
        let list = self.json[key].as_array()?;
        // A library's NaN is written as null.
        Some(list.iter().map(|x| x.as_f64().unwrap_or(f64::NAN)).collect())
    }

    pub(crate) fn number(&self, key: &str) -> f64 {
        self.json[key].as_f64().unwrap_or_else(|| panic!("{}: `{key}` is no number", self.name))
    }

    pub(crate) fn whole(&self, key: &str) -> Option<u64> {
        self.json[key].as_u64()
    }
}

pub(crate) fn all() -> Vec<Golden> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../schedule/golden");
    let mut all: Vec<Golden> = std::fs::read_dir(folder)
        .expect("the folder of golden files")
        .map(|entry| {
            let path = entry.expect("a golden file").path();
            let text = std::fs::read_to_string(&path).expect("a golden file");
            let name = path.file_stem().expect("a file name").to_string_lossy().into_owned();
            Golden { name, json: serde_json::from_str(&text).expect("JSON") }
        })
        .collect();
    all.sort_by(|a, b| a.name.cmp(&b.name));
    assert_eq!(all.len(), FILES);
    all
}

/// The file's schedule, fitted to its run.
fn fit(golden: &Golden) -> Result<Schedule, Vec<Problem>> {
    let yaml = golden.json["yaml"].as_str().unwrap_or_else(|| panic!("{}: no yaml", golden.name));
    let tree = spec::yaml::read(yaml)?;
    let node = tree.get("schedule").unwrap_or_else(|| panic!("{}: no schedule", golden.name));
    let mut problems = Vec::new();
    let node = schedule::parse(node, "schedule", &mut problems).ok_or(problems)?;
    node.resolve(&Horizon {
        base_lr: golden.number("base_lr"),
        total: golden.whole("total_steps").expect("total_steps"),
        steps_per_epoch: golden.whole("steps_per_epoch"),
    })
}

/// The lr and momentum of each step, the schedule being shown what the library was shown.
pub(crate) fn trajectory(schedule: &Schedule, golden: &Golden) -> (Vec<f64>, Vec<Option<f64>>) {
    let steps = golden.numbers("lr").expect("lr").len();
    let metrics = golden.numbers("metrics");
    let inputs = &golden.json["inputs"];
    let squared_norm = |t: usize| -> Option<f64> {
        inputs["grads"][t].as_array().map(|row| row.iter().filter_map(Json::as_f64).map(|g| g * g).sum())
    };
    let mut state = schedule.start();
    let (mut lrs, mut momenta) = (Vec::new(), Vec::new());
    for i in 0..steps {
        let t = i as u64;
        let metric = metrics.as_ref().and_then(|metrics| metrics.get(i).copied());
        let train_loss = metric.or_else(|| inputs["losses"][i].as_f64()).unwrap_or(f64::NAN);
        let grad_norm_squared = squared_norm(i).unwrap_or(0.0);
        schedule.before_update(&mut state, t, &BeforeUpdate { train_loss, grad_norm_squared });
        lrs.push(schedule.lr(t, &state));
        momenta.push(schedule.momentum(t));
        let after = AfterUpdate { train_loss, valid_loss: metric, look: metric.is_some() };
        schedule.after_update(&mut state, t, &after);
    }
    (lrs, momenta)
}

/// How far off a value may be: what the file allows, or 1e-12 where the library counts in double
/// precision. Keras works out its cosines in single precision.
fn tolerance(golden: &Golden) -> (f64, f64) {
    let (rtol, atol) = (golden.number("rtol"), golden.number("atol"));
    if golden.json["library"] == "keras" && rtol > 1e-8 {
        return (rtol, atol);
    }
    (rtol.min(1e-12), atol.min(1e-15 * golden.number("base_lr")))
}

/// The first step at which a column is further off than that.
pub(crate) fn first_miss(column: &str, found: &[Option<f64>], golden: &Golden) -> Option<String> {
    let (rtol, atol) = tolerance(golden);
    let wanted = golden.numbers(column)?;
    assert_eq!(found.len(), wanted.len(), "{}", golden.name);
    wanted.iter().zip(found).enumerate().find_map(|(t, (wanted, found))| match found {
        Some(found) if (found - wanted).abs() <= atol + rtol * wanted.abs() => None,
        _ => Some(format!("{}: {column}({t}) is {found:?}, the library's is {wanted}", golden.name)),
    })
}

#[test]
fn every_golden_file_of_a_kind_that_is_there_passes() {
    let mut misses = Vec::new();
    let mut passed = 0;
    for golden in all() {
        let kind = golden.json["kind"].as_str().expect("kind");
        if NOT_YET.contains(&kind) || NO_FORM.contains(&golden.name.as_str()) {
            continue;
        }
        match fit(&golden) {
            Ok(schedule) => {
                let (lrs, momenta) = trajectory(&schedule, &golden);
                let lrs: Vec<Option<f64>> = lrs.into_iter().map(Some).collect();
                let found = [first_miss("lr", &lrs, &golden), first_miss("momentum", &momenta, &golden)];
                let before = misses.len();
                misses.extend(found.into_iter().flatten());
                passed += usize::from(misses.len() == before);
            }
            Err(problems) => misses.push(format!("{}: {}", golden.name, listed(&problems))),
        }
    }
    assert!(misses.is_empty(), "{} of {passed}:\n{}", misses.len(), misses.join("\n"));
    assert_eq!(passed, 213);
}

/// The lists above can only shrink truthfully: what is on them is there and is refused.
#[test]
fn what_is_listed_as_missing_is_missing() {
    let files = all();
    for kind in NOT_YET {
        let of_kind: Vec<&Golden> = files.iter().filter(|golden| golden.json["kind"] == kind).collect();
        assert!(!of_kind.is_empty(), "no golden file is of the kind `{kind}`");
        for golden in of_kind {
            assert!(fit(golden).is_err(), "{} has become possible: take `{kind}` off the list", golden.name);
        }
    }
    for name in NO_FORM {
        let golden = files.iter().find(|golden| golden.name == name).expect("a listed file");
        assert!(golden.json["yaml"].is_null(), "{name} has a form now");
    }
}

pub(crate) fn listed(problems: &[Problem]) -> String {
    problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}
