//! Rooms on the simulated network and virtual time: who hears whom, told by the pitch of what each
//! says.

mod rig;

use std::net::SocketAddr;
use std::time::Duration;

use codecs::Codec;
use h248::message::StreamMode;
use media::spectrum::level_at_dbov;
use mg::{
    LegPerformance, LegRtcp, LegVolume, MediaEvent, MediaPlane, OpenError, Performance,
    PerformanceEnd,
};
use mrfp::MrfpConfig;
use rig::{Party, Rig};
use rtp::rtcp::{Compound, Packet};

/// Levels above and below these are those of a tone that is there, and of one that is not.
const THERE_DBOV: f32 = -30.0;
const ABSENT_DBOV: f32 = -50.0;

/// Says what each of the parties hears of the others after two seconds: `[1][0]` is what the second
/// hears of the first.
fn heard(rig: &mut Rig, parties: &mut [Party]) -> Vec<Vec<bool>> {
    parties.iter_mut().for_each(Party::clear);
    rig.talk(parties, Duration::from_secs(2));
    let pitches: Vec<f32> = parties.iter().map(|party| party.hz).collect();
    let hears = |party: &Party, hz: f32| {
        let level = party.level_at(hz);
        assert!(
            !(ABSENT_DBOV..THERE_DBOV).contains(&level),
            "{} Hz at {level} dBov",
            hz
        );
        level >= THERE_DBOV
    };
    let matrix = parties.iter().map(|party| {
        let all = pitches.iter().map(|&hz| hears(party, hz));
        all.collect()
    });
    matrix.collect()
}

#[test]
fn two_of_different_codecs_hear_each_other_and_not_themselves() {
    let mut rig = Rig::new(2);
    let l16 = Codec::L16 {
        sample_rate: 16_000,
        channels: 1,
    };
    let mut parties = [rig.party(Codec::Pcmu, 400.0), rig.party(Codec::Pcma, 700.0)];
    rig.connect(&parties, &[]);
    assert_eq!(
        heard(&mut rig, &mut parties),
        [[false, true], [true, false]]
    );
    let mut wide = [rig.party(l16, 1100.0), rig.party(Codec::Pcma, 700.0)];
    rig.connect(&wide, &[]);
    assert_eq!(heard(&mut rig, &mut wide), [[false, true], [true, false]]);
    // The first two are of one codec but for its law.
    assert_eq!(rig.mrfp.rooms().len(), 1);
}

#[test]
fn nothing_is_decoded_between_the_laws_of_g711_while_nobody_asks_for_it() {
    let mut rig = Rig::new(2);
    let mut party = vec![
        rig.party_with_keys(Codec::Pcmu, 400.0, true),
        rig.party_with_keys(Codec::Pcma, 700.0, true),
    ];
    let both = [[false, true], [true, false]];
    rig.connect(&party, &[]);
    assert_eq!(heard(&mut rig, &mut party), both);
    assert!(rig.mrfp.rooms().is_empty());
    party[0].presses(7);
    rig.talk(&mut party, Duration::from_millis(300));
    assert_eq!(
        party[1].keys.iter().map(|key| key.0).collect::<Vec<_>>(),
        [7]
    );

    // Whatever takes the samples takes a room, for as long.
    type Asks = fn(&mut mg::Leg);
    let asked: [(Asks, Asks); 4] = [
        (|leg| leg.heeds_tones = true, |leg| leg.heeds_tones = false),
        (|leg| leg.heeds_talk = true, |leg| leg.heeds_talk = false),
        (
            |leg| leg.volume.inward_db = 3,
            |leg| leg.volume = LegVolume::default(),
        ),
        (
            |leg| leg.mode = StreamMode::ReceiveOnly,
            |leg| leg.mode = StreamMode::SendReceive,
        ),
    ];
    for (ask, end) in asked {
        ask(&mut party[1].leg);
        rig.connect(&party, &[]);
        rig.talk(&mut party, Duration::from_millis(200));
        assert_eq!(rig.mrfp.rooms().len(), 1);
        end(&mut party[1].leg);
        rig.connect(&party, &[]);
        assert_eq!(heard(&mut rig, &mut party), both);
        assert!(rig.mrfp.rooms().is_empty());
    }

    // And so does a third.
    party.push(rig.party(Codec::Pcmu, 1000.0));
    rig.connect(&party, &[]);
    let all = [
        [false, true, true],
        [true, false, true],
        [true, true, false],
    ];
    assert_eq!(heard(&mut rig, &mut party), all);
    assert_eq!(rig.mrfp.rooms().len(), 1);
}

#[test]
fn keys_that_only_one_of_two_laws_takes_as_events_are_converted() {
    let mut rig = Rig::new(2);
    let party = [
        rig.party_with_keys(Codec::Pcmu, 400.0, true),
        rig.party_with_keys(Codec::Pcma, 700.0, false),
    ];
    rig.connect(&party, &[]);
    assert_eq!(rig.mrfp.rooms().len(), 1);
}

#[test]
fn every_pair_of_codecs_is_transcoded_both_ways() {
    for (index, (one, one_fmtp)) in rig::codecs().into_iter().enumerate() {
        let mut rig = Rig::new(2);
        for (two, two_fmtp) in rig::codecs().into_iter().skip(index) {
            let mut parties = [
                rig.party_as(one.clone(), one_fmtp, 500.0),
                rig.party_as(two.clone(), two_fmtp, 900.0),
            ];
            rig.connect(&parties, &[]);
            rig.talk(&mut parties, Duration::from_millis(1200));
            let heard = [parties[0].level_at(900.0), parties[1].level_at(500.0)];
            let itself = [parties[0].level_at(500.0), parties[1].level_at(900.0)];
            let pair = (one.encoding(), two.encoding());
            // What was said is at -18 dBov.
            assert!(
                heard.iter().all(|level| (-22.0..-14.0).contains(level)),
                "{pair:?} {heard:?}"
            );
            assert!(
                itself.iter().all(|level| *level < ABSENT_DBOV),
                "{pair:?} {itself:?}"
            );
            parties.iter().for_each(|party| rig.close(party));
        }
    }
}

#[test]
fn a_room_has_the_rate_that_two_have_in_common() {
    let mut rig = Rig::new(2);
    let opus = || Codec::Opus(codecs::OpusFormat::default());
    let mut parties = vec![rig.party(opus(), 400.0)];
    let rate = |rig: &Rig| rig.mrfp.rooms()[0].sample_rate;
    rig.connect(&parties, &[]);
    assert_eq!(rate(&rig), 48_000);
    // Nobody hears what is finer than the other's codec.
    parties.push(rig.party(Codec::Pcma, 700.0));
    rig.connect(&parties, &[]);
    assert_eq!(rate(&rig), 8_000);
    assert_eq!(
        heard(&mut rig, &mut parties),
        [[false, true], [true, false]]
    );
    // It rises with who comes and stays when they leave.
    parties.push(rig.party(opus(), 1100.0));
    rig.connect(&parties, &[]);
    assert_eq!(rate(&rig), 48_000);
    let all = [
        [false, true, true],
        [true, false, true],
        [true, true, false],
    ];
    assert_eq!(heard(&mut rig, &mut parties), all);
    let last = parties.pop().expect("there are three");
    rig.connect(&parties, &[]);
    rig.close(&last);
    assert_eq!(rate(&rig), 48_000);
}

#[test]
fn each_of_three_hears_the_other_two() {
    let mut rig = Rig::new(2);
    let wide = Codec::L16 {
        sample_rate: 16_000,
        channels: 1,
    };
    let mut parties = [
        rig.party(Codec::Pcmu, 400.0),
        rig.party(wide, 1000.0),
        rig.party(Codec::Pcma, 700.0),
    ];
    rig.connect(&parties, &[]);
    let all = [
        [false, true, true],
        [true, false, true],
        [true, true, false],
    ];
    assert_eq!(heard(&mut rig, &mut parties), all);

    // One is muted, then held.
    parties[1].leg.mode = StreamMode::SendOnly;
    rig.connect(&parties, &[]);
    let without = [
        [false, false, true],
        [true, false, true],
        [true, false, false],
    ];
    assert_eq!(heard(&mut rig, &mut parties), without);
    parties[1].leg.mode = StreamMode::ReceiveOnly;
    rig.connect(&parties, &[]);
    let silent = [
        [false, true, true],
        [false, false, false],
        [true, true, false],
    ];
    assert_eq!(heard(&mut rig, &mut parties), silent);

    // The topology lets one whisper: the first hears the second, and it hears nobody.
    parties[1].leg.mode = StreamMode::SendReceive;
    rig.connect(&parties, &[(0, 1), (2, 1), (1, 2)]);
    let whisper = [
        [false, true, true],
        [false, false, false],
        [true, false, false],
    ];
    assert_eq!(heard(&mut rig, &mut parties), whisper);

    // One leaves; the others go on.
    rig.close(&parties[0]);
    rig.connect(&parties[1..], &[]);
    let left = [[false, true], [true, false]];
    assert_eq!(heard(&mut rig, &mut parties[1..]), left);
    rig.close(&parties[1]);
    rig.close(&parties[2]);
    assert!(rig.mrfp.rooms().is_empty());
}

#[test]
fn who_is_muted_deaf_or_turned_down_is_so_for_the_others_only() {
    let mut rig = Rig::new(2);
    let mut parties = [400.0, 700.0, 1000.0].map(|hz| rig.party(Codec::Pcma, hz));
    parties[0].leg.volume.is_muted = true;
    parties[1].leg.volume.is_deaf = true;
    rig.connect(&parties, &[]);
    let told = [
        [false, true, true],
        [false, false, false],
        [false, true, false],
    ];
    assert_eq!(heard(&mut rig, &mut parties), told);
    let room = &rig.mrfp.rooms()[0];
    assert!(!room.streams[0].is_talking && room.streams[1].is_talking);

    // One is as loud as before to the others, then half as loud, and hears all twice as loud.
    for party in &mut parties {
        party.leg.volume = LegVolume::default();
    }
    rig.connect(&parties, &[]);
    rig.talk(&mut parties, Duration::from_secs(2));
    let level = |listener: &Party, talker: &Party| listener.level_at(talker.hz);
    let before = [
        level(&parties[1], &parties[0]),
        level(&parties[0], &parties[1]),
    ];
    parties[0].leg.volume.inward_db = -6;
    parties[0].leg.volume.outward_db = 6;
    rig.connect(&parties, &[]);
    rig.talk(&mut parties, Duration::from_secs(2));
    let after = [
        level(&parties[1], &parties[0]),
        level(&parties[0], &parties[1]),
    ];
    let gains = [after[0] - before[0], after[1] - before[1]];
    assert!((-6.3..-5.7).contains(&gains[0]), "{gains:?}");
    assert!((5.7..6.3).contains(&gains[1]), "{gains:?}");
    let others = level(&parties[2], &parties[1]) - before[1];
    assert!(others.abs() < 0.3, "{others}");
}

#[test]
fn who_talks_and_who_dominates_is_told_to_who_asks() {
    let mut rig = Rig::new(2);
    let mut parties = [400.0, 700.0].map(|hz| rig.party(Codec::Pcma, hz));
    parties[1].amplitude = 0;
    let told = |rig: &mut Rig| -> Vec<(u16, Option<bool>)> {
        let events = rig.events().into_iter();
        events
            .filter_map(|event| match event {
                MediaEvent::Talking {
                    local, is_talking, ..
                } => Some((local.port(), Some(is_talking))),
                MediaEvent::Dominant { local } => Some((local.port(), None)),
                _ => None,
            })
            .collect()
    };
    let [one, two] = [0, 1].map(|index| parties[index].leg.local.port());
    rig.connect(&parties, &[]);
    rig.talk(&mut parties, Duration::from_secs(1));
    assert_eq!(told(&mut rig), []);
    for party in &mut parties {
        party.leg.heeds_talk = true;
    }
    rig.connect(&parties, &[]);
    rig.talk(&mut parties, Duration::from_secs(1));
    let mut first = told(&mut rig);
    first.sort_unstable();
    assert_eq!(first, [(one, None), (one, Some(true))]);
    // The other takes over.
    parties[0].amplitude = 0;
    parties[1].amplitude = 6000;
    rig.talk(&mut parties, Duration::from_secs(2));
    let mut second = told(&mut rig);
    second.sort_unstable();
    assert_eq!(second, [(one, Some(false)), (two, None), (two, Some(true))]);
    // Nobody asks any more.
    for party in &mut parties {
        party.leg.heeds_talk = false;
    }
    rig.connect(&parties, &[]);
    parties[1].amplitude = 0;
    rig.talk(&mut parties, Duration::from_secs(2));
    assert_eq!(told(&mut rig), []);
}

#[test]
fn the_loudest_of_many_are_heard_and_encoded_once_for_the_others() {
    let mut rig = Rig::new(2);
    let mut parties: Vec<Party> = (0..12)
        .map(|index| rig.party(Codec::Pcma, 300.0 + 150.0 * index as f32))
        .collect();
    for (index, party) in parties.iter_mut().enumerate() {
        // The first six are silent, the others louder and louder.
        party.amplitude = if index < 6 { 0 } else { 400 << (index - 6) };
    }
    rig.connect(&parties, &[]);
    rig.talk(&mut parties, Duration::from_secs(3));
    let before = rig.mrfp.loads()[0];
    rig.talk(&mut parties, Duration::from_secs(2));
    let after = rig.mrfp.loads()[0];
    let (ticks, encoded) = (after.ticks - before.ticks, after.encoded - before.encoded);
    // Each talker hears all but itself, and the rest the same.
    assert_eq!(encoded, 5 * ticks);
    for (index, party) in parties.iter().enumerate() {
        for (other, hz) in parties.iter().map(|party| party.hz).enumerate() {
            let is_heard = other >= 8 && other != index;
            let level = party.level_at(hz);
            assert_eq!(level > ABSENT_DBOV, is_heard, "{index} of {other}: {level}");
        }
    }
    let room = &rig.mrfp.rooms()[0];
    let talking = room.streams.iter().filter(|stream| stream.is_talking);
    assert_eq!(talking.count(), 6);
    assert!(room.streams[11].level_dbov > room.streams[6].level_dbov);
}

/// RFC 4867 4.3.1: a codec mode request is for the stream that it asks, not for others.
#[test]
fn who_asks_for_another_mode_is_sent_it_and_nobody_else() {
    let mut rig = Rig::new(1);
    let codec = Codec::from_sdp("AMR", 8_000, 1, None).expect("it is known");
    let mut parties: Vec<Party> = (0..8)
        .map(|index| rig.party(codec.clone(), 300.0 + 150.0 * index as f32))
        .collect();
    // As many talk as are added up; each of them hears what no other does.
    for party in &mut parties[4..] {
        party.says_nothing();
    }
    rig.connect(&parties, &[]);
    let mut talk = |parties: &mut [Party]| {
        rig.talk(parties, Duration::from_secs(1));
        let before = rig.mrfp.loads()[0];
        rig.talk(parties, Duration::from_secs(1));
        let after = rig.mrfp.loads()[0];
        let heard = parties[4..].iter().map(|party| {
            assert!(party.level_at(300.0) > ABSENT_DBOV);
            party.payload_bytes
        });
        let ticks = after.ticks - before.ticks;
        assert_eq!((after.encoded - before.encoded) % ticks, 0);
        ((after.encoded - before.encoded) / ticks, heard.collect())
    };
    // Modes of 12.2 and 4.75 kbit/s, without alignment.
    let (high, low) = (32, 14);
    assert_eq!(talk(&mut parties), (5, vec![high; 4]));
    parties[5].asks_for_mode(0);
    assert_eq!(talk(&mut parties), (6, vec![high, low, high, high]));
    parties[5].asks_for_mode(7);
    assert_eq!(talk(&mut parties), (5, vec![high; 4]));
}

/// As many parties of one codec, each with its pitch, of which some talk.
fn crowd(rig: &mut Rig, codec: &Codec, count: usize, talks: impl Fn(usize) -> bool) -> Vec<Party> {
    let party = |index: usize| {
        let mut party = rig.party(codec.clone(), 300.0 + 150.0 * index as f32);
        party.amplitude = if talks(index) { 6000 } else { 0 };
        party
    };
    (0..count).map(party).collect()
}

#[test]
fn a_room_too_large_for_a_worker_is_spread_and_all_hear_all() {
    // Three G.711 streams are as much as a worker takes of a room.
    let config = MrfpConfig {
        part_cost_max: Duration::from_nanos(3 * 3_200),
        ..MrfpConfig::default()
    };
    let mut rig = Rig::with_config(3, config);
    // Two talk in the first part, and one in each other.
    let talks = |index| [0, 1, 4, 7].contains(&index);
    let mut parties = crowd(&mut rig, &Codec::Pcma, 8, talks);
    rig.connect(&parties, &[]);
    let room = rig.mrfp.rooms().remove(0);
    assert_eq!(room.workers, [0, 1, 2]);
    let workers: Vec<u16> = room.streams.iter().map(|stream| stream.worker).collect();
    assert_eq!(workers, [0, 0, 0, 1, 1, 1, 2, 2]);
    let all = |talks: &dyn Fn(usize) -> bool| -> Vec<Vec<bool>> {
        let hears = |index| (0..8).map(|other| talks(other) && other != index).collect();
        (0..8).map(hears).collect()
    };
    rig.talk(&mut parties, Duration::from_secs(1));
    let before: Vec<_> = rig.mrfp.loads();
    assert_eq!(heard(&mut rig, &mut parties), all(&talks));
    let after = rig.mrfp.loads();
    for (index, (before, after)) in before.iter().zip(&after).enumerate() {
        let ticks = after.ticks - before.ticks;
        assert_eq!(after.shared - before.shared, 2 * ticks);
        assert_eq!(after.missed, 0, "worker {index}");
        // One for each talker of the part, and one for the others.
        let encoded = [3, 2, 2][index];
        assert_eq!(after.encoded - before.encoded, encoded * ticks);
    }

    // Who is isolated is so in all parts, and who is muted.
    let mut whisper = all(&talks);
    (whisper[7][0], whisper[3][4], whisper[3][1]) = (false, false, false);
    rig.connect(&parties, &[(0, 7), (4, 3), (1, 3)]);
    assert_eq!(heard(&mut rig, &mut parties), whisper);
    parties[4].leg.volume.is_muted = true;
    rig.connect(&parties, &[]);
    assert_eq!(
        heard(&mut rig, &mut parties),
        all(&|index| talks(index) && index != 4)
    );
    parties[4].leg.volume.is_muted = false;

    // A part ends with the last of its members; the others hear each other as before.
    let mut rest = Vec::new();
    for (index, party) in parties.into_iter().enumerate() {
        match (3..6).contains(&index) {
            true => rig.close(&party),
            false => rest.push(party),
        }
    }
    rig.connect(&rest, &[]);
    assert_eq!(rig.mrfp.rooms()[0].workers, [0, 2]);
    let matrix = heard(&mut rig, &mut rest);
    for (index, hears) in matrix.iter().enumerate() {
        let expected = [0, 1, 4].map(|talker| talker != index);
        assert_eq!([hears[0], hears[1], hears[4]], expected, "{index}");
    }
    rest.iter().for_each(|party| rig.close(party));
    assert!(rig.mrfp.rooms().is_empty());
}

#[test]
fn the_loudest_of_a_room_are_the_same_in_all_its_parts() {
    let config = MrfpConfig {
        part_cost_max: Duration::from_nanos(4 * 3_200),
        ..MrfpConfig::default()
    };
    let mut rig = Rig::with_config(3, config);
    let mut parties = crowd(&mut rig, &Codec::Pcma, 12, |_| true);
    for (index, party) in parties.iter_mut().enumerate() {
        // Of the first part three are loud, of the others one.
        party.amplitude = [8000, 7000, 6000, 100, 110, 5000, 120, 90, 80, 130, 70, 60][index];
    }
    rig.connect(&parties, &[]);
    assert_eq!(rig.mrfp.rooms()[0].workers.len(), 3);
    rig.talk(&mut parties, Duration::from_secs(4));
    for (index, party) in parties.iter().enumerate() {
        for (other, hz) in parties.iter().map(|party| party.hz).enumerate() {
            let is_heard = [0, 1, 2, 5].contains(&other) && other != index;
            let level = party.level_at(hz);
            assert_eq!(level > ABSENT_DBOV, is_heard, "{index} of {other}: {level}");
        }
    }
    let room = &rig.mrfp.rooms()[0];
    assert_eq!(room.dominant, Some(parties[0].leg.local));
}

#[test]
fn what_is_measured_decides_whether_more_comes_in() {
    let mut rig = Rig::new(1);
    let wide = Codec::from_sdp("AMR-WB", 16_000, 1, None).expect("it is known");
    let mut parties = crowd(&mut rig, &wide, 24, |_| true);
    // Each hears something else, so that each has an encoder of its own.
    let isolated: Vec<_> = (0..24).map(|to| ((to + 1) % 24, to)).collect();
    rig.connect(&parties, &isolated);
    rig.talk(&mut parties, Duration::from_secs(1));
    assert!(rig.mrfp.loads()[0].busy_permille < 10);
    let new = SocketAddr::from(([192, 0, 2, 1], 10_090));
    assert_eq!(rig.mrfp.open(rig.now, new), Ok(()));
    rig.mrfp.close(new);
    rig.settle();
    // Each turn, of one operation as a rule, takes so long that the room all but fills a core.
    rig.turn_time = Duration::from_micros(600);
    rig.talk(&mut parties, Duration::from_secs(2));
    let load = rig.mrfp.loads()[0];
    assert!(load.busy_permille > 800, "{load:?}");
    let other = SocketAddr::from(([192, 0, 2, 1], 10_092));
    let refused = rig.mrfp.open(rig.now, other);
    assert_eq!(refused, Err(OpenError::Exhausted));
    // The room goes on, and with less to do others come in again.
    let ticks = rig.mrfp.loads()[0].ticks;
    rig.talk(&mut parties, Duration::from_millis(500));
    assert!(rig.mrfp.loads()[0].ticks >= ticks + 20);
    rig.turn_time = Duration::ZERO;
    rig.talk(&mut parties, Duration::from_secs(2));
    assert_eq!(rig.mrfp.open(rig.now, other), Ok(()));
}

#[test]
fn packets_have_their_turn_between_any_two_long_operations() {
    let mut rig = Rig::new(1);
    let wide = Codec::from_sdp("AMR-WB", 16_000, 1, None).expect("it is known");
    let mut parties = crowd(&mut rig, &wide, 6, |_| true);
    let isolated: Vec<_> = (0..6).map(|to| ((to + 1) % 6, to)).collect();
    rig.connect(&parties, &isolated);
    rig.talk(&mut parties, Duration::from_millis(300));
    assert_eq!(rig.most.encoded, 1);
    assert!(rig.mrfp.loads()[0].encoded > 6 * 10);
}

#[test]
fn many_listeners_are_sent_to_by_and_by() {
    let mut rig = Rig::new(1);
    let mut parties = crowd(&mut rig, &Codec::Pcma, 150, |_| true);
    for listener in &mut parties[1..] {
        listener.leg.mode = StreamMode::SendOnly;
    }
    rig.connect(&parties, &[]);
    rig.talk(&mut parties, Duration::from_millis(300));
    // What waited for more from before, and two lots that are sent at a time.
    assert!(rig.most.sent <= 3 * 32, "{:?}", rig.most);
    assert!(parties.iter().all(|party| party.packets >= 10));
}

#[test]
fn ticks_of_rooms_are_spread_over_their_time() {
    let mut rig = Rig::new(1);
    let mut parties = crowd(&mut rig, &Codec::Pcma, 24, |_| true);
    for (context, three) in (1..).zip(parties.chunks(3)) {
        rig.name(context);
        rig.connect(three, &[]);
    }
    rig.talk(&mut parties, Duration::from_millis(100));
    let tick = Duration::from_millis(20);
    for _ in 0..3 {
        let before = rig.mrfp.loads()[0].ticks;
        rig.now += tick / 8;
        rig.settle();
        assert_eq!(rig.mrfp.loads()[0].ticks, before + 1);
    }
    // Where some have ended others come.
    for three in parties.chunks(3).skip(1).step_by(2) {
        three.iter().for_each(|party| rig.close(party));
    }
    let mut others = crowd(&mut rig, &Codec::Pcma, 12, |_| true);
    for (context, three) in (20..).zip(others.chunks(3)) {
        rig.name(context);
        rig.connect(three, &[]);
    }
    rig.talk(&mut others, Duration::from_millis(100));
    for _ in 0..8 {
        let before = rig.mrfp.loads()[0].ticks;
        rig.now += tick / 8;
        rig.settle();
        assert_eq!(rig.mrfp.loads()[0].ticks, before + 1);
    }
}

#[test]
fn a_stream_goes_from_one_room_to_another() {
    let mut rig = Rig::new(2);
    let [a, b, c] = [400.0, 700.0, 1000.0].map(|hz| rig.party(Codec::Pcmu, hz));
    let mut one = [a, b];
    rig.connect(&one, &[]);
    rig.name(2);
    rig.connect(std::slice::from_ref(&c), &[]);
    assert_eq!(heard(&mut rig, &mut one), [[false, true], [true, false]]);
    // As the gateway does it: the room that was left, then the one that was joined.
    let [a, b] = one;
    rig.name(1);
    rig.connect(std::slice::from_ref(&a), &[]);
    rig.name(2);
    let mut two = [c, b];
    rig.connect(&two, &[]);
    assert_eq!(heard(&mut rig, &mut two), [[false, true], [true, false]]);
    let rooms = rig.mrfp.rooms();
    let sizes: Vec<usize> = rooms.iter().map(|room| room.streams.len()).collect();
    assert_eq!(sizes, [1, 2]);
}

#[test]
fn a_worker_that_is_late_takes_no_more_streams_and_keeps_its_rooms() {
    let mut rig = Rig::new(1);
    let mut parties = [400.0, 700.0].map(|hz| rig.party(Codec::Pcma, hz));
    rig.connect(&parties, &[]);
    rig.talk(&mut parties, Duration::from_millis(500));
    // It stands still for a while, and again.
    for _ in 0..4 {
        rig.now += Duration::from_millis(400);
        rig.settle();
    }
    let load = rig.mrfp.loads()[0];
    assert!(load.lag_us > 5_000 && load.skipped > 40, "{load:?}");
    let new = SocketAddr::from(([192, 0, 2, 1], 10_090));
    let refused = rig.mrfp.open(rig.now, new);
    assert_eq!(refused, Err(OpenError::Exhausted));
    let both = [[false, true], [true, false]];
    assert_eq!(heard(&mut rig, &mut parties), both);
    rig.talk(&mut parties, Duration::from_secs(5));
    assert!(rig.mrfp.loads()[0].lag_us < 1_000);
    assert_eq!(rig.mrfp.open(rig.now, new), Ok(()));
}

#[test]
fn what_is_sent_and_received_is_reported() {
    let mut rig = Rig::new(2);
    let mut parties = [400.0, 700.0].map(|hz| rig.party(Codec::Pcma, hz));
    let remote = SocketAddr::from(([203, 0, 113, 9], 20_001));
    parties[0].leg.rtcp = LegRtcp::Port {
        remote: Some(remote),
    };
    rig.connect(&parties, &[]);
    rig.talk(&mut parties, Duration::from_secs(16));
    let compounds: Vec<Compound<'_>> = rig
        .others
        .iter()
        .map(|packet| Compound::parse(packet).expect("it is RTCP"))
        .collect();
    assert_eq!(compounds.len(), 3);
    let reports = compounds.iter().map(|compound| {
        let mut packets = compound.packets();
        let Some(Packet::SenderReport { info, reports, .. }) = packets.next() else {
            panic!("a sender reports first");
        };
        assert!(matches!(packets.next(), Some(Packet::SourceDescription(_))));
        let report = reports.iter().next().expect("it receives");
        assert_eq!(report.cumulative_lost, 0);
        info.packets
    });
    let packets: Vec<u32> = reports.collect();
    assert!(
        packets[0] < packets[1] && packets[1] < packets[2],
        "{packets:?}"
    );
}

#[test]
fn tones_and_digits_are_told_and_sent() {
    let mut rig = Rig::new(2);
    let mut party = [rig.party(Codec::Pcma, 0.0)];
    party[0].amplitude = 0;
    let tone = rig.performance(1, Performance::Tone("dt"));
    party[0].leg.performs = vec![tone];
    party[0].leg.heeds_tones = true;
    rig.connect(&party, &[]);
    rig.talk(&mut party, Duration::from_secs(1));
    assert!(party[0].level_at(425.0) > THERE_DBOV);

    // A digit among speech.
    party[0].leg.performs.clear();
    rig.connect(&party, &[]);
    party[0].says_digit(5);
    rig.talk(&mut party, Duration::from_millis(200));
    party[0].says_nothing();
    rig.talk(&mut party, Duration::from_millis(300));
    let told = rig.events();
    let digits: Vec<(u8, bool)> = told
        .iter()
        .filter_map(|event| match event {
            MediaEvent::ToneStarted { code, .. } => Some((*code, true)),
            MediaEvent::ToneEnded { code, duration, .. } => {
                let ms = duration.as_millis();
                assert!((150..=250).contains(&ms), "{ms} ms");
                Some((*code, false))
            }
            _ => None,
        })
        .collect();
    assert_eq!(digits, [(5, true), (5, false)]);

    // One who is alone is sent silence.
    party[0].clear();
    rig.talk(&mut party, Duration::from_secs(1));
    let packets = party[0].packets;
    assert!((49..=51).contains(&packets), "{packets}");
    assert!(party[0].level_at(425.0) < THERE_DBOV - 20.0);
}

#[test]
fn keys_pass_between_two_in_the_way_that_each_takes_them() {
    let wide = Codec::L16 {
        sample_rate: 16_000,
        channels: 1,
    };
    // Events of one clock become events of another.
    let mut rig = Rig::new(2);
    let mut both = [
        rig.party_with_keys(wide, 0.0, true),
        rig.party_with_keys(Codec::Pcma, 0.0, true),
    ];
    both.iter_mut().for_each(Party::says_nothing);
    rig.connect(&both, &[]);
    rig.talk(&mut both, Duration::from_millis(500));
    both[0].presses(5);
    both[1].presses(11);
    rig.talk(&mut both, Duration::from_millis(500));
    assert_eq!(
        (&*both[1].keys, &*both[0].keys),
        (&[(5, 80)][..], &[(11, 80)][..])
    );

    // One takes none: events sound there, and its tones become events and are heard no more.
    let mut rig = Rig::new(2);
    let mut one = [
        rig.party_with_keys(Codec::Pcmu, 0.0, true),
        rig.party_with_keys(Codec::Pcma, 0.0, false),
    ];
    one.iter_mut().for_each(Party::says_nothing);
    rig.connect(&one, &[]);
    rig.talk(&mut one, Duration::from_millis(500));
    one[0].presses(5);
    one[1].clear();
    rig.talk(&mut one, Duration::from_millis(400));
    // A fifth of the time, which is -14 dB.
    let there = [770.0, 1336.0].map(|hz| one[1].level_at(hz));
    assert!(
        there.iter().all(|level| *level > THERE_DBOV - 10.0),
        "{there:?}"
    );
    one[0].clear();
    one[1].says_digit(6);
    rig.talk(&mut one, Duration::from_millis(200));
    one[1].says_nothing();
    rig.talk(&mut one, Duration::from_millis(400));
    let [(code, ms)] = *one[0].keys else {
        panic!("{:?}", one[0].keys);
    };
    assert!(code == 6 && (180..=220).contains(&ms), "{code} {ms}");
    let left = [770.0, 1477.0].map(|hz| one[0].level_at(hz));
    assert!(left.iter().all(|level| *level < ABSENT_DBOV), "{left:?}");

    // A third comes: nothing is passed on any more.
    let third = rig.party_with_keys(Codec::Pcma, 0.0, true);
    let [a, b] = one;
    let mut three = [a, b, third];
    three[2].says_nothing();
    three[1].clear();
    rig.connect(&three, &[]);
    three[0].presses(7);
    rig.talk(&mut three, Duration::from_millis(600));
    assert!(three[2].keys.is_empty() && three[1].level_at(852.0) < ABSENT_DBOV);

    // What is being passed when the other leaves ends with it.
    let mut rig = Rig::new(2);
    let mut left = [0.0, 0.0].map(|hz| rig.party_with_keys(Codec::Pcma, hz, true));
    left.iter_mut().for_each(Party::says_nothing);
    rig.connect(&left, &[]);
    rig.talk(&mut left, Duration::from_millis(500));
    left[0].presses(5);
    rig.talk(&mut left, Duration::from_millis(40));
    rig.connect(&left[1..], &[]);
    rig.talk(&mut left[1..], Duration::from_millis(400));
    assert!(
        matches!(&*left[1].keys, [(5, ms)] if *ms < 120),
        "{:?}",
        left[1].keys
    );
}

#[test]
fn a_whole_room_is_recorded_by_one_who_says_nothing() {
    let mut rig = Rig::with_files();
    let mut parties = [400.0, 700.0, 0.0].map(|hz| rig.party(Codec::Pcma, hz));
    parties[2].says_nothing();
    parties[2].leg.mode = StreamMode::Inactive;
    let mut mix = rig.performance(1, rig::recording("room"));
    (mix.outward, mix.inward) = (false, true);
    parties[2].leg.performs = vec![mix];
    // And one with a track for what it says, and one for what it hears.
    let mut both = rig.performance(2, rig::recording("both"));
    both.inward = true;
    parties[0].leg.performs = vec![both];
    rig.connect(&parties, &[]);
    rig.talk(&mut parties, Duration::from_millis(1500));
    for index in [2, 0] {
        parties[index].leg.performs[0].is_finishing = true;
        rig.connect(&parties, &[]);
        let ended = rig.until_performed(&mut parties);
        assert_eq!(ended.1.ending, PerformanceEnd::Complete);
    }
    let loud = |track: &[i16], hz| level_at_dbov(track, 8000, hz) > THERE_DBOV;
    let room = rig.recorded("room");
    assert_eq!(room.len(), 1);
    assert!(loud(&room[0], 400.0) && loud(&room[0], 700.0));
    let both = rig.recorded("both");
    assert_eq!(both.len(), 2);
    assert_eq!(
        [loud(&both[0], 400.0), loud(&both[0], 700.0)],
        [true, false]
    );
    assert_eq!(
        [loud(&both[1], 400.0), loud(&both[1], 700.0)],
        [false, true]
    );
}

#[test]
fn announcements_and_recordings_come_from_and_go_to_files() {
    let mut rig = Rig::with_files();
    rig.prompt("7.wav", 8000, 500.0, 600);
    let mut party = [rig.party(Codec::Pcma, 900.0)];
    let announcement = rig::announcement("file:7.wav");
    party[0].leg.performs = vec![rig.performance(1, announcement)];
    rig.connect(&party, &[]);
    let ended = rig.until_performed(&mut party);
    assert_eq!((ended.0, ended.1.ending), (1, PerformanceEnd::Complete));
    assert_eq!(ended.1.lasted.as_millis(), 600);
    assert!(party[0].level_at(500.0) > THERE_DBOV - 10.0);

    // What is said is recorded until it is to end, and can be played.
    party[0].leg.performs = vec![rig.performance(2, rig::recording("talk"))];
    rig.connect(&party, &[]);
    rig.talk(&mut party, Duration::from_secs(1));
    party[0].leg.performs[0].is_finishing = true;
    rig.connect(&party, &[]);
    let ended = rig.until_performed(&mut party);
    assert_eq!((ended.0, ended.1.ending), (2, PerformanceEnd::Complete));
    let ms = ended.1.lasted.as_millis();
    assert!((900..=1100).contains(&ms), "{ms}");
    party[0].amplitude = 0;
    party[0].leg.performs = vec![rig.performance(3, rig::announcement("recording:talk.wav"))];
    rig.connect(&party, &[]);
    party[0].clear();
    let ended = rig.until_performed(&mut party);
    assert_eq!((ended.0, ended.1.ending), (3, PerformanceEnd::Complete));
    assert!(party[0].level_at(900.0) > THERE_DBOV);

    // What is not there is told.
    party[0].leg.performs = vec![rig.performance(4, rig::announcement("file:nothing.wav"))];
    rig.connect(&party, &[]);
    let ended = rig.until_performed(&mut party);
    assert!(
        matches!(ended.1.ending, PerformanceEnd::Failed(606)),
        "{ended:?}"
    );
}

#[test]
fn a_stream_has_four_performances_and_the_fifth_is_told_that_there_is_no_room() {
    let mut rig = Rig::with_files();
    rig.prompt("7.wav", 8000, 500.0, 600);
    let mut party = [rig.party(Codec::Pcma, 900.0)];
    let some = |rig: &Rig, numbers: std::ops::Range<u64>| -> Vec<LegPerformance> {
        let one = |number| rig.performance(number, rig::announcement("file:7.wav"));
        numbers.map(one).collect()
    };
    for round in 0..2 {
        let numbers = 10 * round..10 * round + 5;
        party[0].leg.performs = some(&rig, numbers.clone());
        rig.connect(&party, &[]);
        let mut ended = Vec::new();
        for _ in 0..5000 {
            rig.talk(&mut party, Duration::from_millis(20));
            ended.extend(rig.events().into_iter().filter_map(|event| match event {
                MediaEvent::Performed { performed, .. } => Some(performed.ending),
                _ => None,
            }));
            if ended.len() >= numbers.clone().count() {
                break;
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        let failed = |ending: &&PerformanceEnd| matches!(ending, PerformanceEnd::Failed(510));
        let complete = |ending: &&PerformanceEnd| matches!(ending, PerformanceEnd::Complete);
        assert_eq!(ended.iter().filter(failed).count(), 1, "{ended:?}");
        assert_eq!(ended.iter().filter(complete).count(), 4, "{ended:?}");
        // In the place of four that are stopped there is room for as many at once.
        let stopped = 10 * round + 5..10 * round + 9;
        party[0].leg.performs = some(&rig, stopped);
        rig.connect(&party, &[]);
        rig.talk(&mut party, Duration::from_millis(100));
    }
}
