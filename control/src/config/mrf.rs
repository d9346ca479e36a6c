//! `[mrf]`: the MRFC, and what the core has it play.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use serde::{Deserialize, Serialize};

use super::{ConfigError, at_least_one, error};

/// `[mrf]`
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct MrfFile {
    /// SIP address of the MRFC when it is another process.
    pub address: Option<SocketAddr>,
    /// Domain of the URIs that the MRFC answers for, as in sip:annc@DOMAIN; mrf.REALM by default.
    pub domain: Option<String>,
    /// Calls at once at the MRFC.
    pub calls_max: Option<usize>,
    /// Members of one conference.
    pub members_max: Option<usize>,
    /// User part of the conference factory's URI in the realm (TS 24.147 5.3.2.3).
    pub factory: Option<String>,
    /// Further media servers that the broker knows: URI → streams.
    pub servers: Option<BTreeMap<String, u32>>,
    /// What the S-CSCF has callers hear whose calls fail: final status → what to play, a number
    /// fixed in the MRFP or the URL of a prompt.
    pub announcements: Option<BTreeMap<String, PromptName>>,
}

/// What is to be played.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(untagged)]
pub enum PromptName {
    /// An announcement by its number.
    Number(u32),
    /// A URL.
    Url(String),
}

/// The MRFC, and what the core has it play.
#[derive(Clone, Debug)]
pub struct MrfPolicy {
    /// The MRFC, when it is another process.
    pub address: Option<SocketAddr>,
    /// Domain of the MRFC's URIs, lower case.
    pub domain: String,
    /// Calls at once; beyond: 503.
    pub calls_max: usize,
    /// Members of one conference; beyond: 486.
    pub members_max: usize,
    /// User part of the conference factory's URI.
    pub factory: String,
    /// Further media servers, and how many streams each has, for the media resource broker.
    pub servers: BTreeMap<String, u32>,
    /// What callers hear whose calls fail, by final status.
    pub announcements: BTreeMap<u16, PromptName>,
}

impl MrfFile {
    pub(super) fn validate(self, realm: &str) -> Result<MrfPolicy, ConfigError> {
        let factory = self.factory.unwrap_or_else(|| "conference".into());
        if factory.is_empty() || sip::Uri::parse(&format!("sip:{factory}@a.test")).is_none() {
            let remedy = "give the user part of a SIP URI, as in conference";
            return Err(error("mrf.factory", format!("{factory:?}"), remedy));
        }
        let mut announcements = BTreeMap::new();
        for (status, prompt) in self.announcements.unwrap_or_default() {
            let code = status.parse().ok();
            let code =
                code.filter(|code| (400..700).contains(code) && *code != 401 && *code != 407);
            let Some(code) = code else {
                let remedy = "name final statuses from 400 on, as in 486 = 2 or \
                              404 = \"file:///prompts/unknown.wav\"";
                return Err(error("mrf.announcements", status, remedy));
            };
            if let PromptName::Url(url) = &prompt
                && (url.is_empty() || !url.bytes().all(|octet| octet.is_ascii_graphic()))
            {
                let remedy = "give a URL, as in file:///prompts/unknown.wav";
                return Err(error("mrf.announcements", format!("{url:?}"), remedy));
            }
            announcements.insert(code, prompt);
        }
        let servers = self.servers.unwrap_or_default();
        if let Some(uri) = servers.keys().find(|uri| sip::Uri::parse(uri).is_none()) {
            let remedy = "give the URI of a media server, as in sip:msml@192.0.2.1:5060";
            return Err(error("mrf.servers", format!("{uri:?}"), remedy));
        }
        Ok(MrfPolicy {
            servers,
            address: self.address,
            domain: self.domain.map_or_else(
                || format!("mrf.{realm}"),
                |domain| domain.to_ascii_lowercase(),
            ),
            calls_max: at_least_one("mrf.calls_max", self.calls_max, 100_000)?,
            members_max: at_least_one("mrf.members_max", self.members_max, 256)?,
            factory,
            announcements,
        })
    }
}
