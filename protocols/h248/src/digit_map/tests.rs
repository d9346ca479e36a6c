use super::*;

fn value(body: &str) -> DigitMapValue {
    DigitMapValue {
        body: body.into(),
        ..DigitMapValue::default()
    }
}

fn map(body: &str) -> Arc<DigitMap> {
    let map = DigitMap::parse(&value(body));
    Arc::new(map.unwrap_or_else(|fault| panic!("{body}: {fault:?}")))
}

/// Dials, with `Z` before what is held long, until the map completes; returns how, what was
/// collected, and how much of the input was used.
fn dial(body: &str, input: &str) -> (Option<Step>, String, usize) {
    let mut collection = Collection::new(map(body));
    let mut is_long = false;
    for (index, letter) in input.chars().enumerate() {
        let Some(symbol) = Symbol::from_char(letter) else {
            assert_eq!(letter, 'Z');
            is_long = true;
            continue;
        };
        let step = collection.digit(symbol, std::mem::take(&mut is_long));
        if step != Step::Pending {
            return (Some(step), collection.dialled().into(), index + 1);
        }
    }
    (None, collection.dialled().into(), input.len())
}

fn completes(body: &str, input: &str, step: Step, dialled: &str) {
    let (found, collected, used) = dial(body, input);
    assert_eq!(
        (found, collected.as_str()),
        (Some(step), dialled),
        "{body} by {input}"
    );
    assert_eq!(used, input.len(), "{body} by {input}");
}

/// Waits after `input`, for so many seconds.
fn waits(body: &str, input: &str, seconds: u64, expired: Method) {
    let mut collection = Collection::new(map(body));
    for letter in input.chars() {
        let symbol = Symbol::from_char(letter).unwrap();
        assert_eq!(
            collection.digit(symbol, false),
            Step::Pending,
            "{body} by {input}"
        );
    }
    let wait = collection.wait().map(|wait| wait.as_secs());
    assert_eq!(
        (wait, collection.expire()),
        (Some(seconds), expired),
        "{body} by {input}"
    );
}

const UM: Step = Step::Complete(Method::Unambiguous);
const PLAN: &str = "(0|00|[1-7]xxx|8xxxxxxx|Fxxxxxxx|Exx|91xxxxxxxxxx|9011x.)";

#[test]
fn the_plan_of_7_1_14_4_collects_what_it_says() {
    completes(PLAN, "00", UM, "00");
    completes(PLAN, "4331", UM, "4331");
    completes(PLAN, "F1234567", UM, "F1234567");
    completes(PLAN, "E42", UM, "E42");
    completes(PLAN, "912125551212", UM, "912125551212");
    waits(PLAN, "", 16, Method::Partial);
    waits(PLAN, "0", 4, Method::Full);
    waits(PLAN, "433", 16, Method::Partial);
    waits(PLAN, "9011", 4, Method::Full);
    waits(PLAN, "901144123", 4, Method::Full);
}

#[test]
fn a_digit_that_fits_nothing_is_given_back() {
    completes(PLAN, "01", Step::Refused(Method::Full), "0");
    completes(PLAN, "43F", Step::Refused(Method::Partial), "43");
    completes(PLAN, "A", Step::Refused(Method::Partial), "");
    completes("1x.", "12F", Step::Refused(Method::Full), "12");
}

#[test]
fn one_string_and_a_list_of_one_are_alike() {
    for body in ["12", "(12)", " ( 1 2 ) ", "(12|12)"] {
        completes(body, "12", UM, "12");
    }
}

#[test]
fn sets_have_symbols_and_ranges_of_either_kind() {
    let body = "[13-5A-CF]";
    for letter in "1345ABCF".chars() {
        completes(body, &letter.to_string(), UM, &letter.to_string());
    }
    for letter in "0267DEGK".chars() {
        let refused = Step::Refused(Method::Partial);
        completes(body, &letter.to_string(), refused, "");
    }
    completes("x", "9", UM, "9");
    completes("x", "A", Step::Refused(Method::Partial), "");
    completes("k", "K", UM, "K");
}

#[test]
fn a_dot_stands_for_any_number_of_the_position_before() {
    completes("1.2", "2", UM, "2");
    completes("1.2", "1112", UM, "1112");
    completes("[12].3x", "212139", UM, "212139");
    // Repetitions that may be left out, one after the other.
    waits("1.2.3.", "", 16, Method::Full);
    waits("1.2.3.", "13", 4, Method::Full);
    completes("1.2.3.", "131", Step::Refused(Method::Full), "13");
    completes("(x.F|x.E)", "12F", UM, "12F");
}

#[test]
fn timing_specifiers_override_the_rules() {
    waits("(1|12L3)", "1", 4, Method::Full);
    waits("(1|1L2)", "1", 16, Method::Full);
    waits("1S23", "1", 4, Method::Partial);
    waits("1S23", "12", 4, Method::Partial);
    // In one candidate of two: it counts. In both, and different: the long one.
    waits("(1S23|124)", "12", 4, Method::Partial);
    waits("(1S23|1L24)", "12", 16, Method::Partial);
    waits("(1S23|1S24)", "12", 4, Method::Partial);
    // Its alternative is no candidate any more: the rules hold again.
    waits("(1S23|134)", "13", 16, Method::Partial);
    // Before the first digit, and after the last one of an alternative.
    waits("(S12)", "", 4, Method::Partial);
    waits("(12L|123)", "12", 16, Method::Full);
    completes("12S", "12", UM, "12");
    let explicit = DigitMapValue {
        start: Some(7),
        ..value("1T2")
    };
    let mut collection = Collection::new(Arc::new(DigitMap::parse(&explicit).unwrap()));
    collection.digit(Symbol(1), false);
    assert_eq!(collection.wait(), Some(Duration::from_secs(7)));
}

#[test]
fn a_long_event_rules_out_alternatives_without_one() {
    let body = "(1x|Z12)";
    completes(body, "12", UM, "12");
    completes(body, "Z12", UM, "Z12");
    completes(body, "Z13", Step::Refused(Method::Partial), "Z1");
    // Where nobody asks, the duration is of no account.
    completes("12", "Z1Z2", UM, "12");
    completes("Z[12].F", "Z1Z2F", UM, "Z1Z2F");
    completes("Z[12].F", "Z12", Step::Refused(Method::Partial), "Z1");
    let collection = Collection::new(map(body));
    assert!(collection.heeds_duration(Symbol(1)));
    assert!(!collection.heeds_duration(Symbol(2)));
}

#[test]
fn timers_are_those_given_and_zero_disables_the_start_timer() {
    let given = DigitMapValue {
        start: Some(0),
        short: Some(1),
        long: Some(99),
        duration: Some(5),
        body: "(1|12|345)".into(),
    };
    let map = Arc::new(DigitMap::parse(&given).unwrap());
    assert_eq!(map.timers().duration, Duration::from_millis(500));
    let mut collection = Collection::new(Arc::clone(&map));
    assert_eq!(collection.wait(), None);
    collection.digit(Symbol(1), false);
    assert_eq!(collection.wait(), Some(Duration::from_secs(1)));
    let mut collection = Collection::new(map);
    collection.digit(Symbol(3), false);
    assert_eq!(collection.wait(), Some(Duration::from_secs(99)));
    for wrong in [
        DigitMapValue {
            short: Some(0),
            ..value("1")
        },
        DigitMapValue {
            long: Some(0),
            ..value("1")
        },
    ] {
        assert_eq!(DigitMap::parse(&wrong), Err(Fault::Malformed(0)));
    }
}

#[test]
fn what_is_not_of_the_grammar_is_refused_where_it_is_wrong() {
    for (body, at) in [
        ("", 0),
        ("()", 1),
        ("(1|)", 3),
        ("(|1)", 1),
        ("(1", 2),
        ("1)", 1),
        ("1|2", 1),
        ("(1)2", 3),
        ("((1))", 1),
        ("[]", 2),
        ("[5-1]", 4),
        ("[1-A]", 4),
        ("[1", 2),
        ("[x]", 1),
        ("[1S]", 2),
        (".", 0),
        ("1..", 2),
        ("S", 1),
        ("S.", 1),
        ("Z", 1),
        ("Z.1", 1),
        ("ZZ1", 1),
        ("ZS1", 1),
        ("1Z", 2),
        ("M", 0),
        ("1-2", 1),
        ("1\u{e9}", 1),
    ] {
        let found = DigitMap::parse(&value(body));
        assert_eq!(found, Err(Fault::Malformed(at)), "{body}");
    }
    assert_eq!(Fault::Malformed(0).code().0, 442);
}

#[test]
fn a_map_has_so_many_positions_and_no_more() {
    let most = "1".repeat(POSITIONS_MAX - 1);
    assert!(DigitMap::parse(&value(&most)).is_ok());
    let more = "1".repeat(POSITIONS_MAX);
    assert_eq!(DigitMap::parse(&value(&more)), Err(Fault::Limit));
    let lists = format!("({}1)", "1|".repeat(POSITIONS_MAX / 2));
    assert_eq!(DigitMap::parse(&value(&lists)), Err(Fault::Limit));
    assert_eq!(Fault::Limit.code().0, 519);
}

#[test]
fn so_many_digits_are_collected_and_no_more() {
    let mut collection = Collection::new(map("x."));
    for _ in 0..DIGITS_MAX {
        assert_eq!(collection.digit(Symbol(5), false), Step::Pending);
    }
    assert_eq!(
        collection.digit(Symbol(5), false),
        Step::Refused(Method::Full)
    );
    assert_eq!(collection.dialled().len(), DIGITS_MAX);
}

/// Maps and digits made of a seed are matched as by a matcher that tries every way by itself.
#[test]
fn matching_agrees_with_a_search_through_every_way() {
    let mut seed = 0x9e37_79b9_u64;
    let mut next = |below: u64| {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (seed >> 33) % below
    };
    for _ in 0..3000 {
        let alternatives: Vec<Vec<(u64, bool)>> = (0..=next(3))
            .map(|_| (0..=next(4)).map(|_| (next(3), next(3) == 0)).collect())
            .collect();
        let print = |alternative: &Vec<(u64, bool)>| -> String {
            let parts = alternative.iter();
            parts
                .map(|(digit, repeats)| format!("{digit}{}", if *repeats { "." } else { "" }))
                .collect()
        };
        let strings: Vec<String> = alternatives.iter().map(print).collect();
        let body = format!("({})", strings.join("|"));
        let mut collection = Collection::new(map(&body));
        let mut dialled: Vec<u64> = Vec::new();
        for _ in 0..6 {
            let digit = next(3);
            let step = collection.digit(Symbol(digit as u8), false);
            let before = alternatives.iter().any(|one| matches(one, &dialled));
            dialled.push(digit);
            let now = alternatives.iter().any(|one| matches(one, &dialled));
            let longer = alternatives.iter().any(|one| {
                (0..3).any(|d| {
                    let mut more = dialled.clone();
                    more.push(d);
                    begins(one, &more)
                })
            });
            let expected = match (now, longer, before) {
                (true, false, _) => UM,
                (_, true, _) => Step::Pending,
                (false, false, true) => Step::Refused(Method::Full),
                (false, false, false) => Step::Refused(Method::Partial),
            };
            assert_eq!(step, expected, "{body} by {dialled:?}");
            if step != Step::Pending {
                break;
            }
        }
    }
}

fn matches(pattern: &[(u64, bool)], digits: &[u64]) -> bool {
    let Some((&(symbol, repeats), rest)) = pattern.split_first() else {
        return digits.is_empty();
    };
    let takes = digits.first() == Some(&symbol);
    match repeats {
        true => matches(rest, digits) || takes && matches(pattern, &digits[1..]),
        false => takes && matches(rest, &digits[1..]),
    }
}

fn begins(pattern: &[(u64, bool)], digits: &[u64]) -> bool {
    let Some((&digit, more)) = digits.split_first() else {
        return true;
    };
    let Some((&(symbol, repeats), rest)) = pattern.split_first() else {
        return false;
    };
    let takes = digit == symbol;
    match repeats {
        true => begins(rest, digits) || takes && begins(pattern, more),
        false => takes && begins(rest, more),
    }
}

proptest::proptest! {
    /// Whatever a map is, it is read or refused, and what it collects is bounded.
    #[test]
    fn any_text_is_read_or_refused(body in "[0-9A-KxSLTZ.|()\\[\\]-]{0,40}", digits in "[0-9A-F]{0,80}") {
        if let Ok(map) = DigitMap::parse(&value(&body)) {
            let mut collection = Collection::new(Arc::new(map));
            for letter in digits.chars() {
                let symbol = Symbol::from_char(letter).unwrap();
                let is_long = collection.heeds_duration(symbol);
                if collection.digit(symbol, is_long) != Step::Pending {
                    break;
                }
                let positions = collection.map.positions.len();
                proptest::prop_assert!(collection.candidates.len() <= positions);
            }
            proptest::prop_assert!(collection.dialled().len() <= 2 * DIGITS_MAX);
        }
    }
}
