//! A worker allocates and frees nothing: not for rooms, streams, codecs, performances or orders.

mod rig;

use std::time::Duration;

use codecs::Codec;
use mg::{LegTone, Performance};
use mrfp::MrfpConfig;
use rig::{Party, Rig, c_allocator};

/// The codecs that are libraries in C have an allocator that is not ours: it is counted by being
/// put in its place.
#[test]
fn nor_do_libraries_in_c() {
    c_allocator::run_counted(&[
        "a_count_of_c_sees_an_allocation",
        "a_room_of_every_codec_allocates_nothing",
        "a_room_spread_over_workers_allocates_nothing",
    ]);
}

#[test]
fn a_count_of_c_sees_an_allocation() {
    // Where nobody counts there is nothing to see.
    let Some(before) = c_allocator::asked() else {
        return;
    };
    drop(std::hint::black_box(vec![0_u8; 100]));
    assert_eq!(c_allocator::asked(), Some(before + 2));
}

#[test]
fn a_room_of_every_codec_allocates_nothing() {
    let mut rig = Rig::new(2);
    rig.is_frugal = true;
    let mut parties: Vec<Party> = Vec::new();
    for (index, (codec, fmtp)) in rig::codecs().into_iter().enumerate() {
        let hz = 350.0 + 150.0 * index as f32;
        parties.push(rig.party_as(codec, fmtp, hz));
    }
    rig.connect(&parties[..3], &[]);
    rig.talk(&mut parties[..3], Duration::from_millis(400));
    rig.connect(&parties, &[]);
    rig.talk(&mut parties, Duration::from_millis(400));
    // Tones and digits begin and end, one is isolated, some leave.
    parties[0].leg.performs = vec![rig.performance(1, Performance::Tone("rt"))];
    parties[1].leg.heeds_tones = true;
    parties[1].leg.heeds_talk = true;
    parties[1].leg.volume.outward_db = -3;
    parties[2].leg.volume.is_muted = true;
    parties[2].leg.plays_outward = Some(LegTone { number: 1, code: 5 });
    parties[3].leg.plays_inward = Some(LegTone { number: 2, code: 6 });
    rig.connect(&parties, &[(0, 1)]);
    rig.talk(&mut parties, Duration::from_millis(400));
    for party in &mut parties {
        party.leg.performs.clear();
        (party.leg.plays_outward, party.leg.plays_inward) = (None, None);
    }
    rig.connect(&parties[2..], &[]);
    rig.talk(&mut parties, Duration::from_millis(400));
    for party in &parties {
        rig.close(party);
    }
    assert!(rig.mrfp.rooms().is_empty());
}

#[test]
fn a_room_spread_over_workers_allocates_nothing() {
    let config = MrfpConfig {
        part_cost_max: Duration::from_nanos(2 * 3_200),
        ..MrfpConfig::default()
    };
    let mut rig = Rig::with_config(2, config);
    rig.is_frugal = true;
    let mut parties: Vec<Party> = (0..4)
        .map(|index| rig.party(Codec::Pcma, 400.0 + 200.0 * index as f32))
        .collect();
    rig.connect(&parties[..3], &[]);
    rig.talk(&mut parties[..3], Duration::from_millis(400));
    assert_eq!(rig.mrfp.rooms()[0].workers, [0, 1]);
    rig.connect(&parties, &[]);
    rig.talk(&mut parties, Duration::from_millis(400));
    rig.connect(&parties[..2], &[]);
    rig.talk(&mut parties[..2], Duration::from_millis(400));
    assert_eq!(rig.mrfp.rooms()[0].workers, [0]);
    for party in &parties {
        rig.close(party);
    }
}

#[test]
fn keys_that_pass_allocate_nothing() {
    let mut rig = Rig::new(1);
    rig.is_frugal = true;
    let mut parties = [
        rig.party_with_keys(Codec::Pcmu, 0.0, true),
        rig.party_with_keys(Codec::Pcma, 0.0, false),
    ];
    rig.connect(&parties, &[]);
    parties[0].presses(5);
    parties[1].says_digit(6);
    rig.talk(&mut parties, Duration::from_millis(600));
    assert_eq!(parties[0].keys.len(), 0);
    rig.connect(&parties[..1], &[]);
    rig.talk(&mut parties[..1], Duration::from_millis(600));
}

#[test]
fn announcements_and_recordings_allocate_nothing() {
    let mut rig = Rig::with_files();
    rig.is_frugal = true;
    rig.prompt("7.wav", 8000, 500.0, 300);
    let mut party = [rig.party(Codec::Pcma, 900.0)];
    for (number, what) in [
        (1, rig::announcement("file:7.wav")),
        (2, rig::recording("talk")),
    ] {
        party[0].leg.performs = vec![rig.performance(number, what)];
        rig.connect(&party, &[]);
        rig.talk(&mut party, Duration::from_millis(200));
        party[0].leg.performs[0].is_finishing = true;
        rig.connect(&party, &[]);
        rig.until_performed(&mut party);
    }
}
