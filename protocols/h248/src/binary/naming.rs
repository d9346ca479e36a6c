//! What binary names have to do with those of text, beyond packages: provisioned on both sides.

use smallvec::SmallVec;

use super::ber::{Element, Read};
use crate::error::ErrorCode;
use crate::message::{Name, PackagesItem, PkgdName, TerminationId};
use crate::package::{self, Item, Kind, Package, ParameterId};

/// Wildcard for a package or an item, comment on PkgdName in A.2.
const ALL: u16 = 0xffff;

/// TerminationID of ROOT, comment in A.2.
const ROOT: [u8; 8] = [0xff; 8];

/// Bits of a wildcard octet, A.1: ALL (else CHOOSE), this level and those below (else this one),
/// and the place of the first bit of the level, counted from the last bit of the identity.
mod wildcard {
    pub(super) const IS_ALL: u8 = 0x80;
    pub(super) const AND_BELOW: u8 = 0x40;
    pub(super) const PLACE: u8 = 0x3f;
}

/// Most levels of a termination identity.
pub const LEVELS_MAX: usize = 8;

/// How values of properties, parameters and statistics stand in their octet strings.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum ValueForm {
    /// Encoded by their type, as the comments in A.2 ask for.
    #[default]
    Typed,
    /// As their text, as Erlang/OTP does. Read in either case.
    Text,
}

/// What has to be the same on both sides of an association in binary.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Naming {
    /// How termination identities are made.
    pub terminations: Layout,
    /// Digit maps and their numbers. Others are named `x` and four hexadecimal digits.
    pub digit_maps: Vec<(Name, u16)>,
    /// How values are written.
    pub values: ValueForm,
}

impl Default for Naming {
    /// Identities of a word, a 16 bit number and a 32 bit number, as in `ip/1/17`.
    fn default() -> Self {
        Self {
            terminations: Layout::new(&[
                Level::new(16, Form::Word),
                Level::new(16, Form::Number),
                Level::new(32, Form::Number),
            ]),
            digit_maps: Vec::new(),
            values: ValueForm::default(),
        }
    }
}

/// One level of a hierarchical termination identity, clause 6.2.2.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Level {
    /// Its width in bits, 1 to 32.
    pub bits: u8,
    /// How it reads in text.
    pub form: Form,
}

impl Level {
    /// A level of this width and form.
    pub const fn new(bits: u8, form: Form) -> Self {
        Self { bits, form }
    }
}

/// How a level of a termination identity reads in text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Form {
    /// Decimal.
    Number,
    /// One binary digit for each bit, as Erlang/OTP names terminations.
    Digits,
    /// Up to three letters, digits, `_`, `-` or `.`; 16 bits.
    Word,
}

/// The levels of termination identities, the highest first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Layout(SmallVec<[Level; 3]>);

impl Layout {
    /// A layout of `levels`. What exceeds 64 bits or [`LEVELS_MAX`] levels is left out.
    pub fn new(levels: &[Level]) -> Self {
        let mut bits = 0;
        let fits = |level: &&Level| {
            bits += u32::from(level.bits);
            (1..=32).contains(&level.bits) && bits <= 64
        };
        Self(
            levels
                .iter()
                .take(LEVELS_MAX)
                .take_while(fits)
                .copied()
                .collect(),
        )
    }

    fn bits(&self) -> u32 {
        self.0.iter().map(|level| u32::from(level.bits)).sum()
    }

    /// The octets of `termination`: its wildcards and its identity; `None` when they have no room
    /// for it.
    pub(super) fn encode(&self, termination: &TerminationId) -> Option<BinaryId> {
        let text = match termination {
            TerminationId::Root => return Some(BinaryId::plain(&ROOT)),
            TerminationId::All => "*",
            TerminationId::Choose => "$",
            TerminationId::Name(name) => name.as_str(),
        };
        if let Some(octets) = text.strip_prefix("b-").and_then(octets_from_hex) {
            return Some(BinaryId::plain(&octets));
        }
        let total = self.bits();
        let mut id = BinaryId::default();
        let (mut value, mut used, mut level) = (0_u64, 0, 0);
        let mut parts = text.split('/').peekable();
        while let Some(part) = parts.next() {
            let &Level { bits, form } = self.0.get(level)?;
            level += 1;
            let place = (total - used - 1) as u8;
            used += u32::from(bits);
            let number = match part {
                "*" | "$" => {
                    let is_all = part == "*";
                    let goes_on = parts.peek().is_none() && level < self.0.len();
                    let octet = place
                        | if is_all { wildcard::IS_ALL } else { 0 }
                        | if goes_on { wildcard::AND_BELOW } else { 0 };
                    id.wildcards.push(octet);
                    0
                }
                _ => form.number(part, bits)?,
            };
            value = shift(value, bits) | u64::from(number);
        }
        let width = if id.wildcards.is_empty() { used } else { total };
        let value = value << (width - used).min(63);
        if width % 8 != 0 || width == 0 {
            return None;
        }
        let octets = (width / 8) as usize;
        id.octets
            .extend_from_slice(&value.to_be_bytes()[8 - octets..]);
        (id.octets.as_slice() != ROOT).then_some(id)
    }

    /// The termination with these octets; `None` when the wildcards are none of its levels.
    pub(super) fn decode(&self, wildcards: &[u8], octets: &[u8]) -> Option<TerminationId> {
        if wildcards.is_empty() {
            if octets == ROOT {
                return Some(TerminationId::Root);
            }
            return Some(match self.name(&[], octets) {
                Some(name) => TerminationId::from_ascii(&name),
                None => TerminationId::from_ascii(hex_name("b-", octets).as_bytes()),
            });
        }
        if let [octet] = wildcards
            && usize::from(octet & wildcard::PLACE) + 1 == 8 * octets.len()
            && (octet & wildcard::AND_BELOW != 0 || self.0.len() == 1)
        {
            let is_all = octet & wildcard::IS_ALL != 0;
            return Some(if is_all {
                TerminationId::All
            } else {
                TerminationId::Choose
            });
        }
        self.name(wildcards, octets)
            .map(|name| TerminationId::from_ascii(&name))
    }

    fn name(&self, wildcards: &[u8], octets: &[u8]) -> Option<SmallVec<[u8; 32]>> {
        let total = 8 * octets.len() as u32;
        let value = octets
            .iter()
            .fold(0_u64, |value, &octet| value << 8 | u64::from(octet));
        let mut text = SmallVec::new();
        let (mut used, mut found) = (0, 0);
        for level in &self.0 {
            if used == total {
                break;
            }
            // The level before was wider than what was left.
            let rest = total.checked_sub(used)?;
            if !text.is_empty() {
                text.push(b'/');
            }
            used += u32::from(level.bits);
            let here = |octet: &&u8| u32::from(**octet & wildcard::PLACE) + 1 == rest;
            if let Some(octet) = wildcards.iter().find(here) {
                found += 1;
                text.push(if octet & wildcard::IS_ALL != 0 {
                    b'*'
                } else {
                    b'$'
                });
                if octet & wildcard::AND_BELOW != 0 {
                    used = total;
                }
            } else {
                let shifted = value >> total.checked_sub(used)?;
                let mask = u32::MAX >> (32 - u32::from(level.bits));
                level
                    .form
                    .write(shifted as u32 & mask, level.bits, &mut text)?;
            }
        }
        (used == total && found == wildcards.len()).then_some(text)
    }
}

fn shift(value: u64, bits: u8) -> u64 {
    value.checked_shl(u32::from(bits)).unwrap_or(0)
}

/// Characters of a word, 40 to the place.
const WORD: &[u8; 40] = b" abcdefghijklmnopqrstuvwxyz0123456789_-.";

impl Form {
    fn number(self, part: &str, bits: u8) -> Option<u32> {
        let number = match self {
            Self::Number => {
                let is_shortest = part == "0" || !part.starts_with('0');
                let is_decimal = part.bytes().all(|octet| octet.is_ascii_digit());
                part.parse().ok().filter(|_| is_shortest && is_decimal)?
            }
            Self::Digits if part.len() == usize::from(bits) && !part.starts_with('+') => {
                u32::from_str_radix(part, 2).ok()?
            }
            Self::Digits => return None,
            Self::Word => {
                let mut places = [0; 3];
                if part.is_empty() || part.len() > places.len() {
                    return None;
                }
                for (place, octet) in places.iter_mut().zip(part.bytes()) {
                    let octet = octet.to_ascii_lowercase();
                    *place = WORD.iter().position(|&o| o == octet).filter(|&at| at > 0)? as u32;
                }
                (places[0] * 40 + places[1]) * 40 + places[2]
            }
        };
        (bits == 32 || number >> bits == 0).then_some(number)
    }

    fn write(self, number: u32, bits: u8, text: &mut SmallVec<[u8; 32]>) -> Option<()> {
        match self {
            Self::Number => {
                let mut digits = [0; 10];
                let mut at = digits.len();
                let mut rest = number;
                while rest > 0 || at == digits.len() {
                    at -= 1;
                    digits[at] = b'0' + (rest % 10) as u8;
                    rest /= 10;
                }
                text.extend_from_slice(&digits[at..]);
            }
            Self::Digits => {
                text.extend((0..bits).rev().map(|bit| b'0' + (number >> bit & 1) as u8))
            }
            Self::Word => {
                let places = [number / 1600, number / 40 % 40, number % 40];
                let len = places.iter().take_while(|&&place| place > 0).count();
                let is_word = len > 0 && places[len..].iter().all(|&place| place == 0);
                if !is_word || places[0] >= 40 {
                    return None;
                }
                text.extend(places[..len].iter().map(|&place| WORD[place as usize]));
            }
        }
        Some(())
    }
}

/// A TerminationID of A.2.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct BinaryId {
    pub(super) wildcards: SmallVec<[u8; 8]>,
    pub(super) octets: SmallVec<[u8; 8]>,
}

impl BinaryId {
    fn plain(octets: &[u8]) -> Self {
        Self {
            wildcards: SmallVec::new(),
            octets: SmallVec::from_slice(octets),
        }
    }
}

/// `prefix` and the octets as hexadecimal digits: how what has no name is named.
pub(super) fn hex_name(prefix: &str, octets: &[u8]) -> String {
    let mut name = String::with_capacity(prefix.len() + 2 * octets.len());
    name.push_str(prefix);
    for octet in octets {
        for nibble in [octet >> 4, octet & 15] {
            name.extend(char::from_digit(u32::from(nibble), 16));
        }
    }
    name
}

/// The octets of hexadecimal digits, 1 to 8.
fn octets_from_hex(digits: &str) -> Option<SmallVec<[u8; 8]>> {
    if !(2..=16).contains(&digits.len()) || !digits.len().is_multiple_of(2) {
        return None;
    }
    let nibble = |digit: u8| char::from(digit).to_digit(16);
    let octet = |pair: &[u8]| Some((nibble(pair[0])? << 4 | nibble(pair[1])?) as u8);
    digits.as_bytes().chunks_exact(2).map(octet).collect()
}

/// The number in the name of something without a name: `x` and four hexadecimal digits.
pub(super) fn number_from_name(name: &str) -> Option<u16> {
    let digits = name.strip_prefix(['x', 'X'])?;
    let is_hex = digits.len() == 4 && digits.bytes().all(|octet| octet.is_ascii_hexdigit());
    u16::from_str_radix(digits, 16).ok().filter(|_| is_hex)
}

pub(super) fn name_from_number(number: u16) -> Name {
    Name::from_ascii(hex_name("x", &number.to_be_bytes()).as_bytes())
}

// Packages and their items.

fn package_number(name: &str) -> Option<u16> {
    match name {
        "*" => Some(ALL),
        _ => package::find(name)
            .map(|package| package.id)
            .or_else(|| number_from_name(name)),
    }
}

/// The number of a package.
pub(super) fn encode_package(item: &PackagesItem) -> Option<u16> {
    package_number(item.name.as_str())
}

/// The name of a package.
pub(super) fn decode_package(number: u16) -> Name {
    match package::find_id(number) {
        Some(package) => Name::from_ascii(package.name.as_bytes()),
        None => name_from_number(number),
    }
}

/// Numbers of a package and an item, and what is known of the item.
pub(super) fn encode_item(kind: Kind, name: &PkgdName) -> Option<([u8; 4], Option<&'static Item>)> {
    let (package_name, item_name) = name.parts();
    let known = package::find(package_name);
    let package = match known {
        Some(package) => package.id,
        None => package_number(package_name)?,
    };
    let item = known.and_then(|package| package.item(kind, item_name));
    let number = match (item, item_name) {
        (Some(item), _) => item.binary_id(),
        (None, "*") => ALL,
        (None, text) => number_from_name(text)?,
    };
    let ([a, b], [c, d]) = (package.to_be_bytes(), number.to_be_bytes());
    Some(([a, b, c, d], item))
}

/// The name of an item, and what is known of it.
pub(super) fn decode_item(
    kind: Kind,
    element: &Element<'_>,
) -> Read<(PkgdName, Option<&'static Item>)> {
    let string = element.string()?;
    let &[a, b, c, d] = string.as_ref() else {
        return element.fault_with(ErrorCode::INCORRECT_IDENTIFIER, "package and item");
    };
    Ok(item_name(
        kind,
        u16::from_be_bytes([a, b]),
        u16::from_be_bytes([c, d]),
    ))
}

pub(super) fn item_name(
    kind: Kind,
    package: u16,
    number: u16,
) -> (PkgdName, Option<&'static Item>) {
    let known: Option<&'static Package> = package::find_id(package);
    let item = known.and_then(|package| package.item_by_id(kind, number));
    if let (Some(package), Some(item)) = (known, item) {
        return (PkgdName::new(package.name, item.name), Some(item));
    }
    let package_name = match known {
        Some(package) => Name::from_ascii(package.name.as_bytes()),
        None if package == ALL => Name::from_ascii(b"*"),
        None => name_from_number(package),
    };
    let item_name = match number {
        ALL => Name::from_ascii(b"*"),
        _ => name_from_number(number),
    };
    let name = PkgdName::new(package_name.as_str(), item_name.as_str());
    (name, None)
}

/// The number of a parameter of `item`, and what is known of it.
pub(super) fn encode_parameter(
    item: Option<&'static Item>,
    name: &Name,
) -> Option<(u16, Option<&'static ParameterId>)> {
    let parameter = item.and_then(|item| item.parameter(name.as_str()));
    match parameter {
        Some(parameter) => Some((parameter.binary_id(), Some(parameter))),
        None => Some((number_from_name(name.as_str())?, None)),
    }
}

/// The name of a parameter of `item`, and what is known of it.
pub(super) fn decode_parameter(
    item: Option<&'static Item>,
    element: &Element<'_>,
) -> Read<(Name, Option<&'static ParameterId>)> {
    let number = two_octets(element)?;
    let parameter = item.and_then(|item| item.parameter_by_id(number));
    Ok(match parameter {
        Some(parameter) => (Name::from_ascii(parameter.name.as_bytes()), Some(parameter)),
        None => (name_from_number(number), None),
    })
}

/// Name of A.2.
pub(super) fn two_octets(element: &Element<'_>) -> Read<u16> {
    match *element.string()?.as_ref() {
        [high, low] => Ok(u16::from_be_bytes([high, low])),
        _ => element.fault_with(ErrorCode::INCORRECT_IDENTIFIER, "a name of two octets"),
    }
}

impl Naming {
    pub(super) fn encode_digit_map(&self, name: &Name) -> Option<u16> {
        let known = self.digit_maps.iter().find(|(known, _)| known == name);
        known
            .map(|&(_, number)| number)
            .or_else(|| number_from_name(name.as_str()))
    }

    pub(super) fn decode_digit_map(&self, number: u16) -> Name {
        let known = self.digit_maps.iter().find(|&&(_, known)| known == number);
        match known {
            Some((name, _)) => name.clone(),
            None => name_from_number(number),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn otp() -> Layout {
        Layout::new(&[Level::new(8, Form::Digits); 3])
    }

    #[test]
    fn a_wildcard_of_a_level_wider_than_the_identity_is_none() {
        let layout = &Naming::default().terminations;
        for place in 0..=wildcard::PLACE {
            for len in 1..=8 {
                for flags in [0, wildcard::IS_ALL, wildcard::AND_BELOW] {
                    layout.decode(&[place | flags], &[1; 8][..len]);
                    layout.decode(&[place | flags, 0], &[1; 8][..len]);
                }
            }
        }
        assert_eq!(layout.decode(&[7], &[1]), None);
    }

    fn assert_both_ways(layout: &Layout, text: &str, wildcards: &[u8], octets: &[u8]) {
        let id = layout.encode(&TerminationId::new(text)).expect(text);
        assert_eq!(
            (id.wildcards.as_slice(), id.octets.as_slice()),
            (wildcards, octets),
            "{text}"
        );
        assert_eq!(
            layout.decode(wildcards, octets),
            Some(TerminationId::new(text)),
            "{text}"
        );
    }

    #[test]
    fn identities_are_made_of_the_levels_of_the_layout() {
        let layout = Naming::default().terminations;
        // "ip": 9 × 1600 + 16 × 40.
        assert_both_ways(&layout, "ip/1/17", &[], &[0x3a, 0xc0, 0, 1, 0, 0, 0, 17]);
        assert_both_ways(&layout, "ip/1", &[], &[0x3a, 0xc0, 0, 1]);
        assert_both_ways(
            &layout,
            "ip/65535/4294967295",
            &[],
            &[0x3a, 0xc0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff],
        );
        assert_both_ways(&layout, "ROOT", &[], &[0xff; 8]);
        for text in ["tdm", "a_1/2", "...", "z/0/0"] {
            let id = layout.encode(&TerminationId::new(text)).expect(text);
            assert_eq!(
                layout.decode(&[], &id.octets),
                Some(TerminationId::new(text))
            );
        }
        for text in [
            "long", "ip/x", "ip/01", "ip/65536", "ip/1/2/3", "ip//1", "a*b",
        ] {
            assert_eq!(layout.encode(&TerminationId::new(text)), None, "{text}");
        }
    }

    #[test]
    fn wildcards_name_the_first_bit_of_their_level() {
        let layout = Naming::default().terminations;
        assert_both_ways(&layout, "*", &[0xc0 | 63], &[0; 8]);
        assert_both_ways(&layout, "$", &[0x40 | 63], &[0; 8]);
        assert_both_ways(&layout, "ip/1/$", &[31], &[0x3a, 0xc0, 0, 1, 0, 0, 0, 0]);
        assert_both_ways(
            &layout,
            "ip/*",
            &[0xc0 | 47],
            &[0x3a, 0xc0, 0, 0, 0, 0, 0, 0],
        );
        assert_both_ways(
            &layout,
            "ip/*/7",
            &[0x80 | 47],
            &[0x3a, 0xc0, 0, 0, 0, 0, 0, 7],
        );
        assert_both_ways(
            &layout,
            "ip/*/$",
            &[0x80 | 47, 31],
            &[0x3a, 0xc0, 0, 0, 0, 0, 0, 0],
        );
        assert_eq!(layout.decode(&[5], &[0; 8]), None);
    }

    #[test]
    fn erlang_s_digits_are_a_layout_too() {
        assert_both_ways(&otp(), "00000001/10000000/11111111", &[], &[1, 0x80, 0xff]);
        assert_both_ways(&otp(), "00000001/*", &[0xc0 | 15], &[1, 0, 0]);
        assert_both_ways(&otp(), "00000001/$/00000011", &[15], &[1, 0, 3]);
        assert_both_ways(&otp(), "*", &[0xc0 | 23], &[0; 3]);
    }

    #[test]
    fn identities_of_another_layout_are_kept_as_octets() {
        let layout = Naming::default().terminations;
        assert_both_ways(&layout, "b-0001ff", &[], &[0, 1, 0xff]);
        assert_both_ways(
            &layout,
            "b-ffff000000000001",
            &[],
            &[0xff, 0xff, 0, 0, 0, 0, 0, 1],
        );
    }

    #[test]
    fn unknown_packages_and_items_are_named_by_their_numbers() {
        let name = PkgdName::new("x1234", "xabcd");
        assert_eq!(
            encode_item(Kind::Event, &name),
            Some(([0x12, 0x34, 0xab, 0xcd], None))
        );
        assert_eq!(item_name(Kind::Event, 0x1234, 0xabcd), (name, None));
        let name = PkgdName::new("nt", "x0099");
        assert_eq!(
            encode_item(Kind::Event, &name),
            Some(([0, 0x0b, 0, 0x99], None))
        );
        assert_eq!(item_name(Kind::Event, 0x000b, 0x0099), (name, None));
        assert_eq!(
            encode_item(Kind::Event, &PkgdName::new("odd", "x0099")),
            None
        );
        assert_eq!(encode_item(Kind::Event, &PkgdName::new("nt", "odd")), None);
        assert_eq!(item_name(Kind::Event, ALL, ALL).0, PkgdName::new("*", "*"));
        assert_eq!(number_from_name("x+123"), None);
    }
}
