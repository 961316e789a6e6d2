//! Encodes protocol-buffer messages, as far as event files need them. Fields are appended in the order of the calls. As in proto3,
//! zero and empty fields are omitted, except fields of a `oneof`.

/// The bytes of a message.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Message(Vec<u8>);

const VARINT: u64 = 0;
const FIXED_64: u64 = 1;
const LENGTH: u64 = 2;
const FIXED_32: u64 = 5;

impl Message {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    pub(crate) fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// A non-negative `int64`, `int32` or enum.
    pub(crate) fn integer(self, field: u64, value: u64) -> Self {
        if value == 0 { self } else { self.tag(field, VARINT).varint(value) }
    }

    pub(crate) fn double(self, field: u64, value: f64) -> Self {
        if value.to_bits() == 0 { self } else { self.some_double(field, value) }
    }

    /// A double of a `oneof`.
    pub(crate) fn some_double(self, field: u64, value: f64) -> Self {
        self.tag(field, FIXED_64).raw(&value.to_le_bytes())
    }

    /// A float of a `oneof`.
    pub(crate) fn float(self, field: u64, value: f32) -> Self {
        self.tag(field, FIXED_32).raw(&value.to_le_bytes())
    }

    pub(crate) fn text(self, field: u64, text: &str) -> Self {
        self.bytes(field, text.as_bytes())
    }

    /// A text of a `oneof`.
    pub(crate) fn some_text(self, field: u64, text: &str) -> Self {
        self.sized(field, text.as_bytes())
    }

    pub(crate) fn bytes(self, field: u64, bytes: &[u8]) -> Self {
        if bytes.is_empty() { self } else { self.sized(field, bytes) }
    }

    /// A nested message, which is written even if it is empty.
    pub(crate) fn message(self, field: u64, message: &Self) -> Self {
        self.sized(field, &message.0)
    }

    fn sized(self, field: u64, bytes: &[u8]) -> Self {
        self.tag(field, LENGTH).varint(bytes.len() as u64).raw(bytes)
    }

    fn tag(self, field: u64, wire: u64) -> Self {
        self.varint(field << 3 | wire)
    }

    fn varint(mut self, mut value: u64) -> Self {
        while value >= 0x80 {
            self.0.push((value & 0x7f) as u8 | 0x80);
            value >>= 7;
        }
        self.0.push(value as u8);
        self
    }

    fn raw(mut self, bytes: &[u8]) -> Self {
        self.0.extend_from_slice(bytes);
        self
    }
}
