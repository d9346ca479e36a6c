//! A call seen by a proxy that stays on its path.

use super::{Dialog, DialogId, DialogState, routes};
use crate::header::NameAddr;
use crate::{Draft, Invalid, Message, Method};

/// A side of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Side {
    /// The one that sent the INVITE.
    Caller,
    /// The one that answered it.
    Callee,
}

impl Side {
    /// The other side.
    pub fn other(self) -> Side {
        match self {
            Side::Caller => Side::Callee,
            Side::Callee => Side::Caller,
        }
    }
}

/// What a proxy that record-routes keeps of a dialog (TS 24.229 5.2.6, 5.4.3): both ends as it
/// could speak for them.
///
/// It follows CSeq numbers and targets in passing and can end the call with a BYE to each side,
/// each made as if the other side had sent it (TS 24.229 5.2.8, 5.4.5).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProxyDialog {
    /// Speaks for the caller, to the callee.
    pub to_callee: Dialog,
    /// Speaks for the callee, to the caller.
    pub to_caller: Dialog,
}

impl ProxyDialog {
    /// The dialog that an INVITE and a response with a To tag open, both as this proxy received
    /// them.
    ///
    /// `is_own` tells the values of Record-Route that are this proxy's. Those above them lead to
    /// the callee, those below to the caller. Where none is (a UA dropped Record-Route), all lead
    /// to the callee.
    ///
    /// # Errors
    /// A header it takes from the messages is missing or malformed: Contact, Record-Route, the To
    /// tag.
    pub fn new(
        invite: &Message,
        response: &Message,
        is_own: impl Fn(&NameAddr<'_>) -> bool,
    ) -> Result<Self, Invalid> {
        let mut to_callee = Dialog::as_uac(invite, response)?;
        let mut to_caller = Dialog::as_uas(invite, response)?;
        (to_callee.route_set, to_caller.route_set) = split_routes(response, is_own)?;
        Ok(Self {
            to_callee,
            to_caller,
        })
    }

    /// The key to find it by: [`DialogId::of_passing`].
    pub fn key(&self) -> DialogId {
        self.to_callee.id.clone().unordered()
    }

    /// How far it is.
    pub fn state(&self) -> DialogState {
        self.to_callee.state
    }

    /// Which side a request of this dialog comes from; `None` when its tags are others.
    pub fn sender(&self, request: &Message) -> Option<Side> {
        let id = DialogId::of_received_request(request).ok()?;
        match id {
            _ if id == self.to_caller.id => Some(Side::Caller),
            _ if id == self.to_callee.id => Some(Side::Callee),
            _ => None,
        }
    }

    /// Follows a request that passes: its CSeq number. Returns the side it comes from.
    pub fn observe_request(&mut self, request: &Message) -> Option<Side> {
        let side = self.sender(request)?;
        let number = request.cseq().ok()?.number;
        let speaking = self.towards_mut(side.other());
        speaking.local_cseq = speaking.local_cseq.max(number);
        let listening = self.towards_mut(side);
        listening.remote_cseq = Some(
            listening
                .remote_cseq
                .map_or(number, |last| last.max(number)),
        );
        Some(side)
    }

    /// Follows a 2xx that passes and the request it answers, which `requester` sent: the targets of
    /// INVITE and UPDATE, and confirmation by the 2xx to the first INVITE.
    ///
    /// # Errors
    /// Contact of either, or Record-Route of the confirming 2xx, malformed; the rest is taken all
    /// the same.
    pub fn observe_success(
        &mut self,
        requester: Side,
        request: &Message,
        response: &Message,
        is_own: impl Fn(&NameAddr<'_>) -> bool,
    ) -> Result<(), Invalid> {
        if !matches!(request.method(), Some(Method::Invite | Method::Update)) {
            return Ok(());
        }
        let asked = self.towards_mut(requester).refresh_target(request);
        let answered = self.towards_mut(requester.other()).refresh_target(response);
        if request.is_method(&Method::Invite) && self.state() == DialogState::Early {
            self.to_callee.state = DialogState::Confirmed;
            self.to_caller.state = DialogState::Confirmed;
            (self.to_callee.route_set, self.to_caller.route_set) = split_routes(response, is_own)?;
        }
        asked.and(answered)
    }

    /// Starts a request towards one side, as if the other had sent it: BYE to end the call.
    pub fn request(&mut self, towards: Side, method: &Method) -> Draft {
        self.towards_mut(towards).request(method)
    }

    /// The half that speaks to this side.
    pub fn towards(&self, side: Side) -> &Dialog {
        match side {
            Side::Caller => &self.to_caller,
            Side::Callee => &self.to_callee,
        }
    }

    fn towards_mut(&mut self, side: Side) -> &mut Dialog {
        match side {
            Side::Caller => &mut self.to_caller,
            Side::Callee => &mut self.to_callee,
        }
    }
}

/// Routes to the callee and to the caller, each nearest hop first.
///
/// A proxy puts its Record-Route on top, so the callee's end of the path stands first.
fn split_routes(
    response: &Message,
    is_own: impl Fn(&NameAddr<'_>) -> bool,
) -> Result<(Vec<String>, Vec<String>), Invalid> {
    let all = routes(response)?;
    let own = |value: &String| NameAddr::parse(value).is_ok_and(|addr| is_own(&addr));
    let Some(first) = all.iter().position(own) else {
        return Ok((all.into_iter().rev().collect(), Vec::new()));
    };
    let last = all.iter().rposition(own).unwrap_or(first);
    let to_callee = all[..first].iter().rev().cloned().collect();
    Ok((to_callee, all[last + 1..].to_vec()))
}
