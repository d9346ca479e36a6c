use super::*;
use crate::error::Error;
use base::Entropy;

const REPORT: ReportBlock = ReportBlock {
    ssrc: 0xbeef,
    fraction_lost: 64,
    cumulative_lost: -2,
    extended_highest: 0x1_0007,
    jitter_ticks: 12,
    last_sender_report: 0xb705_2000,
    delay_since: 0x0005_4000,
};

const INFO: SenderInfo = SenderInfo {
    ntp: NtpTime(0xb44d_b705_2000_0000),
    rtp_timestamp: 160,
    packets: 2,
    octets: 320,
};

/// SR, SDES, APP and BYE, all that can be written.
fn full() -> Vec<u8> {
    let mut buffer = [0; 256];
    let mut writer = Writer::new(&mut buffer);
    writer
        .sender_report(0xfeed, &INFO, &[REPORT, REPORT])
        .unwrap();
    writer.cname(0xfeed, "alice@192.0.2.1").unwrap();
    writer
        .application(5, 0xfeed, *b"TEST", &[1, 2, 3, 4])
        .unwrap();
    writer.bye(&[0xfeed, 0xbeef], "teardown").unwrap();
    writer.finish().to_vec()
}

#[test]
fn what_is_written_is_read_back() {
    let bytes = full();
    let packets: Vec<Packet> = Compound::parse(&bytes).unwrap().packets().collect();
    assert_eq!(packets.len(), 4);
    let Packet::SenderReport {
        ssrc: 0xfeed,
        info,
        reports,
    } = packets[0]
    else {
        panic!("{packets:?}");
    };
    assert_eq!(info, INFO);
    assert_eq!(reports.iter().collect::<Vec<_>>(), [REPORT, REPORT]);
    assert_eq!(reports.about(0xbeef), Some(REPORT));
    let Packet::SourceDescription(mut items) = packets[1] else {
        panic!("{packets:?}");
    };
    let cname = SdesItem {
        ssrc: 0xfeed,
        kind: 1,
        text: b"alice@192.0.2.1",
    };
    assert_eq!((items.next(), items.next()), (Some(cname), None));
    let expected = Packet::Application {
        subtype: 5,
        ssrc: 0xfeed,
        name: *b"TEST",
        data: &[1, 2, 3, 4],
    };
    assert_eq!(packets[2], expected);
    let Packet::Bye {
        ssrcs,
        reason: b"teardown",
    } = packets[3]
    else {
        panic!("{packets:?}");
    };
    assert_eq!(ssrcs.iter().collect::<Vec<_>>(), [0xfeed, 0xbeef]);
}

#[test]
fn what_is_written_is_what_tshark_read() {
    let text = include_str!("../../testdata/compound.hex");
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    let bytes: Vec<u8> = lines
        .flat_map(str::split_whitespace)
        .map(|byte| u8::from_str_radix(byte, 16).unwrap())
        .collect();
    assert_eq!(full(), bytes);
}

#[test]
fn items_fill_their_chunk_to_a_word() {
    for length in 0..9 {
        let name = "x".repeat(length);
        let mut buffer = [0xff; 64];
        let mut writer = Writer::new(&mut buffer);
        writer.receiver_report(1, &[]).unwrap();
        writer.cname(2, &name).unwrap();
        let bytes = writer.finish();
        assert_eq!(bytes.len() % 4, 0);
        let Some(Packet::SourceDescription(mut items)) =
            Compound::parse(bytes).unwrap().packets().nth(1)
        else {
            panic!("no SDES");
        };
        assert_eq!(items.next().map(|item| item.text), Some(name.as_bytes()));
    }
}

#[test]
fn chunks_of_several_sources_are_walked() {
    let sdes = [
        0x82, 202, 0, 6, 0, 0, 0, 1, 1, 1, b'a', 2, 1, b'b', 0, 0, 0, 0, 0, 2, 1, 2, b'c', b'd', 0,
        0, 0, 0,
    ];
    let compound = Compound::parse_reduced(&sdes).unwrap();
    let Some(Packet::SourceDescription(items)) = compound.packets().next() else {
        panic!("no SDES");
    };
    let found: Vec<_> = items
        .map(|item| (item.ssrc, item.kind, item.text))
        .collect();
    assert_eq!(found, [(1, 1, &b"a"[..]), (1, 2, b"b"), (2, 1, b"cd")]);
    assert_eq!(Compound::parse(&sdes), Err(Error::NoReport));
}

#[test]
fn feedback_and_unknown_packets_are_kept_raw() {
    let pli = [0x81, 206, 0, 2, 0, 0, 0, 1, 0, 0, 0, 2];
    let expected = Feedback {
        format: 1,
        sender: 1,
        media: 2,
        information: &[],
    };
    let packets: Vec<_> = Compound::parse_reduced(&pli).unwrap().packets().collect();
    assert_eq!(packets, [Packet::PayloadFeedback(expected)]);
    let xr = [0x80, 207, 0, 1, 0, 0, 0, 9];
    let other = Packet::Other {
        packet_type: 207,
        count: 0,
        body: &[0, 0, 0, 9],
    };
    assert_eq!(
        Compound::parse_reduced(&xr).unwrap().packets().next(),
        Some(other)
    );
}

#[test]
fn what_does_not_fit_is_refused() {
    let cases: [(&[u8], Error); 9] = [
        (&[], Error::Truncated),
        (&[0x80, 201, 0], Error::Truncated),
        (&[0x80, 201, 0, 1, 0, 0, 0], Error::Truncated),
        (&[0x40, 201, 0, 1, 0, 0, 0, 1], Error::Version),
        (&[0x81, 201, 0, 1, 0, 0, 0, 1], Error::Item),
        (&[0xa0, 201, 0, 2, 0, 0, 0, 1, 0, 0, 0, 5], Error::Padding),
        (&[0xa0, 201, 0, 0], Error::Padding),
        (&[0x81, 203, 0, 2, 0, 0, 0, 1, 9, b'x', 0, 0], Error::Item),
        (&[0x81, 202, 0, 2, 0, 0, 0, 1, 1, 9, b'x', 0], Error::Item),
    ];
    for (bytes, error) in cases {
        assert_eq!(Compound::parse_reduced(bytes), Err(error), "{bytes:?}");
    }
    let early = [
        0xa0, 201, 0, 2, 0, 0, 0, 1, 0, 0, 0, 4, 0x80, 201, 0, 1, 0, 0, 0, 1,
    ];
    assert_eq!(
        Compound::parse(&early),
        Err(Error::Padding),
        "only the last is padded"
    );
    let last = [
        0x80, 201, 0, 1, 0, 0, 0, 1, 0xa0, 201, 0, 2, 0, 0, 0, 1, 0, 0, 0, 4,
    ];
    assert_eq!(Compound::parse(&last).map(|c| c.packets().count()), Ok(2));
}

#[test]
fn damage_is_read_or_refused() {
    let whole = full();
    for end in 0..whole.len() {
        let _ = Compound::parse(&whole[..end]).map(walk);
    }
    let mut bytes = whole.clone();
    for bit in 0..whole.len() * 8 {
        bytes[bit / 8] ^= 1 << (bit % 8);
        let _ = Compound::parse_reduced(&bytes).map(walk);
        bytes[bit / 8] ^= 1 << (bit % 8);
    }
    let mut entropy = Entropy::from_u64(3550);
    for _ in 0..20_000 {
        let mut bytes = whole.clone();
        for _ in 0..1 + entropy.below(8) {
            let at = entropy.below(bytes.len() as u64) as usize;
            bytes[at] = entropy.next_u32() as u8;
        }
        let _ = Compound::parse_reduced(&bytes).map(walk);
    }
}

/// What was accepted is walked to its end, in as many packets as it has.
fn walk(compound: Compound<'_>) {
    let mut bytes = 0;
    for packet in compound.packets() {
        bytes += match packet {
            Packet::SenderReport { reports, .. } | Packet::ReceiverReport { reports, .. } => {
                reports.iter().count()
            }
            Packet::SourceDescription(items) => items.count(),
            Packet::Bye { ssrcs, .. } => ssrcs.iter().count(),
            _ => 1,
        };
    }
    assert!(bytes < 1000);
}

#[test]
fn a_packet_that_does_not_fit_leaves_the_buffer() {
    let mut buffer = [0; 40];
    let mut writer = Writer::new(&mut buffer);
    writer.receiver_report(1, &[REPORT]).unwrap();
    assert_eq!(writer.cname(1, "0123456789"), Err(Error::Limit));
    assert_eq!(writer.receiver_report(1, &[REPORT; 32]), Err(Error::Limit));
    assert_eq!(writer.bye(&[1], &"x".repeat(256)), Err(Error::Limit));
    assert_eq!(writer.application(32, 1, *b"abcd", &[]), Err(Error::Limit));
    assert_eq!(writer.application(1, 1, *b"abcd", &[1]), Err(Error::Limit));
    writer.bye(&[1], "").unwrap();
    assert_eq!(writer.finish().len(), 40);
}
