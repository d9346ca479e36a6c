//! Subscribers as people write them: the columns of `subscriber import`, the flags of `subscriber
//! add`.
//!
//! A [`Draft`] is the texts of one subscriber, [`Draft::build`] the one place that judges them.
//! [`Import`] reads drafts from CSV with a header row and gives each error its line, column, value
//! and remedy.

use std::collections::HashMap;
use std::fmt;

use crate::auth::{DigestHash, HexError, Milenage, Secret, Sqn, parse_hex_exact};
use crate::store::{Aka, IMPUS_MAX, IdentityError, Impi, Impu, Subscriber, SubscriberFault};

/// The texts of one subscriber; an empty text is as good as none.
#[derive(Clone, Copy, Default)]
pub struct Draft<'a> {
    /// Private identity, `username@realm`.
    pub impi: &'a str,
    /// Public identities separated by blanks; none means `sip:` and the IMPI.
    pub impus: Option<&'a str>,
    /// K, 32 hexadecimal digits.
    pub k: Option<&'a str>,
    /// OP, 32 hexadecimal digits.
    pub op: Option<&'a str>,
    /// OPc, 32 hexadecimal digits, in place of OP.
    pub opc: Option<&'a str>,
    /// AMF, 4 hexadecimal digits; none means [`AMF_DEFAULT`].
    pub amf: Option<&'a str>,
    /// SQN last used, up to 12 hexadecimal digits; none means 0.
    pub sqn: Option<&'a str>,
    /// Password for SIP Digest, as it stands: blanks count.
    pub password: Option<&'a str>,
}

/// AMF where none is given: the separation bit set, TS 33.102 Annex H.
pub const AMF_DEFAULT: [u8; 2] = [0x80, 0x00];

/// A column of the import file, a flag of `subscriber add`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Column {
    /// `impi`
    Impi,
    /// `impus`
    Impus,
    /// `k`
    K,
    /// `op`
    Op,
    /// `opc`
    Opc,
    /// `amf`
    Amf,
    /// `sqn`
    Sqn,
    /// `password`
    Password,
}

/// What is wrong with one field, in words for the operator. Shows no key and no password.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FieldError {
    /// Which field.
    pub column: Column,
    /// What stands there; `None` for secrets and for fields that are missing.
    pub value: Option<String>,
    /// What is wrong with it.
    pub problem: Problem,
}

/// What can be wrong with a field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Problem {
    /// Nothing stands there, and something must.
    Missing,
    /// Not an identity.
    Identity(IdentityError),
    /// The list of public identities is not fit.
    Impus(SubscriberFault),
    /// Not the hexadecimal number it should be.
    Hex(HexError),
    /// A key without the other part it needs.
    Needs(&'static str),
    /// Two fields of which only one may stand.
    Excludes(&'static str),
    /// No credentials at all.
    NoCredentials,
    /// The same identity stands on an earlier line.
    Repeated {
        /// That line.
        line: u64,
    },
}

impl<'a> Draft<'a> {
    /// Judges the texts.
    ///
    /// `realm` is the realm in which SIP Digest challenges; none means the realm of the IMPI.
    ///
    /// # Errors
    /// The first field that is wrong.
    pub fn build(&self, realm: Option<&str>) -> Result<Subscriber, FieldError> {
        let impi = self.impi()?;
        let impus = self.impus(&impi)?;
        let mut subscriber = Subscriber::new(impi, impus);
        subscriber.check().map_err(|fault| FieldError {
            column: Column::Impus,
            value: self.impus.map(str::to_owned),
            problem: Problem::Impus(fault),
        })?;
        subscriber.aka = self.aka()?;
        subscriber.digest = self
            .password
            .filter(|text| !text.is_empty())
            .map(|password| {
                let impi = &subscriber.impi;
                DigestHash::of_password(impi.as_str(), realm.unwrap_or(impi.realm()), password)
            });
        if subscriber.aka.is_none() && subscriber.digest.is_none() {
            return Err(FieldError {
                column: Column::K,
                value: None,
                problem: Problem::NoCredentials,
            });
        }
        Ok(subscriber)
    }

    fn impi(&self) -> Result<Impi, FieldError> {
        let text = self.impi.trim();
        if text.is_empty() {
            return Err(FieldError {
                column: Column::Impi,
                value: None,
                problem: Problem::Missing,
            });
        }
        Impi::parse(text).map_err(|error| identity_error(Column::Impi, text, error))
    }

    fn impus(&self, impi: &Impi) -> Result<Vec<Impu>, FieldError> {
        let Some(texts) = given(self.impus) else {
            let text = format!("sip:{impi}");
            return Impu::parse(&text)
                .map(|impu| vec![impu])
                .map_err(|error| identity_error(Column::Impus, &text, error));
        };
        texts
            .split_whitespace()
            .take(IMPUS_MAX + 1)
            .map(|text| {
                Impu::parse(text).map_err(|error| identity_error(Column::Impus, text, error))
            })
            .collect()
    }

    fn aka(&self) -> Result<Option<Aka>, FieldError> {
        let missing = |column, problem| FieldError {
            column,
            value: None,
            problem,
        };
        let Some(k) = given(self.k) else {
            let others = [
                (Column::Op, self.op),
                (Column::Opc, self.opc),
                (Column::Amf, self.amf),
                (Column::Sqn, self.sqn),
            ];
            return match others.into_iter().find(|(_, text)| given(*text).is_some()) {
                Some((column, _)) => Err(missing(column, Problem::Needs("k"))),
                None => Ok(None),
            };
        };
        let k = secret(Column::K, k)?;
        let opc = match (given(self.op), given(self.opc)) {
            (Some(_), Some(_)) => return Err(missing(Column::Op, Problem::Excludes("opc"))),
            (None, None) => return Err(missing(Column::K, Problem::Needs("op or opc"))),
            (Some(op), None) => Milenage::opc(&k, &secret(Column::Op, op)?),
            (None, Some(opc)) => secret(Column::Opc, opc)?,
        };
        Ok(Some(Aka {
            k: Secret(k),
            opc: Secret(opc),
            amf: self.amf()?,
            sqn: self.sqn()?,
        }))
    }

    fn amf(&self) -> Result<[u8; 2], FieldError> {
        let Some(text) = given(self.amf) else {
            return Ok(AMF_DEFAULT);
        };
        parse_hex_exact(text).map_err(|error| FieldError {
            column: Column::Amf,
            value: Some(text.to_owned()),
            problem: Problem::Hex(error),
        })
    }

    fn sqn(&self) -> Result<Sqn, FieldError> {
        let Some(text) = given(self.sqn) else {
            return Ok(Sqn::ZERO);
        };
        Sqn::parse(text).ok_or_else(|| {
            let digit = text.chars().position(|c| !c.is_ascii_hexdigit());
            let length = HexError::Length(text.chars().count(), SQN_DIGITS);
            FieldError {
                column: Column::Sqn,
                value: Some(text.to_owned()),
                problem: Problem::Hex(digit.map_or(length, HexError::Digit)),
            }
        })
    }
}

/// Hexadecimal digits of SQN.
const SQN_DIGITS: usize = 12;

/// A field that says something.
fn given(text: Option<&str>) -> Option<&str> {
    text.map(str::trim).filter(|text| !text.is_empty())
}

fn secret(column: Column, text: &str) -> Result<[u8; 16], FieldError> {
    parse_hex_exact(text).map_err(|error| FieldError {
        column,
        value: None,
        problem: Problem::Hex(error),
    })
}

fn identity_error(column: Column, text: &str, error: IdentityError) -> FieldError {
    FieldError {
        column,
        value: Some(text.to_owned()),
        problem: Problem::Identity(error),
    }
}

/// Reads subscribers from CSV. Iterate to the end: an error does not hide those after it.
///
/// For all-or-nothing collect into a `Result` or gather the errors, then store with one
/// [`Operation::Import`](crate::store::Operation::Import).
pub struct Import<'a> {
    rows: csv::StringRecordsIntoIter<&'a [u8]>,
    lines: Lines<'a>,
    columns: Vec<Column>,
    realm: Option<String>,
    impis: HashMap<Impi, u64>,
    impus: HashMap<Impu, u64>,
    ended: bool,
}

/// A subscriber and the line it stands on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Imported {
    /// Line in the file, from 1.
    pub line: u64,
    /// The subscriber.
    pub subscriber: Subscriber,
}

/// What is wrong with an import file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ImportError {
    /// The file has no header row.
    Empty,
    /// The header names a column that does not exist.
    UnknownColumn {
        /// Position from 1.
        position: usize,
        /// Its name.
        name: String,
    },
    /// The header names a column twice.
    RepeatedColumn(Column),
    /// The header lacks the column `impi`.
    NoImpiColumn,
    /// A row has another number of fields than the header.
    Fields {
        /// Line in the file, from 1.
        line: u64,
        /// Fields there.
        found: u64,
        /// Fields of the header.
        expected: u64,
    },
    /// A row is not UTF-8.
    NotUtf8 {
        /// Line in the file, from 1.
        line: u64,
    },
    /// A field is wrong.
    Field {
        /// Line in the file, from 1.
        line: u64,
        /// The field.
        error: FieldError,
    },
    /// More rows than [`IMPORT_ROWS_MAX`].
    TooManyRows,
}

/// Most rows of one file: what is imported in one transaction must fit in memory a few times over.
pub const IMPORT_ROWS_MAX: usize = 1_000_000;

impl<'a> Import<'a> {
    /// Reads the header row of a file's bytes. `realm` as in [`Draft::build`].
    ///
    /// # Errors
    /// The header is missing or wrong.
    pub fn new(file: &'a [u8], realm: Option<&str>) -> Result<Self, ImportError> {
        let mut lines = Lines::new(file);
        let mut reader = csv::ReaderBuilder::new()
            .comment(Some(b'#'))
            .trim(csv::Trim::Headers)
            .from_reader(file);
        let header = reader.headers().map_err(|error| lines.csv_error(error))?;
        if header.is_empty() {
            return Err(ImportError::Empty);
        }
        let mut columns = Vec::with_capacity(header.len());
        for (index, name) in header.iter().enumerate() {
            let column = Column::from_name(name).ok_or_else(|| ImportError::UnknownColumn {
                position: index + 1,
                name: name.to_owned(),
            })?;
            if columns.contains(&column) {
                return Err(ImportError::RepeatedColumn(column));
            }
            columns.push(column);
        }
        if !columns.contains(&Column::Impi) {
            return Err(ImportError::NoImpiColumn);
        }
        Ok(Self {
            rows: reader.into_records(),
            lines,
            columns,
            realm: realm.map(str::to_owned),
            impis: HashMap::new(),
            impus: HashMap::new(),
            ended: false,
        })
    }

    fn row(&mut self, row: &csv::StringRecord) -> Result<Imported, ImportError> {
        let line = self.lines.of(row.position());
        let field = |error| ImportError::Field { line, error };
        let mut draft = Draft::default();
        for (&column, text) in self.columns.iter().zip(row.iter()) {
            *match column {
                Column::Impi => {
                    draft.impi = text;
                    continue;
                }
                Column::Impus => &mut draft.impus,
                Column::K => &mut draft.k,
                Column::Op => &mut draft.op,
                Column::Opc => &mut draft.opc,
                Column::Amf => &mut draft.amf,
                Column::Sqn => &mut draft.sqn,
                Column::Password => &mut draft.password,
            } = Some(text);
        }
        let subscriber = draft.build(self.realm.as_deref()).map_err(field)?;
        self.check_repeated(&subscriber, line).map_err(field)?;
        Ok(Imported { line, subscriber })
    }

    fn check_repeated(&mut self, subscriber: &Subscriber, line: u64) -> Result<(), FieldError> {
        let repeated = |column, value: &str, line| FieldError {
            column,
            value: Some(value.to_owned()),
            problem: Problem::Repeated { line },
        };
        if let Some(&earlier) = self.impis.get(&subscriber.impi) {
            return Err(repeated(Column::Impi, subscriber.impi.as_str(), earlier));
        }
        self.impis.insert(subscriber.impi.clone(), line);
        for identity in &subscriber.impus {
            if let Some(earlier) = self.impus.insert(identity.uri.clone(), line) {
                return Err(repeated(Column::Impus, identity.uri.as_str(), earlier));
            }
        }
        Ok(())
    }
}

impl Iterator for Import<'_> {
    type Item = Result<Imported, ImportError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.ended {
            return None;
        }
        if self.impis.len() == IMPORT_ROWS_MAX {
            self.ended = true;
            return self.rows.next().map(|_| Err(ImportError::TooManyRows));
        }
        Some(match self.rows.next()? {
            Ok(row) => self.row(&row),
            Err(error) => Err(self.lines.csv_error(error)),
        })
    }
}

impl Column {
    const ALL: [Column; 8] = [
        Column::Impi,
        Column::Impus,
        Column::K,
        Column::Op,
        Column::Opc,
        Column::Amf,
        Column::Sqn,
        Column::Password,
    ];

    /// The name in the header row and of the flag.
    pub const fn name(self) -> &'static str {
        match self {
            Column::Impi => "impi",
            Column::Impus => "impus",
            Column::K => "k",
            Column::Op => "op",
            Column::Opc => "opc",
            Column::Amf => "amf",
            Column::Sqn => "sqn",
            Column::Password => "password",
        }
    }

    fn from_name(name: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|column| column.name().eq_ignore_ascii_case(name))
    }

    /// What may stand there.
    const fn remedy(self) -> &'static str {
        match self {
            Column::Impi => "write a private identity like 001010000000001@ims.example",
            Column::Impus => {
                "write public identities like sip:alice@ims.example or tel:+15550100, separated by blanks, \
                 or leave the field empty for sip: and the IMPI"
            }
            Column::K | Column::Op | Column::Opc => "write 32 hexadecimal digits",
            Column::Amf => "write 4 hexadecimal digits, or leave it empty for 8000",
            Column::Sqn => "write up to 12 hexadecimal digits, or leave it empty for 0",
            Column::Password => "write the password",
        }
    }
}

/// Line numbers of rows. The reader gives the place before the blank and comment lines that it
/// skips.
struct Lines<'a> {
    file: &'a [u8],
    byte: usize,
    line: u64,
}

impl<'a> Lines<'a> {
    fn new(file: &'a [u8]) -> Self {
        Self {
            file,
            byte: 0,
            line: 1,
        }
    }

    /// The line of the row that is read from this position. Positions never go back.
    fn of(&mut self, position: Option<&csv::Position>) -> u64 {
        let start = position.map_or(0, csv::Position::byte) as usize;
        self.advance(start);
        loop {
            match self.file.get(self.byte) {
                Some(b'\r' | b'\n') => self.advance(self.byte + 1),
                Some(b'#') => {
                    let rest = &self.file[self.byte..];
                    let length = rest.iter().position(|&b| b == b'\n').unwrap_or(rest.len());
                    self.advance(self.byte + length);
                }
                _ => return self.line,
            }
        }
    }

    fn advance(&mut self, to: usize) {
        let to = to.clamp(self.byte, self.file.len());
        let passed = &self.file[self.byte..to];
        self.line += passed.iter().filter(|&&b| b == b'\n').count() as u64;
        self.byte = to;
    }

    fn csv_error(&mut self, error: csv::Error) -> ImportError {
        let line = self.of(error.position());
        match error.kind() {
            csv::ErrorKind::UnequalLengths {
                expected_len, len, ..
            } => ImportError::Fields {
                line,
                found: *len,
                expected: *expected_len,
            },
            // Reading from memory cannot fail and nothing is deserialized: what is left is the
            // encoding.
            _ => ImportError::NotUtf8 { line },
        }
    }
}

impl fmt::Display for FieldError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.column.name())?;
        if let Some(value) = &self.value {
            write!(f, " {value:?}")?;
        }
        let remedy = self.column.remedy();
        match &self.problem {
            Problem::Missing => write!(f, " is empty: {remedy}"),
            Problem::Identity(error) => write!(f, " {error}: {remedy}"),
            Problem::Impus(fault) => write!(f, " {fault}: {remedy}"),
            Problem::Hex(HexError::Digit(at)) => {
                write!(
                    f,
                    ": the {}. character is no hexadecimal digit: {remedy}",
                    at + 1
                )
            }
            Problem::Hex(HexError::Length(found, _)) => {
                write!(f, " has {found} hexadecimal digits: {remedy}")
            }
            Problem::Needs(other) => {
                write!(
                    f,
                    " is given without {other}: give both for AKA, or none of them"
                )
            }
            Problem::Excludes(other) => {
                write!(
                    f,
                    " and {other} are both given: give one, OPc is computed from OP"
                )
            }
            Problem::NoCredentials => {
                f.write_str(" and password are both missing: give k and opc for AKA, or a password")
            }
            Problem::Repeated { line } => {
                write!(
                    f,
                    " stands on line {line} already: an identity has one owner, remove one of the two"
                )
            }
        }
    }
}

impl std::error::Error for FieldError {}

impl fmt::Display for ImportError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const COLUMNS: &str = "impi, impus, k, op, opc, amf, sqn, password";
        match self {
            ImportError::Empty => {
                write!(
                    f,
                    "the file is empty: the first row must name the columns, of {COLUMNS}"
                )
            }
            ImportError::UnknownColumn { position, name } => write!(
                f,
                "header row, column {position}: there is no column {name:?}: the columns are {COLUMNS}"
            ),
            ImportError::RepeatedColumn(column) => write!(
                f,
                "header row: column {} stands there twice: remove one",
                column.name()
            ),
            ImportError::NoImpiColumn => {
                write!(
                    f,
                    "header row: the column impi is missing: the columns are {COLUMNS}"
                )
            }
            ImportError::Fields {
                line,
                found,
                expected,
            } => write!(
                f,
                "line {line}: {found} fields where the header has {expected}: add or remove commas, and quote \
                 fields that contain one"
            ),
            ImportError::NotUtf8 { line } => {
                write!(f, "line {line}: not UTF-8: save the file in that encoding")
            }
            ImportError::Field { line, error } => write!(f, "line {line}, column {error}"),
            ImportError::TooManyRows => {
                write!(f, "more than {IMPORT_ROWS_MAX} rows: split the file")
            }
        }
    }
}

impl std::error::Error for ImportError {}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const K: &str = "465b5ce8b199b49faa5f0a2ee238a6bc";
    const OP: &str = "cdc202d5123e20f62b6d676ac72cb318";
    const OPC: &str = "cd63cb71954a9f4e48a5994e37a02baf";

    fn read(text: &str) -> Vec<Result<Imported, String>> {
        match Import::new(text.as_bytes(), None) {
            Ok(import) => import
                .map(|row| row.map_err(|error| error.to_string()))
                .collect(),
            Err(error) => vec![Err(error.to_string())],
        }
    }

    fn only_error(text: &str) -> String {
        let mut rows = read(text);
        assert_eq!(rows.len(), 1, "{rows:?}");
        rows.remove(0).expect_err("a wrong file")
    }

    fn only_subscriber(text: &str) -> Subscriber {
        let mut rows = read(text);
        assert_eq!(rows.len(), 1, "{rows:?}");
        rows.remove(0).expect("a right file").subscriber
    }

    #[test]
    fn all_columns_in_any_order_and_case() {
        let subscriber = only_subscriber(&format!(
            "\u{feff}Password, SQN ,amf,OPc,k,impus,impi\n\
             s:e cret,00000000004F,B9b9,{OPC},{K},sip:Alice@IMS.test tel:+1-555-0100,alice@ims.test\n"
        ));
        assert_eq!(subscriber.impi.as_str(), "alice@ims.test");
        let impus: Vec<&str> = subscriber.impus.iter().map(|i| i.uri.as_str()).collect();
        assert_eq!(impus, ["sip:Alice@ims.test", "tel:+15550100"]);
        let aka = subscriber.aka.expect("k is given");
        assert_eq!(aka.opc.to_hex(), OPC);
        assert_eq!(aka.amf, [0xb9, 0xb9]);
        assert_eq!(Some(aka.sqn), Sqn::parse("4f"));
        let expected = DigestHash::of_password("alice@ims.test", "ims.test", "s:e cret");
        assert_eq!(subscriber.digest, Some(expected));
    }

    #[test]
    fn defaults_and_op_as_in_test_set_1() {
        let subscriber = only_subscriber(&format!("impi,k,op\nalice@ims.test,{K},{OP}\n"));
        assert_eq!(subscriber.impus[0].uri.as_str(), "sip:alice@ims.test");
        let aka = subscriber.aka.expect("k is given");
        assert_eq!(aka.opc.to_hex(), OPC);
        assert_eq!(aka.amf, AMF_DEFAULT);
        assert_eq!(aka.sqn, Sqn::ZERO);
        assert_eq!(subscriber.digest, None);
    }

    #[test]
    fn the_realm_of_the_operator_goes_before_that_of_the_impi() {
        let draft = Draft {
            impi: "alice@one.test",
            password: Some("secret"),
            ..Draft::default()
        };
        let digest = draft.build(Some("two.test")).expect("fit").digest;
        assert_eq!(
            digest,
            Some(DigestHash::of_password(
                "alice@one.test",
                "two.test",
                "secret"
            ))
        );
    }

    #[test]
    fn comments_and_blank_lines_are_skipped_but_counted() {
        for end in ["\n", "\r\n"] {
            let text =
                "# one|impi,password|# three||alice@ims.test,a|\"bob\",\"x|y\"||# nine|carol,c";
            let rows = read(&text.replace('|', end));
            assert_eq!(rows.len(), 3);
            assert!(
                matches!(&rows[0], Ok(imported) if imported.line == 5),
                "{rows:?}"
            );
            for (row, expected) in [
                (&rows[1], "line 6, column impi"),
                (&rows[2], "line 10, column"),
            ] {
                assert!(
                    matches!(row, Err(error) if error.starts_with(expected)),
                    "{rows:?}"
                );
            }
        }
    }

    #[test]
    fn every_wrong_field_is_named_with_line_value_and_remedy() {
        let short = &K[1..];
        let wrong = K.replacen('b', "g", 1);
        for (row, expected) in [
            (
                ",,,,,,x".to_owned(),
                "line 2, column impi is empty: write a private identity",
            ),
            (
                "alice,,,,,,x".to_owned(),
                "line 2, column impi \"alice\" has no user part: write",
            ),
            (
                "a@b,alice,,,,,x".to_owned(),
                "column impus \"alice\" starts neither with sip: nor",
            ),
            (
                "a@b,sip:a@b sip:a@B,,,,,x".to_owned(),
                "has the public identity sip:a@b twice",
            ),
            (
                "a@b,,,,,,".to_owned(),
                "column k and password are both missing: give k and opc",
            ),
            (
                format!("a@b,,{short},{OPC},,,"),
                "column k has 31 hexadecimal digits: write 32",
            ),
            (
                format!("a@b,,{wrong},{OPC},,,"),
                "column k: the 4. character is no hexadecimal digit",
            ),
            (
                format!("a@b,,{K},00,,,"),
                "column opc has 2 hexadecimal digits: write 32",
            ),
            (
                format!("a@b,,{K},,,,"),
                "column k is given without op or opc: give both",
            ),
            (format!("a@b,,,{OPC},,,x"), "column opc is given without k"),
            ("a@b,,,,80,,x".to_owned(), "column amf is given without k"),
            (
                format!("a@b,,{K},{OPC},80,,"),
                "column amf \"80\" has 2 hexadecimal digits: write 4",
            ),
            (
                format!("a@b,,{K},{OPC},,1000000000000,"),
                "column sqn \"1000000000000\" has 13 hex",
            ),
            (
                format!("a@b,,{K},{OPC},,-1,"),
                "column sqn \"-1\": the 1. character is no hex",
            ),
            (
                "a@b,,".to_owned(),
                "line 2: 3 fields where the header has 7: add or remove commas",
            ),
        ] {
            let error = only_error(&format!("impi,impus,k,opc,amf,sqn,password\n{row}\n"));
            assert!(error.contains(expected), "{row}\n{error}");
            assert!(!error.contains(&K[2..]), "shows a key: {error}");
        }
        let both = only_error(&format!("impi,k,op,opc\na@b,{K},{OP},{OPC}\n"));
        assert!(
            both.contains("column op and opc are both given: give one"),
            "{both}"
        );
    }

    #[test]
    fn wrong_headers_are_named_with_the_columns_there_are() {
        for (text, expected) in [
            ("", "the file is empty"),
            (
                "impi,passwort\n",
                "header row, column 2: there is no column \"passwort\": the columns are",
            ),
            ("k,opc\n", "header row: the column impi is missing"),
            ("impi,k,K\n", "header row: column k stands there twice"),
        ] {
            let error = only_error(text);
            assert!(error.contains(expected), "{text:?}\n{error}");
        }
    }

    #[test]
    fn identities_repeated_in_the_file_are_named_with_the_earlier_line() {
        let rows = read(
            "impi,impus,password\n\
             a@b,,x\n\
             a@b,sip:other@b,x\n\
             c@b,sip:c@b sip:a@b,x\n\
             d@b,,x\n",
        );
        assert!(matches!(&rows[1], Err(error)
            if error.starts_with("line 3, column impi \"a@b\" stands on line 2 already")));
        assert!(matches!(&rows[2], Err(error)
            if error.starts_with("line 4, column impus \"sip:a@b\" stands on line 2 already")));
        assert!(rows[3].is_ok());
    }

    #[test]
    fn rows_after_a_wrong_one_are_still_judged() {
        let mut bytes = b"impi,password\n\xff@b,x\nc,d,e\n".to_vec();
        bytes.extend_from_slice(b"fine@b,x\n");
        let rows: Vec<_> = Import::new(&bytes, None).expect("a header").collect();
        assert!(
            matches!(rows[0], Err(ImportError::NotUtf8 { line: 2 })),
            "{rows:?}"
        );
        assert!(matches!(
            rows[1],
            Err(ImportError::Fields {
                line: 3,
                found: 3,
                expected: 2
            })
        ));
        assert!(matches!(&rows[2], Ok(imported) if imported.line == 4));
    }

    proptest! {
        #[test]
        fn any_file_is_read_or_refused(text in "(impi,k,opc,password\n)?[ -~\n\"é]{0,200}") {
            for row in read(&text).into_iter().flatten() {
                prop_assert_eq!(row.subscriber.check(), Ok(()));
            }
        }
    }
}
