//! Wrong messages: the code that the reply carries, and the place.

use h248::error::ErrorCode;
use h248::message::TransactionId;
use h248::text::{self, ParsedBody, TransactionKind};

/// The error of the only transaction of a message.
fn transaction_error(transaction: &str) -> text::BadTransaction {
    let input = format!("MEGACO/3 [192.0.2.1]:2944\n{transaction}");
    let parsed = text::parse(input.as_bytes()).unwrap_or_else(|error| panic!("{error}: {input}"));
    let ParsedBody::Transactions(mut transactions) = parsed.body else {
        panic!()
    };
    transactions.remove(0).expect_err(transaction)
}

#[test]
fn each_level_has_its_code_and_place() {
    // The place is marked by ^.
    let cases = [
        (403, "Transaction = 1 { ^Frob = 1 { Subtract = * } }"),
        (403, "Transaction = 1 { ^}"),
        (403, "Transaction ^{ Context = 1 { Subtract = * } }"),
        (
            410,
            "Transaction = ^4294967296 { Context = 1 { Subtract = * } }",
        ),
        (410, "Transaction = ^one { Context = 1 { Subtract = * } }"),
        (410, "Transaction = 1 { Context = ^x { Subtract = * } }"),
        (410, "Transaction = 1 { Context = ^0 { Subtract = * } }"),
        (422, "Transaction = 1 { Context ^1 { Subtract = * } }"),
        (422, "Transaction = 1 { Context = 1 { ^} }"),
        (
            422,
            "Transaction = 1 { Context = 1 { Priority = 3, ^Priority = 4 } }",
        ),
        (422, "Transaction = 1 { Context = 1 { Priority = ^16 } }"),
        (
            422,
            "Transaction = 1 { Context = 1 { Topology { a, b, ^upway } } }",
        ),
        (443, "Transaction = 1 { Context = 1 { ^Destroy = a } }"),
        (442, "Transaction = 1 { Context = 1 { Subtract ^a } }"),
        (410, "Transaction = 1 { Context = 1 { Subtract = ^a|b } }"),
        (410, "Transaction = 1 { Context = 1 { Subtract = ^} }"),
        (
            442,
            "Transaction = 1 { Context = 1 { Add = a { Media { Stream = 1 { Local { v=0^",
        ),
        (
            444,
            "Transaction = 1 { Context = 1 { Add = a { ^Medium { } } } }",
        ),
        (
            447,
            "Transaction = 1 { Context = 1 { Add = a { ^ObservedEvents = 1 { al/of } } } }",
        ),
        (
            447,
            "Transaction = 1 { Context = 1 { Subtract = a { ^Media { } } } }",
        ),
        (
            448,
            "Transaction = 1 { Context = 1 { Add = a { Signals, ^Signals } } }",
        ),
        (
            448,
            "Transaction = 1 { Context = 1 { Add = a { Media { LocalControl { Mode = SR }, ^LocalControl { Mode = SR } } } } }",
        ),
        (
            448,
            "Transaction = 1 { Context = 1 { Add = a { Media { Stream = 1 { Local { } }, ^Stream = 1 { Local { } } } } } }",
        ),
        (
            517,
            "Transaction = 1 { Context = 1 { Add = a { Media { LocalControl { Mode = ^Fast } } } } }",
        ),
        (
            449,
            "Transaction = 1 { Context = 1 { Add = a { Media { LocalControl { ReservedValue = ^Yes } } } } }",
        ),
        (
            449,
            "Transaction = 1 { Context = 1 { Add = a { Media { TerminationState { ServiceStates = ^Busy } } } } }",
        ),
        (
            445,
            "Transaction = 1 { Context = 1 { Add = a { Media { LocalControl { ^Colour = red } } } } }",
        ),
        (
            410,
            "Transaction = 1 { Context = 1 { Add = a { Media { LocalControl { ^7/x = 1 } } } } }",
        ),
        (
            456,
            "Transaction = 1 { Context = 1 { Add = a { Media { LocalControl { nt/jit = 1, ^NT/JIT = 2 } } } } }",
        ),
        (
            446,
            "Transaction = 1 { Context = 1 { Modify = a { Signals { cg/dt { ^Loud } } } } }",
        ),
        (
            446,
            "Transaction = 1 { Context = 1 { Modify = a { Events = 1 { al/of { ^Loud } } } } }",
        ),
        (
            449,
            "Transaction = 1 { Context = 1 { Modify = a { Signals { cg/dt { SignalType = ^Long } } } } }",
        ),
        (
            410,
            "Transaction = 1 { Context = 1 { Modify = a { Events = ^x { al/of } } } }",
        ),
        (
            442,
            "Transaction = 1 { Context = 1 { Modify = a { Events = 1 { ^alof } } } }",
        ),
        (
            442,
            "Transaction = 1 { Context = 1 { Modify = a { DigitMap = m { ^! } } } }",
        ),
        (
            449,
            "Transaction = 1 { Context = - { ServiceChange = ROOT { Services { Method = ^Now, Reason = \"901\" } } } }",
        ),
        (
            442,
            "Transaction = 1 { Context = - { ServiceChange = ROOT { Services ^{ Method = Restart } } } }",
        ),
        (
            446,
            "Transaction = 1 { Context = - { ServiceChange = ROOT { Services { Method = Restart, Reason = \"901\", ^Colour = red } } } }",
        ),
        (
            410,
            "Transaction = 1 { Context = - { ServiceChange = ROOT { Services { Method = HandOff, Reason = \"903\", MgcIdToTry = ^[x] } } } }",
        ),
    ];
    for (code, marked) in cases {
        let place = marked.find('^').unwrap();
        let error = transaction_error(&marked.replacen('^', "", 1)).error;
        assert_eq!(error.code, ErrorCode(code), "{marked}\n{error}");
        assert_eq!(
            error.offset,
            "MEGACO/3 [192.0.2.1]:2944\n".len() + place,
            "{marked}\n{error}"
        );
        assert_eq!(error.line, 2);
    }
}

#[test]
fn a_bad_request_keeps_its_number_for_the_reply() {
    let bad = transaction_error("Transaction = 77 { Context = 1 { Frob = a } }");
    assert_eq!(
        (bad.kind, bad.id),
        (TransactionKind::Request, Some(TransactionId(77)))
    );
    let bad = transaction_error("Reply = 78/x { Context = 1 }");
    assert_eq!(
        (bad.kind, bad.id),
        (TransactionKind::Reply, Some(TransactionId(78)))
    );
    let bad = transaction_error("Transaction = x { Context = 1 { Subtract = a } }");
    assert_eq!((bad.kind, bad.id), (TransactionKind::Request, None));
}

#[test]
fn errors_of_the_message_as_a_whole() {
    let cases = [
        (400, ""),
        (400, "\n\n ; only a comment"),
        (400, "MGCP 1.0"),
        (400, "MEGACO/ [192.0.2.1]"),
        (400, "MEGACO/x [192.0.2.1]"),
        (406, "MEGACO/0 [192.0.2.1] Pending = 1 { }"),
        (406, "!/4 [192.0.2.1] PN=1{}"),
        (406, "!/99 [192.0.2.1] PN=1{}"),
        (410, "!/3 [192.0.2.256] PN=1{}"),
        (410, "!/3 [fe80::%eth0] PN=1{}"),
        (410, "!/3 <under_score> PN=1{}"),
        (410, "!/3 [192.0.2.1]:65536 PN=1{}"),
        (410, "!/3 MTP{123} PN=1{}"),
        (400, "!/3 [192.0.2.1]"),
        (400, "!/3 [192.0.2.1] Frob=1{}"),
        (
            400,
            "AU=0x1:0x00000001:0x000000000000000000000000 !/3 [192.0.2.1] PN=1{}",
        ),
        (400, "!/3 [192.0.2.1] ER=400{\"x\"} T"),
    ];
    for (code, input) in cases {
        let error = text::parse(input.as_bytes()).expect_err(input);
        assert_eq!(error.code, ErrorCode(code), "{input}: {error}");
    }
}

#[test]
fn too_many_transactions_and_too_long_messages_are_refused() {
    let mut input = String::from("!/3 [192.0.2.1]\n");
    input.push_str(&"PN=1{}".repeat(text::TRANSACTIONS_MAX));
    assert!(text::parse(input.as_bytes()).is_ok());
    input.push_str("PN=1{}");
    let error = text::parse(input.as_bytes()).unwrap_err();
    assert_eq!(error.code, ErrorCode::TOO_MANY_TRANSACTIONS);
    input.push_str(&" ".repeat(text::MESSAGE_LEN_MAX));
    let error = text::parse(input.as_bytes()).unwrap_err();
    assert_eq!(error.code, ErrorCode::SYNTAX_IN_MESSAGE);
    let many = format!("!/3 [1.1.1.1] K{{{}1}}", "1,".repeat(text::ITEMS_MAX));
    let ParsedBody::Transactions(transactions) = text::parse(many.as_bytes()).unwrap().body else {
        panic!()
    };
    assert_eq!(
        transactions[0].as_ref().unwrap_err().error.expected,
        "fewer items"
    );
}

#[test]
fn errors_read_well() {
    let error = transaction_error("Transaction = 1 {\n Context = 1 {\n  Destroy = a } }").error;
    let words = "Unsupported or unknown command: line 4, offset 61: expected a command";
    assert_eq!(error.to_string(), words);
    let descriptor = error.descriptor();
    assert_eq!(descriptor.code, ErrorCode::UNKNOWN_COMMAND);
    assert_eq!(descriptor.text.as_deref(), Some(words));
}

#[test]
fn tokens_and_identifiers_ignore_case_and_comments_are_space() {
    let message = |text: &str| text::parse_message(text.as_bytes()).unwrap();
    let plain = message("!/3 <mg.x> T=1{C=1{A=ip/1{M{O{MO=SR,nt/jit=4}}}}}");
    let odd = message(
        "; a comment = { \" }\r\n mEgAcO/3 <MG.X> ; another\n\tTRANSACTION=1 ;{\n{context ; x\r =\t1 {\
         aDD = IP/1{ media;m\n{ localcontrol { mode = sendreceive , NT/jit=4 } } } }} ; end\n",
    );
    assert_eq!(plain, odd);
}

#[test]
fn braces_and_backslashes_in_session_descriptions_survive() {
    let input = b"!/3 [1.1.1.1] T=1{C=1{A=a{M{L{\r\nv=0\r\na=x:{\\} \\ \\\\} ;\"\r\n}}}}}";
    let message = text::parse_message(input).unwrap();
    for style in [text::Style::Pretty, text::Style::Compact] {
        let printed = text::to_vec(&message, style);
        assert_eq!(text::parse_message(&printed).unwrap(), message);
    }
    let debug = format!("{message:?}");
    assert!(
        debug.contains(r#""v=0\r\na=x:{} \\ \\} ;\"\r\n""#),
        "{debug}"
    );
}
