//! Basic encoding rules (X.690), as much as Annex A needs: tags of one octet, all forms of length.

use std::borrow::Cow;

use crate::error::ErrorCode;

/// Universal tags.
pub(super) mod universal {
    pub(in crate::binary) const BOOLEAN: u8 = 0x01;
    pub(in crate::binary) const INTEGER: u8 = 0x02;
    pub(in crate::binary) const OCTET_STRING: u8 = 0x04;
    pub(in crate::binary) const ENUMERATED: u8 = 0x0a;
    pub(in crate::binary) const UTF8_STRING: u8 = 0x0c;
    pub(in crate::binary) const SEQUENCE: u8 = 0x10;
    pub(in crate::binary) const IA5_STRING: u8 = 0x16;
}

/// Bit of an identifier octet: the contents are elements.
pub(super) const CONSTRUCTED: u8 = 0x20;

/// Class bits of a context-specific tag.
const CONTEXT: u8 = 0x80;

/// Tag number that announces further tag octets.
const LONG_TAG: u8 = 0x1f;

/// Deepest nesting of indefinite lengths, and of the pieces of a string.
const DEPTH_MAX: usize = 32;

pub(super) type Read<T> = Result<T, Fault>;

/// What is wrong, and where.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Fault {
    /// The code of the reply; `None` takes the code of the level around.
    pub(super) code: Option<ErrorCode>,
    /// Octets before the place.
    pub(super) offset: u32,
    /// What should have stood there.
    pub(super) expected: &'static str,
}

impl Fault {
    /// Gives faults without a code the code of their level.
    pub(super) fn within(self, code: ErrorCode) -> Self {
        Self {
            code: self.code.or(Some(code)),
            ..self
        }
    }
}

/// Elements one after the other: a message, or the contents of a constructed element.
#[derive(Clone, Copy, Debug)]
pub(super) struct Contents<'a> {
    octets: &'a [u8],
    /// Offset of the octets in the message.
    offset: u32,
}

impl<'a> Contents<'a> {
    pub(super) fn new(octets: &'a [u8]) -> Self {
        Self { octets, offset: 0 }
    }

    pub(super) fn fault<T>(&self, expected: &'static str) -> Read<T> {
        Err(Fault {
            code: None,
            offset: self.offset,
            expected,
        })
    }

    #[inline]
    pub(super) fn is_empty(&self) -> bool {
        self.octets.is_empty()
    }

    /// Octets that remain.
    pub(super) fn len(&self) -> usize {
        self.octets.len()
    }

    /// The next element.
    #[inline]
    pub(super) fn next(&mut self) -> Read<Option<Element<'a>>> {
        match *self.octets {
            [] => Ok(None),
            // What nearly all are: a tag of one octet and a length of one.
            [identifier, len @ 0..=0x7f, ref rest @ ..]
                if identifier & LONG_TAG != LONG_TAG && usize::from(len) <= rest.len() =>
            {
                let (octets, rest) = rest.split_at(usize::from(len));
                let element = Element {
                    identifier,
                    octets,
                    offset: self.offset + 2,
                };
                self.octets = rest;
                self.offset += 2 + u32::from(len);
                Ok(Some(element))
            }
            _ => self.next_long().map(Some),
        }
    }

    /// The next element, which has a longer head or is wrong.
    fn next_long(&mut self) -> Read<Element<'a>> {
        // The usual long ones.
        let (identifier, head_len, len) = match *self.octets {
            [identifier, 0x82, high, low, ..] => {
                (identifier, 4, usize::from(u16::from_be_bytes([high, low])))
            }
            [identifier, 0x81, low, ..] => (identifier, 3, usize::from(low)),
            _ => return self.next_odd(),
        };
        if identifier & LONG_TAG == LONG_TAG {
            return self.next_odd();
        }
        let Some(octets) = self.octets.get(head_len..head_len + len) else {
            return self.fault("an element within what contains it");
        };
        let element = Element {
            identifier,
            octets,
            offset: self.offset + head_len as u32,
        };
        self.octets = &self.octets[head_len + len..];
        self.offset += (head_len + len) as u32;
        Ok(element)
    }

    /// The next element, with a head of any form.
    fn next_odd(&mut self) -> Read<Element<'a>> {
        let Some(head) = Head::read(self.octets) else {
            return self.fault("a tag and a length");
        };
        let body = &self.octets[head.len..];
        let (len, end) = match head.contents {
            Some(len) => (len, head.len.saturating_add(len)),
            None => match end_of_contents(body) {
                Some(len) => (len, head.len + len + 2),
                None => return self.fault("an element that ends"),
            },
        };
        if end > self.octets.len() {
            return self.fault("an element within what contains it");
        }
        let element = Element {
            identifier: head.identifier,
            octets: &body[..len],
            offset: self.offset + head.len as u32,
        };
        self.octets = &self.octets[end..];
        self.offset += end as u32;
        Ok(element)
    }

    /// The only element.
    pub(super) fn only(mut self, expected: &'static str) -> Read<Element<'a>> {
        match self.next()? {
            Some(element) if self.is_empty() => Ok(element),
            _ => self.fault(expected),
        }
    }
}

/// Identifier and length octets.
struct Head {
    identifier: u8,
    /// Length of the contents; `None` when it is indefinite.
    contents: Option<usize>,
    /// Length of the head itself.
    len: usize,
}

impl Head {
    fn read(octets: &[u8]) -> Option<Head> {
        let (&first, rest) = octets.split_first()?;
        let mut identifier = first;
        let mut at = 1;
        if first & LONG_TAG == LONG_TAG {
            // No type of Annex A has such a tag: skipped as an unknown extension.
            at += 1 + rest.iter().take(4).position(|octet| octet & 0x80 == 0)?;
            identifier |= LONG_TAG;
        }
        let &length = octets.get(at)?;
        at += 1;
        let contents = match length {
            0..=0x7f => Some(usize::from(length)),
            0x80 if first & CONSTRUCTED != 0 => None,
            0x80 => return None,
            _ => {
                let len = usize::from(length & 0x7f);
                let digits = octets.get(at..at.checked_add(len)?)?;
                at += len;
                let significant = digits.iter().position(|&octet| octet != 0).unwrap_or(len);
                let digits = &digits[significant..];
                if digits.len() > 4 {
                    return None;
                }
                let value = digits
                    .iter()
                    .fold(0_u32, |value, &octet| value << 8 | u32::from(octet));
                Some(usize::try_from(value).ok()?)
            }
        };
        Some(Head {
            identifier,
            contents,
            len: at,
        })
    }
}

/// Length of contents of indefinite length, without the two octets that end them.
fn end_of_contents(octets: &[u8]) -> Option<usize> {
    let mut at = 0;
    let mut depth = 0;
    loop {
        let rest = octets.get(at..)?;
        if let [0, 0, ..] = rest {
            if depth == 0 {
                return Some(at);
            }
            depth -= 1;
            at += 2;
            continue;
        }
        let head = Head::read(rest)?;
        at += head.len;
        match head.contents {
            Some(len) => at = at.checked_add(len)?,
            None if depth == DEPTH_MAX => return None,
            None => depth += 1,
        }
    }
}

/// An element: its tag and what it contains.
#[derive(Clone, Copy, Debug)]
pub(super) struct Element<'a> {
    identifier: u8,
    pub(super) octets: &'a [u8],
    /// Offset of the contents in the message.
    pub(super) offset: u32,
}

impl<'a> Element<'a> {
    /// Number of a context-specific tag, `None` for other classes and further octets.
    #[inline]
    pub(super) fn number(&self) -> Option<u8> {
        let number = self.identifier & LONG_TAG;
        (self.identifier & 0xc0 == CONTEXT && number != LONG_TAG).then_some(number)
    }

    #[inline]
    pub(super) fn is_universal(&self, tag: u8) -> bool {
        self.identifier & !CONSTRUCTED == tag
    }

    /// Class and number.
    pub(super) fn tag(&self) -> u8 {
        self.identifier & !CONSTRUCTED
    }

    pub(super) fn fault<T>(&self, expected: &'static str) -> Read<T> {
        Err(Fault {
            code: None,
            offset: self.offset,
            expected,
        })
    }

    pub(super) fn fault_with<T>(&self, code: ErrorCode, expected: &'static str) -> Read<T> {
        Err(Fault {
            code: Some(code),
            offset: self.offset,
            expected,
        })
    }

    /// The elements inside.
    #[inline]
    pub(super) fn contents(&self) -> Read<Contents<'a>> {
        if self.identifier & CONSTRUCTED == 0 {
            return self.fault("a constructed element");
        }
        Ok(Contents {
            octets: self.octets,
            offset: self.offset,
        })
    }

    /// The alternative of a CHOICE that has a tag of its own around it.
    pub(super) fn choice(&self) -> Read<Element<'a>> {
        self.contents()?.only("one alternative")
    }

    /// A non-negative INTEGER up to `max`.
    pub(super) fn unsigned(&self, max: u32) -> Read<u32> {
        match integer(self.octets) {
            Some(value) if (0..=i64::from(max)).contains(&value) => Ok(value as u32),
            _ => self.fault("a number in its range"),
        }
    }

    pub(super) fn u8(&self, max: u8) -> Read<u8> {
        self.unsigned(u32::from(max)).map(|value| value as u8)
    }

    pub(super) fn u16(&self) -> Read<u16> {
        self.unsigned(u32::from(u16::MAX)).map(|value| value as u16)
    }

    pub(super) fn u32(&self) -> Read<u32> {
        self.unsigned(u32::MAX)
    }

    pub(super) fn boolean(&self) -> Read<bool> {
        match self.octets {
            [octet] => Ok(*octet != 0),
            _ => self.fault("TRUE or FALSE"),
        }
    }

    pub(super) fn null(&self) -> Read<()> {
        if self.octets.is_empty() {
            Ok(())
        } else {
            self.fault("NULL")
        }
    }

    /// An OCTET STRING or character string, put together where it comes in pieces.
    #[inline]
    pub(super) fn string(&self) -> Read<Cow<'a, [u8]>> {
        if self.identifier & CONSTRUCTED == 0 {
            return Ok(Cow::Borrowed(self.octets));
        }
        self.pieces().map(Cow::Owned)
    }

    /// The octets of a string in pieces.
    fn pieces(&self) -> Read<Vec<u8>> {
        let mut whole = Vec::new();
        let mut open = vec![self.contents()?];
        while let Some(mut pieces) = open.pop() {
            let Some(piece) = pieces.next()? else {
                continue;
            };
            open.push(pieces);
            if piece.identifier & CONSTRUCTED == 0 {
                whole.extend_from_slice(piece.octets);
            } else if open.len() < DEPTH_MAX {
                open.push(piece.contents()?);
            } else {
                return piece.fault("a string in fewer pieces");
            }
        }
        Ok(whole)
    }

    /// The bits of a BIT STRING, the first in the lowest place; beyond 32 they are left out.
    pub(super) fn bits(&self) -> Read<u32> {
        let string = self.string()?;
        let Some((&unused, octets)) = string.split_first() else {
            return self.fault("a BIT STRING");
        };
        if unused > 7 || (octets.is_empty() && unused > 0) {
            return self.fault("a BIT STRING");
        }
        let mut bits = 0;
        for (index, octet) in octets.iter().take(4).enumerate() {
            bits |= u32::from(octet.reverse_bits()) << (8 * index);
        }
        let len = 8 * octets.len() - usize::from(unused);
        Ok(if len < 32 {
            bits & ((1 << len) - 1)
        } else {
            bits
        })
    }
}

/// A two's complement number of 1 to 8 octets; longer with insignificant octets in front.
pub(super) fn integer(octets: &[u8]) -> Option<i64> {
    let (&first, _) = octets.split_first()?;
    let sign = if first & 0x80 == 0 { 0 } else { 0xff };
    let excess = octets.len().saturating_sub(8);
    if octets[..excess].iter().any(|&octet| octet != sign) {
        return None;
    }
    let digits = &octets[excess..];
    if excess > 0 && (digits[0] ^ sign) & 0x80 != 0 {
        return None;
    }
    let start = if sign == 0 { 0 } else { -1 };
    Some(
        digits
            .iter()
            .fold(start, |value: i64, &octet| value << 8 | i64::from(octet)),
    )
}

/// The fields of a SEQUENCE with automatic tags, asked for in their order.
pub(super) struct Fields<'a> {
    contents: Contents<'a>,
    /// The greatest tag asked for.
    asked: u8,
}

impl<'a> Fields<'a> {
    #[inline]
    pub(super) fn of(element: &Element<'a>) -> Read<Self> {
        Ok(Self {
            contents: element.contents()?,
            asked: 0,
        })
    }

    /// Takes the field with tag `number`, if it is there.
    #[inline]
    pub(super) fn take(&mut self, number: u8) -> Read<Option<Element<'a>>> {
        self.asked = number;
        match self.contents.octets.first() {
            Some(identifier) if identifier & !CONSTRUCTED == CONTEXT | number => {
                self.contents.next()
            }
            _ => Ok(None),
        }
    }

    /// Reads the field with tag `number`, if it is there.
    #[inline]
    pub(super) fn optional<T>(
        &mut self,
        number: u8,
        read: impl FnOnce(Element<'a>) -> Read<T>,
    ) -> Read<Option<T>> {
        match self.take(number)? {
            Some(element) => read(element).map(Some),
            None => Ok(None),
        }
    }

    /// Reads the field with tag `number`, which must be there.
    #[inline]
    pub(super) fn required<T>(
        &mut self,
        number: u8,
        expected: &'static str,
        read: impl FnOnce(Element<'a>) -> Read<T>,
    ) -> Read<T> {
        match self.take(number)? {
            Some(element) => read(element),
            None => self.missing(expected),
        }
    }

    #[cold]
    fn missing<T>(&mut self, expected: &'static str) -> Read<T> {
        match self.contents.next()? {
            Some(other) => other.fault(expected),
            None => self.contents.fault(expected),
        }
    }

    /// True when the field with tag `number` is there.
    #[inline]
    pub(super) fn flag(&mut self, number: u8) -> Read<bool> {
        match self.take(number)? {
            Some(element) => element.null().map(|()| true),
            None => Ok(false),
        }
    }

    /// Skips extensions; a field that was asked for does not stand among them.
    #[inline]
    pub(super) fn end(self) -> Read<()> {
        if self.contents.is_empty() {
            return Ok(());
        }
        self.extensions()
    }

    fn extensions(mut self) -> Read<()> {
        while let Some(element) = self.contents.next()? {
            if element.number().is_some_and(|number| number <= self.asked) {
                return element.fault("each field once and in its order");
            }
        }
        Ok(())
    }
}

// Writing: definite lengths in the shortest form.

/// A primitive element.
pub(super) fn primitive(tag: u8, octets: &[u8], out: &mut Vec<u8>) {
    out.push(tag);
    write_length(octets.len(), out);
    out.extend_from_slice(octets);
}

/// An INTEGER or ENUMERATED.
pub(super) fn write_integer(tag: u8, value: i64, out: &mut Vec<u8>) {
    // One bit beside those that are not all alike is the sign.
    let alike = (if value < 0 { !value } else { value }).leading_zeros() as usize;
    let excess = (alike - 1) / 8;
    primitive(tag, &value.to_be_bytes()[excess..], out);
}

/// A BOOLEAN.
pub(super) fn write_boolean(tag: u8, value: bool, out: &mut Vec<u8>) {
    primitive(tag, &[if value { 0xff } else { 0 }], out);
}

/// A BIT STRING of named bits: zeros at its end are left out.
pub(super) fn write_bits(tag: u8, bits: u16, out: &mut Vec<u8>) {
    let [low, high] = bits.to_le_bytes().map(u8::reverse_bits);
    let len = (u16::BITS - bits.leading_zeros()).div_ceil(8) as usize;
    let unused = match len {
        0 => 0,
        1 => low.trailing_zeros() as u8,
        _ => high.trailing_zeros() as u8,
    };
    primitive(tag, &[unused, low, high][..=len], out);
}

/// Opens a constructed element; [`close`] gives it its length, for which there is room for one
/// octet.
pub(super) fn open(tag: u8, out: &mut Vec<u8>) -> usize {
    out.extend_from_slice(&[tag | CONSTRUCTED, 0]);
    out.len()
}

/// Closes the element whose contents start at `start`.
#[inline]
pub(super) fn close(start: usize, out: &mut Vec<u8>) {
    let len = out.len() - start;
    if len < 0x80 {
        out[start - 1] = len as u8;
    } else {
        close_long(start, len, out);
    }
}

fn close_long(start: usize, len: usize, out: &mut Vec<u8>) {
    let digits = len_digits(len);
    let significant = &digits[digits.iter().take_while(|&&octet| octet == 0).count()..];
    let moved = significant.len();
    out.extend_from_slice(significant);
    out.copy_within(start..start + len, start + moved);
    out[start..start + moved].copy_from_slice(significant);
    out[start - 1] = 0x80 | moved as u8;
}

/// Opens a constructed element that is likely to have more than 255 octets; [`close_large`] gives
/// it its length, for which there is room for three octets.
pub(super) fn open_large(tag: u8, out: &mut Vec<u8>) -> usize {
    out.extend_from_slice(&[tag | CONSTRUCTED, 0x82, 0, 0]);
    out.len()
}

/// Closes the element that [`open_large`] opened.
pub(super) fn close_large(start: usize, out: &mut Vec<u8>) {
    let len = out.len() - start;
    let excess = match len {
        0x100..=0xffff => {
            out[start - 2] = (len >> 8) as u8;
            out[start - 1] = len as u8;
            return;
        }
        0x1_0000.. => return close_huge(start, len, out),
        0x80.. => {
            out[start - 3] = 0x81;
            out[start - 2] = len as u8;
            1
        }
        _ => {
            out[start - 3] = len as u8;
            2
        }
    };
    out.copy_within(start.., start - excess);
    out.truncate(out.len() - excess);
}

fn close_huge(start: usize, len: usize, out: &mut Vec<u8>) {
    let digits = len_digits(len);
    out.extend_from_slice(&[0, 0]);
    out.copy_within(start..start + len, start + 2);
    out[start - 3] = 0x84;
    out[start - 2..start + 2].copy_from_slice(&digits);
}

/// Length octets.
pub(super) fn write_length(len: usize, out: &mut Vec<u8>) {
    if len < 0x80 {
        out.push(len as u8);
        return;
    }
    let digits = len_digits(len);
    let significant = &digits[digits.iter().take_while(|&&octet| octet == 0).count()..];
    out.push(0x80 | significant.len() as u8);
    out.extend_from_slice(significant);
}

fn len_digits(len: usize) -> [u8; 4] {
    u32::try_from(len).unwrap_or(u32::MAX).to_be_bytes()
}

/// Wraps `contents` into an element.
pub(super) fn wrap(tag: u8, contents: &[u8], out: &mut Vec<u8>) {
    out.push(tag | CONSTRUCTED);
    write_length(contents.len(), out);
    out.extend_from_slice(contents);
}

/// Octets of an element with contents of `len` octets.
pub(super) fn element_len(len: usize) -> usize {
    let length = match len {
        0..0x80 => 1,
        0x80..0x100 => 2,
        0x100..0x1_0000 => 3,
        _ => 5,
    };
    1 + length + len
}

#[cfg(test)]
mod tests {
    use super::*;

    fn element(octets: &[u8]) -> Read<Element<'_>> {
        Contents::new(octets).only("an element")
    }

    #[test]
    fn all_forms_of_length_are_read() {
        for octets in [
            &[0x04, 2, 7, 8][..],
            &[0x04, 0x81, 2, 7, 8],
            &[0x04, 0x84, 0, 0, 0, 2, 7, 8],
            &[0x04, 0x86, 0, 0, 0, 0, 0, 2, 7, 8],
            &[0x24, 6, 4, 1, 7, 4, 1, 8],
            &[0x24, 0x80, 4, 1, 7, 0x24, 0x80, 4, 1, 8, 0, 0, 0, 0],
        ] {
            let string = element(octets).and_then(|element| Ok(element.string()?.into_owned()));
            assert!(
                matches!(string.as_deref(), Ok([7, 8])),
                "{octets:?}: {string:?}"
            );
        }
    }

    #[test]
    fn lengths_beyond_their_element_are_refused() {
        for octets in [
            &[0x04][..],
            &[0x04, 1],
            &[0x04, 0x85, 1, 0, 0, 0, 0],
            &[0x04, 0x88],
            &[0x04, 0x80, 0, 0],
            &[0x24, 0x80, 4, 1, 7, 0],
            &[0x24, 0x80, 4, 0x84, 0xff, 0xff, 0xff, 0xff],
            &[0x1f, 0xff, 0xff, 0xff, 0xff, 0x01, 0],
        ] {
            assert!(element(octets).is_err(), "{octets:?}");
        }
        let deep = [0x24, 0x80].repeat(1000);
        assert!(element(&deep).is_err());
        let mut pieces = vec![];
        for _ in 0..DEPTH_MAX + 1 {
            let inner = std::mem::take(&mut pieces);
            wrap(0x04, &inner, &mut pieces);
        }
        assert!(element(&pieces).is_ok_and(|element| element.string().is_err()));
    }

    #[test]
    fn numbers_are_two_s_complement_of_least_length() {
        for (value, octets) in [
            (0_i64, &[0][..]),
            (127, &[0x7f]),
            (128, &[0, 0x80]),
            (-1, &[0xff]),
            (-128, &[0x80]),
            (-129, &[0xff, 0x7f]),
            (0xffff_ffff, &[0, 0xff, 0xff, 0xff, 0xff]),
            (i64::MIN, &[0x80, 0, 0, 0, 0, 0, 0, 0]),
        ] {
            let mut out = Vec::new();
            write_integer(0x02, value, &mut out);
            assert_eq!(out[2..], *octets);
            assert_eq!(integer(octets), Some(value));
        }
        assert_eq!(integer(&[0, 0, 0, 0, 0, 0, 0, 0, 0, 5]), Some(5));
        assert_eq!(integer(&[0, 0x80, 0, 0, 0, 0, 0, 0, 0]), None);
        assert_eq!(integer(&[1, 0, 0, 0, 0, 0, 0, 0, 0]), None);
        assert_eq!(integer(&[]), None);
    }

    #[test]
    fn named_bits_keep_their_places_and_lose_zeros_at_the_end() {
        for (bits, octets) in [
            (0_u16, &[0][..]),
            (0b1, &[7, 0x80]),
            (0b100, &[5, 0x20]),
            (1 << 8 | 1, &[7, 0x80, 0x80]),
            (0x3ff, &[6, 0xff, 0xc0]),
        ] {
            let mut out = Vec::new();
            write_bits(0x80, bits, &mut out);
            assert_eq!(out[2..], *octets, "{bits:b}");
            assert_eq!(element(&out).and_then(|e| e.bits()), Ok(u32::from(bits)));
        }
    }

    #[test]
    fn long_elements_get_long_lengths() {
        for len in [0, 127, 128, 255, 256, 65_535, 65_536] {
            let mut out = vec![9];
            let start = open(0xa0, &mut out);
            out.resize(start + len, 7);
            close(start, &mut out);
            let mut wrapped = vec![9];
            wrap(0xa0, &vec![7; len], &mut wrapped);
            assert_eq!(out, wrapped);
            let mut large = vec![9];
            let start = open_large(0xa0, &mut large);
            large.resize(start + len, 7);
            close_large(start, &mut large);
            let read = element(&large[1..]).unwrap();
            assert_eq!(
                (read.octets.len(), read.offset),
                (len, large.len() as u32 - 1 - len as u32)
            );
            if len < 0x1_0000 {
                assert_eq!(large, wrapped);
            }
            assert!(out.len() - 1 <= element_len(len));
            assert_eq!(element(&out[1..]).map(|e| e.octets.len()), Ok(len));
        }
    }
}
