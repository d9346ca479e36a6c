//! Files that `corpus.escript` writes.

use h248::binary::{Form, Layout, Level, Naming, ValueForm};
use h248::message::Name;

/// What it wrote once.
pub const MADE_ONCE: &[u8] = include_bytes!("../../testdata/binary/otp_corpus.bin");

/// The names of OTP's default configuration.
pub fn naming() -> Naming {
    let digits = || 0..10_u8;
    let maps = digits().flat_map(|high| {
        digits().map(move |low| {
            let name = Name::new(format!("dialplan{high}{low}"));
            (name, u16::from_be_bytes([high, low]))
        })
    });
    Naming {
        terminations: Layout::new(&[Level::new(8, Form::Digits); 3]),
        digit_maps: maps.collect(),
        values: ValueForm::Text,
    }
}

/// What stands behind lengths of four octets.
pub fn records(mut octets: &[u8]) -> Vec<&[u8]> {
    let mut records = Vec::new();
    while let Some((len, rest)) = octets.split_first_chunk::<4>() {
        let (record, rest) = rest.split_at(u32::from_be_bytes(*len) as usize);
        records.push(record);
        octets = rest;
    }
    records
}
