//! Requests through the S-CSCF: from its users (TS 24.229 5.4.3.2) and to them (5.4.3.3).

use sip::transaction::ServerId;
use sip::{Draft, HeaderName, Message, Method, NameAddr, Scheme, Uri};

use super::registrar::Binding;
use super::{DIALOG, ORIGINATING, Scscf};
use crate::config::{PromptName, Role};
use crate::entity::{Actions, mrfc, restoration};
use crate::identity;
use crate::proxy::{self, BRANCHES_MAX, ContextId, Upstream};
use crate::stack::NextHop;

/// What the S-CSCF keeps of a request on its way.
#[derive(Debug, Default)]
pub(super) struct Routing {
    /// Contacts that have not been tried, in groups of the same preference (RFC 3261 16.6).
    remaining: Vec<Vec<Binding>>,
    /// It is a call of a user of ours, who hears an announcement when it fails (TS 24.628 4.2).
    announces: bool,
}

impl Scscf {
    pub(super) fn route(
        &mut self,
        actions: &mut Actions<'_>,
        server: ServerId,
        request: Message,
        is_asked: bool,
    ) {
        let own = request
            .routes()
            .next()
            .and_then(Result::ok)
            .and_then(|route| actions.stack.addresses().own(route.uri))
            .map(|own| own.token.to_owned());
        match own.as_deref() {
            Some(DIALOG) => self.route_in_dialog(actions, server, request),
            Some(ORIGINATING) => self.route_originating(actions, server, request, is_asked),
            _ if request.is_in_dialog() => {
                actions.stack.reject(actions.now, server, &request, 481, "");
            }
            _ => self.route_terminating(actions, server, request, is_asked),
        }
    }

    /// Within a dialog the routes decide.
    fn route_in_dialog(&mut self, actions: &mut Actions<'_>, server: ServerId, request: Message) {
        let mut draft = request.edit();
        draft.remove_first_value(HeaderName::Route);
        let id = self.proxy.open(server, request, Routing::default());
        self.follow(actions, id, draft);
    }

    /// The ACK of a 2xx.
    pub(super) fn route_ack(&mut self, actions: &mut Actions<'_>, ack: &Message) {
        let mut draft = ack.edit();
        draft
            .remove_first_value(HeaderName::Route)
            .decrement_max_forwards();
        if let Some(uri) = proxy::next_hop(&draft) {
            let next = NextHop::Uri(uri.view());
            actions
                .stack
                .send_ack(actions.now, Role::Scscf, draft, next);
        }
    }

    fn follow(&mut self, actions: &mut Actions<'_>, id: ContextId, draft: Draft) {
        match proxy::next_hop(&draft) {
            Some(uri) => {
                let next = NextHop::Uri(uri.view());
                self.proxy.forward(actions, id, draft, next);
            }
            None => self.proxy.reject(actions, id, 404, ""),
        }
    }

    /// From a user of ours: the P-CSCF has asserted who it is.
    fn route_originating(
        &mut self,
        actions: &mut Actions<'_>,
        server: ServerId,
        request: Message,
        is_asked: bool,
    ) {
        let served = request
            .asserted_identities()
            .filter_map(Result::ok)
            .map(|address| identity::public_identity(address.uri))
            .find_map(|uri| Some((self.registrar.find(&uri)?.1, uri)));
        let Some((set, uri)) = served else {
            let mut asserted = request.asserted_identities().filter_map(Result::ok);
            let asserted = asserted
                .next()
                .map(|one| identity::public_identity(one.uri));
            if let Some(asserted) = asserted.filter(|_| !is_asked)
                && self.ask_about(actions, &asserted, server, &request)
            {
                return;
            }
            if !request.has(HeaderName::PAssertedIdentity) {
                return actions.stack.reject(
                    actions.now,
                    server,
                    &request,
                    403,
                    "Nobody is asserted",
                );
            }
            // The P-CSCF says that it registered here, and has our Service-Route: we have lost it.
            let tag = actions.stack.token();
            let own = actions.stack.addresses().uri(Role::Scscf, ORIGINATING, 0);
            let mut draft = restoration::response(&request, &tag, &own, "Not registered here");
            return actions.stack.respond(actions.now, server, &mut draft);
        };
        if set.identity(&uri).is_none_or(|identity| identity.barred) {
            return actions
                .stack
                .reject(actions.now, server, &request, 403, "Identity is barred");
        }
        let mut draft = request.edit();
        draft.remove_first_value(HeaderName::Route);
        // The tel or sip alias of the user goes along (TS 24.229 5.4.3.2 step 9).
        let tel = uri.starts_with("tel:");
        let alias = set
            .identities
            .iter()
            .find(|other| !other.barred && other.uri.starts_with("tel:") != tel);
        let asserted = request.values(HeaderName::PAssertedIdentity).count();
        if let (Some(alias), 1) = (alias, asserted) {
            draft.append(HeaderName::PAssertedIdentity, &format!("<{}>", alias.uri));
        }
        if let Some(vector) = request.header(HeaderName::PChargingVector)
            && !vector.contains("orig-ioi")
        {
            let realm = &actions.config.realm;
            draft.replace(
                HeaderName::PChargingVector,
                &format!("{vector};orig-ioi={realm}"),
            );
        }
        record_route(actions, &mut draft);
        let has_route = draft.first_value(HeaderName::Route).is_some();
        let to_home = !has_route && is_home(actions, &request);
        let to_mrf = !has_route && is_mrf(actions, &request);
        let announces = !to_mrf && may_announce(actions, &request);
        let routing = Routing {
            announces,
            ..Routing::default()
        };
        let id = self.proxy.open(server, request, routing);
        if to_mrf {
            self.forward_to_mrfc(actions, id, draft);
        } else if to_home {
            let next = NextHop::Entity(Role::Icscf);
            self.proxy.forward(actions, id, draft, next);
        } else {
            self.follow(actions, id, draft);
        }
    }

    /// To the MRFC, in this process or another (Mr, TS 23.228 4.7).
    pub(super) fn forward_to_mrfc(
        &mut self,
        actions: &mut Actions<'_>,
        id: ContextId,
        mut draft: Draft,
    ) {
        if actions.config.plays(Role::Mrfc) {
            let next = NextHop::Entity(Role::Mrfc);
            self.proxy.forward(actions, id, draft, next);
        } else if let Some(address) = actions.config.mrf.address {
            let route = format!("sip:{}@{address}", Role::Mrfc.name());
            draft.push_front(HeaderName::Route, &format!("<{route};lr>"));
            if let Some(uri) = Uri::parse(&route) {
                self.proxy.forward(actions, id, draft, NextHop::Uri(uri));
            }
        } else {
            self.proxy.reject(actions, id, 404, "No media resources");
        }
    }

    /// To a user of ours, named by the Request-URI.
    fn route_terminating(
        &mut self,
        actions: &mut Actions<'_>,
        server: ServerId,
        request: Message,
        is_asked: bool,
    ) {
        let Ok(uri) = request.uri() else {
            return actions.stack.reject(actions.now, server, &request, 416, "");
        };
        let called = identity::public_identity(uri);
        let is_known = self.registrar.find(&called).is_some();
        if !is_known && !is_asked && self.ask_about(actions, &called, server, &request) {
            return;
        }
        let Some((_, set)) = self.registrar.find(&called) else {
            // The HSS has us as the S-CSCF of a user who is not registered (any more).
            return actions
                .stack
                .reject(actions.now, server, &request, 480, "Not registered");
        };
        if set.identity(&called).is_none_or(|identity| identity.barred) {
            return actions.stack.reject(actions.now, server, &request, 404, "");
        }
        let mut groups = preference_groups(&set.contacts);
        let no_fork = request
            .values(HeaderName::RequestDisposition)
            .any(|directive| directive.eq_ignore_ascii_case("no-fork"));
        if no_fork {
            groups.truncate(1);
            groups.iter_mut().for_each(|group| group.truncate(1));
        }
        let id = self.proxy.open(
            server,
            request,
            Routing {
                remaining: groups,
                announces: false,
            },
        );
        self.try_next_group(actions, id, 480);
    }

    /// Forwards to the next contacts in order of preference; without any the request fails with
    /// `status`.
    fn try_next_group(&mut self, actions: &mut Actions<'_>, id: ContextId, status: u16) {
        let Some(context) = self.proxy.get_mut(id) else {
            return;
        };
        if context.state.remaining.is_empty() {
            return self.proxy.reject(actions, id, status, "");
        }
        let group = context.state.remaining.remove(0);
        let Some(request) = context.request().cloned() else {
            return;
        };
        let mut sent = false;
        for binding in group.iter().take(BRANCHES_MAX) {
            let draft = towards(actions, &request, binding);
            let first = binding
                .path
                .first()
                .and_then(|path| NameAddr::parse(path).ok());
            let next = match &first {
                Some(path) => Some(path.uri),
                None => Uri::parse(&binding.uri),
            };
            if let Some(next) = next {
                sent |= self
                    .proxy
                    .forward(actions, id, draft, NextHop::Uri(next))
                    .is_some();
            }
        }
        if !sent {
            self.proxy.reject(actions, id, status, "");
        }
    }

    pub(super) fn pass(&mut self, actions: &mut Actions<'_>, upstream: Upstream) {
        let (id, status) = match &upstream {
            Upstream::Nothing => return,
            Upstream::Response {
                context, passing, ..
            } => (*context, passing.draft.status().unwrap_or_default()),
            Upstream::Failure { context, status } => (*context, *status),
        };
        let more = self
            .proxy
            .get(id)
            .is_some_and(|context| !context.state.remaining.is_empty() && !context.is_cancelled());
        // Others are tried until somebody answers or declines for all (RFC 3261 16.7).
        if more && (300..600).contains(&status) {
            self.proxy.set_aside(upstream);
            return self.try_next_group(actions, id, status);
        }
        if let Some(draft) = self.announcement(actions, id, status) {
            self.proxy.set_aside(upstream);
            return self.forward_to_mrfc(actions, id, draft);
        }
        match upstream {
            Upstream::Nothing => {}
            Upstream::Response { passing, .. } => self.proxy.respond(actions, id, passing.draft),
            Upstream::Failure { status, .. } => self.proxy.reject(actions, id, status, ""),
        }
    }
}

impl Scscf {
    /// The INVITE of a call that fails as the MRFC gets it, where the caller is to hear why: what
    /// it plays is early media, and the call then ends with the status it failed with (TS 24.628
    /// 4.2, 4.7.2.9).
    fn announcement(&mut self, actions: &Actions<'_>, id: ContextId, status: u16) -> Option<Draft> {
        let prompt = actions.config.mrf.announcements.get(&status)?;
        let context = self.proxy.get_mut(id)?;
        if context.is_cancelled() || !std::mem::take(&mut context.state.announces) {
            return None;
        }
        let mut draft = context.request()?.edit();
        let play = match prompt {
            PromptName::Number(number) => number.to_string(),
            PromptName::Url(url) => mrfc::escape_parameter(url),
        };
        let domain = &actions.config.mrf.domain;
        draft.set_request_uri(&format!(
            "sip:annc@{domain};play={play};early=yes;cause={status}"
        ));
        draft.remove_all(HeaderName::Route);
        record_route(actions, &mut draft);
        Some(draft)
    }
}

/// Whether the caller of a failing call can be played to: it has offered media to do it with.
fn may_announce(actions: &Actions<'_>, request: &Message) -> bool {
    let mrf = &actions.config.mrf;
    let has_mrfc = actions.config.plays(Role::Mrfc) || mrf.address.is_some();
    let is_call = request.is_method(&Method::Invite) && !request.body().is_empty();
    has_mrfc && is_call && !mrf.announcements.is_empty()
}

/// A request as it goes to one contact: retargeted, with the way to it (RFC 3327 5.3, TS 24.229
/// 5.4.3.3).
fn towards(actions: &Actions<'_>, request: &Message, binding: &Binding) -> Draft {
    let mut draft = request.edit();
    draft.remove_all(HeaderName::Route);
    for path in &binding.path {
        draft.append(HeaderName::Route, path);
    }
    draft.set_request_uri(&binding.uri);
    draft.replace(
        HeaderName::PCalledPartyId,
        &format!("<{}>", request.request_uri()),
    );
    if let Some(vector) = request.header(HeaderName::PChargingVector)
        && !vector.contains("term-ioi")
    {
        let realm = &actions.config.realm;
        draft.replace(
            HeaderName::PChargingVector,
            &format!("{vector};term-ioi={realm}"),
        );
    }
    record_route(actions, &mut draft);
    draft
}

fn record_route(actions: &Actions<'_>, draft: &mut Draft) {
    let own = actions.stack.addresses().uri(Role::Scscf, DIALOG, 0);
    draft.push_front(HeaderName::RecordRoute, &format!("<{own};lr>"));
}

/// Contacts in groups of the same preference, the most preferred first.
fn preference_groups(contacts: &[Binding]) -> Vec<Vec<Binding>> {
    let mut sorted: Vec<Binding> = contacts.to_vec();
    sorted.sort_by_key(|binding| std::cmp::Reverse(binding.q));
    let mut groups: Vec<Vec<Binding>> = Vec::new();
    for binding in sorted {
        match groups.last_mut() {
            Some(group) if group[0].q == binding.q => group.push(binding),
            _ => groups.push(vec![binding]),
        }
    }
    groups
}

/// True for a Request-URI that the MRFC answers for: of its domain, or the conference factory's.
fn is_mrf(actions: &Actions<'_>, request: &Message) -> bool {
    let (mrf, realm) = (&actions.config.mrf, &actions.config.realm);
    request.uri().is_ok_and(|uri| {
        let is_of = |domain: &str| uri.host_str().eq_ignore_ascii_case(domain);
        let is_factory = uri.user().is_some_and(|user| user == mrf.factory);
        uri.is_sip() && (is_of(&mrf.domain) || (is_of(realm) && is_factory))
    })
}

/// True for a Request-URI of the home network: a number, or a name in our realm.
fn is_home(actions: &Actions<'_>, request: &Message) -> bool {
    request.uri().is_ok_and(|uri| {
        uri.scheme() == Scheme::Tel
            || (uri.is_sip() && uri.host_str().eq_ignore_ascii_case(&actions.config.realm))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use base::Instant;

    #[test]
    fn contacts_of_equal_preference_are_tried_together() {
        let binding = |uri: &str, q| Binding {
            id: 0,
            identity: String::new(),
            event: crate::reginfo::ContactEvent::Registered,
            uri: uri.into(),
            params: String::new(),
            q,
            path: Vec::new(),
            instance: None,
            call_id: String::new(),
            cseq: 1,
            expires_at: Instant::ZERO,
        };
        let contacts = [binding("a", 500), binding("b", 1000), binding("c", 1000)];
        let groups: Vec<Vec<String>> = preference_groups(&contacts)
            .into_iter()
            .map(|group| group.into_iter().map(|binding| binding.uri).collect())
            .collect();
        assert_eq!(groups, [vec!["b", "c"], vec!["a"]]);
    }
}
