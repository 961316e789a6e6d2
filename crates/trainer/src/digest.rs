//! A run's fingerprint: hashes over the bits of its steps and of its final weights.

use crate::model::Parameter;

/// A running hash over the bits of (lr, loss) of each step. Each step hashes the previous hash too, so the state that a
/// checkpoint holds is 32 bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Digest([u8; 32]);

impl Default for Digest {
    /// The state before the first step.
    fn default() -> Self {
        Self(blake3::hash(b"sweep digest 1").into())
    }
}

impl Digest {
    /// Adds a step: the lr that the update used, as f32, and the loss. All NaN count as one: kinds of processors disagree about
    /// the sign of a NaN that an operation makes.
    pub fn step(&mut self, lr: f32, loss: f32) {
        let loss = if loss.is_nan() { f32::NAN } else { loss };
        let mut bytes = [0; 40];
        bytes[..32].copy_from_slice(&self.0);
        bytes[32..36].copy_from_slice(&lr.to_bits().to_le_bytes());
        bytes[36..].copy_from_slice(&loss.to_bits().to_le_bytes());
        self.0 = blake3::hash(&bytes).into();
    }

    /// As 64 hex digits.
    pub fn hex(self) -> String {
        blake3::Hash::from(self.0).to_hex().to_string()
    }

    /// Reads what [`Digest::hex`] wrote.
    pub fn from_hex(text: &str) -> Option<Self> {
        blake3::Hash::from_hex(text).ok().map(|hash| Self(hash.into()))
    }
}

/// Hash of all parameters in their order: names, shapes and the bits of the numbers.
pub(crate) fn weights(parameters: &[Parameter]) -> candle_core::Result<String> {
    let mut hasher = blake3::Hasher::new();
    for parameter in parameters {
        hasher.update(&(parameter.name.len() as u64).to_le_bytes());
        hasher.update(parameter.name.as_bytes());
        for size in parameter.var.dims() {
            hasher.update(&(*size as u64).to_le_bytes());
        }
        let numbers: Vec<f32> = parameter.var.flatten_all()?.to_vec1()?;
        let bytes: Vec<u8> = numbers.iter().flat_map(|x| x.to_le_bytes()).collect();
        hasher.update(&bytes);
    }
    Ok(hasher.finalize().to_hex().to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_digest_depends_on_every_bit_and_the_order() {
        let digest = |steps: &[(f32, f32)]| {
            let mut digest = Digest::default();
            steps.iter().for_each(|(lr, loss)| digest.step(*lr, *loss));
            digest
        };
        let base = digest(&[(0.1, 2.0), (0.1, 1.0)]);
        assert_ne!(base, digest(&[(0.1, 1.0), (0.1, 2.0)]));
        assert_ne!(base, digest(&[(0.1, 2.0), (0.1, f32::from_bits(1.0f32.to_bits() + 1))]));
        assert_ne!(base, digest(&[(0.1, 2.0)]));
        assert_eq!(digest(&[(0.1, f32::NAN)]), digest(&[(0.1, -f32::NAN)]));
        assert_eq!(Digest::from_hex(&base.hex()), Some(base));
        assert_eq!(Digest::from_hex("nonsense"), None);
    }
}
