//! Media plane security between a UE and the gateway (e2ae, TS 24.229 6.7.2 and 7.5.2, TS 33.328
//! 5.4): keys are exchanged with the UE here (SDES, RFC 4568), or certificates (DTLS-SRTP, RFC
//! 5763), and the core sees the media in the clear.

use std::fmt;

use base::Entropy;
use sdp::crypto::{self, Crypto, CryptoSuite, InlineKey};
use sdp::dtls::{self, Described, DescribedFault, Setup};
use sdp::{Attribute, Session};
use serde::{Deserialize, Serialize};

use crate::config::{DtlsPolicy, DtlsScope, DtlsStart};
use crate::mgc::{DtlsPlan, DtlsSetup, SdesPlan, Side, SrtpPlan, StreamPlan};

/// How a UE said that it protects media as far as the access edge, when it registered (TS 24.229
/// 7.2A.7).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Mechanism {
    /// Security descriptions.
    Sdes,
    /// DTLS-SRTP.
    Dtls,
}

impl Mechanism {
    /// Its name in Security-Client.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Sdes => "sdes-srtp",
            Self::Dtls => "dtls-srtp",
        }
    }

    /// The one with this name.
    pub fn from_name(name: &str) -> Option<Self> {
        let mut all = [Self::Sdes, Self::Dtls].into_iter();
        all.find(|mechanism| mechanism.name().eq_ignore_ascii_case(name))
    }
}

/// Why media cannot be protected as a description would have it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// No `a=crypto` can be used, or none that fits the offer.
    Keys,
    /// What is said of DTLS cannot be used.
    Certificate(DescribedFault),
    /// The answer has another transport protocol than the offer.
    Protocol,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Keys => f.write_str("no crypto attribute can be used"),
            Self::Certificate(fault) => fault.fmt(f),
            Self::Protocol => f.write_str("media is not protected as it was offered"),
        }
    }
}

/// How media towards the UE is protected.
pub struct Protection<'a> {
    /// Where keys come from.
    pub entropy: &'a mut Entropy,
    /// What the UE takes offers of: it said so when it registered.
    pub mechanism: Option<Mechanism>,
    /// Which DTLS ends here, and who begins.
    pub dtls: DtlsPolicy,
}

impl Protection<'_> {
    /// What offers to the UE protect media with.
    pub fn offered(&self) -> Option<Mechanism> {
        let everywhere = self.dtls.scope == DtlsScope::Offered;
        self.mechanism
            .or_else(|| everywhere.then_some(Mechanism::Dtls))
    }

    /// What an offer means for the protection of a stream: the UE may ask for it (TS 24.229
    /// 6.7.2.2), or it is offered to the UE. `before` is the stream as it was.
    ///
    /// # Errors
    /// What is asked for cannot be had: the stream is refused (RFC 4568 5.1.2).
    pub fn offer(
        &mut self,
        side: Side,
        description: &Session,
        index: usize,
        before: Option<&StreamPlan>,
        stream: &mut StreamPlan,
    ) -> Result<(), Fault> {
        let media = &description.media[index];
        if media.is_rejected() {
            return Ok(());
        }
        let kept = before.and_then(|stream| stream.srtp.as_ref());
        let protocol = &media.head.protocol;
        match side {
            Side::Access => stream.srtp = self.answer(description, index, kept, stream)?,
            Side::Core if kept.is_some() => {}
            // What the UE has in the clear stays so.
            Side::Core if stream.sides[Side::Access.index()].remote.is_some() => {}
            Side::Core => stream.srtp = self.make_offer(protocol),
        }
        if let Some(srtp) = &stream.srtp
            && let Some(clear) = srtp.unprotected(&stream.protocol)
        {
            // Audio needs no feedback, and any telephone takes it without (TS 26.114 6.2.3).
            let is_plain = srtp.dtls().is_some() && &*stream.kind == "audio";
            stream.protocol = if is_plain { "RTP/AVP" } else { clear }.into();
        }
        Ok(())
    }

    /// How a stream of the UE's offer is protected as far as the gateway.
    fn answer(
        &mut self,
        description: &Session,
        index: usize,
        kept: Option<&SrtpPlan>,
        stream: &StreamPlan,
    ) -> Result<Option<SrtpPlan>, Fault> {
        let media = &description.media[index];
        let protocol = &media.head.protocol;
        let is_asked = is_requested(media) || kept.is_some();
        if crypto::unprotected(protocol).is_some() && is_asked {
            let theirs = media.lines.crypto().next().ok_or(Fault::Keys)?;
            return Ok(Some(SrtpPlan::Sdes(SdesPlan {
                local: self.answer_key(&theirs, kept.and_then(SrtpPlan::sdes)),
                remote: Some(theirs.to_string().into()),
            })));
        }
        let ends_all = self.dtls.scope != DtlsScope::Requested;
        if dtls::unprotected(protocol).is_none() || !(is_asked || ends_all) {
            return Ok(None);
        }
        let told = Described::of(description, index).map_err(Fault::Certificate)?;
        let plan = |setup| dtls_plan(protocol, setup, &told);
        let setup = match told.setup {
            Some(Setup::Passive) => DtlsSetup::Active,
            // Also where nothing is said (RFC 4145 4.1).
            Some(Setup::Active) | None => DtlsSetup::Passive,
            Some(Setup::ActPass | Setup::HoldConn) => {
                let kept = kept.and_then(SrtpPlan::dtls);
                // An association that there is goes on with the roles that it has (RFC 8842 5.5).
                let same = kept.filter(|kept| plan(kept.setup) == **kept);
                match same.map(|kept| kept.setup) {
                    Some(DtlsSetup::Active) => DtlsSetup::Active,
                    Some(DtlsSetup::Passive) => DtlsSetup::Passive,
                    _ => self.begins(stream.sides[Side::Access.index()].latch),
                }
            }
        };
        Ok(Some(SrtpPlan::Dtls(plan(setup))))
    }

    /// Who begins where the UE leaves it to us: RFC 5763 5 has the answerer do, but who is behind a
    /// NAT is not reached before it has sent something.
    fn begins(&self, is_behind_nat: bool) -> DtlsSetup {
        match (self.dtls.start, is_behind_nat) {
            (DtlsStart::Active, _) | (DtlsStart::Auto, false) => DtlsSetup::Active,
            (DtlsStart::Passive, _) | (DtlsStart::Auto, true) => DtlsSetup::Passive,
        }
    }

    /// How a stream that the core offers in the clear is offered to the UE.
    fn make_offer(&mut self, protocol: &str) -> Option<SrtpPlan> {
        match self.offered()? {
            Mechanism::Sdes if crypto::protected(protocol) != protocol => {
                Some(SrtpPlan::Sdes(SdesPlan {
                    local: self.key(OFFERED_TAG, OFFERED_SUITE),
                    remote: None,
                }))
            }
            Mechanism::Dtls if dtls::protected(protocol) != protocol => {
                Some(SrtpPlan::Dtls(DtlsPlan {
                    protocol: dtls::protected(protocol).into(),
                    setup: DtlsSetup::ActPass,
                    fingerprints: Vec::new(),
                    tls_id: None,
                }))
            }
            _ => None,
        }
    }

    /// The gateway's description in answer to the UE's: the same tag and suite, and the key that
    /// there is already, if there is one of that suite (RFC 4568 5.1.2).
    fn answer_key(&mut self, theirs: &Crypto, kept: Option<&SdesPlan>) -> Box<str> {
        let ours = kept.and_then(|sdes| Crypto::parse(&sdes.local).ok());
        match ours.filter(|ours| ours.suite == theirs.suite) {
            Some(ours) => Crypto {
                tag: theirs.tag,
                ..ours
            }
            .to_string()
            .into(),
            None => self.key(theirs.tag, theirs.suite),
        }
    }

    fn key(&mut self, tag: u32, suite: CryptoSuite) -> Box<str> {
        let mut key_and_salt = vec![0; suite.key_and_salt_bytes()];
        self.entropy.fill(&mut key_and_salt);
        let key = InlineKey::new(&key_and_salt);
        Crypto::new(tag, suite, key).to_string().into()
    }
}

/// Takes the UE's key or certificate from its answer to an offer of protection.
///
/// # Errors
/// It has none that fits.
pub fn take_answer(
    description: &Session,
    index: usize,
    stream: &mut StreamPlan,
) -> Result<(), Fault> {
    let media = &description.media[index];
    let Some(srtp) = &mut stream.srtp else {
        return Ok(());
    };
    if srtp.unprotected(&media.head.protocol).is_none() {
        return Err(Fault::Protocol);
    }
    match srtp {
        SrtpPlan::Sdes(sdes) => {
            let ours = Crypto::parse(&sdes.local).map_err(|_| Fault::Keys)?;
            let fits = |theirs: &Crypto| (theirs.tag, theirs.suite) == (ours.tag, ours.suite);
            let theirs = media.lines.crypto().find(fits).ok_or(Fault::Keys)?;
            sdes.remote = Some(theirs.to_string().into());
        }
        SrtpPlan::Dtls(plan) => {
            let told = Described::of(description, index).map_err(Fault::Certificate)?;
            let setup = match told.setup {
                // Also where nothing is said (RFC 4145 4.1).
                Some(Setup::Passive) | None => DtlsSetup::Active,
                Some(Setup::Active | Setup::ActPass | Setup::HoldConn) => DtlsSetup::Passive,
            };
            *plan = dtls_plan(&media.head.protocol, setup, &told);
        }
    }
    Ok(())
}

fn dtls_plan(protocol: &str, setup: DtlsSetup, told: &Described) -> DtlsPlan {
    let fingerprints = told.fingerprints.iter();
    DtlsPlan {
        protocol: protocol.into(),
        setup,
        fingerprints: fingerprints.map(|it| it.to_string().into()).collect(),
        tls_id: told.tls_id.clone(),
    }
}

/// Ends the protection of a stream in a description from the UE, and adds it to one for it (TS
/// 24.229 6.7.2.2). `certificate` is what the gateway shows.
pub fn pass(
    from: Side,
    is_offer: bool,
    plan: &StreamPlan,
    certificate: Option<&str>,
    media: &mut sdp::Media,
) {
    let Some(srtp) = &plan.srtp else {
        return;
    };
    let towards = from.other();
    let protocol = plan.protocol_at(towards);
    // Who does not speak of feedback is not told of it (RFC 4585 4.2).
    let is_silent = !protocol.ends_with('F');
    media
        .lines
        .remove_attributes(|attribute| match attribute.name() {
            "crypto" | E2AE => true,
            "rtcp-fb" => is_silent,
            name => is_of_dtls(name),
        });
    if *protocol != *media.head.protocol {
        media.head.protocol = (*protocol).into();
    }
    if towards == Side::Core || media.is_rejected() {
        return;
    }
    match srtp {
        SrtpPlan::Sdes(sdes) => {
            let crypto = Attribute::new("crypto", &sdes.local);
            media.lines.add_attribute(crypto);
        }
        SrtpPlan::Dtls(dtls) => {
            let Some(certificate) = certificate else {
                return media.reject();
            };
            // Every offer leaves the roles to the answer, which keeps those that there are (RFC
            // 8842 5.5).
            let setup = match is_offer {
                true => Setup::ActPass,
                false => Setup::from(dtls.setup),
            };
            let fingerprint = Attribute::new("fingerprint", certificate);
            media.lines.add_attribute(fingerprint);
            media.lines.add_attribute(setup.attribute());
        }
    }
    if is_offer {
        media.lines.add_attribute(Attribute::new(E2AE, "applied"));
    }
}

/// Removes what a description tells of DTLS for all of its streams, where these end here.
pub fn pass_session(plans: &[StreamPlan], description: &mut Session) {
    if plans.iter().any(|plan| plan.srtp.is_some()) && !plans.iter().any(is_dtls_from_end_to_end) {
        let is_its = |attribute: &Attribute| is_of_dtls(attribute.name());
        description.lines.remove_attributes(is_its);
    }
}

/// DTLS that passes: both ends have it, on as many ports as they agree on.
pub fn is_dtls_from_end_to_end(plan: &StreamPlan) -> bool {
    plan.used && plan.srtp.is_none() && dtls::unprotected(&plan.protocol).is_some()
}

/// Attributes of DTLS (RFC 8122, RFC 4145, RFC 8842).
fn is_of_dtls(name: &str) -> bool {
    matches!(name, "fingerprint" | "setup" | "tls-id")
}

fn is_requested(media: &sdp::Media) -> bool {
    let mut values = media.lines.values(E2AE);
    values.any(|value| value.trim().eq_ignore_ascii_case("requested"))
}

/// The attribute that tells of protection as far as the access edge (TS 24.229 7.5.2).
const E2AE: &str = "3ge2ae";

/// What a UE is offered: the suite that TS 33.328 has every UE support.
const OFFERED_SUITE: CryptoSuite = CryptoSuite::AesCm128HmacSha1_80;

const OFFERED_TAG: u32 = 1;
