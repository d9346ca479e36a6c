//! Subscribers from CSV (RFC 4180) with a header row.

use std::path::Path;

use serde_json::{Map, Value, json};

use crate::failure::Failure;

/// Columns that a file may have, besides `impi`.
const COLUMNS: [&str; 7] = ["impus", "k", "op", "opc", "amf", "sqn", "password"];
/// Subscribers in one file at most.
const ROWS_MAX: usize = 10_000_000;

/// One subscriber and where it stands.
#[derive(Debug, PartialEq)]
pub struct Row {
    /// Line in the file, from 1.
    pub line: u64,
    /// The subscriber as the admin interface takes it.
    pub subscriber: Value,
}

/// Reads a file; nothing is imported when any row is wrong.
pub fn read(path: &Path) -> Result<Vec<Row>, Failure> {
    let file = std::fs::File::open(path)
        .map_err(|fault| Failure::new(format!("cannot read {}", path.display())).because(fault))?;
    parse(file).map_err(|failure| Failure::new(path.display().to_string()).because(failure))
}

fn parse(text: impl std::io::Read) -> Result<Vec<Row>, Failure> {
    let mut reader = csv::ReaderBuilder::new()
        .trim(csv::Trim::All)
        .from_reader(text);
    let headings = reader
        .headers()
        .map_err(|fault| Failure::new("header row").because(fault))?;
    let headings: Vec<String> = headings.iter().map(str::to_ascii_lowercase).collect();
    check_headings(&headings)?;
    let mut rows = Vec::new();
    for record in reader.records() {
        let record = record.map_err(|fault| Failure::new("not a CSV row").because(fault))?;
        let line = record.position().map_or(0, csv::Position::line);
        if rows.len() >= ROWS_MAX {
            return Err(Failure::new(format!(
                "line {line}: more than {ROWS_MAX} rows"
            )));
        }
        let subscriber = subscriber(&headings, &record)
            .map_err(|failure| Failure::new(format!("line {line}")).because(failure))?;
        rows.push(Row { line, subscriber });
    }
    Ok(rows)
}

fn check_headings(headings: &[String]) -> Result<(), Failure> {
    let known = || format!("The columns are impi, {}.", COLUMNS.join(", "));
    if !headings.iter().any(|heading| heading == "impi") {
        return Err(Failure::new("the header row has no column impi").remedy(known()));
    }
    for (index, heading) in headings.iter().enumerate() {
        if heading != "impi" && !COLUMNS.contains(&heading.as_str()) {
            return Err(Failure::new(format!("unknown column {heading:?}")).remedy(known()));
        }
        if headings[..index].contains(heading) {
            return Err(Failure::new(format!("the column {heading} is there twice")));
        }
    }
    Ok(())
}

fn subscriber(headings: &[String], record: &csv::StringRecord) -> Result<Value, Failure> {
    let mut subscriber = Map::new();
    for (heading, value) in headings
        .iter()
        .zip(record)
        .filter(|(_, value)| !value.is_empty())
    {
        let value = match heading.as_str() {
            "impus" => json!(value.split_whitespace().collect::<Vec<_>>()),
            _ => json!(value),
        };
        subscriber.insert(heading.clone(), value);
    }
    let Some(impi) = subscriber
        .get("impi")
        .and_then(Value::as_str)
        .map(str::to_owned)
    else {
        return Err(Failure::new("no impi"));
    };
    subscriber
        .entry("impus")
        .or_insert_with(|| json!([format!("sip:{impi}")]));
    let has = |key: &str| subscriber.contains_key(key);
    if has("op") && has("opc") {
        return Err(Failure::new(format!("{impi} has both op and opc")));
    }
    if has("k") && !has("op") && !has("opc") {
        return Err(Failure::new(format!("{impi} has k but neither op nor opc")));
    }
    if !has("k") && !has("password") {
        return Err(Failure::new(format!("{impi} has neither k nor password")));
    }
    Ok(Value::Object(subscriber))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(text: &str) -> String {
        parse(text.as_bytes()).expect_err("refused").to_string()
    }

    #[test]
    fn rows_become_subscribers() {
        let text = "impi,impus,k,opc,password\n\
                    alice@ims.test,sip:alice@ims.test tel:+15551,00,11,\n\
                    \"bob@ims.test\",,,,\"a,b\"\n";
        let rows = parse(text.as_bytes()).expect("valid");
        assert_eq!(rows.len(), 2);
        assert_eq!(
            rows[0].subscriber,
            json!({
                "impi": "alice@ims.test",
                "impus": ["sip:alice@ims.test", "tel:+15551"],
                "k": "00",
                "opc": "11",
            })
        );
        assert_eq!(rows[1].line, 3);
        assert_eq!(rows[1].subscriber["impus"], json!(["sip:bob@ims.test"]));
        assert_eq!(rows[1].subscriber["password"], "a,b");
    }

    #[test]
    fn faults_name_the_line() {
        assert!(error("impi,password\na,x\nb,\n").contains("line 3: b has neither"));
        assert!(error("impi,password\na\n").contains("line"));
        assert!(error("impi,k\na,00\n").contains("neither op nor opc"));
        assert!(error("impi,k,op,opc\na,0,0,0\n").contains("both op and opc"));
        assert!(error("impi,password\n,x\n").contains("no impi"));
    }

    #[test]
    fn the_header_row_is_checked() {
        assert!(error("impu,password\n").contains("no column impi"));
        assert!(error("impi,pasword\n").contains("unknown column"));
        assert!(error("impi,k,k\n").contains("twice"));
    }
}
