//! Cx commands through the codec: round trips, grammar, Failed-AVP.

mod samples;

use diameter::cx::{APPLICATION_ID, Answer, Outcome, Request, Uaa};
use diameter::dictionary::{base as common, cx as avp};
use diameter::{CommandFlags, Error, Header, Message, ReplyTo, ResultCode, Writer};
use samples::{answers, envelope, hss, requests};

#[test]
fn every_request_comes_back_as_it_was() {
    for request in requests() {
        let bytes = request.to_message(&envelope()).unwrap();
        let message = Message::parse(&bytes).unwrap();
        assert!(message.header.flags.is_proxiable());
        let back = Request::from_message(&message).unwrap();
        assert_eq!(back, (envelope(), request));
    }
}

#[test]
fn every_answer_comes_back_as_it_was() {
    for (request, answer) in requests().iter().zip(answers()) {
        let bytes = request.to_message(&envelope()).unwrap();
        let reply_to = ReplyTo::new(&Message::parse(&bytes).unwrap());
        let bytes = answer.to_message(&reply_to, &hss()).unwrap();
        let message = Message::parse(&bytes).unwrap();
        assert!(!message.header.flags.is_request());
        assert_eq!(Answer::from_message(&message).unwrap(), answer);
    }
}

#[test]
fn bare_answers_come_back_with_every_outcome() {
    let request = &requests()[0];
    let bytes = request.to_message(&envelope()).unwrap();
    let reply_to = ReplyTo::new(&Message::parse(&bytes).unwrap());
    for outcome in [
        Outcome::SUCCESS,
        Outcome::SubsequentRegistration,
        Outcome::UserUnknown,
        Outcome::UNABLE_TO_COMPLY,
        Outcome::UNABLE_TO_DELIVER,
        Outcome::Base(ResultCode::TOO_BUSY),
        Outcome::ServingNodeFeatureUnsupported,
    ] {
        let answer = request.answer(outcome);
        let bytes = answer.to_message(&reply_to, &hss()).unwrap();
        let message = Message::parse(&bytes).unwrap();
        let protocol_error = matches!(outcome, Outcome::Base(code) if code.is_protocol_error());
        assert_eq!(message.header.flags.is_error(), protocol_error);
        assert_eq!(Answer::from_message(&message).unwrap(), answer);
    }
}

#[test]
fn a_failure_without_what_its_command_requires_is_understood() {
    let bytes = requests()[1].to_message(&envelope()).unwrap();
    let reply_to = ReplyTo::new(&Message::parse(&bytes).unwrap());
    for result in [ResultCode::UNABLE_TO_COMPLY, ResultCode::TOO_BUSY] {
        let bytes = reply_to.result(&hss(), result, None).unwrap();
        let answer = Answer::from_message(&Message::parse(&bytes).unwrap()).unwrap();
        assert_eq!(answer, requests()[1].answer(Outcome::Base(result)));
    }
    let bytes = reply_to.result(&hss(), ResultCode::SUCCESS, None).unwrap();
    let error = Answer::from_message(&Message::parse(&bytes).unwrap()).unwrap_err();
    assert_eq!(error.result_code(), ResultCode::MISSING_AVP);
}

#[test]
fn vectors_are_given_in_the_order_of_their_numbers() {
    let bytes = requests()[3].to_message(&envelope()).unwrap();
    let reply_to = ReplyTo::new(&Message::parse(&bytes).unwrap());
    let mut answers = answers();
    let Answer::MultimediaAuth(maa) = &mut answers[3] else {
        unreachable!("the fourth sample is MAA");
    };
    maa.sip_auth_data_items.reverse();
    let bytes = answers[3].to_message(&reply_to, &hss()).unwrap();
    let Ok(Answer::MultimediaAuth(maa)) = Answer::from_message(&Message::parse(&bytes).unwrap())
    else {
        panic!("not an MAA");
    };
    let numbers: Vec<_> = maa
        .sip_auth_data_items
        .iter()
        .map(|item| item.item_number)
        .collect();
    assert_eq!(numbers, [Some(1), Some(2), Some(3)]);
}

#[test]
fn an_answer_repeats_identifiers_session_and_proxy_info() {
    let mut bytes = requests()[0].to_message(&envelope()).unwrap();
    bytes[12..20].copy_from_slice(&[1, 2, 3, 4, 5, 6, 7, 8]);
    let bytes = with(&bytes, |writer| {
        for proxy in ["proxy1.test", "proxy2.test"] {
            writer.group(&common::PROXY_INFO, |inside| {
                inside.text(&common::PROXY_HOST, proxy);
                inside.octets(&common::PROXY_STATE, b"state");
            });
        }
    });
    let request = Message::parse(&bytes).unwrap();
    let reply_to = ReplyTo::new(&request);
    let answer = Answer::UserAuthorization(Uaa::from(Outcome::FirstRegistration))
        .to_message(&reply_to, &hss())
        .unwrap();
    let answer = Message::parse(&answer).unwrap();
    assert_eq!(answer.header.hop_by_hop, 0x0102_0304);
    assert_eq!(answer.header.end_to_end, 0x0506_0708);
    assert_eq!(
        answer.find(&common::SESSION_ID),
        request.find(&common::SESSION_ID)
    );
    let proxies = |message: Message<'_>| {
        let infos = message.avps().filter(|avp| avp.is(&common::PROXY_INFO));
        infos.map(|avp| avp.data.to_vec()).collect::<Vec<_>>()
    };
    assert_eq!(proxies(answer), proxies(request));
}

/// A message of the first sample's header with these AVPs.
fn uar(fill: impl FnOnce(&mut Writer)) -> Vec<u8> {
    let mut writer = Writer::new(Header {
        flags: CommandFlags(CommandFlags::REQUEST | CommandFlags::PROXIABLE),
        command: avp::USER_AUTHORIZATION,
        application: APPLICATION_ID,
        hop_by_hop: 1,
        end_to_end: 2,
    });
    fill(&mut writer);
    writer.finish().unwrap()
}

/// `message` with more AVPs at its end.
fn with(message: &[u8], fill: impl FnOnce(&mut Writer)) -> Vec<u8> {
    let parsed = Message::parse(message).unwrap();
    let mut writer = Writer::new(parsed.header);
    parsed.avps().for_each(|avp| writer.copy(&avp));
    fill(&mut writer);
    writer.finish().unwrap()
}

/// `message` without the AVPs of this definition.
fn without(message: &[u8], def: &diameter::dictionary::AvpDef) -> Vec<u8> {
    let parsed = Message::parse(message).unwrap();
    let mut writer = Writer::new(parsed.header);
    parsed
        .avps()
        .filter(|avp| !avp.is(def))
        .for_each(|avp| writer.copy(&avp));
    writer.finish().unwrap()
}

fn fault(bytes: &[u8]) -> Error {
    match Message::parse(bytes) {
        Ok(message) => Request::from_message(&message).unwrap_err(),
        Err(error) => error,
    }
}

#[test]
fn an_absent_avp_is_named_with_an_example_of_its_least_length() {
    let bytes = requests()[0].to_message(&envelope()).unwrap();
    let error = fault(&without(&bytes, &common::USER_NAME));
    assert_eq!(error.result_code(), ResultCode::MISSING_AVP);
    assert_eq!(
        error.failed_avp().unwrap().as_bytes(),
        [0, 0, 0, 1, 0x40, 0, 0, 8]
    );

    let error = fault(&without(&bytes, &common::AUTH_SESSION_STATE));
    let example = [0, 0, 1, 21, 0x40, 0, 0, 12, 0, 0, 0, 0];
    assert_eq!(error.failed_avp().unwrap().as_bytes(), example);
}

#[test]
fn the_first_instance_too_many_is_the_failed_avp() {
    let bytes = requests()[0].to_message(&envelope()).unwrap();
    let error = fault(&with(&bytes, |writer| {
        writer.text(&common::USER_NAME, "second")
    }));
    assert_eq!(error.result_code(), ResultCode::AVP_OCCURS_TOO_MANY_TIMES);
    assert!(
        error
            .failed_avp()
            .unwrap()
            .as_bytes()
            .ends_with(b"second\0\0")
    );
}

#[test]
fn unknown_avps_matter_only_with_the_m_bit() {
    let bytes = requests()[0].to_message(&envelope()).unwrap();
    let unknown = |flags| diameter::Avp {
        code: 60_000,
        flags: diameter::AvpFlags(flags),
        vendor: 0,
        data: b"?",
    };
    let ignored = with(&bytes, |writer| writer.copy(&unknown(0)));
    assert!(Request::from_message(&Message::parse(&ignored).unwrap()).is_ok());
    let error = fault(&with(&bytes, |writer| writer.copy(&unknown(0x40))));
    assert_eq!(error.result_code(), ResultCode::AVP_UNSUPPORTED);
    let failed = [0, 0, 0xea, 0x60, 0x40, 0, 0, 9, b'?', 0, 0, 0];
    assert_eq!(error.failed_avp().unwrap().as_bytes(), failed);
}

#[test]
fn a_fault_inside_a_group_is_shown_inside_the_group() {
    let bytes = requests()[4].to_message(&envelope()).unwrap();
    let bytes = with(&without(&bytes, &avp::DEREGISTRATION_REASON), |writer| {
        writer.group(&avp::DEREGISTRATION_REASON, |inside| {
            inside.u32(&avp::REASON_CODE, 9);
        });
    });
    let error = fault(&bytes);
    assert_eq!(error.result_code(), ResultCode::INVALID_AVP_VALUE);
    let mut expected = vec![0, 0, 2, 0x67, 0xc0, 0, 0, 28, 0, 0, 0x28, 0xaf];
    expected.extend([0, 0, 2, 0x68, 0xc0, 0, 0, 16, 0, 0, 0x28, 0xaf, 0, 0, 0, 9]);
    assert_eq!(error.failed_avp().unwrap().as_bytes(), expected);
}

#[test]
fn a_number_of_the_wrong_length_is_answered_with_one_of_the_right_length() {
    let bytes = requests()[0].to_message(&envelope()).unwrap();
    let bytes = with(&without(&bytes, &avp::UAR_FLAGS), |writer| {
        writer.octets(&avp::UAR_FLAGS, &[1]);
    });
    let error = fault(&bytes);
    assert_eq!(error.result_code(), ResultCode::INVALID_AVP_LENGTH);
    let expected = [0, 0, 2, 0x7d, 0x80, 0, 0, 16, 0, 0, 0x28, 0xaf, 0, 0, 0, 0];
    assert_eq!(error.failed_avp().unwrap().as_bytes(), expected);
}

#[test]
fn an_avp_length_below_its_header_or_beyond_the_message_is_refused() {
    for length in [0, 1, 4, 7, 11, 0xff_ffff] {
        let mut bytes = uar(|writer| writer.text(&avp::PUBLIC_IDENTITY, "sip:a@b"));
        bytes[25..28].copy_from_slice(&u32::to_be_bytes(length)[1..]);
        let error = fault(&bytes);
        assert_eq!(
            error.result_code(),
            ResultCode::INVALID_AVP_LENGTH,
            "{length}"
        );
        let header = [0, 0, 2, 0x59, 0xc0, 0, 0, 12, 0, 0, 0x28, 0xaf];
        assert_eq!(error.failed_avp().unwrap().as_bytes(), header);
    }
}

#[test]
fn reserved_avp_bits_are_refused() {
    let mut bytes = uar(|writer| writer.text(&avp::PUBLIC_IDENTITY, "sip:a@b"));
    bytes[24] |= 1;
    assert_eq!(fault(&bytes).result_code(), ResultCode::INVALID_AVP_BITS);
}

#[test]
fn headers_are_refused_with_the_code_of_their_fault() {
    let bytes = requests()[0].to_message(&envelope()).unwrap();
    let code = |change: &dyn Fn(&mut Vec<u8>)| {
        let mut bytes = bytes.clone();
        change(&mut bytes);
        fault(&bytes).result_code()
    };
    assert_eq!(code(&|bytes| bytes[0] = 2), ResultCode::UNSUPPORTED_VERSION);
    assert_eq!(
        code(&|bytes| bytes[3] += 4),
        ResultCode::INVALID_MESSAGE_LENGTH
    );
    assert_eq!(
        code(&|bytes| bytes.truncate(19)),
        ResultCode::INVALID_MESSAGE_LENGTH
    );
    assert_eq!(
        code(&|bytes| bytes[4] |= 0x20),
        ResultCode::INVALID_HDR_BITS
    );
    assert_eq!(
        code(&|bytes| bytes[7] = 99),
        ResultCode::COMMAND_UNSUPPORTED
    );
    assert_eq!(
        code(&|bytes| bytes[11] = 1),
        ResultCode::APPLICATION_UNSUPPORTED
    );
}

#[test]
fn the_answer_to_a_fault_carries_it_and_can_be_read() {
    let bytes = requests()[0].to_message(&envelope()).unwrap();
    let bytes = without(&bytes, &common::USER_NAME);
    let error = fault(&bytes);
    let reply_to = ReplyTo::salvage(&bytes).unwrap();
    let answer = reply_to
        .error(&hss(), &error, Some(&avp::DICTIONARY))
        .unwrap();
    let answer = Message::parse(&answer).unwrap();
    assert!(!answer.header.flags.is_error());
    let failed = answer.find(&common::FAILED_AVP).unwrap();
    assert_eq!(failed.data, error.failed_avp().unwrap().as_bytes());
    let outcome = Answer::from_message(&answer).unwrap().outcome();
    assert_eq!(outcome, Outcome::Base(ResultCode::MISSING_AVP));
}

#[test]
fn an_answer_is_never_answered() {
    let answer = samples::messages().remove(1);
    assert_eq!(ReplyTo::salvage(&answer), None);
}

#[test]
fn groups_are_not_followed_deeper_than_the_grammar_goes() {
    let bytes = requests()[0].to_message(&envelope()).unwrap();
    let bytes = with(&bytes, |writer| {
        let nested = (0..2000).fold(Vec::new(), |inside, _| {
            let mut group = Writer::new(Message::parse(&bytes).unwrap().header);
            group.group(&common::FAILED_AVP, |writer| writer.raw(&inside));
            group.finish().unwrap()[20..].to_vec()
        });
        writer.raw(&nested);
    });
    assert!(Request::from_message(&Message::parse(&bytes).unwrap()).is_ok());
}
