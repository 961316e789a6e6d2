//! The IDX format: two zero bytes, the type of the numbers, the number of dimensions, the dimensions as
//! big-endian u32, the numbers. Only unsigned bytes are read, the one type that these data sets use.

/// Why bytes are no IDX file of the dimensions expected.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum IdxError {
    /// No IDX file of unsigned bytes.
    #[error("it does not begin like an IDX file of unsigned bytes{}", if *.0 == 0 { String::new() } else { format!(" with {} dimension(s)", .0) })]
    Header(usize),
    /// An IDX file of other numbers than bytes.
    #[error("its numbers are of the type 0x{0:02X}; unsigned bytes (0x08) are read")]
    Type(u8),
    /// An IDX file of another size.
    #[error("its dimensions are {found:?} instead of {expected:?}")]
    Dimensions {
        /// What the header says.
        found: Vec<u32>,
        /// What was expected.
        expected: Vec<u32>,
    },
    /// Bytes are missing, or there are too many.
    #[error("its header promises {promised} bytes, {found} follow")]
    Length {
        /// Bytes that the dimensions make.
        promised: u64,
        /// Bytes after the header.
        found: u64,
    },
}

/// The dimensions and the numbers of an IDX file of any dimensions.
///
/// # Errors
/// It is none.
pub fn parse_any(bytes: &[u8]) -> Result<(Vec<u32>, Vec<u8>), IdxError> {
    if let [0, 0, kind @ (9 | 11..=14), ..] = bytes {
        return Err(IdxError::Type(*kind));
    }
    let dims = match bytes {
        [0, 0, 8, count, rest @ ..] => {
            rest.chunks_exact(4).take(usize::from(*count)).map(big_endian).collect()
        }
        _ => Vec::new(),
    };
    parse(bytes, &dims).map(|numbers| (dims, numbers))
}

fn big_endian(size: &[u8]) -> u32 {
    size.iter().fold(0, |n, byte| n << 8 | u32::from(*byte))
}

/// The numbers of an IDX file with exactly these dimensions.
///
/// # Errors
/// It is none, or has other dimensions.
pub fn parse(bytes: &[u8], dims: &[u32]) -> Result<Vec<u8>, IdxError> {
    let (header, numbers) = bytes.split_at_checked(4 + 4 * dims.len()).ok_or(IdxError::Header(dims.len()))?;
    match header {
        [0, 0, 8, count, sizes @ ..] if usize::from(*count) == dims.len() => {
            let found: Vec<u32> = sizes.chunks_exact(4).map(big_endian).collect();
            if found != dims {
                return Err(IdxError::Dimensions { found, expected: dims.to_vec() });
            }
        }
        _ => return Err(IdxError::Header(dims.len())),
    }
    let promised = dims.iter().fold(1, |n: u64, dim| n.saturating_mul(u64::from(*dim)));
    let found = numbers.len() as u64;
    if found == promised { Ok(numbers.to_vec()) } else { Err(IdxError::Length { promised, found }) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_it_should_and_refuses_the_rest() {
        let good = [0, 0, 8, 2, 0, 0, 0, 2, 0, 0, 0, 1, 7, 9];
        assert_eq!(parse(&good, &[2, 1]), Ok(vec![7, 9]));
        assert_eq!(parse(&good[..13], &[2, 1]), Err(IdxError::Length { promised: 2, found: 1 }));
        assert_eq!(parse(&good[..9], &[2, 1]), Err(IdxError::Header(2)));
        assert_eq!(parse(&[], &[2]), Err(IdxError::Header(1)));
        assert_eq!(
            parse(&good, &[1, 2]),
            Err(IdxError::Dimensions { found: vec![2, 1], expected: vec![1, 2] })
        );
        let mut floats = good;
        floats[2] = 13;
        assert_eq!(parse(&floats, &[2, 1]), Err(IdxError::Header(2)));
    }
}
