//! The grammar of digit maps, B.2.

use super::{Fault, POSITIONS_MAX, Position, Symbol, Timing};

/// The positions of all alternatives, each followed by its end, and where each begins.
pub(super) fn alternatives(body: &[u8]) -> Result<(Vec<Position>, Vec<u16>), Fault> {
    let mut reader = Reader { body, at: 0 };
    let mut parsed = Parsed::default();
    reader.skip_space();
    let is_list = reader.take(b'(');
    loop {
        alternative(&mut reader, &mut parsed)?;
        if !is_list || !reader.take(b'|') {
            break;
        }
    }
    if is_list && !reader.take(b')') || reader.peek().is_some() {
        return reader.fault();
    }
    Ok((parsed.positions, parsed.starts))
}

#[derive(Default)]
struct Parsed {
    positions: Vec<Position>,
    starts: Vec<u16>,
}

impl Parsed {
    fn push(&mut self, position: Position) -> Result<(), Fault> {
        if self.positions.len() >= POSITIONS_MAX {
            return Err(Fault::Limit);
        }
        self.positions.push(position);
        Ok(())
    }
}

const _: () = assert!(POSITIONS_MAX <= u16::MAX as usize);

/// digitString: positions, each perhaps repeated, with timing specifiers between them.
fn alternative(reader: &mut Reader<'_>, parsed: &mut Parsed) -> Result<(), Fault> {
    let first = parsed.positions.len();
    let mut timing = None;
    let mut is_long = false;
    while let Some(octet) = reader.peek().filter(|octet| !b"|)".contains(octet)) {
        let given = match octet.to_ascii_uppercase() {
            b'T' => Some(Timing::Start),
            b'S' => Some(Timing::Short),
            b'L' => Some(Timing::Long),
            _ => None,
        };
        // The modifier stands before the symbols that it is about.
        if is_long && (given.is_some() || octet.eq_ignore_ascii_case(&b'Z')) {
            return reader.fault();
        }
        if given.is_some() {
            timing = given;
            reader.advance();
        } else if octet.eq_ignore_ascii_case(&b'Z') {
            is_long = true;
            reader.advance();
        } else {
            let symbols = symbols(reader)?;
            parsed.push(Position {
                symbols,
                is_long: std::mem::take(&mut is_long),
                repeats: reader.take(b'.'),
                timing,
            })?;
        }
    }
    if is_long || parsed.positions.len() == first {
        return reader.fault();
    }
    let end = Position {
        symbols: 0,
        is_long: false,
        repeats: false,
        timing,
    };
    parsed.push(end)?;
    // No more than POSITIONS_MAX.
    parsed.starts.push(first as u16);
    Ok(())
}

/// digitPosition: a symbol, `x`, or a set in brackets.
fn symbols(reader: &mut Reader<'_>) -> Result<u32, Fault> {
    if reader.take(b'x') || reader.take(b'X') {
        return Ok(DIGITS);
    }
    if !reader.take(b'[') {
        return reader.symbol().map(Symbol::set);
    }
    let mut set = 0;
    while !reader.take(b']') {
        let first = reader.symbol()?;
        let last = match reader.take(b'-') {
            true => reader.symbol()?,
            false => first,
        };
        if last < first || (first.0 <= 9) != (last.0 <= 9) {
            return reader.fault();
        }
        set |= (first.0..=last.0).fold(0, |set, symbol| set | Symbol(symbol).set());
    }
    match set {
        0 => reader.fault(),
        set => Ok(set),
    }
}

/// 0 to 9.
const DIGITS: u32 = 0x3ff;

/// The map, read octet by octet; white space may stand anywhere.
struct Reader<'a> {
    body: &'a [u8],
    at: usize,
}

impl Reader<'_> {
    fn peek(&self) -> Option<u8> {
        self.body.get(self.at).copied()
    }

    fn advance(&mut self) {
        self.at += 1;
        self.skip_space();
    }

    fn skip_space(&mut self) {
        while self.peek().is_some_and(|octet| octet.is_ascii_whitespace()) {
            self.at += 1;
        }
    }

    fn take(&mut self, octet: u8) -> bool {
        let is_it = self.peek() == Some(octet);
        if is_it {
            self.advance();
        }
        is_it
    }

    fn symbol(&mut self) -> Result<Symbol, Fault> {
        let symbol = self
            .peek()
            .and_then(|octet| Symbol::from_char(octet.into()));
        match symbol {
            Some(symbol) => {
                self.advance();
                Ok(symbol)
            }
            None => self.fault(),
        }
    }

    fn fault<T>(&self) -> Result<T, Fault> {
        Err(Fault::Malformed(self.at))
    }
}
