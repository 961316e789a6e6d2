//! The golden files, from the library calls that produced them: a call that is pasted from a Python program gives the numbers
//! of that program.

use schedule::problem::Problem;
use schedule::tree::{Key, Place, Tree, Value};
use schedule::{Horizon, Schedule};

use crate::golden::{Golden, all, first_miss, first_miss_within, listed, trajectory};

/// The supported libraries.
const LIBRARIES: [&str; 5] = ["torch", "optax", "keras", "transformers", "timm"];

/// Files whose call is not a supported schedule, or is refused for a reason.
const NOT_CALLED: [&str; 3] = [
    "adagrad_norm__torch__01", // an optimizer
    "chain__torch__05",        // recursive, not a product: refused
    "line_search__optax__01",  // an optimizer
];

/// The file's call, resolved for its run. If the program called `step` once per epoch, the clock is in epochs.
fn fit(golden: &Golden) -> Result<Schedule, Vec<Problem>> {
    let call = golden.json["call"].as_str().expect("call");
    let pasted = interop::parse_program(call).map_err(|problem| vec![problem])?;
    let base_lr = golden.number("base_lr");
    // If the call contains the optimizer, its lr is the base lr.
    assert!(pasted.lr.known().is_none_or(|lr| lr == base_lr), "{}: {:?}", golden.name, pasted.lr);
    let driver = golden.json["driver"].as_str().expect("driver");
    let clock = match driver {
        _ if driver.contains("every") => Some("epoch"),
        _ if driver.contains("step((t + 1) /") => Some("epoch_fraction"),
        _ => None,
    };
    // timm's schedulers have their own clock.
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
fn the_call_of_each_golden_file_gives_its_numbers() {
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
                // The noise in the files is in double precision, but the call uses timm's, which is in single.
                let lr = match golden.json["kind"].as_str() {
                    Some("noise") => first_miss_within((1e-7, 0.0), "lr", &lrs, &golden),
                    _ => first_miss("lr", &lrs, &golden),
                };
                let mut found = vec![lr];
                // torch cycles the momentum by default; here only if the call requests it.
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
    assert!(misses.is_empty(), "{} failed, {} passed:\n{}", misses.len(), passed.len(), misses.join("\n"));
    assert_eq!((passed.len(), cycled), (181, 1));
}

#[test]
fn the_listed_exceptions_are_refused() {
    let files = all();
    for name in NOT_CALLED {
        let golden = files.iter().find(|golden| golden.name == name).expect("a listed file");
        assert!(fit(golden).is_err(), "{name} is supported now: remove it from the list");
    }
}
