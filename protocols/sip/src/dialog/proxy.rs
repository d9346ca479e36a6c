//! A call seen by a proxy that stays on its path.

use super::{Dialog, DialogId, DialogState, ROUTES_MAX, header, is_secure, state_of, tag, target};
use crate::header::NameAddr;
use crate::{Draft, HeaderName, Invalid, Message, Method, Why};

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

/// What a proxy that record-routes keeps of a dialog (TS 24.229 5.2.6, 5.4.3): enough to speak for
/// either end.
///
/// It follows CSeq numbers and targets in passing and can end the call with a BYE to each side,
/// each made as if the other side had sent it (TS 24.229 5.2.8, 5.4.5).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProxyDialog {
    /// Call-ID.
    pub call_id: String,
    /// How far it is.
    pub state: DialogState,
    /// Opened by a request to a sips URI.
    pub secure: bool,
    /// The one that sent the INVITE.
    pub caller: End,
    /// The one that answered it.
    pub callee: End,
}

/// One end of a dialog.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct End {
    /// Its tag.
    pub tag: String,
    /// What stands in From where it sends, and in To where it receives, tag included.
    pub address: String,
    /// Its Contact: a URI.
    pub target: String,
    /// Values of Route towards it, the next hop first.
    pub routes: Vec<String>,
    /// CSeq number of the last request it sent.
    pub cseq: u32,
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
        let tags = (tag(&invite.from()?), tag(&response.to()?));
        if tags.1.is_empty() {
            return Err(Invalid::header(HeaderName::To, Why::Syntax));
        }
        let (to_callee, to_caller) = split_routes(response, is_own)?;
        Ok(Self {
            call_id: invite.call_id()?.to_owned(),
            state: state_of(response),
            secure: is_secure(invite),
            caller: End {
                tag: tags.0,
                address: header(invite, HeaderName::From)?.to_owned(),
                target: target(invite)?,
                routes: to_caller,
                cseq: invite.cseq()?.number,
            },
            callee: End {
                tag: tags.1,
                address: header(response, HeaderName::To)?.to_owned(),
                target: target(response)?,
                routes: to_callee,
                cseq: 0,
            },
        })
    }

    /// Which side a request of this dialog comes from; `None` when its tags are others.
    pub fn sender(&self, request: &Message) -> Option<Side> {
        let from = request.from_tag().unwrap_or_default();
        let to = request.to_tag().unwrap_or_default();
        let side = match (from, to) {
            _ if from == self.caller.tag && to == self.callee.tag => Side::Caller,
            _ if from == self.callee.tag && to == self.caller.tag => Side::Callee,
            _ => return None,
        };
        (request.call_id().ok()? == self.call_id).then_some(side)
    }

    /// Follows a request that passes: its CSeq number. Returns the side it comes from.
    pub fn observe_request(&mut self, request: &Message) -> Option<Side> {
        let side = self.sender(request)?;
        let number = request.cseq().ok()?.number;
        let end = self.end_mut(side);
        end.cseq = end.cseq.max(number);
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
        let asked = self.end_mut(requester).refresh_target(request);
        let answered = self.end_mut(requester.other()).refresh_target(response);
        if request.is_method(&Method::Invite) && self.state == DialogState::Early {
            self.state = DialogState::Confirmed;
            (self.callee.routes, self.caller.routes) = split_routes(response, is_own)?;
        }
        asked.and(answered)
    }

    /// Starts a request towards one side, as if the other had sent it: BYE to end the call.
    pub fn request(&mut self, towards: Side, method: &Method) -> Draft {
        let mut dialog = self.towards(towards);
        let draft = dialog.request(method);
        self.end_mut(towards.other()).cseq = dialog.local_cseq;
        draft
    }

    /// The dialog as the other side of this one has it.
    pub fn towards(&self, side: Side) -> Dialog {
        let (own, far) = match side {
            Side::Caller => (&self.callee, &self.caller),
            Side::Callee => (&self.caller, &self.callee),
        };
        Dialog {
            id: DialogId {
                call_id: self.call_id.clone(),
                local_tag: own.tag.clone(),
                remote_tag: far.tag.clone(),
            },
            state: self.state,
            local: own.address.clone(),
            remote: far.address.clone(),
            local_cseq: own.cseq,
            remote_cseq: Some(far.cseq),
            remote_target: far.target.clone(),
            route_set: far.routes.clone(),
            secure: self.secure,
        }
    }

    fn end_mut(&mut self, side: Side) -> &mut End {
        match side {
            Side::Caller => &mut self.caller,
            Side::Callee => &mut self.callee,
        }
    }
}

impl End {
    fn refresh_target(&mut self, message: &Message) -> Result<(), Invalid> {
        if message.has(HeaderName::Contact) {
            self.target = target(message)?;
        }
        Ok(())
    }
}

/// Routes to the callee and to the caller, each nearest hop first.
///
/// A proxy puts its Record-Route on top, so the callee's end of the path stands first.
fn split_routes(
    response: &Message,
    is_own: impl Fn(&NameAddr<'_>) -> bool,
) -> Result<(Vec<String>, Vec<String>), Invalid> {
    let (mut to_callee, mut to_caller) = (Vec::new(), Vec::new());
    let mut has_own = false;
    for (count, value) in response.values(HeaderName::RecordRoute).enumerate() {
        let bad = |why| Invalid::header(HeaderName::RecordRoute, why);
        if count == ROUTES_MAX {
            return Err(bad(Why::Range));
        }
        if is_own(&NameAddr::parse(value).map_err(bad)?) {
            // What stands between two values of ours is ours as well.
            to_caller.clear();
            has_own = true;
        } else if has_own {
            to_caller.push(value.to_owned());
        } else {
            to_callee.push(value.to_owned());
        }
    }
    to_callee.reverse();
    Ok((to_callee, to_caller))
}
