//! Custom data: tables, NumPy archives, IDX files and texts.

use crate::support::{Sandbox, root};

/// A table of three kinds of flowers with two features, sorted by kind, as is common.
fn flowers() -> String {
    let row = |i: usize| {
        let kind = i / 40;
        let spread = |step: usize| ((i * step) % 17) as f64 / 17.0;
        format!(
            "{:.3},{:.2},{}\n",
            kind as f64 + spread(5),
            200.0 - 50.0 * kind as f64 + 40.0 * spread(7),
            ["iris", "lily", "rose"][kind]
        )
    };
    format!("petal,stem,kind\n{}", (0..120).map(row).collect::<String>())
}

fn file(dataset: &str, model: &str) -> String {
    format!(
        "name: own\ndata: {{dataset: {dataset}, batch_size: 8}}\nmodel: {model}\noptimizer: {{kind: adamw}}\n\
         budget: {{epochs: 10}}\nlr: 0.02\nschedules: {{cosine: {{kind: cosine, to: 0}}}}\n"
    )
}

const MLP: &str = "{kind: mlp, hidden: [16]}";

/// Trains, and returns the row of the only trial.
fn trained(sandbox: &Sandbox, dataset: &str, model: &str) -> serde_json::Value {
    sandbox.write("own.yaml", file(dataset, model));
    sandbox.run(&["own.yaml", "-q"]).exits(0);
    sandbox.run(&["reproduce", "best", "-q"]).exits(0);
    sandbox.query("select steps, valid_accuracy, test_loss, test_accuracy from trials")[0].clone()
}

/// The bytes of an npz file: a zip archive of uncompressed arrays.
fn npz(arrays: &[(&str, &str, &[usize], Vec<u8>)]) -> Vec<u8> {
    let (mut file, mut directory) = (Vec::new(), Vec::new());
    for (name, kind, dims, bytes) in arrays {
        let dims: Vec<String> = dims.iter().map(usize::to_string).collect();
        let dims = if let [one] = &dims[..] { format!("{one},") } else { dims.join(", ") };
        let header = format!("{{'descr': '{kind}', 'fortran_order': False, 'shape': ({dims}), }}\n");
        let mut entry = b"\x93NUMPY\x01\x00".to_vec();
        entry.extend((header.len() as u16).to_le_bytes());
        entry.extend(header.as_bytes());
        entry.extend(bytes);
        let name = format!("{name}.npy");
        let mut about = vec![20, 0, 0, 0, 0, 0, 0, 0, 0, 0];
        about.extend(crc(&entry).to_le_bytes());
        about.extend((entry.len() as u32).to_le_bytes());
        about.extend((entry.len() as u32).to_le_bytes());
        about.extend((name.len() as u16).to_le_bytes());
        about.extend([0, 0]);
        directory.extend(b"PK\x01\x02\x14\x00");
        directory.extend(&about);
        directory.extend([0; 10]);
        directory.extend((file.len() as u32).to_le_bytes());
        directory.extend(name.as_bytes());
        file.extend(b"PK\x03\x04");
        file.extend(&about);
        file.extend(name.as_bytes());
        file.extend(entry);
    }
    let (start, size, count) = (file.len() as u32, directory.len() as u32, arrays.len() as u16);
    file.extend(directory);
    file.extend(b"PK\x05\x06\0\0\0\0");
    file.extend(count.to_le_bytes());
    file.extend(count.to_le_bytes());
    file.extend(size.to_le_bytes());
    file.extend(start.to_le_bytes());
    file.extend([0, 0]);
    file
}

fn crc(bytes: &[u8]) -> u32 {
    let step = |crc: u32, _| if crc & 1 == 1 { crc >> 1 ^ 0xedb8_8320 } else { crc >> 1 };
    !bytes.iter().fold(!0u32, |crc, byte| (0..8).fold(crc ^ u32::from(*byte), step))
}

#[test]
fn a_table_is_learned_in_any_order_of_its_lines() {
    let sandbox = Sandbox::new();
    sandbox.write("flowers.csv", flowers());
    let row = trained(&sandbox, "{csv: flowers.csv, label: kind, test: 20%}", MLP);
    // 72 of 120 rows are for training: 9 batches of 8.
    assert_eq!(row["steps"], 90);
    assert!(row["valid_accuracy"].as_f64() > Some(0.9) && row["test_accuracy"].as_f64() > Some(0.9), "{row}");

    // The metadata of exported weights describe inputs and classes.
    sandbox.run(&["export", "weights", "best", "-q", "-o", "w.safetensors"]).exits(0);
    let bytes = std::fs::read(sandbox.path("w.safetensors")).expect("weights");
    let length = u64::from_le_bytes(bytes[..8].try_into().expect("eight bytes")) as usize;
    let header: serde_json::Value = serde_json::from_slice(&bytes[8..8 + length]).expect("a header");
    let about = |name: &str| -> serde_json::Value {
        serde_json::from_str(header["__metadata__"][name].as_str().expect(name)).expect("JSON")
    };
    assert_eq!(about("labels"), serde_json::json!(["iris", "lily", "rose"]));
    let near = |name: &str, i: usize, x: f64, by: f64| {
        assert!((about(name)[i].as_f64().expect("a number") - x).abs() < by, "{name} {}", about(name));
    };
    near("input_means", 0, 1.5, 0.2);
    near("input_means", 1, 170.0, 10.0);
    near("input_deviations", 1, 42.0, 5.0);

    // Without a test split there is no test loss, also in the ranking.
    let plain = Sandbox::new();
    plain.write("flowers.csv", flowers());
    let row = trained(&plain, "{csv: flowers.csv, label: kind}", MLP);
    assert!(row["test_loss"].is_null() && row["steps"] == 120, "{row}");
    let first = plain.query("select trial_id from trials")[0]["trial_id"].as_str().expect("an id").to_owned();
    plain.run(&["rank"]).exits(0);
    plain.run(&["report", "-o", "report.html"]).exits(0);

    // A trial depends on the content of the file, not on its path.
    plain.write("same.csv", flowers());
    plain.write("own.yaml", file("{csv: same.csv, label: kind}", MLP));
    assert!(plain.run(&["own.yaml"]).exits(0).stderr.contains("nothing to train"));
    plain.write("same.csv", flowers().replace("iris", "tulip"));
    assert!(!plain.run(&["own.yaml"]).exits(0).stderr.contains("nothing to train"));
    // A trial that was planned with another content is not trained.
    plain.write("flowers.csv", flowers().replace("lily", "orchid"));
    let message = plain.run(&["reproduce", &first]);
    assert!(
        message.code == 2 && message.stderr.contains("flowers.csv has changed since the sweep was planned"),
        "{message:?}"
    );
}

#[test]
fn arrays_and_idx_files_are_learned() {
    let sandbox = Sandbox::new();
    let n = 80usize;
    let x: Vec<u8> =
        (0..n).flat_map(|i| [(i % 4) as f32, (i * 7 % 5) as f32]).flat_map(f32::to_le_bytes).collect();
    let y: Vec<u8> = (0..n).flat_map(|i| (i as i64 % 4 - 1).to_le_bytes()).collect();
    sandbox.write("a.npz", npz(&[("x", "<f4", &[n, 2], x.clone()), ("labels", "<i8", &[n], y.clone())]));
    let row = trained(&sandbox, "{npz: a.npz, y: labels, validation: 16}", MLP);
    assert!(row["steps"] == 80 && row["valid_accuracy"].as_f64() > Some(0.9), "{row}");

    // Images of 28 x 28 bytes work with every image model.
    let images: Vec<u8> = (0..n).flat_map(|i| vec![(60 * (i % 4)) as u8; 784]).collect();
    let images = [vec![0, 0, 8, 3, 0, 0, 0, n as u8, 0, 0, 0, 28, 0, 0, 0, 28], images].concat();
    let labels: Vec<u8> = (0..n).map(|i| (i % 4) as u8).collect();
    let labels = [vec![0, 0, 8, 1, 0, 0, 0, n as u8], labels].concat();
    for model in ["{kind: lenet}", "{kind: vae, hidden: [8]}", MLP] {
        let sandbox = Sandbox::new();
        sandbox.write("images.idx", &images);
        sandbox.write("labels.idx", &labels);
        let row = trained(&sandbox, "{idx: images.idx, labels: labels.idx}", model);
        assert_eq!(row["steps"], 80, "{model}: {row}");
    }
}

#[test]
fn a_custom_text_is_learned() {
    let sandbox = Sandbox::new();
    sandbox.write("abc.txt", "abcdéf, ".repeat(300));
    let gpt = "{kind: char-gpt, layers: 1, heads: 1, width: 16, context: 8}";
    let row = trained(&sandbox, "{text: abc.txt}", gpt);
    assert!(row["valid_accuracy"].as_f64() > Some(0.9), "{row}");
}

/// A number of the row says nothing about other rows, but looks like a feature.
#[test]
fn a_column_that_numbers_the_rows_gives_a_note() {
    let sandbox = Sandbox::new();
    let numbered = |name: &str| {
        let lines = flowers();
        let lines = lines.lines().enumerate().map(|(i, line)| match i {
            0 => format!("{name},{line}\n"),
            _ => format!("{},{line}\n", i + 7),
        });
        lines.collect::<String>()
    };
    sandbox.write("own.yaml", file("{csv: flowers.csv, label: kind}", MLP));
    for (name, words) in [
        ("ID", Some("note: own.yaml: flowers.csv: column `ID` looks like a row number")),
        ("", Some("note: own.yaml: flowers.csv: the column without a name looks like a row number")),
        ("leaves", None),
    ] {
        sandbox.write("flowers.csv", numbered(name));
        for args in [&["check", "own.yaml", "--deny-warnings"][..], &["own.yaml"]] {
            let stderr = sandbox.run(args).exits(0).stderr;
            assert_eq!(stderr.contains("row number"), words.is_some(), "{name}: {stderr}");
            assert!(words.is_none_or(|words| stderr.contains(words)), "{name}: {stderr}");
        }
    }
    // A column whose integers are not all different is a feature.
    sandbox.write("flowers.csv", numbered("id").replacen("\n9,", "\n8,", 1));
    assert!(!sandbox.run(&["check", "own.yaml"]).exits(0).stderr.contains("row number"));
}

/// Unusable data, each with a part of its error.
const WRONG: [(&str, &str); 23] = [
    ("{csv: none.csv, label: kind}", "file not found: none.csv"),
    (
        "{csv: flowers.csv, label: kinds}",
        "has no column `kinds` (columns: petal, stem, kind); did you mean `kind`?",
    ),
    (
        "{csv: hole.csv, label: kind}",
        "hole.csv:2: column `stem`: missing value: expected a number, found an empty cell; fill in",
    ),
    (
        "{csv: word.csv, label: kind}",
        "word.csv:2: column `stem`: expected a number, found `tall`; all columns except the label",
    ),
    ("{csv: short.csv, label: kind}", "short.csv:3: expected 3 cells as in the first line, found 2"),
    ("{csv: one.csv, label: kind}", "all labels are equal"),
    ("{csv: empty.csv, label: kind}", "empty.csv is empty"),
    ("{csv: head.csv, label: kind}", "head.csv: no examples"),
    ("{csv: tabs.csv, label: kind}", "cells must be separated by commas"),
    (
        "{csv: unknown.csv, label: kind}",
        "unknown.csv:3: column `kind`: missing label: found `NA`; fill in the class",
    ),
    (
        "{csv: price.csv, label: y}",
        "price.csv:2: column `y`: expected a word or an integer as label, found `1.5`",
    ),
    ("{csv: numbers.csv, label: y}", "20000 different labels"),
    ("{npz: bad.npz}", "not a NumPy archive"),
    ("{npz: torn.npz}", "array `x` is damaged"),
    ("{npz: big.npz}", "convert others with `numpy.ascontiguousarray` and `.astype`"),
    ("{idx: floats.idx, labels: a.idx}", "found numbers of type 0x0D"),
    ("{npz: short.npz}", "is shorter than its header says"),
    ("{npz: uneven.npz}", "needs one label for each of its 4 examples"),
    ("{npz: uneven.npz, x: images}", "no array `images` (arrays: x, y)"),
    ("{npz: nan.npz}", "found NaN in example 0"),
    ("{idx: a.idx, labels: a.idx}", "expected 9 bytes after the header, found 1"),
    ("{idx: flowers.csv, labels: a.idx}", "no header of an IDX file"),
    ("{text: latin.txt}", "latin.txt:1: not UTF-8 text"),
];

/// Writes invalid tables and texts.
fn write_wrong_texts(sandbox: &Sandbox) {
    sandbox.write("flowers.csv", flowers());
    sandbox.write("hole.csv", flowers().replacen("200.00,iris", ",iris", 1));
    sandbox.write("word.csv", flowers().replacen("200.00,iris", "tall,iris", 1));
    sandbox.write("short.csv", "a,b,kind\n1,2,x\n1,y\n");
    sandbox.write("one.csv", "a,kind\n1,x\n2,x\n3,x\n");
    sandbox.write("empty.csv", "");
    sandbox.write(
        "numbers.csv",
        format!("a,y\n{}", (0..20_000).map(|i| format!("1,{i}\n")).collect::<String>()),
    );
    sandbox.write("head.csv", "a,kind\n");
    sandbox.write("tabs.csv", "a\tkind\n1\tx\n");
    sandbox.write("unknown.csv", "a,kind\n1,x\n2,NA\n");
    sandbox.write("price.csv", "a,y\n1,1.5\n2,2.5\n");
    sandbox.write("latin.txt", b"caf\xe9 ".repeat(50));
}

/// Writes invalid arrays.
fn write_wrong_arrays(sandbox: &Sandbox) {
    sandbox.write("bad.npz", "no archive");
    let f4 = |n: usize| vec![0u8; 4 * n];
    sandbox.write("short.npz", npz(&[("x", "<f4", &[1 << 40, 2], f4(8)), ("y", "<i4", &[4], f4(4))]));
    sandbox.write("uneven.npz", npz(&[("x", "<f4", &[4, 2], f4(8)), ("y", "<i4", &[3], f4(3))]));
    let nan: Vec<u8> = [1.0f32, f32::NAN, 1.0, 1.0].into_iter().flat_map(f32::to_le_bytes).collect();
    sandbox.write("nan.npz", npz(&[("x", "<f4", &[2, 2], nan), ("y", "<f4", &[2], f4(2))]));
    let mut torn = npz(&[("x", "<f4", &[4, 2], f4(8)), ("y", "<i4", &[4], f4(4))]);
    torn[110] ^= 1;
    sandbox.write("torn.npz", torn);
    sandbox.write("big.npz", npz(&[("x", ">f4", &[4, 2], f4(8)), ("y", "<i4", &[4], f4(4))]));
    sandbox.write("floats.idx", [0, 0, 13, 1, 0, 0, 0, 1, 0, 0, 0, 0]);
    sandbox.write("a.idx", [0, 0, 8, 1, 0, 0, 0, 9, 1]);
}

#[test]
fn mistakes_in_data_are_reported_before_training() {
    let sandbox = Sandbox::new();
    write_wrong_texts(&sandbox);
    write_wrong_arrays(&sandbox);
    for (dataset, words) in WRONG {
        sandbox.write("own.yaml", file(dataset, MLP));
        let message = sandbox.run(&["check", "own.yaml"]).exits(2).stderr;
        assert!(
            message.contains(words) && message.contains("own.yaml:2:"),
            "{dataset}: {words} in {message}"
        );
    }
}

/// A worker with another file of the same name plans other trials, which must not replace the stored ones.
#[test]
fn a_worker_with_different_data_skips_the_sweep() {
    let (here, there) = (Sandbox::new(), Sandbox::new());
    here.write("flowers.csv", flowers());
    there.write("flowers.csv", flowers().replace("iris", "tulip"));
    here.write("own.yaml", file("{csv: flowers.csv, label: kind}", MLP));
    here.run(&["own.yaml", "-q"]).exits(0);
    let before = here.fingerprints();
    let cells = || here.texts("select trial_id from cells order by 1");
    let asked = cells();
    let store = here.path("runs").display().to_string();
    let message = there.run(&["worker", "--store", &store]).exits(0).stderr;
    assert!(message.contains("differ on this machine from those where it was started"), "{message}");
    assert_eq!((cells(), here.fingerprints()), (asked, before));
}

/// Numbers far from 0 with small differences are scaled before conversion to f32.
#[test]
fn large_numbers_keep_their_small_differences() {
    let sandbox = Sandbox::new();
    let row = |i: usize| {
        format!("{},{}\n", 1_700_000_000 + (i * 37) % 100, if (i * 37) % 100 < 50 { "low" } else { "high" })
    };
    sandbox.write("times.csv", format!("at,kind\n{}", (0..100).map(row).collect::<String>()));
    let row = trained(&sandbox, "{csv: times.csv, label: kind}", MLP);
    assert!(row["valid_accuracy"].as_f64() > Some(0.9), "{row}");
}

/// The unit of a column does not matter, even if the square of its numbers overflows.
#[test]
fn the_units_of_a_column_do_not_matter() {
    let losses = [1.0, 2f64.powi(520), 2f64.powi(-540)].map(|unit| {
        let sandbox = Sandbox::new();
        let row = |i: usize| format!("{:e},{}\n", ((i * 37) % 100) as f64 * unit, i * 37 % 100 / 50);
        sandbox.write("t.csv", format!("x,kind\n{}", (0..100).map(row).collect::<String>()));
        trained(&sandbox, "{csv: t.csv, label: kind}", MLP);
        sandbox.query("select final_valid_loss, weights_hash from trials")
    });
    assert!(losses.iter().all(|loss| *loss == losses[0]), "{losses:?}");
}

/// Arrays of bool, of 0 and 1, and of 0 and 255 are the same black-and-white images.
#[test]
fn black_and_white_images_are_equal_in_all_encodings() {
    let n = 60usize;
    let losses = [("|b1", 1u8), ("|u1", 1), ("|u1", 255)].map(|(kind, white)| {
        let sandbox = Sandbox::new();
        let x: Vec<u8> =
            (0..n).flat_map(|i| (0..16).map(move |j| (i * 7 + j * j) as u8 % 3 / 2 * white)).collect();
        let y: Vec<u8> = (0..n).map(|i| (i % 2) as u8).collect();
        sandbox.write("a.npz", npz(&[("x", kind, &[n, 16], x), ("y", "|u1", &[n], y)]));
        trained(&sandbox, "{npz: a.npz}", "{kind: vae, hidden: [8]}");
        sandbox.query("select final_valid_loss, weights_hash from trials")
    });
    assert!(losses.iter().all(|loss| *loss == losses[0]), "{losses:?}");
}

/// MNIST read as custom IDX files equals the built-in data set, except for the validation split.
#[test]
fn published_data_files_can_be_used_as_custom_data() {
    let sandbox = Sandbox::new();
    let path = |name: &str| root().join("data/mnist").join(name).display().to_string();
    let (images, labels) = (path("t10k-images-idx3-ubyte.gz"), path("t10k-labels-idx1-ubyte.gz"));
    sandbox.write(
        "own.yaml",
        format!(
            "data: {{dataset: {{idx: \"{images}\", labels: \"{labels}\"}}, batch_size: 64}}\nmodel: {MLP}\n\
             optimizer: {{kind: adamw}}\nbudget: {{epochs: 1}}\nlr: 0.003\nschedules: {{a: {{kind: linear, to: 0}}}}\n"
        ),
    );
    sandbox.run(&["own.yaml", "-q"]).exits(0);
    let row = &sandbox.query("select steps, valid_accuracy from trials")[0];
    assert!(row["steps"] == 125 && row["valid_accuracy"].as_f64() > Some(0.85), "{row}");
}
