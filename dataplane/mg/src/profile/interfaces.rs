//! The profiles of 3GPP's interfaces: Ix, Iq, Mp and Mn.
//!
//! Names and numbers of packages are those of the specifications; the limits are ours. Mp and Mn
//! say what a resource function and a gateway to the circuits offer: the media functions that play,
//! mix and transcode bring the rest.

use h248::package::{
    aasb, aasdc, aasrec, aassm, adid, an, bcg, bcp, cd, cg, chp, conftn, ct, dd, dg, ds, g, gb, gm,
    hangterm, ipdc, ipnapt, it, mgcinfo, nt, ocp, root, rtcph, rtcpxr, rtp, srvtn, swmix, tdmc,
    threegtfoc, threegup, threegxcg, tman, tonedet, tonegen, xcg, xdd,
};

use super::{CommandKind, DescriptorKind, Profile, Support};

/// The gateway of this crate: terminations relayed to each other, with everything that Ix and Iq
/// ask of it and besides Move, statistics, application data inactivity, digits as telephone events,
/// collected and sent, and up to three more terminations, for copies of what passes and for a call
/// that is handed over (H.248.1 7.1.18 says who reaches whom).
pub const TRGW: Profile = Profile {
    title: "TrGW and IMS-AGW",
    commands: &[
        CommandKind::Add,
        CommandKind::Modify,
        CommandKind::Move,
        CommandKind::Subtract,
        CommandKind::AuditValue,
        CommandKind::AuditCapability,
        CommandKind::ServiceChange,
    ],
    descriptors: DESCRIPTORS,
    packages: TRGW_PACKAGES,
    terminations_per_context_max: 5,
    streams_max: 8,
    events_max: 16,
    processes_media: false,
    termination_prefix: "ip",
};

/// The TrGW at the Ix interface, TS 29.238 5.
pub const IX: Profile = Profile {
    title: "Ix (TS 29.238)",
    commands: COMMANDS,
    descriptors: RELAY_DESCRIPTORS,
    packages: RELAY_PACKAGES,
    terminations_per_context_max: 2,
    events_max: 8,
    ..TRGW
};

/// The IMS-AGW at the Iq interface, TS 29.334 5.
pub const IQ: Profile = Profile {
    title: "Iq (TS 29.334)",
    ..IX
};

/// The MRFP at the Mp interface, TS 29.333 5.
pub const MP: Profile = Profile {
    title: "Mp (TS 29.333)",
    commands: TRGW.commands,
    descriptors: DESCRIPTORS,
    packages: &[
        Support::whole(&g::PACKAGE),
        ROOT,
        TONEGEN,
        TONEDET,
        DG,
        DD,
        Support::whole(&cg::PACKAGE),
        Support::whole(&nt::PACKAGE),
        Support::whole(&rtp::PACKAGE),
        Support::whole(&an::PACKAGE),
        Support::whole(&xcg::PACKAGE),
        Support::whole(&srvtn::PACKAGE),
        Support::whole(&aasb::PACKAGE),
        Support::whole(&aasdc::PACKAGE),
        Support::whole(&aasrec::PACKAGE),
        Support::whole(&aassm::PACKAGE),
        Support::whole(&conftn::PACKAGE),
        Support::whole(&it::PACKAGE),
        Support::whole(&ocp::PACKAGE),
        XDD,
        Support::whole(&hangterm::PACKAGE),
        Support::whole(&rtcph::PACKAGE),
        QUALITY,
        Support::whole(&swmix::PACKAGE),
    ],
    terminations_per_context_max: 2048,
    streams_max: 8,
    events_max: 16,
    processes_media: true,
    termination_prefix: "ip",
};

/// The IM-MGW at the Mn interface, TS 29.332 Annex A.
pub const MN: Profile = Profile {
    title: "Mn (TS 29.332)",
    commands: TRGW.commands,
    descriptors: DESCRIPTORS,
    packages: &[
        Support::whole(&g::PACKAGE),
        ROOT,
        TONEGEN,
        TONEDET,
        DG,
        DD,
        Support::whole(&cg::PACKAGE),
        Support::whole(&cd::PACKAGE),
        Support::whole(&ct::PACKAGE),
        Support::whole(&nt::PACKAGE),
        Support::whole(&rtp::PACKAGE),
        Support::whole(&tdmc::PACKAGE),
        Support::whole(&an::PACKAGE),
        Support::whole(&bcp::PACKAGE),
        Support::whole(&gb::PACKAGE),
        Support::whole(&bcg::PACKAGE),
        Support::whole(&xcg::PACKAGE),
        Support::whole(&chp::PACKAGE),
        Support::whole(&threegup::PACKAGE),
        Support::whole(&threegtfoc::PACKAGE),
        Support::whole(&threegxcg::PACKAGE),
        Support::whole(&it::PACKAGE),
        Support::whole(&ocp::PACKAGE),
        Support::whole(&hangterm::PACKAGE),
        Support::whole(&mgcinfo::PACKAGE),
        Support::whole(&rtcph::PACKAGE),
    ],
    terminations_per_context_max: 3,
    streams_max: 8,
    events_max: 16,
    processes_media: false,
    termination_prefix: "ip",
};

/// Every command but Move, which Ix and Iq do not use.
const COMMANDS: &[CommandKind] = &[
    CommandKind::Add,
    CommandKind::Modify,
    CommandKind::Subtract,
    CommandKind::AuditValue,
    CommandKind::AuditCapability,
    CommandKind::ServiceChange,
];

/// What can be said to a relay.
const RELAY_DESCRIPTORS: &[DescriptorKind] = &[
    DescriptorKind::Media,
    DescriptorKind::Events,
    DescriptorKind::Signals,
    DescriptorKind::Statistics,
    DescriptorKind::Audit,
];

/// Every descriptor but Modem and Mux.
const DESCRIPTORS: &[DescriptorKind] = &[
    DescriptorKind::Media,
    DescriptorKind::Events,
    DescriptorKind::EventBuffer,
    DescriptorKind::Signals,
    DescriptorKind::DigitMap,
    DescriptorKind::Statistics,
    DescriptorKind::Audit,
];

const ROOT: Support = Support {
    state_properties: root::PACKAGE.properties,
    ..Support::of(&root::PACKAGE)
};

/// What a relay does of the packages that Ix and Iq name.
const RELAY_PACKAGES: &[Support] = &[
    G, ROOT, NETWORK, RTP, INACTIVITY, OVERLOAD, DIFFSERV, GATE, TRAFFIC, HANGING, NAPT, DATA,
    DOMAIN, RTCP,
];

/// The same, digits, and scores of speech.
const TRGW_PACKAGES: &[Support] = &[
    G, ROOT, NETWORK, RTP, INACTIVITY, OVERLOAD, DIFFSERV, GATE, TRAFFIC, HANGING, NAPT, DATA,
    DOMAIN, RTCP, TONEGEN, TONEDET, DG, DD, XDD, QUALITY,
];

const G: Support = Support {
    events: &[g::CAUSE, g::SIGNAL_COMPLETION],
    ..Support::of(&g::PACKAGE)
};

const NETWORK: Support = Support {
    events: &[nt::NETWORK_FAILURE],
    statistics: nt::PACKAGE.statistics,
    ..Support::of(&nt::PACKAGE)
};

const RTP: Support = Support {
    statistics: &[
        rtp::PACKETS_SENT,
        rtp::PACKETS_RECEIVED,
        rtp::PACKET_LOSS,
        rtp::JITTER,
    ],
    ..Support::of(&rtp::PACKAGE)
};

const INACTIVITY: Support = Support {
    events: it::PACKAGE.events,
    ..Support::of(&it::PACKAGE)
};

const OVERLOAD: Support = Support::whole(&ocp::PACKAGE);

const DIFFSERV: Support = Support {
    stream_properties: ds::PACKAGE.properties,
    ..Support::of(&ds::PACKAGE)
};

const GATE: Support = Support {
    stream_properties: gm::PACKAGE.properties,
    ..Support::of(&gm::PACKAGE)
};

const TRAFFIC: Support = Support {
    stream_properties: tman::PACKAGE.properties,
    ..Support::of(&tman::PACKAGE)
};

const HANGING: Support = Support {
    events: hangterm::PACKAGE.events,
    ..Support::of(&hangterm::PACKAGE)
};

const NAPT: Support = Support {
    signals: ipnapt::PACKAGE.signals,
    ..Support::of(&ipnapt::PACKAGE)
};

const DATA: Support = Support {
    events: adid::PACKAGE.events,
    ..Support::of(&adid::PACKAGE)
};

const DOMAIN: Support = Support {
    stream_properties: ipdc::PACKAGE.properties,
    ..Support::of(&ipdc::PACKAGE)
};

const RTCP: Support = Support {
    stream_properties: rtcph::PACKAGE.properties,
    ..Support::of(&rtcph::PACKAGE)
};

const QUALITY: Support = Support::whole(&rtcpxr::PACKAGE);
const TONEGEN: Support = Support::whole(&tonegen::PACKAGE);
const TONEDET: Support = Support::whole(&tonedet::PACKAGE);
const DG: Support = Support::whole(&dg::PACKAGE);
const DD: Support = Support::whole(&dd::PACKAGE);
const XDD: Support = Support::whole(&xdd::PACKAGE);
