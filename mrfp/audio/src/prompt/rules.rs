//! How a language says numbers: rules as data.
//!
//! A *set* has a rule for each range of numbers, which begins at the rule's base:
//!
//! ```text
//! -: minus >
//! 0: zero
//! 20: twenty [>]
//! 100: < hundred [and >]
//! 1100/100: < [>year|hundred]
//! ```
//!
//! The rule with the greatest base that is not above the number says it. Its body has words and
//! substitutions: `<` is the number divided by the rule's divisor, `>` the remainder, each said by
//! the same set or by the one named after it, `=set` the number itself by another set. The divisor
//! is the greatest power of ten not above the base, or what stands after the `/`. `[…|…]` is its
//! first part where a substitution directly in it is not zero, else its second; where only choices
//! are in it, one of those. *Templates* are bodies with `{field:set}`, the number of a field said
//! by a set.

use std::collections::HashMap;
use std::sync::Arc;

use crate::error::Error;

/// Word of a language, in small letters.
pub(crate) type Word = Arc<str>;

/// What has been said, and at what cost.
#[derive(Clone, Debug, Default)]
pub(crate) struct Speech {
    pub(crate) words: Vec<Word>,
    steps: u32,
}

/// The sets of a language.
#[derive(Clone, Debug, Default)]
pub(crate) struct Rules {
    names: HashMap<String, usize>,
    sets: Vec<Set>,
}

#[derive(Clone, Debug, Default)]
struct Set {
    negative: Option<Body>,
    /// In ascending order of their bases.
    rules: Vec<Rule>,
}

#[derive(Clone, Debug)]
struct Rule {
    base: u64,
    divisor: u64,
    body: Body,
}

/// What a rule or template says.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Body(Vec<Token>);

#[derive(Clone, Debug, PartialEq)]
enum Token {
    Word(Word),
    /// Which number, by which set; `None` is the same set.
    Number(Which, Option<usize>),
    /// The field of a template.
    Field(String, usize),
    Choice(Body, Body),
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Which {
    Quotient,
    Remainder,
    Same,
}

/// What is wrong with a body, to be told with its place.
pub(crate) type Fault = String;

impl Rules {
    /// Takes the texts of all sets by name.
    ///
    /// # Errors
    /// The name of the set, the line in it from 0, and what is wrong there.
    pub(crate) fn parse<'a>(
        texts: impl Iterator<Item = (&'a str, &'a str)> + Clone,
    ) -> Result<Self, (String, usize, Fault)> {
        let mut rules = Self::default();
        for (index, (name, _)) in texts.clone().enumerate() {
            rules.names.insert(name.to_owned(), index);
        }
        for (name, text) in texts {
            let mut set = Set::default();
            for (line, rule) in text.lines().enumerate() {
                let rule = rule.trim();
                if rule.is_empty() || rule.starts_with('#') {
                    continue;
                }
                set.add(rule, &rules)
                    .map_err(|fault| (name.to_owned(), line, fault))?;
            }
            if set.rules.first().is_none_or(|rule| rule.base > 1) {
                let fault = "the set has no rule for 0 or 1".to_owned();
                return Err((name.to_owned(), 0, fault));
            }
            rules.sets.push(set);
        }
        Ok(rules)
    }

    /// Reads a template.
    ///
    /// # Errors
    /// What is wrong with it.
    pub(crate) fn template(&self, text: &str) -> Result<Body, Fault> {
        Parser::new(text, self).whole()
    }

    /// Says a number by a set.
    ///
    /// # Errors
    /// `NotFound` without such a set, `Limit` for rules that never come to an end, `Value` for a
    /// number that the set has no rule for.
    pub(crate) fn say(&self, set: &str, number: i64, speech: &mut Speech) -> Result<(), Error> {
        let index = self.names.get(set);
        let index = index.ok_or_else(|| Error::NotFound(format!("the set {set}")))?;
        self.number(*index, number, 0, speech)
    }

    /// Says what a template makes of its fields.
    ///
    /// # Errors
    /// As [`Rules::say`]; `NotFound` for a field that is not there.
    pub(crate) fn fill(
        &self,
        template: &Body,
        fields: &[(&str, i64)],
        speech: &mut Speech,
    ) -> Result<(), Error> {
        let context = Context {
            fields,
            ..Context::default()
        };
        self.body(template, &context, 0, speech)
    }

    /// Every word that the sets may say.
    pub(crate) fn words(&self) -> impl Iterator<Item = &Word> {
        let bodies = self.sets.iter().flat_map(|set| {
            let rules = set.rules.iter().map(|rule| &rule.body);
            set.negative.iter().chain(rules)
        });
        bodies.flat_map(Body::words)
    }

    fn number(
        &self,
        index: usize,
        number: i64,
        depth: u32,
        speech: &mut Speech,
    ) -> Result<(), Error> {
        const NO_RULE: Error = Error::Value("a number that the language has no rule for");
        if depth > DEPTH_MAX {
            return Err(Error::Limit("substitutions within each other"));
        }
        let set = self.sets.get(index).ok_or(NO_RULE)?;
        let magnitude = number.unsigned_abs();
        if number < 0 {
            let context = Context {
                set: index,
                remainder: i64::try_from(magnitude).map_err(|_| NO_RULE)?,
                ..Context::default()
            };
            return self.body(
                set.negative.as_ref().ok_or(NO_RULE)?,
                &context,
                depth,
                speech,
            );
        }
        let above = set.rules.partition_point(|rule| rule.base <= magnitude);
        let rule = above.checked_sub(1).and_then(|at| set.rules.get(at));
        let rule = rule.ok_or(NO_RULE)?;
        let context = Context {
            set: index,
            same: number,
            quotient: (magnitude / rule.divisor) as i64,
            remainder: (magnitude % rule.divisor) as i64,
            fields: &[],
        };
        self.body(&rule.body, &context, depth, speech)
    }

    fn body(
        &self,
        body: &Body,
        context: &Context<'_>,
        depth: u32,
        speech: &mut Speech,
    ) -> Result<(), Error> {
        if depth > DEPTH_MAX {
            return Err(Error::Limit("substitutions within each other"));
        }
        for token in &body.0 {
            speech.steps += 1;
            if speech.steps > STEPS_MAX {
                return Err(Error::Limit("steps of one variable"));
            }
            match token {
                Token::Word(word) => speech.words.push(Arc::clone(word)),
                Token::Number(which, set) => {
                    let set = set.unwrap_or(context.set);
                    self.number(set, context.number(*which), depth + 1, speech)?;
                }
                Token::Field(name, set) => {
                    let value = context.field(name);
                    let value = value.ok_or_else(|| Error::NotFound(format!("{{{name}}}")))?;
                    self.number(*set, value, depth + 1, speech)?;
                }
                Token::Choice(first, second) => {
                    let part = if context.is_there(first) {
                        first
                    } else {
                        second
                    };
                    self.body(part, context, depth + 1, speech)?;
                }
            }
        }
        Ok(())
    }
}

/// The numbers that a body speaks of.
#[derive(Default)]
struct Context<'a> {
    set: usize,
    same: i64,
    quotient: i64,
    remainder: i64,
    fields: &'a [(&'a str, i64)],
}

impl Context<'_> {
    fn number(&self, which: Which) -> i64 {
        match which {
            Which::Quotient => self.quotient,
            Which::Remainder => self.remainder,
            Which::Same => self.same,
        }
    }

    fn field(&self, name: &str) -> Option<i64> {
        let mut found = self.fields.iter().filter(|(each, _)| *each == name);
        found.next().map(|(_, value)| *value)
    }

    /// Whether a substitution in `body` is not zero: one that is directly in it, or where there is
    /// none, one of a choice in it. [`CHOICES_MAX`] bounds the depth.
    fn is_there(&self, body: &Body) -> bool {
        let direct = body.0.iter().filter_map(|token| match token {
            Token::Number(which, _) => Some(self.number(*which)),
            Token::Field(name, _) => Some(self.field(name).unwrap_or(0)),
            _ => None,
        });
        if direct.clone().next().is_some() {
            return direct.into_iter().any(|value| value != 0);
        }
        body.0.iter().any(|token| match token {
            Token::Choice(first, _) => self.is_there(first),
            _ => false,
        })
    }
}

impl Set {
    fn add(&mut self, text: &str, rules: &Rules) -> Result<(), Fault> {
        let (base, body) = text
            .split_once(':')
            .ok_or("a rule needs a `:` after its base")?;
        let body = Parser::new(body, rules).whole()?;
        if base.trim() == "-" {
            self.negative = Some(body);
            return Ok(());
        }
        let (base, divisor) = base.split_once('/').unwrap_or((base, ""));
        let number = |text: &str| text.trim().parse().map_err(|_| "a base is a number or `-`");
        let base: u64 = number(base)?;
        let divisor = match divisor {
            "" => 10u64.pow(base.checked_ilog10().unwrap_or(0)),
            text => number(text)?,
        };
        if divisor == 0 || (divisor == 1 && base > 9) || base > BASE_MAX {
            return Err("the divisor of such a rule would not make numbers smaller".into());
        }
        if self.rules.last().is_some_and(|last| last.base >= base) {
            return Err("the bases of a set ascend".into());
        }
        self.rules.push(Rule {
            base,
            divisor,
            body,
        });
        Ok(())
    }
}

impl Body {
    /// Every word in it.
    pub(crate) fn words(&self) -> impl Iterator<Item = &Word> {
        let mut words = Vec::new();
        let mut open = vec![self];
        while let Some(body) = open.pop() {
            for token in &body.0 {
                match token {
                    Token::Word(word) => words.push(word),
                    Token::Choice(first, second) => open.extend([first, second]),
                    _ => {}
                }
            }
        }
        words.into_iter()
    }

    /// Every field in it.
    pub(crate) fn fields(&self) -> Vec<&str> {
        let mut fields = Vec::new();
        let mut open = vec![self];
        while let Some(body) = open.pop() {
            for token in &body.0 {
                match token {
                    Token::Field(name, _) => fields.push(name.as_str()),
                    Token::Choice(first, second) => open.extend([first, second]),
                    _ => {}
                }
            }
        }
        fields
    }
}

/// Reads a body from left to right.
struct Parser<'a> {
    rest: &'a str,
    rules: &'a Rules,
}

impl<'a> Parser<'a> {
    fn new(text: &'a str, rules: &'a Rules) -> Self {
        Self { rest: text, rules }
    }

    fn whole(mut self) -> Result<Body, Fault> {
        let body = self.body(0)?;
        match self.rest.chars().next() {
            None => Ok(body),
            Some(other) => Err(format!("`{other}` has no place here")),
        }
    }

    /// Up to the end, a `|` or a `]`.
    fn body(&mut self, depth: u32) -> Result<Body, Fault> {
        if depth > CHOICES_MAX {
            return Err("choices too deep within each other".into());
        }
        let mut tokens = Vec::new();
        loop {
            self.rest = self.rest.trim_start();
            let Some(first) = self.rest.chars().next() else {
                return Ok(Body(tokens));
            };
            tokens.push(match first {
                '|' | ']' => return Ok(Body(tokens)),
                '[' => self.choice(depth)?,
                '{' => self.field()?,
                '<' | '>' | '=' => self.number(first)?,
                _ => Token::Word(self.name()?.to_lowercase().into()),
            });
            if tokens.len() > TOKENS_MAX {
                return Err("too long".into());
            }
        }
    }

    fn choice(&mut self, depth: u32) -> Result<Token, Fault> {
        self.rest = &self.rest[1..];
        let first = self.body(depth + 1)?;
        let mut second = Body::default();
        if let Some(rest) = self.rest.strip_prefix('|') {
            self.rest = rest;
            second = self.body(depth + 1)?;
        }
        self.rest = self.rest.strip_prefix(']').ok_or("a `[` without its `]`")?;
        Ok(Token::Choice(first, second))
    }

    fn field(&mut self) -> Result<Token, Fault> {
        let (inside, rest) = self.rest[1..]
            .split_once('}')
            .ok_or("a `{` without its `}`")?;
        self.rest = rest;
        let (field, set) = inside
            .split_once(':')
            .ok_or("a field needs its set: {field:set}")?;
        Ok(Token::Field(field.trim().to_owned(), self.set(set.trim())?))
    }

    fn number(&mut self, sign: char) -> Result<Token, Fault> {
        self.rest = &self.rest[1..];
        let is_named = self.rest.starts_with(is_part);
        let set = if is_named {
            let name = self.name()?;
            Some(self.set(name)?)
        } else {
            None
        };
        match (sign, set) {
            ('=', None) => Err("`=` needs the name of another set".into()),
            ('=', set) => Ok(Token::Number(Which::Same, set)),
            ('<', set) => Ok(Token::Number(Which::Quotient, set)),
            (_, set) => Ok(Token::Number(Which::Remainder, set)),
        }
    }

    fn name(&mut self) -> Result<&'a str, Fault> {
        let end = self
            .rest
            .find(|part| !is_part(part))
            .unwrap_or(self.rest.len());
        let (name, rest) = self.rest.split_at(end);
        if name.is_empty() {
            let other = rest.chars().next().unwrap_or(' ');
            return Err(format!("`{other}` has no place here"));
        }
        self.rest = rest;
        Ok(name)
    }

    fn set(&self, name: &str) -> Result<usize, Fault> {
        let found = self.rules.names.get(name).copied();
        found.ok_or_else(|| format!("there is no set `{name}`"))
    }
}

fn is_part(part: char) -> bool {
    part.is_alphanumeric() || matches!(part, '-' | '_' | '\'')
}

/// Substitutions within each other: a number of 18 digits takes about ten.
const DEPTH_MAX: u32 = 24;
/// Tokens looked at for one variable, words among them.
const STEPS_MAX: u32 = 4096;
/// Choices within each other.
const CHOICES_MAX: u32 = 4;
/// Tokens of one body.
const TOKENS_MAX: usize = 64;
const BASE_MAX: u64 = 1_000_000_000_000_000_000;

#[cfg(test)]
mod tests {
    use super::*;

    fn rules(sets: &[(&'static str, &'static str)]) -> Result<Rules, (String, usize, Fault)> {
        Rules::parse(sets.iter().copied())
    }

    fn said(rules: &Rules, set: &str, number: i64) -> Result<String, Error> {
        let mut speech = Speech::default();
        rules.say(set, number, &mut speech)?;
        Ok(speech.words.join(" "))
    }

    #[test]
    fn quotient_remainder_and_choice_say_a_number() {
        let sets = [
            (
                "c",
                "-: minus >\n0: zero\n1: one\n2: two\n3: many\n10: <tens [and >|even]",
            ),
            ("tens", "1: ten\n2: twenty"),
        ];
        let rules = rules(&sets).unwrap();
        assert_eq!(said(&rules, "c", 0).unwrap(), "zero");
        assert_eq!(said(&rules, "c", 12).unwrap(), "ten and two");
        assert_eq!(said(&rules, "c", 20).unwrap(), "twenty even");
        assert_eq!(said(&rules, "c", -2).unwrap(), "minus two");
        assert!(matches!(said(&rules, "tens", 0), Err(Error::Value(_))));
        assert!(matches!(said(&rules, "c", i64::MIN), Err(Error::Value(_))));
        assert!(matches!(said(&rules, "x", 0), Err(Error::NotFound(_))));
    }

    #[test]
    fn rules_that_run_in_circles_end() {
        let rules = rules(&[("a", "0: =b"), ("b", "0: =a =a")]).unwrap();
        assert!(matches!(said(&rules, "a", 1), Err(Error::Limit(_))));
        let text = "0: w\n1: =b =b";
        let rules = self::rules(&[("b", "0: x x x x x x x x"), ("a", text)]).unwrap();
        assert!(said(&rules, "a", 1).is_ok());
    }

    #[test]
    fn a_bomb_of_substitutions_stops_at_its_steps() {
        let names: Vec<String> = (0..20).map(|n| format!("s{n}")).collect();
        let texts: Vec<String> = (0..20)
            .map(|n| match names.get(n + 1) {
                Some(next) => format!("0: ={next} ={next}"),
                None => "0: ".to_owned(),
            })
            .collect();
        let sets: Vec<(&str, &str)> = names
            .iter()
            .map(String::as_str)
            .zip(texts.iter().map(String::as_str))
            .collect();
        let rules = Rules::parse(sets.iter().copied()).unwrap();
        assert!(matches!(said(&rules, "s0", 0), Err(Error::Limit(_))));
    }

    #[test]
    fn templates_leave_out_what_is_zero() {
        let rules = rules(&[("n", "0: zero\n1: one\n2: two")]).unwrap();
        let template = rules
            .template("[[{h:n} hours] [{m:n} minutes]|{m:n} minutes]")
            .unwrap();
        let said = |h, m| {
            let mut speech = Speech::default();
            rules
                .fill(&template, &[("h", h), ("m", m)], &mut speech)
                .unwrap();
            speech.words.join(" ")
        };
        assert_eq!(said(1, 2), "one hours two minutes");
        assert_eq!(said(1, 0), "one hours");
        assert_eq!(said(0, 2), "two minutes");
        assert_eq!(said(0, 0), "zero minutes");
        let mut fields = template.fields();
        fields.sort_unstable();
        assert_eq!(fields, ["h", "m", "m"]);
    }

    #[test]
    fn faults_are_named_with_their_line() {
        for (text, line) in [
            ("0: a\nb", 1),
            ("0: a\n0: b", 1),
            ("0: [a", 0),
            ("0: a]", 0),
            ("0: {a}", 0),
            ("0: {a:missing}", 0),
            ("0: <missing", 0),
            ("0: =", 0),
            ("0: a\n20/1: >", 1),
            ("x: a", 0),
            ("0: a\n\n# comment\n1: %", 3),
            ("2: a", 0),
            ("", 0),
            ("0: [[[[[[a]]]]]]", 0),
        ] {
            let (set, at, fault) = rules(&[("s", text)]).unwrap_err();
            assert_eq!((set.as_str(), at), ("s", line), "{text}: {fault}");
        }
    }
}
