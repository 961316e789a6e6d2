//! Fine-tuning: initial weights, frozen parameters, and lr multipliers.

use std::collections::BTreeMap;
use std::path::Path;

use crate::support::Sandbox;

const PRETRAIN: &str = "\
name: pretrain
data: {dataset: digits, batch_size: 50}
model: {kind: mlp, hidden: [24, 12]}
optimizer: {kind: adamw}
budget: {steps: 80}
lr: 0.003
schedules: {cosine: {kind: cosine, to: 0}}
";

const TUNE: &str = "\
name: tune
data: {dataset: digits, batch_size: 50}
model: {kind: mlp, hidden: [24, 12]}
optimizer: {kind: sgd, momentum: 0.9, weight_decay: 0.01}
budget: {steps: 40}
seeds: 2
lr: 0.05
schedules:
  constant: {kind: constant}
  wsd: {body: 1x, cooldown: {over: {values: [5, 10]}, to: 0}}
  plateau: {kind: plateau, watch: train_loss, every: 5, factor: 0.5, patience: 0}
  adagrad_norm: {kind: adagrad_norm}
";

/// A sandbox with a file of trained weights.
fn pretrained() -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.write("pretrain.yaml", PRETRAIN);
    sandbox.run(&["pretrain.yaml", "-q"]).exits(0);
    sandbox.run(&["export", "weights", "best", "-q", "-o", "w.safetensors"]).exits(0);
    sandbox
}

/// The bytes of each tensor of a file.
fn tensors(path: &Path) -> BTreeMap<String, Vec<u8>> {
    let bytes = std::fs::read(path).expect("a file");
    let length = u64::from_le_bytes(bytes[..8].try_into().expect("eight bytes")) as usize;
    let header: serde_json::Value = serde_json::from_slice(&bytes[8..8 + length]).expect("a header");
    let entries = header.as_object().expect("an object").iter().filter(|(name, _)| *name != "__metadata__");
    let data = &bytes[8 + length..];
    let of = |entry: &serde_json::Value| {
        let at = |i: usize| entry["data_offsets"][i].as_u64().expect("an offset") as usize;
        data[at(0)..at(1)].to_vec()
    };
    entries.map(|(name, entry)| (name.clone(), of(entry))).collect()
}

#[test]
fn a_run_starts_with_the_weights_of_a_file() {
    let sandbox = pretrained();
    let tiny = TUNE.replace("steps: 40", "steps: 1").replace("lr: 0.05", "lr: 1.0e-30");
    let tiny = tiny.split("  wsd").next().expect("a schedule");
    sandbox.write("tune.yaml", format!("{tiny}init_from: w.safetensors\n"));
    sandbox.run(&["tune.yaml", "-q"]).exits(0);
    let losses = "select distinct final_valid_loss as loss from trials where sweep = ";
    let before = sandbox.query(&format!("{losses}'pretrain'"));
    let after = sandbox.query(&format!("{losses}'tune'"));
    assert_eq!(before, after, "all bits are equal for every seed");
    // Another file gives another trial; the same file at another path does not.
    std::fs::copy(sandbox.path("w.safetensors"), sandbox.path("copy.safetensors")).expect("a copy");
    sandbox.write("tune.yaml", format!("{tiny}init_from: {{file: copy.safetensors}}\n"));
    let again = sandbox.run(&["tune.yaml"]).exits(0);
    assert!(again.stderr.contains("nothing to train"), "{}", again.stderr);
    std::fs::write(sandbox.path("w.safetensors"), "no weights").expect("a file");
    sandbox.write("tune.yaml", format!("{tiny}init_from: w.safetensors\n"));
    let refused = sandbox.run(&["tune.yaml"]).exits(2);
    assert!(refused.stderr.contains("not a safetensors file"), "{}", refused.stderr);
}

#[test]
fn missing_initial_weights_are_reported() {
    let sandbox = pretrained();
    sandbox.write("tune.yaml", format!("{TUNE}init_from: w.safetensors\n"));
    sandbox.run(&["tune.yaml", "-q"]).exits(0);
    for change in ["another file", ""] {
        match change {
            "" => std::fs::remove_file(sandbox.path("w.safetensors")).expect("the file exists"),
            other => std::fs::write(sandbox.path("w.safetensors"), other).expect("a file"),
        }
        let message = sandbox.run(&["reproduce", "best", "--sweep", "tune"]).exits(2).stderr;
        let words = if change.is_empty() { "No such file" } else { "the file has changed" };
        assert!(message.contains("w.safetensors: ") && message.contains(words), "{message}");
    }
    sandbox.write("tune.yaml", format!("{TUNE}init_from: {{file: w.safetensors, fresh: [\"*\"]}}\n"));
    std::fs::write(sandbox.path("w.safetensors"), "x").expect("a file");
    let message = sandbox.run(&["check", "tune.yaml"]).exits(2).stderr;
    assert!(message.contains("`fresh` matches all parameters"), "{message}");
}

#[test]
fn frozen_parameters_keep_every_bit_and_others_are_trained() {
    let sandbox = pretrained();
    let file = TUNE.replace("seeds: 2", "seeds: 1").replace("steps: 40", "steps: 12");
    sandbox.write(
        "tune.yaml",
        format!("{file}clip_norm: 0.5\ninit_from: w.safetensors\nfreeze: [fc1, fc2.bias]\n"),
    );
    sandbox.run(&["tune.yaml", "-q"]).exits(0);
    let before = tensors(&sandbox.path("w.safetensors"));
    for id in sandbox.texts("select trial_id from trials where sweep = 'tune'") {
        sandbox.run(&["export", "weights", &id, "-q", "-o", "after.safetensors"]).exits(0);
        let after = tensors(&sandbox.path("after.safetensors"));
        for (name, bytes) in &before {
            let frozen = name.starts_with("fc1.") || name == "fc2.bias";
            assert_eq!(after[name] == *bytes, frozen, "{name}");
        }
    }
}

#[test]
fn an_lr_multiplier_equals_another_lr() {
    let sandbox = Sandbox::new();
    let run = |name: &str, lr: &str, rest: &str| {
        let file = TUNE.replace("name: tune", &format!("name: {name}")).replace("lr: 0.05", lr);
        let file = file.split("  plateau").next().expect("schedules").to_owned();
        sandbox.write("tune.yaml", format!("{file}{rest}\n"));
        sandbox.run(&["tune.yaml", "-q"]).exits(0);
        sandbox.query(&format!(
            "select weights_hash, final_valid_loss from runs join trials using (trial_id, final_valid_loss) \
             where runs.sweep = '{name}' order by position"
        ))
    };
    // The factor 0.5 is exact.
    assert_eq!(run("plain", "lr: 0.05", ""), run("half", "lr: 0.1", "lr_multipliers: {\"*\": 0.5}"));
    let mixed = run("mixed", "lr: 0.1", "lr_multipliers: {fc1: 0.5, \"fc2.*\": 0.5}");
    assert_ne!(mixed, run("plain", "lr: 0.05", ""), "fc3 has the whole lr");
}

#[test]
fn all_mismatches_of_weights_are_listed() {
    let sandbox = pretrained();
    let file = TUNE.replace("[24, 12]", "[24, 16, 12]");
    let rest = "init_from: {file: w.safetensors, names: {fc3.bias: head}, fresh: [fc9]}\nfreeze: [conv1]\n\
                lr_multipliers: {fc1: 0.1, \"*.bias\": 2}\n";
    sandbox.write("tune.yaml", format!("{file}{rest}"));
    let refused = sandbox.run(&["tune.yaml"]).exits(2);
    for words in [
        "freeze: no parameter matches `conv1`",
        "init_from: `fresh`: no parameter matches `fc9`",
        "`fc1.bias` matches more than one pattern: fc1, *.bias",
        "`fc2.weight` has shape [12, 24], but the model's `fc2.weight` needs [16, 24]",
        "no tensor `head` for `fc3.bias`",
        "no tensor `fc4.weight` for `fc4.weight`",
    ] {
        assert!(refused.stderr.contains(words), "{words} in {}", refused.stderr);
    }
    // `check` also reports each with its place, and no sweep is registered.
    assert!(refused.stderr.contains("tune.yaml:14:9"), "{}", refused.stderr);
    let checked = sandbox.run(&["check", "tune.yaml"]).exits(2);
    assert_eq!(checked.stderr, refused.stderr);
    assert_eq!(sandbox.texts("select sweep from sweeps"), ["pretrain"]);
    // With a new head, and with mapped names.
    sandbox.write("tune.yaml", format!("{file}init_from: {{file: w.safetensors, fresh: [fc2, fc3, fc4]}}\n"));
    sandbox.run(&["tune.yaml", "-q"]).exits(0);
    sandbox.write("tune.yaml", format!("{TUNE}  free: {{kind: schedule_free}}\nfreeze: [fc1]\n"));
    let refused = sandbox.run(&["tune.yaml"]).exits(2);
    assert!(refused.stderr.contains("averages all weights"), "{}", refused.stderr);
}

/// Workers, lanes, sharing and interruption do not change the bits.
#[test]
fn every_way_of_running_gives_the_same_bits() {
    let sandbox = pretrained();
    let file = format!(
        "{TUNE}init_from: {{file: w.safetensors, fresh: [fc3]}}\nfreeze: [fc1]\nlr_multipliers: {{fc3: 4}}\n"
    );
    sandbox.write("tune.yaml", file);
    let all = |store: &str, args: &[&str]| {
        sandbox.run(&[&["tune.yaml", "-q", "--store", store], args].concat()).exits(0);
        let sql = "select trial_id, digest, weights_hash, final_valid_loss, test_loss from trials order by trial_id";
        sandbox.run(&["query", sql, "--store", store, "--format", "json"]).exits(0).json()
    };
    let expected = all("single", &["--no-share", "--lanes", "1", "--workers", "1"]);
    assert_eq!(all("together", &["--workers", "2"]), expected);
    assert_eq!(all("wide", &["--workers", "1", "--lanes", "16", "--checkpoint-every", "0"]), expected);
    sandbox.run(&["reproduce", "best", "-q", "--store", "single"]).exits(0);
}

/// The numbers of a tensor of a file.
fn numbers(bytes: &[u8]) -> Vec<f32> {
    bytes.as_chunks::<4>().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect()
}

#[test]
fn a_stored_trial_can_be_named_instead_of_a_file() {
    let sandbox = pretrained();
    let id = sandbox.query("select trial_id from trials")[0]["trial_id"].as_str().expect("an id").to_owned();
    let tune = |init: &str| format!("{TUNE}init_from: {init}\n");
    sandbox.write("tune.yaml", tune(&format!("\"trial:{}\"", &id[..8])));
    let path = sandbox.path(&format!("runs/trials/{id}/weights.safetensors"));
    // The weights are known without training, and so are mismatches.
    for args in [&["check", "tune.yaml"][..], &["plan", "tune.yaml"], &["rank", "tune.yaml"]] {
        let output = sandbox.run(args);
        assert!(!output.stderr.contains("training again") && !path.exists(), "{args:?}: {}", output.stderr);
    }
    sandbox.write("bad.yaml", tune(&format!("\"trial:{id}\"")).replace("[24, 12]", "[24, 16]"));
    let message = sandbox.run(&["check", "bad.yaml"]).exits(2).stderr;
    let words =
        format!("trial:{id}: `fc2.weight` has shape [12, 24], but the model's `fc2.weight` needs [16, 24]");
    assert!(message.contains(&words), "{message}");
    assert!(sandbox.run(&["tune.yaml"]).exits(0).stderr.contains("training again"));
    // The weights equal those of `export weights`, and are kept.
    let kept = path.clone();
    let (kept, exported) = (tensors(&kept), tensors(&sandbox.path("w.safetensors")));
    assert!(exported.iter().all(|(name, bytes)| kept.get(name) == Some(bytes)));
    let losses = |sandbox: &Sandbox| {
        sandbox.texts("select json_array(c.schedule, t.seed, t.digest) from cells c join trials t using (trial_id) where c.sweep = 'tune' order by 1")
    };
    let file = pretrained();
    file.write("tune.yaml", tune("w.safetensors"));
    file.run(&["tune.yaml", "-q"]).exits(0);
    assert_eq!(losses(&sandbox), losses(&file));
    assert!(sandbox.run(&["tune.yaml"]).exits(0).stderr.contains("nothing to train"));
    // A damaged file is created again: a torn file, one with a changed bit in the optimizer's state, and a missing one.
    let bytes = std::fs::read(&path).expect("the weights");
    let mut flipped = bytes.clone();
    let header = u64::from_le_bytes(bytes[..8].try_into().expect("eight bytes")) as usize;
    let entries: serde_json::Value = serde_json::from_slice(&bytes[8..8 + header]).expect("a header");
    let moment =
        entries["optimizer.first.fc1.weight"]["data_offsets"][0].as_u64().expect("an offset") as usize;
    flipped[8 + header + moment] ^= 1;
    std::fs::write(&path, &bytes[..bytes.len() - 8]).expect("a torn file");
    let again = || {
        let message = sandbox.run(&["reproduce", "best", "--sweep", "tune"]).exits(0).stderr;
        assert_eq!(message.matches("training again").count(), 2, "{message}");
        assert_eq!(std::fs::read(&path).expect("the weights"), bytes);
    };
    again();
    std::fs::write(&path, &flipped).expect("a changed file");
    again();
    sandbox.run(&["gc"]).exits(0);
    assert!(!path.exists(), "it can be made again");
    again();
    // A moved store takes the files along.
    let moved = sandbox.path("moved");
    std::fs::rename(sandbox.path("runs"), &moved).expect("another place");
    std::fs::remove_file(moved.join(format!("trials/{id}/weights.safetensors"))).expect("the weights");
    sandbox.run(&["reproduce", "best", "--sweep", "tune", "--store", "moved"]).exits(0);
    assert!(moved.join(format!("trials/{id}/weights.safetensors")).exists() && !path.exists());
    std::fs::rename(&moved, sandbox.path("runs")).expect("the old place");
}

#[test]
fn a_wrong_name_of_initial_weights_is_refused() {
    let sandbox = pretrained();
    let tune = |init: &str| format!("{TUNE}init_from: {init}\n");
    for (init, words) in [
        ("\"trial:0000\"", "no trial id starts with `0000`"),
        ("\"trial:\"", "expected the id of a stored trial"),
        ("{file: \"trial:best\"}", "`sweep show best` prints the id"),
        ("{file: w.safetensors, frsh: [fc1]}", "did you mean `fresh`"),
    ] {
        sandbox.write("bad.yaml", tune(init));
        let message = sandbox.run(&["check", "bad.yaml"]).exits(2).stderr;
        assert!(message.contains(words), "{words} in {message}");
    }
}

#[test]
fn optimizer_state_of_another_run_is_continued() {
    let sandbox = pretrained();
    sandbox.run(&["export", "weights", "best", "-q", "--optimizer", "-o", "o.safetensors"]).exits(0);
    let one = |init: &str, optimizer: &str| {
        PRETRAIN
            .replace("name: pretrain", "name: one")
            .replace("steps: 80", "steps: 1")
            .replace("kind: adamw", optimizer)
            .replace("{cosine: {kind: cosine, to: 0}}", "{a: {kind: constant}}")
            + &format!("init_from: {init}\n")
    };
    let moved = |init: &str| -> Vec<f32> {
        sandbox.write("one.yaml", one(init, "kind: adamw, weight_decay: 0"));
        sandbox.run(&["one.yaml", "-q"]).exits(0);
        let newest = "select trial_id from trials where steps = 1 order by rowid desc limit 1";
        let id = sandbox.texts(newest).remove(0);
        sandbox.run(&["export", "weights", &id, "-q", "-o", "after.safetensors"]).exits(0);
        let (before, after) =
            (tensors(&sandbox.path("o.safetensors")), tensors(&sandbox.path("after.safetensors")));
        let pairs = numbers(&before["fc2.weight"]).into_iter().zip(numbers(&after["fc2.weight"]));
        pairs.map(|(before, after)| (after - before).abs() / 0.003).collect()
    };
    // The first step of a new Adam equals the lr for any gradient; a continued Adam averages many gradients.
    let fresh = moved("o.safetensors");
    assert!(fresh.iter().all(|step| *step < 1.01), "{fresh:?}");
    assert!(fresh.iter().filter(|step| **step > 0.98).count() * 2 > fresh.len(), "{fresh:?}");
    let kept = moved("{file: o.safetensors, optimizer: keep}");
    assert!(kept.iter().filter(|step| **step < 0.5).count() * 2 > kept.len(), "{kept:?}");
    assert!(kept.iter().any(|step| *step > 0.0));
    // The kept file of a trial also has the state.
    let id = sandbox.texts("select trial_id from trials where steps = 80").remove(0);
    let by_trial = moved(&format!("{{file: \"trial:{id}\", optimizer: keep}}"));
    assert_eq!(by_trial, kept);
    sandbox.run(&["reproduce", "best", "--sweep", "one", "-q"]).exits(0);
    // Averaged weights have no matching optimizer state.
    sandbox.write(
        "average.yaml",
        PRETRAIN.replace("{kind: cosine, to: 0}", "{kind: schedule_free}").replace("pretrain", "average"),
    );
    sandbox.run(&["average.yaml", "-q"]).exits(0);
    let refused = sandbox.run(&["export", "weights", "best", "--optimizer", "-o", "a.safetensors"]).exits(2);
    assert!(refused.stderr.contains("averaged weights"), "{}", refused.stderr);
    let average = sandbox.texts("select trial_id from runs where sweep = 'average'").remove(0);
    sandbox.write("bad.yaml", one(&format!("{{file: \"trial:{average}\", optimizer: keep}}"), "kind: adamw"));
    let refused = sandbox.run(&["bad.yaml"]).exits(2);
    assert!(refused.stderr.contains("are an average"), "{}", refused.stderr);

    for (file, optimizer, words) in [
        ("w.safetensors", "kind: adamw", "w.safetensors has no optimizer state"),
        ("o.safetensors, fresh: [fc3]", "kind: adamw", "`optimizer: keep` can't be combined with `fresh`"),
        (
            "o.safetensors",
            "kind: sgd, momentum: 0.9",
            "o.safetensors has no tensor `optimizer.velocity.fc1.weight`",
        ),
    ] {
        sandbox.write("bad.yaml", one(&format!("{{file: {file}, optimizer: keep}}"), optimizer));
        let message = sandbox.run(&["bad.yaml"]).exits(2).stderr;
        assert!(message.contains(words), "{words} in {message}");
    }
}
