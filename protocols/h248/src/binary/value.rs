//! Values of properties, parameters and statistics: encoded by their type, then wrapped into an
//! OCTET STRING (comments in A.2).

use super::ber::{self, Contents, integer, universal};
use super::naming::hex_name;
use crate::message::Value;
use crate::package::Type;

/// Reads what an octet string holds. What is no encoding of a value is text, as Erlang/OTP writes
/// it; what is no text either becomes `0x` and hexadecimal digits.
pub(super) fn read(octets: &[u8], value_type: Option<Type>) -> Value {
    typed(octets, element_type(value_type))
        .or_else(|| is_plain_text(octets).then(|| text(octets, false)))
        .unwrap_or_else(|| Value::from_wire(hex_name("0x", octets).as_bytes(), false))
}

/// The type of the elements of a sub-list, each in an octet string of its own.
fn element_type(value_type: Option<Type>) -> Option<Type> {
    match value_type {
        Some(Type::List(inner)) => Some(*inner),
        other => other,
    }
}

fn typed(octets: &[u8], value_type: Option<Type>) -> Option<Value> {
    // A printable character starts no primitive element of the types in use here.
    if octets.first().is_none_or(|&octet| octet >= b' ') {
        return None;
    }
    let element = Contents::new(octets).only("a value").ok()?;
    match (element.tag(), value_type) {
        (universal::BOOLEAN, _) => element.boolean().ok().map(Value::from),
        (universal::INTEGER, _) => Some(number(integer(element.octets)?)),
        (universal::ENUMERATED, Some(Type::Enumeration(names))) => {
            let number = integer(element.octets)?;
            let is_it = |&&(_, value): &&(&str, u32)| i64::from(value) == number;
            let name = names
                .iter()
                .find(is_it)
                .map(|&(name, _)| Value::symbol(name));
            Some(name.unwrap_or_else(|| self::number(number)))
        }
        (universal::OCTET_STRING, Some(Type::OctetString)) => {
            let string = element.string().ok()?;
            Some(Value::from_wire(
                hex_name("", &string).as_bytes(),
                string.is_empty(),
            ))
        }
        (universal::UTF8_STRING, _) => carried(&element.string().ok()?, false),
        (universal::IA5_STRING, _) => carried(&element.string().ok()?, true),
        (universal::OCTET_STRING, Some(Type::String)) => carried(&element.string().ok()?, true),
        _ => None,
    }
}

fn number(number: i64) -> Value {
    let mut digits = [0; 20];
    let mut at = digits.len();
    let mut rest = number.unsigned_abs();
    while rest > 0 || at == digits.len() {
        at -= 1;
        digits[at] = b'0' + (rest % 10) as u8;
        rest /= 10;
    }
    if number < 0 {
        at -= 1;
        digits[at] = b'-';
    }
    Value::from_wire(&digits[at..], false)
}

/// A string, if a VALUE of text can carry it.
fn carried(octets: &[u8], quoted: bool) -> Option<Value> {
    (octets.is_empty() || is_plain_text(octets)).then(|| text(octets, quoted))
}

fn is_plain_text(octets: &[u8]) -> bool {
    let carries = |&octet: &u8| octet == b'\t' || (octet >= b' ' && octet != b'"' && octet != 0x7f);
    !octets.is_empty() && octets.iter().all(carries)
}

fn text(octets: &[u8], quoted: bool) -> Value {
    let is_safe = !octets.is_empty() && octets.iter().all(|&o| crate::message::is_safe_char(o));
    Value::from_wire(octets, quoted || !is_safe)
}

/// Writes `value` into `out`, not yet wrapped. What does not fit its type is written as a string.
pub(super) fn write(value: &Value, value_type: Option<Type>, out: &mut Vec<u8>) {
    let text = value.as_bytes();
    let is_written = match element_type(value_type) {
        Some(Type::Boolean) => value
            .as_bool()
            .map(|on| ber::write_boolean(universal::BOOLEAN, on, out)),
        Some(Type::Integer | Type::Double) => value
            .as_i64()
            .map(|number| ber::write_integer(universal::INTEGER, number, out)),
        Some(Type::Enumeration(names)) => {
            let name = names.iter().find(|(name, _)| value.is(name));
            name.map(|&(_, number)| i64::from(number))
                .or_else(|| value.as_i64())
                .map(|number| ber::write_integer(universal::ENUMERATED, number, out))
        }
        Some(Type::OctetString) => octets_from_hex(text)
            .map(|octets| ber::primitive(universal::OCTET_STRING, &octets, out)),
        Some(Type::String | Type::List(_)) => None,
        None => untyped(value, out),
    };
    if is_written.is_none() {
        let is_ia5 = value.is_quoted() && text.is_ascii();
        let tag = if is_ia5 {
            universal::IA5_STRING
        } else {
            universal::UTF8_STRING
        };
        ber::primitive(tag, text, out);
    }
}

/// A value of a package that is unknown here: as it was read, or by its looks.
fn untyped(value: &Value, out: &mut Vec<u8>) -> Option<()> {
    if value.is_quoted() {
        return None;
    }
    match value.as_bytes() {
        b"ON" => ber::write_boolean(universal::BOOLEAN, true, out),
        b"OFF" => ber::write_boolean(universal::BOOLEAN, false, out),
        [b'0', b'x', digits @ ..] => out.extend(octets_from_hex(digits)?),
        text => {
            let number = value
                .as_i64()
                .filter(|&n| self::number(n).as_bytes() == text)?;
            ber::write_integer(universal::INTEGER, number, out);
        }
    }
    Some(())
}

fn octets_from_hex(digits: &[u8]) -> Option<Vec<u8>> {
    if !digits.len().is_multiple_of(2) {
        return None;
    }
    let nibble = |digit: u8| char::from(digit).to_digit(16);
    let octet = |pair: &[u8]| Some((nibble(pair[0])? << 4 | nibble(pair[1])?) as u8);
    digits.chunks_exact(2).map(octet).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const MODES: Type = Type::Enumeration(&[("slow", 1), ("fast", 2)]);

    fn assert_both_ways(value: Value, value_type: Option<Type>, octets: &[u8]) {
        let mut out = Vec::new();
        write(&value, value_type, &mut out);
        assert_eq!(out, octets, "{value:?}");
        assert_eq!(read(octets, value_type), value);
    }

    #[test]
    fn values_are_encoded_by_their_type() {
        assert_both_ways(Value::from(true), Some(Type::Boolean), &[1, 1, 0xff]);
        assert_both_ways(Value::from(40_u32), Some(Type::Integer), &[2, 1, 40]);
        assert_both_ways(Value::symbol("-2"), Some(Type::Integer), &[2, 1, 0xfe]);
        assert_both_ways(
            Value::from(1_u64 << 40),
            Some(Type::Double),
            &[2, 6, 1, 0, 0, 0, 0, 0],
        );
        assert_both_ways(Value::symbol("fast"), Some(MODES), &[10, 1, 2]);
        assert_both_ways(Value::symbol("7"), Some(MODES), &[10, 1, 7]);
        assert_both_ways(
            Value::symbol("2e0f"),
            Some(Type::OctetString),
            &[4, 2, 0x2e, 0x0f],
        );
        assert_both_ways(
            Value::quoted("a b"),
            Some(Type::String),
            &[0x16, 3, b'a', b' ', b'b'],
        );
        assert_both_ways(
            Value::symbol("ab"),
            Some(Type::String),
            &[0x0c, 2, b'a', b'b'],
        );
        assert_both_ways(
            Value::quoted("ü"),
            Some(Type::String),
            &[0x0c, 2, 0xc3, 0xbc],
        );
        assert_both_ways(
            Value::symbol("d"),
            Some(Type::List(&Type::Integer)),
            &[0x0c, 1, b'd'],
        );
        assert_both_ways(
            Value::from(3_u32),
            Some(Type::List(&Type::Integer)),
            &[2, 1, 3],
        );
        assert_both_ways(Value::symbol("0.25"), Some(Type::Double), b"\x0c\x040.25");
    }

    #[test]
    fn values_of_unknown_packages_pass() {
        assert_both_ways(Value::from(40_u32), None, &[2, 1, 40]);
        assert_both_ways(Value::from(true), None, &[1, 1, 0xff]);
        assert_both_ways(Value::symbol("007"), None, b"\x0c\x03007");
        assert_both_ways(Value::symbol("0x0a0103"), None, &[10, 1, 3]);
        assert_both_ways(Value::symbol("0x040107"), None, &[4, 1, 7]);
        assert_both_ways(Value::symbol("0xff00"), None, &[0xff, 0]);
        assert_both_ways(Value::quoted("40"), None, &[0x16, 2, b'4', b'0']);
        assert_both_ways(Value::quoted(""), None, &[0x16, 0]);
    }

    #[test]
    fn plain_text_is_read_as_it_stands() {
        assert_eq!(read(b"40", Some(Type::Integer)), Value::from(40_u32));
        assert_eq!(read(b"a b", None), Value::quoted("a b"));
        assert_eq!(read(b"$", None), Value::choose());
        assert_eq!(
            read(&[2, 9, 40], Some(Type::Integer)),
            Value::symbol("0x020928")
        );
    }
}
