//! Messages of Erlang/OTP with a word put into the place of another, or a bit turned: the
//! transaction that it stands in is refused with a code of that place, and every other one is read
//! as before.

#[path = "otp/corpus.rs"]
mod corpus;

use std::ops::Range;

use base::Entropy;
use h248::binary::Naming;
use h248::encoding::{Encoding, Parsed, ParsedBody};
use h248::message::Transaction;

const SEED: u64 = 2026;
/// Damages of each transaction in text.
const DAMAGES: usize = 60;

/// Every form of the messages that OTP made once, without those that are empty.
fn forms() -> Vec<&'static [u8]> {
    let records = corpus::records(corpus::MADE_ONCE);
    // The first of four records is the version.
    let forms = records.into_iter().enumerate();
    let forms = forms.filter(|(index, form)| index % 4 > 0 && !form.is_empty());
    forms.map(|(_, form)| form).collect()
}

/// A transaction, or the code and number that it is refused with.
type Read = Result<Transaction, (u16, Option<u32>)>;

/// The transactions of a message.
fn read(octets: &[u8]) -> Result<Vec<Read>, u16> {
    let parsed = Encoding::parse(octets, &corpus::naming()).map_err(|error| error.code.0)?;
    let ParsedBody::Transactions(all) = parsed.body else {
        return Ok(Vec::new());
    };
    let number = |bad: &h248::encoding::BadTransaction| bad.id.map(|id| id.0);
    let each = all.into_iter();
    let each = each.map(|read| read.map_err(|bad| (bad.error.code.0, number(&bad))));
    Ok(each.collect())
}

/// A word of a message in text.
#[derive(Clone, Debug)]
struct Word {
    from: usize,
    to: usize,
    /// Open braces around it.
    depth: usize,
    /// Which transaction it stands in, from 0.
    transaction: usize,
    /// Behind an equals sign.
    is_value: bool,
}

/// The words within transactions, without those of session descriptions and quoted strings.
fn words(message: &[u8]) -> Vec<Word> {
    let is_word =
        |octet: u8| octet.is_ascii_alphanumeric() || b"+-&!_/'?@^`~*$\\()%|.".contains(&octet);
    let (mut words, mut depth, mut transaction, mut at) = (Vec::<Word>::new(), 0_usize, 0, 0);
    while at < message.len() {
        match message[at] {
            b'{' => {
                let last = words.last().filter(|word| word.to + 2 >= at);
                let name = last.map(|word| message[word.from..word.to].to_ascii_uppercase());
                let is_opaque = name.is_some_and(|name| match depth {
                    0 => name == b"MTP",
                    _ => [&b"L"[..], b"R", b"LOCAL", b"REMOTE"].contains(&&name[..]),
                });
                if is_opaque {
                    while message[at] != b'}' || message[at - 1] == b'\\' {
                        at += 1;
                    }
                } else {
                    depth += 1;
                }
            }
            b'}' => {
                depth -= 1;
                transaction += usize::from(depth == 0);
            }
            b'"' => {
                at += 1;
                while message[at] != b'"' {
                    at += 1;
                }
            }
            octet if is_word(octet) => {
                let from = at;
                while at < message.len() && is_word(message[at]) {
                    at += 1;
                }
                let before = message[..from].trim_ascii_end().last();
                words.push(Word {
                    from,
                    to: at,
                    depth,
                    transaction,
                    is_value: before == Some(&b'='),
                });
                continue;
            }
            _ => {}
        }
        at += 1;
    }
    words
}

/// Codes of H.248.8 that an unknown word leads to, by the number of braces around it.
fn codes_of(word: &Word) -> &'static [u16] {
    match (word.depth, word.is_value) {
        // Numbers of transactions in acknowledgements, names of contexts.
        (1, _) => &[403, 410],
        // Names of commands, terminations, attributes of contexts.
        (2, false) => &[410, 443],
        (2, true) => &[410, 422, 449],
        // Names of descriptors, and what stands in them.
        (3, false) => &[410, 422, 442, 444, 445],
        (3, true) => &[410, 422, 442, 449],
        (_, false) => &[410, 442, 444, 445, 446, 449],
        (_, true) => &[410, 449, 517],
    }
}

/// The number by which a transaction is answered or awaited.
fn number(transaction: &Transaction) -> Option<u32> {
    match transaction {
        Transaction::Request(request) => Some(request.id.0),
        Transaction::Reply(reply) => Some(reply.id.0),
        Transaction::Pending(id) | Transaction::SegmentReply(id, _) => Some(id.0),
        Transaction::ResponseAck(_) => None,
    }
}

/// What is read of a damaged message: its transactions but one as before, and that one perhaps,
/// with the code of its error if not.
fn refusal(before: &[Read], damaged: &[u8], place: usize) -> Option<u16> {
    let after = read(damaged).unwrap();
    assert_eq!(after.len(), before.len());
    for (index, (before, after)) in before.iter().zip(&after).enumerate() {
        if index != place {
            assert_eq!(before, after);
        }
    }
    let (code, id) = after[place].as_ref().err()?;
    let whole = before[place].as_ref().unwrap();
    assert_eq!(*id, number(whole), "what is refused is named");
    Some(*code)
}

#[test]
fn a_damaged_transaction_is_refused_by_its_place_and_disturbs_no_other() {
    println!("seed {SEED}");
    let (mut entropy, mut refused) = (Entropy::from_u64(SEED), 0);
    for form in forms().iter().filter(|form| !Encoding::is_binary(form)) {
        let before = read(form).unwrap();
        let words = words(form).into_iter().filter(|word| word.depth > 0);
        let words: Vec<_> = words.collect();
        for _ in 0..if words.is_empty() {
            0
        } else {
            DAMAGES * before.len()
        } {
            let word = &words[entropy.below(words.len() as u64) as usize];
            let mut damaged = form.to_vec();
            damaged.splice(word.from..word.to, *b"Qqq&q");
            let Some(code) = refusal(&before, &damaged, word.transaction) else {
                continue;
            };
            refused += 1;
            let shown = String::from_utf8_lossy(&damaged);
            assert!(
                codes_of(word).contains(&code),
                "{code} at {word:?}:\n{shown}"
            );
        }
    }
    // The others have it in the place of a name or a value that may be any.
    assert!(refused > 5000, "{refused}");
}

/// Contents of each element within `octets`, whose places are counted from `start`.
fn elements(octets: &[u8], start: usize) -> Vec<Range<usize>> {
    let (mut elements, mut at) = (Vec::new(), start);
    let end = start + octets.len();
    let octet = |at: usize| usize::from(octets[at - start]);
    while at < end {
        let many = octet(at + 1).checked_sub(0x80);
        let digits = at + 2..at + 2 + many.unwrap_or(0);
        let length = digits.clone().fold(0, |length, at| length << 8 | octet(at));
        let length = many.map_or(octet(at + 1), |_| length);
        elements.push(digits.end..digits.end + length);
        at = digits.end + length;
    }
    elements
}

/// Contents of the transactions of a message in binary, by A.2: the last element of the message is
/// its body, and of that the only one is a choice.
fn transactions(message: &[u8]) -> Vec<Range<usize>> {
    let within = |range: &Range<usize>| elements(&message[range.clone()], range.start);
    let whole = elements(message, 0).remove(0);
    let message = within(&whole).pop().unwrap();
    let body = within(&message).pop().unwrap();
    within(&within(&body)[0])
}

#[test]
fn a_damaged_transaction_in_binary_disturbs_no_other() {
    println!("seed {SEED}");
    let (mut entropy, mut refused) = (Entropy::from_u64(SEED), 0);
    for form in forms().iter().filter(|form| Encoding::is_binary(form)) {
        let before = read(form).unwrap();
        if before.is_empty() {
            continue;
        }
        let places = transactions(form);
        assert_eq!(places.len(), before.len());
        for _ in 0..DAMAGES * before.len() {
            let index = entropy.below(places.len() as u64) as usize;
            let place = places[index].clone();
            // Behind the number of the transaction.
            let number = 2 + usize::from(form[place.start + 1]);
            let len = place.len().saturating_sub(number) as u64;
            if len == 0 || matches!(before[index], Ok(Transaction::ResponseAck(_))) {
                continue;
            }
            let mut damaged = form.to_vec();
            let at = place.start + number + entropy.below(len) as usize;
            damaged[at] ^= 1 << entropy.below(8);
            refused += usize::from(refusal(&before, &damaged, index).is_some());
        }
    }
    assert!(refused > 500, "{refused}");
}

#[test]
fn a_bit_turned_anywhere_does_no_harm_whatever_names_are_provisioned() {
    println!("seed {SEED}");
    let mut entropy = Entropy::from_u64(SEED);
    let namings = [corpus::naming(), Naming::default()];
    for form in forms().into_iter().filter(|form| Encoding::is_binary(form)) {
        for at in (0..form.len()).step_by(3) {
            let mut damaged = form.to_vec();
            damaged[at] ^= 1 << entropy.below(8);
            for naming in &namings {
                if let Ok(message) =
                    Encoding::parse(&damaged, naming).and_then(Parsed::into_message)
                {
                    // What has no room is refused, and nothing else happens.
                    let _ = Encoding::Binary.to_vec(&message, naming);
                }
            }
        }
    }
}
