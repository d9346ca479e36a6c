//! Every event in every state of the four machines, through the layer's interface.

use super::*;

/// What a client transaction is put through.
#[derive(Clone, Copy, Debug)]
enum ClientEvent {
    Response(u16),
    Error,
    Wait(u64),
}

/// What a server transaction is put through.
#[derive(Clone, Copy, Debug)]
enum ServerEvent {
    Request,
    Ack,
    Respond(u16),
    Error,
    Wait(u64),
}

fn client_outcome(hop: Transport, method: &str, path: &[u16], event: ClientEvent) -> String {
    let mut rig = Rig::new(hop);
    let id = rig.send(&request(method, 1));
    for &status in path {
        rig.receive(&response(method, 1, status));
    }
    rig.drain();
    let mut words = Vec::new();
    match event {
        ClientEvent::Response(status) => match rig.receive(&response(method, 1, status)) {
            Received::Response {
                client,
                context: 7,
                message,
            } if client == id => {
                words.push(format!("up {}", message.status().unwrap()));
            }
            Received::Absorbed => {}
            Received::StrayResponse { .. } => words.push("stray".to_owned()),
            other => panic!("{other:?}"),
        },
        ClientEvent::Error => rig
            .layer
            .handle_transport_error(rig.now, Origin::Client(id)),
        ClientEvent::Wait(millis) => rig.wait(millis),
    }
    words.extend(rig.outputs());
    let state = rig.layer.client_state(id);
    let state = state.map_or("gone".to_owned(), |state| format!("{state:?}"));
    rig.wait(200_000);
    let waits = matches!(rig.layer.client_state(id), Some(ClientState::Proceeding));
    assert!(waits || rig.is_empty(), "{method} {path:?} {event:?} leaks");
    format!("{state}: {}", words.join(", "))
}

fn server_outcome(hop: Transport, method: &str, path: &[u16], event: ServerEvent) -> String {
    let mut rig = Rig::new(hop);
    let id = rig.receive_request(&request(method, 1));
    for &step in path {
        match step {
            // Zero stands for the ACK.
            0 => drop(rig.receive(&request("ACK", 1))),
            100 => rig.wait(4000),
            status => {
                let response = message(&response(method, 1, status));
                rig.layer.respond(rig.now, id, response).unwrap();
            }
        }
    }
    rig.drain();
    let mut words = Vec::new();
    match event {
        ServerEvent::Request | ServerEvent::Ack => {
            let method = if matches!(event, ServerEvent::Ack) {
                "ACK"
            } else {
                method
            };
            match rig.receive(&request(method, 1)) {
                Received::Absorbed => {}
                Received::Ack {
                    server: Some(server),
                    ..
                } if server == id => {
                    words.push("up ACK".to_owned());
                }
                Received::Ack { server: None, .. } => words.push("stray ACK".to_owned()),
                Received::Request { .. } => words.push("new".to_owned()),
                other => panic!("{other:?}"),
            }
        }
        ServerEvent::Respond(status) => {
            let response = message(&response(method, 1, status));
            if let Err(error) = rig.layer.respond(rig.now, id, response) {
                words.push(format!("{error:?}"));
            }
        }
        ServerEvent::Error => rig
            .layer
            .handle_transport_error(rig.now, Origin::Server(id)),
        ServerEvent::Wait(millis) => rig.wait(millis),
    }
    words.extend(rig.outputs());
    let state = rig.layer.server_state(id);
    let state = state.map_or("gone".to_owned(), |state| format!("{state:?}"));
    format!("{state}: {}", words.join(", "))
}

/// RFC 3261 Figure 5, RFC 6026 Figure 8.
#[test]
fn invite_client_transitions() {
    use ClientEvent::{Error, Response, Wait};
    use Transport::{Tcp, Udp};
    let (calling, proceeding, accepted, completed) = (&[][..], &[180][..], &[200][..], &[486][..]);
    let table = [
        (Udp, calling, Response(180), "Proceeding: up 180"),
        (Udp, calling, Response(200), "Accepted: up 200"),
        (Udp, calling, Response(302), "Completed: up 302, ACK"),
        (Udp, calling, Response(699), "Completed: up 699, ACK"),
        (Udp, calling, Error, "gone: unreachable, ended 7"),
        (Udp, calling, Wait(499), "Calling: "),
        (Udp, calling, Wait(500), "Calling: INVITE"),
        (Udp, calling, Wait(1500), "Calling: INVITE, INVITE"),
        (Tcp, calling, Wait(31_999), "Calling: "),
        (Tcp, calling, Wait(32_000), "gone: timeout 7, ended 7"),
        (Tcp, calling, Response(486), "gone: up 486, ACK, ended 7"),
        (Udp, proceeding, Response(183), "Proceeding: up 183"),
        (Udp, proceeding, Response(200), "Accepted: up 200"),
        (Udp, proceeding, Response(600), "Completed: up 600, ACK"),
        (Udp, proceeding, Error, "gone: unreachable, ended 7"),
        (Udp, proceeding, Wait(40_000), "Proceeding: "),
        (Udp, accepted, Response(180), "Accepted: "),
        (Udp, accepted, Response(200), "Accepted: up 200"),
        (Udp, accepted, Response(486), "Accepted: "),
        (Udp, accepted, Error, "Accepted: "),
        (Udp, accepted, Wait(31_999), "Accepted: "),
        (Udp, accepted, Wait(32_000), "gone: ended 7"),
        (Tcp, accepted, Wait(31_999), "Accepted: "),
        (Tcp, accepted, Wait(32_000), "gone: ended 7"),
        (Udp, completed, Response(180), "Completed: "),
        (Udp, completed, Response(200), "Completed: "),
        (Udp, completed, Response(486), "Completed: ACK"),
        (Udp, completed, Error, "gone: ACK lost, ended 7"),
        (Udp, completed, Wait(31_999), "Completed: "),
        (Udp, completed, Wait(32_000), "gone: ended 7"),
        (Tcp, completed, Response(486), "gone: stray"),
    ];
    for (hop, path, event, expected) in table {
        let outcome = client_outcome(hop, "INVITE", path, event);
        assert_eq!(outcome, expected, "{hop} {path:?} {event:?}");
    }
}

/// RFC 3261 Figure 6.
#[test]
fn non_invite_client_transitions() {
    use ClientEvent::{Error, Response, Wait};
    use Transport::{Tcp, Udp};
    let (trying, proceeding, completed) = (&[][..], &[100][..], &[404][..]);
    let table = [
        (Udp, trying, Response(100), "Proceeding: up 100"),
        (Udp, trying, Response(200), "Completed: up 200"),
        (Udp, trying, Response(404), "Completed: up 404"),
        (Udp, trying, Error, "gone: unreachable, ended 7"),
        (Udp, trying, Wait(1500), "Trying: INFO, INFO"),
        (Tcp, trying, Wait(31_999), "Trying: "),
        (Tcp, trying, Wait(32_000), "gone: timeout 7, ended 7"),
        (Tcp, trying, Response(200), "gone: up 200, ended 7"),
        (Udp, proceeding, Response(100), "Proceeding: up 100"),
        (Udp, proceeding, Response(200), "Completed: up 200"),
        (Udp, proceeding, Response(500), "Completed: up 500"),
        (Udp, proceeding, Error, "gone: unreachable, ended 7"),
        (Udp, proceeding, Wait(4499), "Proceeding: INFO"),
        (Udp, proceeding, Wait(4500), "Proceeding: INFO, INFO"),
        (Tcp, proceeding, Wait(32_000), "gone: timeout 7, ended 7"),
        (Udp, completed, Response(100), "Completed: "),
        (Udp, completed, Response(200), "Completed: "),
        (Udp, completed, Response(404), "Completed: "),
        (Udp, completed, Error, "Completed: "),
        (Udp, completed, Wait(4999), "Completed: "),
        (Udp, completed, Wait(5000), "gone: ended 7"),
        (Tcp, completed, Response(404), "gone: stray"),
    ];
    for (hop, path, event, expected) in table {
        let outcome = client_outcome(hop, "INFO", path, event);
        assert_eq!(outcome, expected, "{hop} {path:?} {event:?}");
    }
}

/// RFC 3261 Figure 7, RFC 6026 Figure 7.
#[test]
fn invite_server_transitions() {
    use ServerEvent::{Ack, Error, Request, Respond, Wait};
    use Transport::{Tcp, Udp};
    let (new, ringing, accepted, completed) = (&[][..], &[180][..], &[200][..], &[486][..]);
    let confirmed = &[486, 0][..];
    let table = [
        (Udp, new, Request, "Proceeding: "),
        (Udp, new, Ack, "Proceeding: "),
        (Udp, new, Respond(180), "Proceeding: 180"),
        (Udp, new, Wait(200), "Proceeding: 100"),
        (Udp, new, Error, "Proceeding: unreachable"),
        (Udp, ringing, Request, "Proceeding: 180"),
        (Udp, ringing, Ack, "Proceeding: "),
        (Udp, ringing, Respond(183), "Proceeding: 183"),
        (Udp, ringing, Respond(200), "Accepted: 200"),
        (Udp, ringing, Respond(302), "Completed: 302"),
        (Tcp, ringing, Respond(302), "Completed: 302"),
        (Udp, ringing, Wait(200_000), "Proceeding: "),
        (Udp, ringing, Error, "Proceeding: unreachable"),
        (Udp, accepted, Request, "Accepted: "),
        (Udp, accepted, Ack, "Accepted: up ACK"),
        (Udp, accepted, Respond(180), "Accepted: Answered"),
        (Udp, accepted, Respond(200), "Accepted: 200"),
        (Udp, accepted, Respond(486), "Accepted: Answered"),
        (Udp, accepted, Error, "Accepted: unreachable"),
        (Udp, accepted, Wait(31_999), "Accepted: "),
        (Tcp, accepted, Wait(32_000), "gone: ended"),
        (Udp, completed, Request, "Completed: 486"),
        (Udp, completed, Ack, "Confirmed: "),
        (Tcp, completed, Ack, "gone: ended"),
        (Udp, completed, Respond(180), "Completed: Answered"),
        (Udp, completed, Respond(200), "Completed: Answered"),
        (Udp, completed, Respond(486), "Completed: Answered"),
        (Udp, completed, Error, "Completed: unreachable"),
        (Udp, completed, Wait(1500), "Completed: 486, 486"),
        (Tcp, completed, Wait(31_999), "Completed: "),
        (Tcp, completed, Wait(32_000), "gone: no ACK, ended"),
        (Udp, confirmed, Request, "Confirmed: "),
        (Udp, confirmed, Ack, "Confirmed: "),
        (Udp, confirmed, Respond(200), "Confirmed: Answered"),
        (Udp, confirmed, Error, "Confirmed: "),
        (Udp, confirmed, Wait(4999), "Confirmed: "),
        (Udp, confirmed, Wait(5000), "gone: ended"),
        (Tcp, confirmed, Ack, "gone: stray ACK"),
    ];
    for (hop, path, event, expected) in table {
        let outcome = server_outcome(hop, "INVITE", path, event);
        assert_eq!(outcome, expected, "{hop} {path:?} {event:?}");
    }
}

/// RFC 3261 Figure 8.
#[test]
fn non_invite_server_transitions() {
    use ServerEvent::{Error, Request, Respond, Wait};
    use Transport::{Tcp, Udp};
    let (trying, proceeding, completed) = (&[][..], &[100][..], &[200][..]);
    let table = [
        (Udp, trying, Request, "Trying: "),
        (Udp, trying, Respond(200), "Completed: 200"),
        (Udp, trying, Respond(500), "Completed: 500"),
        (Udp, trying, Respond(408), "Completed: "),
        (Udp, trying, Respond(100), "Trying: Provisional"),
        (Tcp, trying, Respond(100), "Proceeding: 100"),
        (Tcp, trying, Respond(200), "gone: 200, ended"),
        (Udp, trying, Wait(3500), "Proceeding: 100"),
        (Udp, trying, Error, "Trying: "),
        (Udp, proceeding, Request, "Proceeding: 100"),
        (Udp, proceeding, Respond(200), "Completed: 200"),
        (Udp, proceeding, Respond(404), "Completed: 404"),
        (Udp, proceeding, Wait(200_000), "Proceeding: "),
        (Udp, proceeding, Error, "Proceeding: unreachable"),
        (Udp, completed, Request, "Completed: 200"),
        (Udp, completed, Respond(200), "Completed: Answered"),
        (Udp, completed, Error, "Completed: unreachable"),
        (Udp, completed, Wait(31_999), "Completed: "),
        (Udp, completed, Wait(32_000), "gone: ended"),
        (Tcp, completed, Request, "gone: new"),
    ];
    for (hop, path, event, expected) in table {
        let outcome = server_outcome(hop, "INFO", path, event);
        assert_eq!(outcome, expected, "{hop} {path:?} {event:?}");
    }
}

/// The tables themselves: a machine stays among its own states and never rises from the dead.
#[test]
fn no_pair_leaves_the_machine() {
    use super::super::{Kind, client, server};
    let client_events = [
        client::Event::Provisional,
        client::Event::Success,
        client::Event::Failure,
        client::Event::Retransmit,
        client::Event::Deadline,
        client::Event::CancelDeadline,
        client::Event::TransportError,
    ];
    let server_events = [
        server::Event::Request,
        server::Event::Ack,
        server::Event::Provisional,
        server::Event::Success,
        server::Event::Failure,
        server::Event::Retransmit,
        server::Event::Deadline,
        server::Event::Trying,
        server::Event::TransportError,
    ];
    let order = |pending: bool, terminated: bool| u8::from(!pending) + u8::from(terminated);
    for kind in [Kind::Invite, Kind::NonInvite] {
        for state in ClientState::ALL
            .into_iter()
            .chain([ClientState::Terminated])
        {
            for event in client_events {
                let (next, actions) = client::step(kind, state, event);
                let rank = |s: ClientState| order(s.is_pending(), s == ClientState::Terminated);
                assert!(rank(next) >= rank(state), "{kind:?} {state:?} {event:?}");
                if state == ClientState::Terminated {
                    assert!(actions.is_empty());
                }
            }
        }
        for state in ServerState::ALL
            .into_iter()
            .chain([ServerState::Terminated])
        {
            for event in server_events {
                let (next, _) = server::step(kind, state, event);
                let rank = |s: ServerState| order(s.is_pending(), s == ServerState::Terminated);
                assert!(rank(next) >= rank(state), "{kind:?} {state:?} {event:?}");
            }
        }
    }
}
