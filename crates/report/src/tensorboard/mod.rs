//! Encodes records of TensorBoard's event files, and the data of its HPARAMS tab. Returns bytes; the caller writes the files.
//!
//! Sources: TensorFlow's `record_writer.h` and `crc32c.h` (frames), `event.proto` and `summary.proto`
//! (scalars), TensorBoard's `plugins/hparams/plugin_data.proto` and `api.proto`.

mod message;
mod name;

use crc::{CRC_32_ISCSI, Crc};

use message::Message;
pub use name::names;

/// Name of an event file; TensorBoard requires `tfevents` in it.
pub const FILE: &str = "events.out.tfevents.sweep";

/// CRC-32C.
const CHECKSUM: Crc<u32> = Crc::<u32>::new(&CRC_32_ISCSI);

/// The value of a hyperparameter of a run.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// A number.
    Number(f64),
    /// Text.
    Text(String),
}

/// A hyperparameter of the whole experiment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hparam {
    /// Its name.
    pub name: String,
    /// Whether its values are numbers; otherwise they are texts.
    pub numbers: bool,
}

/// The status of a run in the HPARAMS tab.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    /// Unknown.
    Unknown = 0,
    /// All steps trained.
    Success = 1,
    /// Diverged, or could not be trained.
    Failure = 2,
    /// Still training.
    Running = 3,
}

/// The first record of every file. Times are seconds since 1970.
pub fn version(time: f64) -> Vec<u8> {
    record(&Message::new().double(1, time).text(3, "brain.Event:2"))
}

/// The values of one step, by tag. Event files store single precision.
pub fn scalars(time: f64, step: u64, values: &[(&str, f64)]) -> Vec<u8> {
    let summary = values.iter().fold(Message::new(), |summary, (tag, value)| {
        summary.message(1, &Message::new().text(1, tag).float(2, *value as f32))
    });
    record(&Message::new().double(1, time).integer(2, step).message(5, &summary))
}

/// The columns of the HPARAMS tab: the hyperparameters and the tags of the metrics.
pub fn experiment(time: f64, name: &str, hparams: &[Hparam], metrics: &[&str]) -> Vec<u8> {
    let mut experiment = Message::new().double(3, time);
    for hparam in hparams {
        // DATA_TYPE_FLOAT64 and DATA_TYPE_STRING.
        let kind = if hparam.numbers { 3 } else { 1 };
        experiment = experiment.message(4, &Message::new().text(1, &hparam.name).integer(4, kind));
    }
    for tag in metrics {
        experiment = experiment.message(5, &Message::new().message(1, &Message::new().text(2, tag)));
    }
    plugin(time, "_hparams_/experiment", &Message::new().message(2, &experiment.text(6, name)))
}

/// The hyperparameters of one run, for the run's event file.
pub fn session_start(time: f64, hparams: &[(&str, Value)]) -> Vec<u8> {
    let mut start = Message::new();
    for (name, value) in hparams {
        // google.protobuf.Value
        let value = match value {
            Value::Number(x) => Message::new().some_double(2, *x),
            Value::Text(text) => Message::new().some_text(3, text),
        };
        start = start.message(1, &Message::new().text(1, name).message(2, &value));
    }
    plugin(time, "_hparams_/session_start_info", &Message::new().message(3, &start.double(5, time)))
}

/// The status of one run, for the run's event file.
pub fn session_end(time: f64, status: Status) -> Vec<u8> {
    let end = Message::new().integer(1, status as u64).double(2, time);
    plugin(time, "_hparams_/session_end_info", &Message::new().message(4, &end))
}

/// An event with data of the plugin `hparams`, which requires an empty tensor of floats as well.
fn plugin(time: f64, tag: &str, data: &Message) -> Vec<u8> {
    let plugin = Message::new().text(1, "hparams").bytes(2, data.as_bytes());
    let metadata = Message::new().message(1, &plugin);
    let shape = Message::new().message(2, &Message::new());
    let tensor = Message::new().integer(1, 1).message(2, &shape);
    let value = Message::new().text(1, tag).message(8, &tensor).message(9, &metadata);
    record(&Message::new().double(1, time).message(5, &Message::new().message(1, &value)))
}

/// A frame: length, its checksum, the bytes, their checksum.
fn record(event: &Message) -> Vec<u8> {
    let bytes = event.as_bytes();
    let length = (bytes.len() as u64).to_le_bytes();
    let frame: [&[u8]; 4] = [&length, &masked(&length).to_le_bytes(), bytes, &masked(bytes).to_le_bytes()];
    frame.concat()
}

/// A masked checksum. The format masks checksums because the data may contain checksums itself.
fn masked(bytes: &[u8]) -> u32 {
    CHECKSUM.checksum(bytes).rotate_right(15).wrapping_add(0xa282_ead8)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Bytes of TensorBoard's own writer (tensorboard 2.21, `EventFileWriter` and `Summary`).
    #[test]
    fn records_are_those_of_tensorboards_own_writer() {
        let hex = |bytes: Vec<u8>| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
        assert_eq!(hex(version(1.5)), VERSION);
        assert_eq!(hex(scalars(2.0, 300, &[("lr", 0.1), ("train_loss", f64::INFINITY)])), SCALARS);
        let hparams = [("lr", Value::Number(0.0)), ("schedule", Value::Text(String::new()))];
        assert_eq!(hex(session_start(3.0, &hparams)), START);
        assert_eq!(hex(session_end(4.0, Status::Success)), END);
        let columns = [("lr", true), ("schedule", false)];
        let columns = columns.map(|(name, numbers)| Hparam { name: name.to_owned(), numbers });
        assert_eq!(hex(experiment(5.0, "mnist", &columns, &["final_valid_loss"])), EXPERIMENT);
    }

    const VERSION: &str = "1800000000000000a37f4b2209000000000000f83f1a0d627261696e2e4576656e743a322a28646c";
    const SCALARS: &str = "2c00000000000000f4aecc4509000000000000004010ac022a1e0a090a026c7215cdcccc3d0a110a0a747261696e5f6c\
         6f7373150000807f520658a5";
    const START: &str = "6e00000000000000c4bf33640900000000000008402a630a610a1c5f68706172616d735f2f73657373696f6e5f737461\
         72745f696e666f42060801120212004a390a370a0768706172616d73122c1a2a0a0f0a026c7212091100000000000000\
         000a0e0a087363686564756c6512021a00290000000000000840efb9bd7a";
    const END: &str = "4d000000000000003d63d4a60900000000000010402a420a400a1a5f68706172616d735f2f73657373696f6e5f656e64\
         5f696e666f42060801120212004a1a0a180a0768706172616d73120d220b0801110000000000001040df8c2a20";
    const EXPERIMENT: &str = "7800000000000000a2a521c50900000000000014402a6d0a6b0a145f68706172616d735f2f6578706572696d656e7442\
         060801120212004a4b0a490a0768706172616d73123e123c19000000000000144022060a026c722003220c0a08736368\
         6564756c6520012a140a12121066696e616c5f76616c69645f6c6f737332056d6e697374a342cde4";
}
