use std::time::Duration;

use super::*;

fn requests(inner: &str) -> Vec<Item> {
    let text = format!("<?xml version=\"1.0\"?><msml version=\"1.1\">{inner}</msml>");
    parse(text.as_bytes()).unwrap().items
}

fn request(inner: &str) -> Result<Request, u16> {
    let mut items = requests(inner);
    assert_eq!(items.len(), 1);
    items.remove(0).request.map_err(|fault| fault.code)
}

fn steps(inner: &str) -> Result<Vec<Step>, u16> {
    let text = format!("<dialogstart target=\"conn:1\">{inner}</dialogstart>");
    match request(&text)? {
        Request::DialogStart { steps, .. } => Ok(steps),
        other => panic!("{other:?}"),
    }
}

fn performs(inner: &str) -> Vec<Perform> {
    let steps = steps(inner).unwrap().into_iter();
    let performs = steps.filter_map(|step| match step {
        Step::Perform(perform) => Some(*perform),
        _ => None,
    });
    performs.collect()
}

fn map(pattern: &str) -> String {
    let text = format!("<dtmf><pattern {pattern}/></dtmf>");
    performs(&text)[0].digits.clone().unwrap().map
}

#[test]
fn conferences_are_made_joined_and_ended() {
    let made = request(
        "<createconference name=\"a\" deletewhen=\"never\"><audiomix><n-loudest n=\"3\"/></audiomix></createconference>",
    );
    let wanted = Conference {
        name: Some("a".into()),
        delete_when: DeleteWhen::Never,
        speakers: None,
    };
    assert_eq!(made, Ok(Request::CreateConference(wanted)));
    let (first, second) = (
        Object::Connection("x1".into()),
        Object::Conference("a".into()),
    );
    let both = request("<join id1=\"conn:x1\" id2=\"conf:a\"/>");
    assert_eq!(
        both,
        Ok(Request::Join(
            first.clone(),
            second.clone(),
            StreamChange::BOTH
        ))
    );
    let one =
        "<join id1=\"conn:x1\" id2=\"conf:a\"><stream media=\"audio\" dir=\"to-id1\"/></join>";
    let change = StreamChange {
        from_first: false,
        ..StreamChange::BOTH
    };
    assert_eq!(
        request(one),
        Ok(Request::Join(first.clone(), second.clone(), change))
    );
    let muted = "<modifystream id1=\"conn:x1\" id2=\"conf:a\"><stream media=\"audio\" dir=\"from-id1\"><gain amt=\"mute\"/></stream><stream media=\"audio\" dir=\"to-id1\"/></modifystream>";
    let update = |from_first, to_first| StreamUpdate {
        from_first,
        to_first,
        gains: Gains::default(),
    };
    let modified = |update| Ok(Request::ModifyStream(first.clone(), second.clone(), update));
    assert_eq!(request(muted), modified(update(Some(false), Some(true))));
    let unmuted = "<modifystream id1=\"conn:x1\" id2=\"conf:a\"><stream media=\"audio\" dir=\"from-id1\"><gain amt=\"unmute\"/></stream></modifystream>";
    assert_eq!(request(unmuted), modified(update(Some(true), None)));
    assert_eq!(
        request("<unjoin id1=\"conn:x1\" id2=\"conf:a\"/>"),
        Ok(Request::Unjoin(first, second.clone()))
    );
    assert_eq!(
        request("<destroyconference id=\"conf:a\"/>"),
        Ok(Request::DestroyConference(second))
    );
}

#[test]
fn gains_are_of_each_way_and_mute_nothing_by_themselves() {
    let change = |amounts: &str| {
        let text = format!(
            "<modifystream id1=\"conn:x1\" id2=\"conf:a\"><stream media=\"audio\"{amounts}/>\
             </stream></modifystream>"
        );
        match request(&text)? {
            Request::ModifyStream(_, _, update) => Ok(update),
            other => panic!("{other:?}"),
        }
    };
    let gains = |from_first, to_first| StreamUpdate {
        gains: Gains {
            from_first,
            to_first,
        },
        ..StreamUpdate::default()
    };
    assert_eq!(change("><gain amt=\"-6\""), Ok(gains(Some(-6), Some(-6))));
    let one = change(" dir=\"to-id1\"><gain amt=\"12\"");
    assert_eq!(one, Ok(gains(None, Some(12))));
    assert_eq!(one.map(StreamUpdate::turned), Ok(gains(Some(12), None)));
    assert_eq!(change("><gain amt=\"97\""), Err(code::INVALID_ATTRIBUTE));
    assert_eq!(change("><gain amt=\"loud\""), Err(code::INVALID_ATTRIBUTE));
    assert_eq!(
        change("><gain agc=\"true\""),
        Err(code::UNSUPPORTED_ATTRIBUTE)
    );
    let joined = request(
        "<join id1=\"conn:x1\" id2=\"conf:a\"><stream media=\"audio\"><gain amt=\"3\"/></stream></join>",
    );
    let Ok(Request::Join(_, _, change)) = joined else {
        panic!("{joined:?}")
    };
    assert!(change.from_first && change.to_first);
    assert_eq!(change.gains, gains(Some(3), Some(3)).gains);
}

#[test]
fn a_conference_says_how_it_is_to_tell_who_talks() {
    let notices = |asn: &str| {
        let text = format!("<createconference><audiomix>{asn}</audiomix></createconference>");
        match request(&text)? {
            Request::CreateConference(conference) => Ok(conference.speakers),
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(notices(""), Ok(None));
    let told = |millis, threshold_dbm0| {
        Ok(Some(SpeakerNotices {
            interval: Duration::from_millis(millis),
            threshold_dbm0,
        }))
    };
    assert_eq!(notices("<asn ri=\"2s\" asth=\"-40\"/>"), told(2000, -40));
    assert_eq!(notices("<asn ri=\"0s\" asth=\"3\"/>"), told(100, 0));
    assert_eq!(notices("<asn/>"), told(10_000, -96));
    assert_eq!(notices("<asn asth=\"low\"/>"), Err(code::INVALID_ATTRIBUTE));
}

#[test]
fn a_dialog_plays_collects_and_tells() {
    let read = steps(
        "<play barge=\"true\" interval=\"500ms\" iterate=\"2\" maxtime=\"10s\" xml:lang=\"de\">\
           <audio uri=\"file:///a.wav\"/><var type=\"date\" subtype=\"ymd\" value=\"20261121\"/>\
         </play>\
         <dtmf fdt=\"5s\" idt=\"3s\"><pattern digits=\"min=2;max=3;rtk=#\"/>\
           <noinput><send target=\"source\" event=\"none\"/></noinput>\
           <dtmfexit><send target=\"source\" event=\"app.d\" namelist=\"dtmf.digits dtmf.end\"/></dtmfexit>\
         </dtmf><exit namelist=\"play.end\"/>",
    )
    .unwrap();
    let Step::Perform(played) = &read[0] else {
        panic!("{read:?}")
    };
    assert_eq!(played.limit, Some(Duration::from_secs(10)));
    let Some(Signal::Play(play)) = &played.signal else {
        panic!("{played:?}")
    };
    let variable = Part::Variable {
        kind: "date".into(),
        subtype: "ymd".into(),
        value: "20261121".into(),
    };
    assert_eq!(play.parts, [Part::Audio("file:///a.wav".into()), variable]);
    assert_eq!(play.language, "de");
    assert_eq!(
        (play.iterations, play.interval),
        (Some(2), Duration::from_millis(500))
    );
    let Step::Perform(collected) = &read[1] else {
        panic!("{read:?}")
    };
    let digits = collected.digits.as_ref().unwrap();
    assert_eq!(digits.map, "(xxF|xxxF|xxx)");
    assert_eq!(
        (digits.first, digits.long),
        (Some(Duration::from_secs(5)), Duration::from_secs(3))
    );
    assert_eq!(collected.return_key, Some('#'));
    assert_eq!(
        read[2],
        Step::Unless {
            end: "dtmf.noinput",
            steps: 1
        }
    );
    let sent = Step::Send {
        event: "app.d".into(),
        names: vec!["dtmf.digits".into(), "dtmf.end".into()],
    };
    assert_eq!(read[4], sent);
    assert_eq!(
        read[5],
        Step::Exit {
            names: vec!["play.end".into()]
        }
    );
}

#[test]
fn a_prompt_and_its_digits_are_one_step() {
    let collect =
        "<collect><play barge=\"false\"><audio uri=\"a\"/></play><pattern digits=\"1\"/></collect>";
    let group = "<group topology=\"parallel\"><play><audio uri=\"a\"/></play><dtmf><pattern digits=\"1\"/></dtmf></group>";
    for (text, interrupts) in [(collect, false), (group, true)] {
        let performs = performs(text);
        assert_eq!(performs.len(), 1, "{text}");
        assert!(performs[0].signal.is_some());
        assert_eq!(performs[0].digits.as_ref().unwrap().interrupts, interrupts);
    }
}

#[test]
fn patterns_become_digit_maps() {
    assert_eq!(map("digits=\"12x#\""), "12xF");
    assert_eq!(map("digits=\"*9\""), "E9");
    assert_eq!(map("digits=\"length=3\""), "xxx");
    assert_eq!(map("digits=\"min=1;rtk=#\""), "xx.F");
    assert_eq!(map("digits=\"min=1\""), "xx.");
    assert_eq!(map("digits=\"max=2\""), "(x|xx)");
    assert_eq!(map("digits=\"(0|1xx)\" format=\"megaco\""), "(0|1xx)");
    let two = "<dtmf><pattern digits=\"1\"/><pattern digits=\"2\"/></dtmf>";
    assert_eq!(performs(two)[0].digits.as_ref().unwrap().map, "(1|2)");
    assert_eq!(
        performs("<dtmf/>")[0].digits.as_ref().unwrap().map,
        "[0-9A-F]"
    );
}

#[test]
fn a_recording_has_its_times_and_keys() {
    let performs = performs(
        "<record dest=\"file:///r.wav\" maxtime=\"60s\" prespeech=\"3s\" postspeech=\"2s\" \
         termkey=\"#\"><play><audio uri=\"beep.wav\"/></play></record>",
    );
    let Some(Signal::Record(recording)) = &performs[0].signal else {
        panic!("{performs:?}")
    };
    assert_eq!(
        (recording.name.as_str(), recording.end_keys.as_str()),
        ("file:///r.wav", "#")
    );
    assert_eq!(recording.length, Some(Duration::from_secs(60)));
    assert_eq!(recording.pre_speech, Some(Duration::from_secs(3)));
    let prompt = recording.prompt.as_ref().unwrap();
    assert_eq!(prompt.parts, [Part::Audio("beep.wav".into())]);
}

#[test]
fn each_fault_has_its_code() {
    for (text, code) in [
        ("<spin/>", 401),
        ("<monitor/>", 402),
        ("<createconference><videolayout/></createconference>", 402),
        (
            "<createconference><audiomix><asn ri=\"1s\" asth=\"x\"/></audiomix></createconference>",
            410,
        ),
        ("<createconference deletewhen=\"later\"/>", 410),
        ("<createconference name=\"a/b\"/>", 410),
        ("<destroyconference/>", 408),
        ("<destroyconference id=\"room:1\"/>", 410),
        ("<join id1=\"conn:1\"/>", 408),
        (
            "<join id1=\"conn:1\" id2=\"conf:2\"><stream media=\"video\"/></join>",
            407,
        ),
        (
            "<join id1=\"conn:1\" id2=\"conf:2\"><stream media=\"smell\"/></join>",
            410,
        ),
        ("<dialogstart target=\"conn:1\"/>", 403),
        (
            "<dialogstart target=\"conn:1\" type=\"application/voicexml+xml\"><play/></dialogstart>",
            420,
        ),
        (
            "<dialogstart target=\"conn:1\" src=\"http://a.test/d\"/>",
            423,
        ),
        ("<dialogend id=\"conn:1/dialog:\"/>", 410),
    ] {
        assert_eq!(request(text), Err(code), "{text}");
    }
    for (text, code) in [
        ("<play/>", 403),
        ("<play><audio/></play>", 408),
        ("<play><tts/></play>", 402),
        ("<play iterate=\"often\"><audio uri=\"a\"/></play>", 410),
        ("<play interval=\"5y\"><audio uri=\"a\"/></play>", 410),
        ("<record/>", 408),
        ("<record dest=\"a\" append=\"true\"/>", 407),
        ("<dtmf iterate=\"2\"/>", 407),
        ("<dtmf><pattern digits=\"min=3;max=2\"/></dtmf>", 410),
        ("<dtmf><pattern digits=\"y\"/></dtmf>", 410),
        ("<dtmf><pattern digits=\"1\" format=\"other\"/></dtmf>", 407),
        ("<dtmfgen/>", 408),
        ("<faxdetect/>", 402),
        ("<dance/>", 401),
        (
            "<group topology=\"parallel\"><record dest=\"a\"/></group>",
            402,
        ),
    ] {
        assert_eq!(steps(text), Err(code), "{text}");
    }
    for text in [
        "",
        "x",
        "<a/>",
        "<msml/>",
        "<msml version=\"2\"><join/></msml>",
        "<msml version=\"1.1\">",
    ] {
        assert_eq!(parse(text.as_bytes()).unwrap_err().code, 400, "{text}");
    }
    assert_eq!(parse(b"<msml version=\"1.1\"/>").unwrap_err().code, 403);
    let many = format!("<msml version=\"1.1\">{}</msml>", "<spin/>".repeat(65));
    assert_eq!(parse(many.as_bytes()).unwrap_err().code, 521);
    let deep = format!("<msml version=\"1.1\">{}", "<group>".repeat(20));
    assert_eq!(parse(deep.as_bytes()).unwrap_err().code, 521);
}

#[test]
fn recipients_are_read_in_their_order() {
    let list = b"<resource-lists xmlns=\"urn:ietf:params:xml:ns:resource-lists\"><list>\
        <entry uri=\"sip:a@b.test\"/><list><entry uri=\"tel:+1\"/></list><entry/></list>\
        </resource-lists>";
    assert_eq!(uris_of_list(list, 9), ["sip:a@b.test", "tel:+1"]);
    assert_eq!(uris_of_list(list, 1), ["sip:a@b.test"]);
    assert!(uris_of_list(b"<list", 9).is_empty());
}

#[test]
fn results_and_events_are_written() {
    let outcome = Outcome {
        fault: Some(Fault::new(430, "conf:\"<a>\"")),
        mark: Some("m1".into()),
        conferences: vec![Object::Conference("c".into())],
        dialogs: Vec::new(),
    };
    let text = result(&outcome);
    assert!(
        text.contains("<result response=\"430\" mark=\"m1\"><confid>conf:c</confid>"),
        "{text}"
    );
    assert!(
        text.contains("<description>conf:&quot;&lt;a&gt;&quot;</description>"),
        "{text}"
    );
    let id = Object::parse("conn:1/dialog:d").unwrap();
    let told = event(
        "msml.dialog.exit",
        &id,
        &[("play.end".into(), "play.complete".into())],
    );
    let inner = "<event name=\"msml.dialog.exit\" id=\"conn:1/dialog:d\"><name>play.end</name><value>play.complete</value></event>";
    assert!(told.contains(inner), "{told}");
}

#[test]
fn a_document_that_is_cut_or_turned_is_no_panic() {
    let text = "<?xml version=\"1.0\"?><msml version=\"1.1\"><dialogstart target=\"conn:1\" \
                name=\"n\"><collect fdt=\"1s\"><play><audio uri=\"a&amp;b\"/></play><pattern \
                digits=\"min=1;max=9;rtk=#\"/></collect><exit/></dialogstart></msml>";
    assert!(parse(text.as_bytes()).unwrap().items[0].request.is_ok());
    for at in 0..text.len() {
        let _ = parse(&text.as_bytes()[..at]);
        for bit in 0..8 {
            let mut turned = text.as_bytes().to_vec();
            turned[at] ^= 1 << bit;
            let _ = parse(&turned);
        }
    }
}
