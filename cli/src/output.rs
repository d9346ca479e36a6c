//! Tables for people, JSON for programs.

use std::io::{self, Write};

use serde_json::Value;

/// Writes to standard output. A reader that went away (`strowger status | head`) is not an error.
pub fn print(text: &str) {
    let mut stdout = io::stdout().lock();
    // Nobody is left to tell when standard output is gone.
    let _ = stdout
        .write_all(text.as_bytes())
        .and_then(|()| stdout.flush());
}

/// Prints one JSON value, indented, with a line feed.
pub fn print_json(value: &Value) {
    print(&format!("{value:#}\n"));
}

/// Rows under headings, columns as wide as they need to be.
#[derive(Debug, Default)]
pub struct Table {
    headings: Vec<String>,
    rows: Vec<Vec<String>>,
}

impl Table {
    /// A table without rows. Empty headings are not printed.
    pub fn new(headings: &[&str]) -> Self {
        Table {
            headings: headings.iter().map(|each| (*each).to_owned()).collect(),
            rows: Vec::new(),
        }
    }

    /// Adds a row.
    pub fn row(&mut self, cells: Vec<String>) {
        self.rows.push(cells);
    }

    /// The table as text: two blanks between columns, numbers to the right, none after the last.
    pub fn text(&self) -> String {
        let show_headings = self.headings.iter().any(|heading| !heading.is_empty());
        let headings = show_headings.then_some(&self.headings);
        let all: Vec<&Vec<String>> = headings.into_iter().chain(&self.rows).collect();
        let columns = all.iter().map(|row| row.len()).max().unwrap_or(0);
        let width = |column: usize| {
            all.iter()
                .filter_map(|row| row.get(column))
                .map(|cell| cell.chars().count())
                .max()
        };
        let widths: Vec<usize> = (0..columns)
            .map(|column| width(column).unwrap_or(0))
            .collect();
        let right: Vec<bool> = (0..columns).map(|column| self.is_numeric(column)).collect();
        let mut text = String::new();
        for row in all {
            let mut line = String::new();
            for (column, cell) in row.iter().enumerate() {
                let pad = " ".repeat(widths[column] - cell.chars().count());
                let between = if column == 0 { "" } else { "  " };
                let cell = if right[column] {
                    format!("{pad}{cell}")
                } else {
                    format!("{cell}{pad}")
                };
                line.push_str(between);
                line.push_str(&cell);
            }
            text.push_str(line.trim_end());
            text.push('\n');
        }
        text
    }

    fn is_numeric(&self, column: usize) -> bool {
        let mut cells = self
            .rows
            .iter()
            .filter_map(|row| row.get(column))
            .peekable();
        cells.peek().is_some()
            && cells.all(|cell| {
                cell.parse::<f64>().is_ok()
                    || cell == "-"
                    || cell.replace(' ', "").parse::<u64>().is_ok()
            })
    }
}

/// A whole number with blanks between thousands: `1 234 567`.
pub fn thousands(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(' ');
        }
        text.push(digit);
    }
    text
}

/// Seconds as people say them: `42 s`, `3 min 5 s`, `2 h 10 min`, `4 d 3 h`.
pub fn duration(seconds: u64) -> String {
    match seconds {
        0..60 => format!("{seconds} s"),
        60..3_600 => format!("{} min {} s", seconds / 60, seconds % 60),
        3_600..86_400 => format!("{} h {} min", seconds / 3_600, seconds % 3_600 / 60),
        _ => format!("{} d {} h", seconds / 86_400, seconds % 86_400 / 3_600),
    }
}

/// One JSON value as a cell: text bare, lists by commas.
pub fn cell(value: &Value) -> String {
    match value {
        Value::Null => "-".to_owned(),
        Value::Bool(true) => "yes".to_owned(),
        Value::Bool(false) => "no".to_owned(),
        Value::Number(number) => number.as_u64().map_or(number.to_string(), thousands),
        Value::String(text) => text.clone(),
        Value::Array(items) => items.iter().map(cell).collect::<Vec<_>>().join(", "),
        Value::Object(_) => value.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_their_widest_cell() {
        let mut table = Table::new(&["name", "calls"]);
        table.row(vec!["a".into(), "1 000".into()]);
        table.row(vec!["longer".into(), "7".into()]);
        assert_eq!(
            table.text(),
            "name    calls\na       1 000\nlonger      7\n"
        );
    }

    #[test]
    fn numbers_and_durations_read_well() {
        assert_eq!(thousands(1_234_567), "1 234 567");
        assert_eq!(thousands(7), "7");
        assert_eq!(duration(59), "59 s");
        assert_eq!(duration(3_725), "1 h 2 min");
    }
}
