//! The golden files again, by the calls that made them: what a person pastes from a Python program gives the
//! numbers that the program gives.

use schedule::problem::Problem;
use schedule::tree::{Key, Place, Tree, Value};
use schedule::{Horizon, Schedule};

use crate::golden::{Golden, all, first_miss, first_miss_within, listed, trajectory};

/// The libraries whose names are known.
const LIBRARIES: [&str; 5] = ["torch", "optax", "keras", "transformers", "timm"];

/// Files whose call is none of a schedule that is known by that name, or that is refused with a reason.
const NOT_CALLED: [&str; 3] = [
    "adagrad_norm__torch__01", // an optimiser
    "chain__torch__05",        // recursive, no product: refused
    "line_search__optax__01",  // an optimiser
];

/// The file's call, fitted to its run. Where the program called `step` once in an epoch, so does the clock.
fn fit(golden: &Golden) -> Result<Schedule, Vec<Problem>> {
    let call = golden.json["call"].as_str().expect("call");
    let pasted = interop::parse_program(call).map_err(|problem| vec![problem])?;
    let base_lr = golden.number("base_lr");
    // Where the optimiser stands in the call, its lr is the base lr.
    assert!(pasted.lr.known().is_none_or(|lr| lr == base_lr), "{}: {:?}", golden.name, pasted.lr);
    let driver = golden.json["driver"].as_str().expect("driver");
    let clock = match driver {
        _ if driver.contains("every") => Some("epoch"),
        _ if driver.contains("step((t + 1) /") => Some("epoch_fraction"),
        _ => None,
    };
    // timm's schedulers have a clock of their own.
    let clock = clock.filter(|_| golden.json["library"] == "torch");
    let mut problems = Vec::new();
    let node = interop::parse(&clocked(pasted.schedule, clock), "", &mut problems).ok_or(problems)?;
    node.resolve(&Horizon {
        base_lr,
        total: golden.whole("total_steps").expect("total_steps"),
        steps_per_epoch: golden.whole("steps_per_epoch"),
    })
}

fn clocked(mut schedule: Tree, clock: Option<&str>) -> Tree {
    if let (Value::Map(entries), Some(clock)) = (&mut schedule.value, clock) {
        let key = Key { place: Place::default(), name: "clock".to_owned() };
        entries.push((key, Tree::new(Value::Text(clock.to_owned()))));
    }
    schedule
}

#[test]
fn every_call_of_a_golden_file_gives_the_files_numbers() {
    let mut misses = Vec::new();
    let (mut passed, mut cycled) = (Vec::new(), 0);
    for golden in all() {
        let library = golden.json["library"].as_str().expect("library");
        if !LIBRARIES.contains(&library) || NOT_CALLED.contains(&golden.name.as_str()) {
            continue;
        }
        match fit(&golden) {
            Ok(schedule) => {
                let (lrs, momenta) = trajectory(&schedule, &golden);
                let lrs: Vec<Option<f64>> = lrs.into_iter().map(Some).collect();
                // The files' noise is in double precision; timm's own, which the call has, in single.
                let lr = match golden.json["kind"].as_str() {
                    Some("noise") => first_miss_within((1e-7, 0.0), "lr", &lrs, &golden),
                    _ => first_miss("lr", &lrs, &golden),
                };
                let mut found = vec![lr];
                // torch cycles the momentum unasked; here the call must ask for it.
                if momenta.iter().any(Option::is_some) {
                    cycled += 1;
                    found.push(first_miss("momentum", &momenta, &golden));
                }
                let before = misses.len();
                misses.extend(found.into_iter().flatten());
                if misses.len() == before {
                    passed.push(golden.name);
                }
            }
            Err(problems) => misses.push(format!("{}: {}", golden.name, listed(&problems))),
        }
    }
    println!("{} calls: {}", passed.len(), passed.join(", "));
    assert!(misses.is_empty(), "{} beside {}:\n{}", misses.len(), passed.len(), misses.join("\n"));
    assert_eq!((passed.len(), cycled), (181, 1));
}

/// The list of those that are left out can only shrink truthfully.
#[test]
fn the_calls_that_are_left_out_are_refused() {
    let files = all();
    for name in NOT_CALLED {
        let golden = files.iter().find(|golden| golden.name == name).expect("a listed file");
        assert!(fit(golden).is_err(), "{name} is read now: take it off the list");
    }
}
