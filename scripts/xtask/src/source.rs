//! A Rust source file as lines of code, without comments, strings and tests.

/// One line of a source file.
pub(crate) struct Line {
    /// Line number, from 1.
    pub(crate) number: usize,
    /// The code with comments blanked and the insides of strings and characters left out.
    pub(crate) code: String,
    /// Holds a string literal, or part of one.
    pub(crate) has_string: bool,
    /// Stands in a `#[cfg(test)]` item.
    pub(crate) in_test: bool,
}

/// One function: its first line, its name, and how many lines it has.
pub(crate) struct Function {
    pub(crate) number: usize,
    pub(crate) name: String,
    pub(crate) lines: usize,
    pub(crate) in_test: bool,
}

#[derive(Clone, Copy, PartialEq)]
enum State {
    Code,
    /// `/* … */`, nested so many deep.
    Comment(u32),
    /// A string with escapes.
    String,
    /// A raw string closed by a quote and so many hashes.
    Raw(usize),
}

/// Splits a file into lines of code and marks those of test items.
pub(crate) fn lines(text: &str) -> Vec<Line> {
    let mut state = State::Code;
    let mut lines: Vec<Line> = Vec::new();
    for (index, raw) in text.lines().enumerate() {
        let inside = matches!(state, State::String | State::Raw(_));
        let code = strip(raw, &mut state);
        let has_string = inside || code.contains('"');
        lines.push(Line {
            number: index + 1,
            code,
            has_string,
            in_test: false,
        });
    }
    mark_tests(&mut lines);
    lines
}

/// Returns the code of one line; `state` carries what is open over the line's end.
fn strip(line: &str, state: &mut State) -> String {
    let chars: Vec<char> = line.chars().collect();
    let mut code = String::with_capacity(line.len());
    let mut at = 0;
    while at < chars.len() {
        let rest = &chars[at..];
        match *state {
            State::Comment(depth) if rest.starts_with(&['*', '/']) => {
                *state = if depth == 1 {
                    State::Code
                } else {
                    State::Comment(depth - 1)
                };
                at += 2;
            }
            State::Comment(depth) if rest.starts_with(&['/', '*']) => {
                *state = State::Comment(depth + 1);
                at += 2;
            }
            State::Comment(_) => at += 1,
            State::String if rest[0] == '\\' => at += 2,
            State::String => {
                if rest[0] == '"' {
                    *state = State::Code;
                    code.push('"');
                }
                at += 1;
            }
            State::Raw(hashes) => {
                if rest[0] == '"' && rest[1..].iter().take_while(|c| **c == '#').count() >= hashes {
                    *state = State::Code;
                    code.push('"');
                    at += hashes;
                }
                at += 1;
            }
            State::Code if rest.starts_with(&['/', '/']) => break,
            State::Code if rest.starts_with(&['/', '*']) => {
                *state = State::Comment(1);
                at += 2;
            }
            State::Code => at += code_at(rest, &mut code, state),
        }
    }
    code
}

/// Takes one token's start from `rest` into `code` and returns how many characters it used.
fn code_at(rest: &[char], code: &mut String, state: &mut State) -> usize {
    let after_word = code
        .chars()
        .last()
        .is_some_and(|c| c.is_alphanumeric() || c == '_');
    if let Some((skip, hashes)) = raw_string(rest).filter(|_| !after_word) {
        *state = State::Raw(hashes);
        code.push('"');
        return skip;
    }
    match rest[0] {
        '"' => {
            *state = State::String;
            code.push('"');
            1
        }
        '\'' => match character(rest) {
            Some(used) => {
                code.push_str("' '");
                used
            }
            None => {
                code.push('\'');
                1
            }
        },
        other => {
            code.push(other);
            1
        }
    }
}

/// `r"`, `r#"`, `br"` …: how long the opening is, and how many hashes close it.
fn raw_string(rest: &[char]) -> Option<(usize, usize)> {
    let prefix = match rest {
        ['b', 'r', ..] => 2,
        ['r', ..] => 1,
        _ => return None,
    };
    let hashes = rest[prefix..].iter().take_while(|c| **c == '#').count();
    (rest.get(prefix + hashes) == Some(&'"')).then_some((prefix + hashes + 1, hashes))
}

/// The length of a character literal, or nothing when the quote opens a lifetime.
fn character(rest: &[char]) -> Option<usize> {
    match rest {
        ['\'', '\\', ..] => rest[3..].iter().position(|c| *c == '\'').map(|end| end + 4),
        ['\'', _, '\'', ..] => Some(3),
        _ => None,
    }
}

/// Marks every line of an item under `#[cfg(test)]`.
fn mark_tests(lines: &mut [Line]) {
    let mut at = 0;
    while at < lines.len() {
        if !lines[at].code.trim_start().starts_with("#[cfg(test)]") {
            at += 1;
            continue;
        }
        let end = item_end(lines, at);
        for line in &mut lines[at..=end] {
            line.in_test = true;
        }
        at = end + 1;
    }
}

/// Index of the last line of the item that begins at `start`: a closing brace or a semicolon at
/// depth zero.
fn item_end(lines: &[Line], start: usize) -> usize {
    let (mut braces, mut others, mut opened) = (0_i64, 0_i64, false);
    for (index, line) in lines.iter().enumerate().skip(start) {
        for c in line.code.chars() {
            match c {
                '{' => {
                    braces += 1;
                    opened = true;
                }
                '}' => braces -= 1,
                '(' | '[' => others += 1,
                ')' | ']' => others -= 1,
                ';' if braces == 0 && others == 0 => return index,
                _ => {}
            }
        }
        if opened && braces <= 0 {
            return index;
        }
    }
    lines.len() - 1
}

/// Every function with a body, in order.
pub(crate) fn functions(lines: &[Line]) -> Vec<Function> {
    let mut found = Vec::new();
    for (index, line) in lines.iter().enumerate() {
        let Some(name) = function_name(&line.code) else {
            continue;
        };
        let end = item_end(lines, index);
        found.push(Function {
            number: line.number,
            name: name.to_owned(),
            lines: end - index + 1,
            in_test: line.in_test,
        });
    }
    found
}

/// The name after `fn` on a line that declares a function.
fn function_name(code: &str) -> Option<&str> {
    let at = if code.trim_start().starts_with("fn ") {
        code.find("fn ")
    } else {
        None
    };
    let at = at.or_else(|| code.find(" fn ").map(|at| at + 1))?;
    let rest = &code[at + 3..];
    let end = rest
        .find(|c: char| !c.is_alphanumeric() && c != '_')
        .unwrap_or(rest.len());
    (end > 0).then(|| &rest[..end])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code(text: &str) -> Vec<String> {
        lines(text).into_iter().map(|line| line.code).collect()
    }

    #[test]
    fn comments_and_strings_are_not_code() {
        assert_eq!(code("a /* b */ c // d"), ["a  c "]);
        assert_eq!(
            code("f(\"x // \\\" y\", 'z', '\\'')"),
            ["f(\"\", ' ', ' ')"]
        );
        assert_eq!(code("r#\"one\ntwo\"# end"), ["\"", "\" end"]);
        assert_eq!(code("fn f<'a>(x: &'a str) {}"), ["fn f<'a>(x: &'a str) {}"]);
        assert_eq!(code("b\"\\\\\" + x"), ["b\"\" + x"]);
    }

    #[test]
    fn test_items_are_marked_to_their_end() {
        let text = "fn a() {}\n#[cfg(test)]\nmod tests {\n    fn b() {}\n}\nfn c() {}\n";
        let marked: Vec<bool> = lines(text).iter().map(|line| line.in_test).collect();
        assert_eq!(marked, [false, true, true, true, true, false]);
        let text = "#[cfg(test)]\nuse x::{a, b};\nfn c() {}\n";
        let marked: Vec<bool> = lines(text).iter().map(|line| line.in_test).collect();
        assert_eq!(marked, [true, true, false]);
    }

    #[test]
    fn functions_are_measured_by_their_braces() {
        let text = "pub(crate) fn a(x: [u8; 2]) -> u8 {\n    '{';\n    1\n}\n\ntrait T {\n    fn b();\n}\n";
        let found = functions(&lines(text));
        let found: Vec<(&str, usize)> = found.iter().map(|f| (f.name.as_str(), f.lines)).collect();
        assert_eq!(found, [("a", 4), ("b", 1)]);
    }
}
