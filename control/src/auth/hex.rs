//! Hexadecimal text of keys and vectors.

/// Why a text is not the hexadecimal number expected. Positions and lengths only: the text may be a
/// key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HexError {
    /// Not a hexadecimal digit, at this character (from 0).
    Digit(usize),
    /// So many characters where the second number was expected.
    Length(usize, usize),
}

/// The bytes of a text of exactly `2 * N` hexadecimal digits of either case.
pub fn parse_hex_exact<const N: usize>(text: &str) -> Result<[u8; N], HexError> {
    let mut bytes = [0; N];
    if let Some(at) = text.chars().position(|c| !c.is_ascii_hexdigit()) {
        return Err(HexError::Digit(at));
    }
    if text.len() != 2 * N {
        return Err(HexError::Length(text.len(), 2 * N));
    }
    for (byte, pair) in bytes.iter_mut().zip(text.as_bytes().chunks_exact(2)) {
        *byte = nibble(pair[0]) << 4 | nibble(pair[1]);
    }
    Ok(bytes)
}

/// The number written in 1 to 16 hexadecimal digits of either case.
pub fn parse_hex(text: &str) -> Result<u64, HexError> {
    if let Some(at) = text.chars().position(|c| !c.is_ascii_hexdigit()) {
        return Err(HexError::Digit(at));
    }
    if text.is_empty() || text.len() > 16 {
        return Err(HexError::Length(text.len(), 16));
    }
    Ok(text
        .bytes()
        .fold(0, |value, digit| value << 4 | u64::from(nibble(digit))))
}

/// Lower-case hexadecimal digits of `bytes`.
pub fn to_hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    bytes
        .iter()
        .flat_map(|&byte| [byte >> 4, byte & 15])
        .map(|nibble| char::from(DIGITS[usize::from(nibble)]))
        .collect()
}

const fn nibble(digit: u8) -> u8 {
    match digit {
        b'0'..=b'9' => digit - b'0',
        b'a'..=b'f' => digit - b'a' + 10,
        b'A'..=b'F' => digit - b'A' + 10,
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_and_bytes_agree_in_both_cases() {
        assert_eq!(parse_hex_exact::<3>("00aFf1"), Ok([0x00, 0xaf, 0xf1]));
        assert_eq!(to_hex(&[0x00, 0xaf, 0xf1]), "00aff1");
        assert_eq!(parse_hex("ff"), Ok(255));
    }

    #[test]
    fn a_wrong_digit_is_named_before_a_wrong_length() {
        assert_eq!(parse_hex_exact::<2>("0g"), Err(HexError::Digit(1)));
        assert_eq!(parse_hex_exact::<2>("000"), Err(HexError::Length(3, 4)));
        assert_eq!(parse_hex_exact::<2>("0é0"), Err(HexError::Digit(1)));
        assert_eq!(parse_hex(""), Err(HexError::Length(0, 16)));
        assert_eq!(parse_hex("-1"), Err(HexError::Digit(0)));
    }
}
