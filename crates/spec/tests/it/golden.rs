//! Tests with golden files: learning rates of other libraries, step by step. The files are in the crate `schedule`, but are read
//! here, because they contain YAML. Fields: `yaml` is the schedule, `metrics[i]` is the value observed after step i, `inputs` has
//! gradients and losses, `lr` and `momentum` start at step 0 and may continue beyond the end of the run.

use std::collections::BTreeMap;
use std::path::PathBuf;

use schedule::problem::Problem;
use schedule::vectors::Plain;
use schedule::{AfterUpdate, BeforeUpdate, Horizon, Schedule};
use serde_json::Value as Json;

/// Number of files, so that a copy with missing files fails.
const FILES: usize = 227;

/// Kinds that are not supported; the list of files below says why. The test fails when one becomes supported.
const LEFT_OUT: [&str; 1] = ["line_search"];

/// Files without a schedule.
const NO_FORM: [&str; 1] = ["chain__torch__05"];

/// One file.
pub(crate) struct Golden {
    pub(crate) name: String,
    pub(crate) json: Json,
}

impl Golden {
    fn numbers(&self, key: &str) -> Option<Vec<f64>> {
        let list = self.json[key].as_array()?;
        // NaN is null in JSON.
        Some(list.iter().map(|x| x.as_f64().unwrap_or(f64::NAN)).collect())
    }

    pub(crate) fn number(&self, key: &str) -> f64 {
        self.json[key].as_f64().unwrap_or_else(|| panic!("{}: `{key}` is not a number", self.name))
    }

    pub(crate) fn whole(&self, key: &str) -> Option<u64> {
        self.json[key].as_u64()
    }
}

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../schedule/golden")
}

fn read(name: &str) -> Golden {
    let text = std::fs::read_to_string(folder().join(name).with_extension("json")).expect("a golden file");
    Golden { name: name.to_owned(), json: serde_json::from_str(&text).expect("JSON") }
}

pub(crate) fn all() -> Vec<Golden> {
    let files = std::fs::read_dir(folder()).expect("the folder of golden files");
    let mut all: Vec<Golden> = files
        .map(|entry| {
            let path = entry.expect("a golden file").path();
            read(&path.file_stem().expect("a file name").to_string_lossy())
        })
        .collect();
    all.sort_by(|a, b| a.name.cmp(&b.name));
    assert_eq!(all.len(), FILES);
    all
}

/// The file's schedule, resolved for its run.
fn fit(golden: &Golden) -> Result<Schedule, Vec<Problem>> {
    let yaml = golden.json["yaml"].as_str().unwrap_or_else(|| panic!("{}: no yaml", golden.name));
    let tree = spec::yaml::read(yaml)?;
    let node = tree.get("schedule").unwrap_or_else(|| panic!("{}: no schedule", golden.name));
    let mut problems = Vec::new();
    let node = interop::parse(node, "schedule", &mut problems).ok_or(problems)?;
    node.resolve(&Horizon {
        base_lr: golden.number("base_lr"),
        total: golden.whole("total_steps").expect("total_steps"),
        steps_per_epoch: golden.whole("steps_per_epoch"),
    })
}

/// The lr and momentum of each step. The schedule gets the same inputs as the library.
pub(crate) fn trajectory(schedule: &Schedule, golden: &Golden) -> (Vec<f64>, Vec<Option<f64>>) {
    let steps = golden.numbers("lr").expect("lr").len();
    let metrics = golden.numbers("metrics");
    let inputs = &golden.json["inputs"];
    let row = |key: &str, t: usize| -> Vec<f64> {
        inputs[key][t].as_array().map(|row| row.iter().filter_map(Json::as_f64).collect()).unwrap_or_default()
    };
    let mut state = schedule.start();
    let mut vectors = Plain::default();
    let (mut lrs, mut momenta) = (Vec::new(), Vec::new());
    for i in 0..steps {
        let t = i as u64;
        let metric = metrics.as_ref().and_then(|metrics| metrics.get(i).copied());
        let train_loss = metric.or_else(|| inputs["losses"][i].as_f64()).unwrap_or(f64::NAN);
        (vectors.gradient, vectors.parameters) = (row("grads", i), row("params", i));
        let grad_norm_squared = vectors.gradient.iter().map(|g| g * g).sum();
        schedule.before_update(&mut state, t, &BeforeUpdate { train_loss, grad_norm_squared }, &mut vectors);
        lrs.push(schedule.lr(t, &state));
        momenta.push(schedule.momentum(t));
        let after = AfterUpdate {
            train_loss,
            valid_loss: metric,
            valid_accuracy: metric,
            own: &BTreeMap::new(),
            evaluated: metric.is_some(),
        };
        schedule.after_update(&mut state, t, &after);
    }
    (lrs, momenta)
}

/// Allowed relative and absolute error: those of the file, but at most 1e-12 if the library computes in double precision. Keras
/// computes cosines in single precision.
fn tolerance(golden: &Golden) -> (f64, f64) {
    let (rtol, atol) = (golden.number("rtol"), golden.number("atol"));
    if golden.json["library"] == "keras" && rtol > 1e-8 {
        return (rtol, atol);
    }
    (rtol.min(1e-12), atol.min(1e-15 * golden.number("base_lr")))
}

/// The first step at which a column exceeds the tolerance of the file.
pub(crate) fn first_miss(column: &str, found: &[Option<f64>], golden: &Golden) -> Option<String> {
    first_miss_within(tolerance(golden), column, found, golden)
}

/// The first step at which a column exceeds a relative and an absolute tolerance.
pub(crate) fn first_miss_within(
    (rtol, atol): (f64, f64),
    column: &str,
    found: &[Option<f64>],
    golden: &Golden,
) -> Option<String> {
    let wanted = golden.numbers(column)?;
    assert_eq!(found.len(), wanted.len(), "{}", golden.name);
    wanted.iter().zip(found).enumerate().find_map(|(t, (wanted, found))| match found {
        Some(found) if (found - wanted).abs() <= atol + rtol * wanted.abs() => None,
        _ => Some(format!("{}: {column}({t}) is {found:?}, the library's is {wanted}", golden.name)),
    })
}

/// The test of one file.
fn check(name: &str) {
    let golden = read(name);
    let schedule = fit(&golden).unwrap_or_else(|problems| panic!("{name}: {}", listed(&problems)));
    let (lrs, momenta) = trajectory(&schedule, &golden);
    let lrs: Vec<Option<f64>> = lrs.into_iter().map(Some).collect();
    let misses = [first_miss("lr", &lrs, &golden), first_miss("momentum", &momenta, &golden)];
    let misses: Vec<String> = misses.into_iter().flatten().collect();
    assert!(misses.is_empty(), "{}", misses.join("\n"));
}

/// Defines one test per file, so that each file is reported by name.
macro_rules! golden_files {
    ($($(#[$ignored:meta])? $name:ident)*) => {
        #[allow(non_snake_case, reason = "tests have the names of their files")]
        mod file {
            $(#[test] $(#[$ignored])? fn $name() { super::check(stringify!($name)); })*
        }
        /// The names of the tests.
        const NAMED: &[&str] = &[$(stringify!($name)),*];
    };
}

#[test]
fn every_golden_file_has_its_test() {
    let names: Vec<String> = all().into_iter().map(|golden| golden.name).collect();
    assert_eq!(names, NAMED);
}

#[test]
fn the_listed_exceptions_are_not_supported() {
    let files = all();
    for kind in LEFT_OUT {
        let of_kind: Vec<&Golden> = files.iter().filter(|golden| golden.json["kind"] == kind).collect();
        assert!(!of_kind.is_empty(), "no golden file is of the kind `{kind}`");
        for golden in of_kind {
            assert!(fit(golden).is_err(), "{} is supported now: remove `{kind}` from the list", golden.name);
        }
    }
    for name in NO_FORM {
        let golden = files.iter().find(|golden| golden.name == name).expect("a listed file");
        assert!(golden.json["yaml"].is_null(), "{name} has a schedule now");
    }
}

pub(crate) fn listed(problems: &[Problem]) -> String {
    problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}

golden_files! {
    adagrad_norm__torch__01
    adaptive__scikit_learn__01
    adaptive__scikit_learn__02
    bold_driver__formula__02
    chain__torch__01
    chain__torch__04
    #[ignore = "torch's recursive ChainedScheduler around a cosine with a floor is not a product of factors: yaml is null"]
    chain__torch__05
    chebyshev__pytorch_optimizer__02
    chebyshev__pytorch_optimizer__03
    constant__optax__06
    constant__torch__02
    constant__torch__04
    constant__transformers__05
    cosine__keras__12
    cosine__keras__13
    cosine__mmengine__14
    cosine__optax__09
    cosine__optax__10
    cosine__optax__11
    cosine__timm__08
    cosine__torch__01
    cosine__torch__04
    cosine__torch__05
    cosine_min_lr__transformers__01
    cosine_min_lr__transformers__02
    cosine_min_lr__transformers__04
    cosine_min_lr__transformers__06
    cyclic__ignite__09
    cyclic__ignite__10
    cyclic__torch__01
    cyclic__torch__02
    cyclic__torch__04
    cyclic__torch__06
    cyclic__torch__07
    cyclic_wsd__torch__01
    d_adaptation__dadaptation__01
    d_adaptation__dadaptation__02
    dog__optax__02
    epoch_clock__timm__07
    epoch_clock__torch__01
    epoch_clock__torch__03
    epoch_clock__torch__04
    epoch_clock__torch__05
    epoch_clock__torch__06
    exponential__keras__09
    exponential__optax__05
    exponential__optax__07
    exponential__optax__08
    exponential__torch__01
    exponential__torch__02
    exponential__torch__03
    geometric__torch__02
    greedy__transformers__01
    greedy__transformers__02
    greedy__transformers__04
    hard_restarts__transformers__01
    hard_restarts__transformers__02
    hypergradient__formula__02
    infinite__optax__01
    inverse_sqrt__megatron_core__05
    inverse_sqrt__transformers__01
    inverse_sqrt__transformers__03
    inverse_time__keras__01
    inverse_time__keras__02
    inverse_time__keras__03
    inverse_time__scikit_learn__05
    inverse_time__scikit_learn__06
    inverse_time__scikit_learn__08
    inverse_time__scikit_learn__09
    k_decay__timm__02
    k_decay__timm__03
    knee__torch__01
    lambda__torch__01
    lambda__torch__02
    lambda__torch__03
    #[ignore = "a line search needs function values at other points than the run's"]
    line_search__optax__01
    linear__mmengine__09
    linear__mmengine__10
    linear__optax__07
    linear__optax__08
    linear__torch__01
    linear__torch__02
    linear__torch__03
    linear__torch__05
    linear__torch__12
    lr_range_test__optax__01
    multiplicative__torch__02
    multiplicative__torch__03
    multistep__keras__10
    multistep__optax__08
    multistep__optax__09
    multistep__timm__06
    multistep__timm__07
    multistep__torch__02
    multistep__torch__03
    multistep__torch__05
    noam__torch__01
    noam__torch__03
    noise__timm__01
    noise__timm__02
    one_cycle__torch__01
    one_cycle__torch__02
    one_cycle__torch__04
    one_cycle__torch__05
    one_cycle__torch__07
    one_cycle__torch__08
    one_cycle_piecewise__optax__01
    one_cycle_piecewise__optax__03
    one_cycle_piecewise__optax__04
    piecewise__ignite__05
    piecewise__ignite__06
    piecewise__optax__01
    piecewise__optax__03
    plateau__keras__18
    plateau__keras__19
    plateau__keras__20
    plateau__optax__15
    plateau__optax__16
    plateau__optax__17
    plateau__timm__13
    plateau__timm__14
    plateau__torch__01
    plateau__torch__03
    plateau__torch__04
    plateau__torch__06
    plateau__torch__08
    plateau__transformers__12
    polyak__optax__02
    polyak__optax__03
    polynomial__keras__11
    polynomial__keras__12
    polynomial__keras__14
    polynomial__mmengine__15
    polynomial__optax__09
    polynomial__optax__10
    polynomial__timm__06
    polynomial__timm__07
    polynomial__timm__08
    polynomial__torch__01
    polynomial__torch__04
    polynomial__torch__05
    power__torch__02
    prodigy__prodigyopt__02
    prodigy__prodigyopt__03
    rex__pytorch_optimizer__01
    rex__pytorch_optimizer__02
    rex__torch__04
    schedule_free__schedulefree__01
    schedule_free__schedulefree__02
    sequence__optax__07
    sequence__optax__08
    sequence__torch__01
    sequence__torch__02
    sequence__torch__04
    sequence__torch__05
    sequence__torch__06
    step__timm__05
    step__timm__06
    step__timm__07
    step__torch__02
    step__torch__03
    tanh__timm__01
    tanh__timm__03
    tanh__timm__04
    warm_restarts__keras__13
    warm_restarts__keras__14
    warm_restarts__keras__15
    warm_restarts__keras__16
    warm_restarts__mmengine__22
    warm_restarts__pytorch_optimizer__17
    warm_restarts__pytorch_optimizer__18
    warm_restarts__pytorch_optimizer__19
    warm_restarts__timm__09
    warm_restarts__timm__10
    warm_restarts__timm__11
    warm_restarts__torch__03
    warm_restarts__torch__04
    warm_restarts__torch__05
    warm_restarts__torch__08
    warmup_constant__optax__05
    warmup_constant__torch__06
    warmup_constant__torch__07
    warmup_constant__transformers__01
    warmup_constant__transformers__03
    warmup_cosine__keras__10
    warmup_cosine__keras__11
    warmup_cosine__megatron_core__12
    warmup_cosine__optax__08
    warmup_cosine__optax__09
    warmup_cosine__pytorch_optimizer__13
    warmup_cosine__pytorch_optimizer__14
    warmup_cosine__torch__15
    warmup_cosine__torch__17
    warmup_cosine__torch__18
    warmup_cosine__transformers__02
    warmup_cosine__transformers__03
    warmup_cosine__transformers__04
    warmup_cosine__transformers__06
    warmup_exponential__optax__01
    warmup_linear__megatron_core__06
    warmup_linear__pytorch_optimizer__07
    warmup_linear__pytorch_optimizer__08
    warmup_linear__transformers__01
    warmup_linear__transformers__02
    warmup_linear__transformers__03
    warmup_linear__transformers__04
    warmup_polynomial__transformers__02
    warmup_polynomial__transformers__03
    wsd__megatron_core__18
    wsd__megatron_core__20
    wsd__megatron_core__21
    wsd__pytorch_optimizer__22
    wsd__pytorch_optimizer__23
    wsd__pytorch_optimizer__24
    wsd__timm__11
    wsd__timm__12
    wsd__timm__14
    wsd__timm__15
    wsd__torch__27
    wsd__transformers__02
    wsd__transformers__03
    wsd__transformers__04
    wsd__transformers__05
    wsd__transformers__07
    wsd__transformers__08
    wsd__transformers__09
    wsd__transformers__10
}
