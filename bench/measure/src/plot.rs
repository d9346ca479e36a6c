//! `measure plot`: rows of `bench/results` drawn as SVG.
//!
//! A file of rows begins with a comment that says what they are, then names its columns; the first
//! is what was measured and the second the rate at which packets were offered, 0 for as many as
//! could be. For each figure that is known there is a panel, in it a group of bars for each thing
//! measured, and in that a bar for each rate.

use std::fmt::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;

/// Flags of `plot`.
#[derive(Debug, Args)]
pub struct PlotArgs {
    /// Rows, for instance bench/results/media.tsv; the picture is put beside them
    #[arg(value_name = "FILE")]
    rows: PathBuf,
}

/// Draws the file's rows.
pub fn run(args: &PlotArgs) -> ExitCode {
    let drawn = std::fs::read_to_string(&args.rows)
        .map_err(|fault| fault.to_string())
        .and_then(|text| Results::parse(&text))
        .and_then(|results| {
            let picture = args.rows.with_extension("svg");
            std::fs::write(&picture, results.draw()).map_err(|fault| fault.to_string())
        });
    match drawn {
        Ok(()) => ExitCode::SUCCESS,
        Err(fault) => {
            eprintln!("cannot draw {}: {fault}", args.rows.display());
            ExitCode::FAILURE
        }
    }
}

/// A figure: its column, what it is, and by how much it is divided to be read.
const FIGURES: [(&str, &str, f64); 3] = [
    ("back", "packets that came back, thousands a second", 1e3),
    (
        "per_cpu_second",
        "the same for a second of CPU, thousands",
        1e3,
    ),
    ("p50_us", "median latency, ms", 1e3),
];

/// What a file of rows says.
#[derive(Debug, PartialEq)]
struct Results {
    title: String,
    kinds: Vec<String>,
    rates: Vec<u64>,
    /// Of each figure by kind and rate, where it was measured.
    panels: Vec<Panel>,
}

#[derive(Debug, PartialEq)]
struct Panel {
    title: &'static str,
    values: Vec<(usize, usize, f64)>,
}

impl Results {
    fn parse(text: &str) -> Result<Self, String> {
        let (comments, rows): (Vec<&str>, Vec<&str>) =
            text.lines().partition(|line| line.starts_with('#'));
        let mut rows = rows.iter().map(|row| row.split('\t').collect::<Vec<_>>());
        let columns = rows.next().ok_or("there are no rows")?;
        let mut results = Self {
            title: comments.join(" ").replace('#', "").trim().to_owned(),
            kinds: Vec::new(),
            rates: Vec::new(),
            panels: Vec::new(),
        };
        let place = |name: &str| columns.iter().position(|column| *column == name);
        let mut places = Vec::new();
        for (name, title, unit) in FIGURES {
            if let Some(place) = place(name) {
                places.push((place, unit));
                let values = Vec::new();
                results.panels.push(Panel { title, values });
            }
        }
        for row in rows {
            let number = |place: usize| {
                let field = row
                    .get(place)
                    .ok_or_else(|| format!("a short row: {row:?}"))?;
                field
                    .parse::<f64>()
                    .map_err(|_| format!("{field} is no number"))
            };
            let kind = position(&mut results.kinds, row[0].to_owned());
            let rate = position(&mut results.rates, number(1)? as u64);
            for (panel, (place, unit)) in results.panels.iter_mut().zip(&places) {
                panel.values.push((kind, rate, number(*place)? / unit));
            }
        }
        Ok(results)
    }

    fn draw(&self) -> String {
        let group = self.rates.len() * BAR + GAP;
        let height = HEAD + self.kinds.len() * group + FOOT;
        let width = NAMES + self.panels.len() * PANEL;
        let mut svg = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\" \
             font-family=\"sans-serif\" font-size=\"11\">\n\
             <rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n"
        );
        text(&mut svg, 8, 18, &self.title);
        for (place, kind) in self.kinds.iter().enumerate() {
            text(&mut svg, 8, HEAD + place * group + group / 2, kind);
        }
        for (place, panel) in self.panels.iter().enumerate() {
            panel.draw(&mut svg, NAMES + place * PANEL, group);
        }
        for (place, rate) in self.rates.iter().enumerate() {
            let x = NAMES + place * 180;
            rectangle(&mut svg, (x, height - 20), (10, 10), place);
            let offered = match rate {
                0 => "as many as could be".to_owned(),
                rate => format!("{rate} packets/s"),
            };
            text(
                &mut svg,
                x + 16,
                height - 11,
                &format!("offered: {offered}"),
            );
        }
        svg.push_str("</svg>\n");
        svg
    }
}

impl Panel {
    fn draw(&self, svg: &mut String, left: usize, group: usize) {
        text(svg, left, HEAD - 10, self.title);
        let most = self
            .values
            .iter()
            .map(|(.., value)| *value)
            .fold(0.0, f64::max);
        for &(kind, rate, value) in &self.values {
            let share = if most > 0.0 { value / most } else { 0.0 };
            let bar = (share * BARS as f64).round() as usize;
            let y = HEAD + kind * group + rate * BAR;
            rectangle(svg, (left, y), (bar.max(1), BAR - 2), rate);
            let label = match value {
                value if value < 10.0 => format!("{value:.1}"),
                value => format!("{value:.0}"),
            };
            text(svg, left + bar + 4, y + BAR - 3, &label);
        }
    }
}

/// The place of something in a list, to which it is added if it is not there.
fn position<T: PartialEq>(list: &mut Vec<T>, item: T) -> usize {
    list.iter()
        .position(|known| *known == item)
        .unwrap_or_else(|| {
            list.push(item);
            list.len() - 1
        })
}

fn rectangle(
    svg: &mut String,
    (x, y): (usize, usize),
    (width, height): (usize, usize),
    rate: usize,
) {
    let colour = COLOURS[rate % COLOURS.len()];
    // A String grows.
    let _ = writeln!(
        svg,
        "<rect x=\"{x}\" y=\"{y}\" width=\"{width}\" height=\"{height}\" fill=\"{colour}\"/>"
    );
}

fn text(svg: &mut String, x: usize, y: usize, text: &str) {
    let text = text.replace('&', "&amp;").replace('<', "&lt;");
    let _ = writeln!(svg, "<text x=\"{x}\" y=\"{y}\">{text}</text>");
}

// In pixels: a bar, what is between groups, above and below them; names, a panel and its bars.
const BAR: usize = 12;
const GAP: usize = 8;
const HEAD: usize = 50;
const FOOT: usize = 32;
const NAMES: usize = 230;
const PANEL: usize = 290;
const BARS: usize = 230;
/// Told apart by those who do not see colours too: they differ in lightness.
const COLOURS: [&str; 4] = ["#9ecae1", "#4292c6", "#08306b", "#666666"];

#[cfg(test)]
mod tests {
    use super::*;

    const ROWS: &str = "# 10 streams\nkind\trate\tback\tp50_us\na\t100\t90\t1000\na\t0\t80\t2000\n\
                        b<\t100\t70\t50\nb<\t0\t1000\t3\n";

    #[test]
    fn rows_become_a_bar_in_each_panel() {
        let results = Results::parse(ROWS).expect("they are good");
        assert_eq!(results.title, "10 streams");
        assert_eq!((results.kinds.len(), results.rates.len()), (2, 2));
        let svg = results.draw();
        // The background, four bars in each of two panels, and two of the legend.
        assert_eq!(svg.matches("<rect").count(), 1 + 8 + 2);
        assert!(svg.contains(">b&lt;<") && svg.contains(">0.1<"), "{svg}");
        assert!(svg.starts_with("<svg") && svg.ends_with("</svg>\n"));
    }

    #[test]
    fn what_is_no_table_is_refused() {
        for text in [
            "",
            "kind\trate\tback\na\t1\n",
            "kind\trate\tback\na\tx\t2\n",
            "kind\trate\nb\n",
        ] {
            assert!(Results::parse(text).is_err(), "{text:?}");
        }
    }
}
