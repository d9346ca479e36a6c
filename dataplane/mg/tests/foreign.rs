//! Requests that Erlang/OTP's encoders made at random, whole and damaged: the gateway answers each,
//! whatever it thinks of it, and goes on as if nothing had been.

mod rig;

use base::Entropy;
use h248::binary::Naming;
use h248::encoding::{BadTransaction, Encoding, ParsedBody, TransactionKind};
use h248::message::{Command, Transaction, TransactionId};
use rig::{MGC, Rig, at};

const SEED: u64 = 248;
/// Numbers that the rig's own controller may have used.
const OWN_MAX: u32 = 20;
/// Damages of each message.
const DAMAGES: usize = 8;

/// The messages, in each form: pretty text, compact text and BER. Lengths of four octets stand
/// before them, and before every three one record of another kind.
fn messages() -> Vec<&'static [u8]> {
    const FILE: &[u8] = include_bytes!("../../../protocols/h248/testdata/binary/otp_corpus.bin");
    let (mut rest, mut records) = (FILE, Vec::new());
    while let Some((len, behind)) = rest.split_first_chunk::<4>() {
        let (record, behind) = behind.split_at(u32::from_be_bytes(*len) as usize);
        records.push(record);
        rest = behind;
    }
    let messages = records.into_iter().enumerate();
    let messages = messages.filter(|(index, octets)| index % 4 > 0 && !octets.is_empty());
    messages.map(|(_, octets)| octets).collect()
}

/// The numbers of the requests in a message; `None` when it cannot be read, or when it would tell
/// the gateway to go somewhere else.
fn requests(octets: &[u8]) -> Option<Vec<TransactionId>> {
    let parsed = Encoding::parse(octets, &Naming::default()).ok()?;
    let ParsedBody::Transactions(all) = parsed.body else {
        return Some(Vec::new());
    };
    let mut numbers = Vec::new();
    for transaction in all {
        match transaction {
            Ok(Transaction::Request(request)) => {
                let mut commands = request.actions.iter().flat_map(|action| &action.commands);
                if commands.any(|it| matches!(it.command, Command::ServiceChange(_))) {
                    return None;
                }
                numbers.push(request.id);
            }
            Err(BadTransaction {
                kind: TransactionKind::Request,
                id: Some(id),
                ..
            }) => numbers.push(id),
            _ => {}
        }
    }
    Some(numbers)
}

/// Says it to a gateway with a call, and sees that each request is answered and the gateway is as
/// it was, but for what the requests may do.
fn say(octets: &[u8]) -> usize {
    let Some(numbers) = requests(octets) else {
        return 0;
    };
    let mut rig = Rig::new();
    let (context, _) = rig.call();
    let answers = rig.answers(at(MGC), octets).join("\n");
    // What the rig's own controller has asked and acknowledged is not answered again.
    let new = numbers.iter().filter(|number| number.0 > OWN_MAX);
    let shown = || String::from_utf8_lossy(octets).into_owned();
    for number in new {
        let answer = format!("Reply = {number} ");
        assert!(
            answers.contains(&answer),
            "{answer}: {answers}\n{}",
            shown()
        );
    }
    let said = rig.say("Context = - { AuditValue = ROOT { Audit { Packages } } }");
    assert!(said.contains("root-"), "{said}\n{}", shown());
    // None of them knows its number, and a wildcard may take it away.
    let all = rig.say(&format!("Context = {context} {{ AuditValue = * }}"));
    assert!(
        !all.contains("Error") || shown().contains('*'),
        "{all}\n{}",
        shown()
    );
    rig.say("Context = * { O-W-Subtract = * { Audit { } } }");
    rig.assert_empty();
    numbers.len()
}

#[test]
fn each_request_of_others_is_answered_whole_or_damaged() {
    println!("seed {SEED}");
    let (mut entropy, mut answered) = (Entropy::from_u64(SEED), 0);
    for message in messages() {
        answered += say(message);
        for _ in 0..DAMAGES {
            let mut damaged = message.to_vec();
            let place = entropy.below(damaged.len() as u64) as usize;
            match entropy.below(3) {
                0 => damaged[place] ^= 1 << entropy.below(8),
                1 => drop(damaged.remove(place)),
                _ => damaged.insert(place, b"{},=x*$ "[entropy.below(8) as usize]),
            }
            answered += say(&damaged);
        }
    }
    assert!(answered > 500, "{answered}");
}
