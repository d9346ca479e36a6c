//! Text and binary between two entities.

use super::*;
use crate::binary::{self, Naming};
use crate::message::{Message, MessageBody, TransactionRequest};

fn entity(own: &str, encoding: Encoding) -> Endpoint<u32> {
    let mut config = Config::new(Mid::from(address(own)), TransactionId(1000));
    config.association.encoding = encoding;
    Endpoint::new(config, Entropy::from_u64(1))
}

fn read(message: &[u8]) -> Vec<Transaction> {
    let message = Encoding::parse(message, &Naming::default()).unwrap();
    match message.into_message().unwrap().body {
        MessageBody::Transactions(transactions) => transactions,
        MessageBody::Error(error) => panic!("{error:?}"),
    }
}

fn binary(transactions: Vec<Transaction>) -> Vec<u8> {
    let message = Message {
        auth: None,
        version: 3,
        mid: Mid::from(address(MGC)),
        body: MessageBody::Transactions(transactions),
    };
    binary::to_vec(&message, &Naming::default()).unwrap()
}

#[test]
fn a_gateway_answers_in_the_encoding_it_is_asked_in() {
    let now = Instant::from_secs(1);
    for encoding in [Encoding::Binary, Encoding::default()] {
        let mut mgc = entity(MGC, encoding);
        for configured in [Encoding::Binary, Encoding::default()] {
            let mut mg = entity(MG, configured);
            mgc.send_request(now, address(MG), audit("ip/1/7"), 1)
                .unwrap();
            let request = bytes(&drain(&mut mgc));
            assert_eq!(Encoding::is_binary(&request), encoding == Encoding::Binary);
            mg.handle_input(now, address(MGC), &request);
            let [Output::Request { handle, .. }] = drain(&mut mg)[..] else {
                panic!()
            };
            mg.reply(now, handle, done("ip/1/7")).unwrap();
            let reply = bytes(&drain(&mut mg));
            assert_eq!(Encoding::is_binary(&reply), encoding == Encoding::Binary);
            mgc.handle_input(now, address(MG), &reply);
            let [Output::Reply { body, .. }] = &drain(&mut mgc)[..] else {
                panic!()
            };
            assert_eq!(*body, done("ip/1/7"));
        }
    }
}

#[test]
fn an_entity_that_follows_nobody_keeps_to_its_encoding() {
    let now = Instant::from_secs(1);
    let mut mg = entity(MG, Encoding::Binary);
    let association = Association {
        encoding: Encoding::Binary,
        follow_peer: false,
        ..Association::default()
    };
    mg.set_association(address(MGC), association);
    mg.handle_input(
        now,
        address(MGC),
        b"!/3 [192.0.2.2] T=7{C=-{S=*}}T=8{C=-{S=*}}",
    );
    let outputs = drain(&mut mg);
    for output in &outputs {
        let Output::Request { handle, .. } = output else {
            panic!()
        };
        mg.reply(now, *handle, done("*")).unwrap();
    }
    let reply = bytes(&drain(&mut mg));
    assert!(Encoding::is_binary(&reply));
    assert_eq!(read(&reply).len(), 2);
}

#[test]
fn what_was_encoded_before_the_peer_changed_goes_in_messages_of_its_own() {
    let now = Instant::from_secs(1);
    let (mut mg, handle, message) = executing(now);
    mg.reply(now, handle, done("ROOT")).unwrap();
    let reply = bytes(&drain(&mut mg));
    // The same request again, then one in binary: the kept reply stays text.
    mg.handle_input(now, address(MGC), &message);
    let actions = audit("ROOT");
    let request = TransactionRequest {
        id: TransactionId(7),
        actions,
    };
    mg.handle_input(
        now,
        address(MGC),
        &binary(vec![Transaction::Request(request)]),
    );
    mg.handle_timeout(now + secs(1));
    let outputs = drain(&mut mg);
    let [
        Output::Request { .. },
        Output::Transmit { bytes: first, .. },
        Output::Transmit { bytes: second, .. },
    ] = &outputs[..]
    else {
        panic!("{outputs:?}")
    };
    assert_eq!(*first, reply);
    assert_eq!(read(second), [Transaction::Pending(TransactionId(7))]);
    assert!(Encoding::is_binary(second));
}

#[test]
fn acknowledgements_and_message_errors_are_binary_too() {
    let now = Instant::from_secs(1);
    let mut mgc = entity(MGC, Encoding::Binary);
    mgc.send_request(now, address(MG), audit("ROOT"), 1)
        .unwrap();
    drain(&mut mgc);
    let reply = TransactionReply {
        id: TransactionId(1000),
        imm_ack_required: true,
        segment: None,
        body: done("ROOT"),
    };
    mgc.handle_input(now, address(MG), &binary(vec![Transaction::Reply(reply)]));
    let outputs = drain(&mut mgc);
    let id = TransactionId(1000);
    assert_eq!(
        read(&bytes(&outputs[1..])),
        [Transaction::ResponseAck(vec![(id, id)])]
    );

    mgc.handle_input(now, address(MG), &[0x30, 0x80, 0, 0]);
    let outputs = drain(&mut mgc);
    let error = binary::parse_message(&bytes(&outputs[1..]), &Naming::default()).unwrap();
    let MessageBody::Error(error) = error.body else {
        panic!()
    };
    assert_eq!(error.code, ErrorCode::SYNTAX_IN_MESSAGE);
    // In text, what is wrong in text.
    mgc.handle_input(now, address(MG), b"!/3");
    let outputs = drain(&mut mgc);
    assert!(bytes(&outputs[1..]).starts_with(b"!/3 [192.0.2.2]:2944\nER=4"));
}

#[test]
fn what_has_no_room_in_binary_is_refused_or_answered_by_error_501() {
    let now = Instant::from_secs(1);
    let mut mgc = entity(MGC, Encoding::Binary);
    let actions = audit("a/name/of/five/levels");
    let sent = mgc.send_request(now, address(MG), actions, 1);
    assert_eq!(sent, Err(Error::Unencodable));
    assert_eq!(mgc.requests_len(), 0);

    let mut mg = entity(MG, Encoding::Binary);
    let request = TransactionRequest {
        id: TransactionId(7),
        actions: audit("ROOT"),
    };
    mg.handle_input(
        now,
        address(MGC),
        &binary(vec![Transaction::Request(request)]),
    );
    let [Output::Request { handle, .. }] = drain(&mut mg)[..] else {
        panic!()
    };
    mg.reply(now, handle, done("a/name/of/five/levels"))
        .unwrap();
    let sent = read(&bytes(&drain(&mut mg)));
    let [Transaction::Reply(TransactionReply { body, .. })] = &sent[..] else {
        panic!("{sent:?}")
    };
    let ReplyBody::Error(error) = body else {
        panic!("{body:?}")
    };
    assert_eq!(error.code, ErrorCode::NOT_IMPLEMENTED);
    assert!(error.text.as_deref().unwrap_or_default().contains("five"));
}
