//! Cx between the entities of this process and the HSS: as values when it plays here, over Diameter
//! when not.

mod diameter_side;

use std::collections::HashMap;

use diameter::Origin;
use diameter::cx::Request;

use crate::config::{ControlConfig, Role};
use crate::entity::CxCommand;

pub use diameter_side::{CxEvent, DiameterSide};

/// Tokens under which the HSS answers requests of this process's own entities have this bit.
const LOCAL: u64 = 1 << 63;

/// Requests of this process's entities at the HSS of this process.
#[derive(Debug, Default)]
pub struct LocalRequests {
    next: u64,
    waiting: HashMap<u64, (Role, u64)>,
}

/// A request for the HSS of this process.
#[derive(Debug)]
pub struct LocalRequest {
    /// Under which the HSS answers.
    pub token: u64,
    /// As whom the entity asks.
    pub origin: Origin,
    /// The request.
    pub request: Request,
}

impl LocalRequests {
    /// Passes a request on to the HSS of this process.
    pub fn ask(&mut self, command: CxCommand, origin: Origin) -> LocalRequest {
        self.next += 1;
        let token = self.next | LOCAL;
        self.waiting.insert(token, (command.from, command.token));
        LocalRequest {
            token,
            origin,
            request: command.request,
        }
    }

    /// Who asked what the HSS answers under `token`; `None` for a request that came over Diameter.
    pub fn answered(&mut self, token: u64) -> Option<(Role, u64)> {
        self.waiting.remove(&token)
    }
}

/// The Diameter identity of a process: the HSS has a name that others can know, a CSCF one that no
/// other has.
pub fn host(config: &ControlConfig) -> String {
    if config.plays(Role::Hss) {
        return config.hss_host.clone();
    }
    let role = config.roles.first().map_or("cscf", |role| role.name());
    let place = config
        .sip
        .first()
        .map(ToString::to_string)
        .unwrap_or_default();
    let place: String = place
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() { c } else { '-' })
        .collect();
    format!("{role}-{}.{}", place.trim_matches('-'), config.realm)
}
