//! The IDX format: two zero bytes, the type of the numbers, the number of dimensions, the dimensions as big-endian u32, and the
//! numbers. Only unsigned bytes are supported, the type that the data sets use.

/// Why bytes are not an IDX file of the expected dimensions.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum IdxError {
    /// The header is not that of an IDX file of unsigned bytes; with the expected number of dimensions, 0 for any.
    #[error("no header of an IDX file of unsigned bytes{}", if *.0 == 0 { String::new() } else { format!(" with {} dimension(s)", .0) })]
    Header(usize),
    /// The numbers are not unsigned bytes.
    #[error("expected unsigned bytes (type 0x08), found numbers of type 0x{0:02X}")]
    Type(u8),
    /// The dimensions are different.
    #[error("expected dimensions {expected:?}, found {found:?}")]
    Dimensions {
        /// The dimensions in the header.
        found: Vec<u32>,
        /// The expected dimensions.
        expected: Vec<u32>,
    },
    /// There are too few or too many bytes.
    #[error("expected {expected} bytes after the header, found {found}")]
    Length {
        /// The number of bytes that follows from the dimensions.
        expected: u64,
        /// The number of bytes after the header.
        found: u64,
    },
}

/// The dimensions and the numbers of an IDX file with any dimensions.
///
/// # Errors
/// The bytes are not an IDX file of unsigned bytes.
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
/// The bytes are not an IDX file of unsigned bytes, or have other dimensions.
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
    let expected = dims.iter().fold(1, |n: u64, dim| n.saturating_mul(u64::from(*dim)));
    let found = numbers.len() as u64;
    if found == expected { Ok(numbers.to_vec()) } else { Err(IdxError::Length { expected, found }) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_valid_files_and_rejects_others() {
        let good = [0, 0, 8, 2, 0, 0, 0, 2, 0, 0, 0, 1, 7, 9];
        assert_eq!(parse(&good, &[2, 1]), Ok(vec![7, 9]));
        assert_eq!(parse(&good[..13], &[2, 1]), Err(IdxError::Length { expected: 2, found: 1 }));
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
