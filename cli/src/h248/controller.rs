//! A controller on one link: the transaction engine of `h248` driven by the clock.

use std::net::SocketAddr;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use ::h248::binary::Naming;
use ::h248::encoding::{Encoding, ParsedBody};
use ::h248::error::ErrorCode;
use ::h248::message::{
    ActionReply, ActionRequest, AuditReply, AuditReturn, Command, CommandReply, ErrorDescriptor,
    Mid, NotifyReply, ReplyBody, ServiceChangeMethod, ServiceChangeReply, ServiceChangeResult,
    Transaction, TransactionId, TransactionReply, VERSION,
};
use ::h248::text::{self, Style};
use ::h248::transaction::{Association, Config, Endpoint, Failure as NoReply, Fault, Output};
use ::h248::transport::Protocol;
use base::{Entropy, Instant};
use control::config::SctpPolicy;
use mio::Waker;

use super::capture::in_full;
use super::link::{Link, News};
use crate::failure::Failure;
use crate::output;

/// How long to wait for gateways at a time when nothing is asked of us.
const IDLE: Duration = Duration::from_secs(60);

/// A reply as text.
#[derive(Debug, PartialEq)]
pub struct Answer {
    /// The transaction reply in long tokens, indented.
    pub text: String,
    /// It holds an error descriptor.
    pub is_error: bool,
}

/// The controller.
pub struct Controller {
    link: Link,
    endpoint: Endpoint<()>,
    started: std::time::Instant,
    verbose: bool,
    /// The gateway that registered last.
    gateway: Option<SocketAddr>,
}

impl Controller {
    /// Opens the socket, or listens for connections. Without an encoding messages are text as long
    /// as the gateway has sent nothing in binary.
    ///
    /// # Errors
    /// The address cannot be used.
    pub fn open(
        encoding: Option<Encoding>,
        (protocol, sctp): (Protocol, SctpPolicy),
        mid: SocketAddr,
        verbose: bool,
    ) -> Result<Self, Failure> {
        let link = Link::open(protocol, mid, sctp).map_err(|fault| {
            Failure::new(format!("cannot listen on {mid}"))
                .because(fault)
                .remedy("Another controller may have the address: choose one with --mid IP:PORT.")
        })?;
        let mid = link
            .local_addr()
            .map_err(|fault| Failure::new("the socket has no address").because(fault))?;
        // Numbers that an earlier run did not use: a gateway remembers those for half a minute.
        let since_epoch = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        let first_id = (since_epoch.as_millis() / 100 % 4_000_000_000) as u32;
        let mut config = Config::new(Mid::from(mid), TransactionId(first_id.max(1)));
        config.association = Association {
            encoding: encoding.unwrap_or(Encoding::Text(Style::Pretty)),
            follow_peer: encoding.is_none(),
            transport: protocol.transport(),
            ..Association::default()
        };
        let entropy = Entropy::from_u64(since_epoch.as_nanos() as u64);
        Ok(Controller {
            link,
            endpoint: Endpoint::new(config, entropy),
            started: std::time::Instant::now(),
            verbose,
            gateway: None,
        })
    }

    /// Waits for a gateway to register and answers it.
    ///
    /// # Errors
    /// None comes in time.
    pub fn wait_for_gateway(&mut self, limit: Duration) -> Result<SocketAddr, Failure> {
        let deadline = self.now() + limit;
        while self.now() < deadline {
            self.turn(deadline)?;
            if let Some(gateway) = self.gateway {
                return Ok(gateway);
            }
        }
        Err(Failure::new(format!(
            "no gateway registered within {} s",
            limit.as_secs()
        ))
        .remedy("Start one with --mgc set to our address, or name it with --mg IP:PORT."))
    }

    /// Has [`Controller::serve`] look up when there is something else to do.
    ///
    /// # Errors
    /// The system has no room for it.
    pub fn waker(&self) -> Result<Waker, Failure> {
        let waker = self.link.waker();
        waker.map_err(|fault| Failure::new("cannot wait for input").because(fault))
    }

    /// Answers gateways until something else is to be done.
    ///
    /// # Errors
    /// The link fails.
    pub fn serve<T>(&mut self, mut other: impl FnMut() -> Option<T>) -> Result<T, Failure> {
        loop {
            if let Some(other) = other() {
                return Ok(other);
            }
            let deadline = self.now() + IDLE;
            self.turn(deadline)?;
        }
    }

    /// Connects to a gateway, where messages go over connections and it has made none.
    ///
    /// # Errors
    /// It does not accept it.
    pub fn connect(&mut self, mg: SocketAddr, limit: Duration) -> Result<(), Failure> {
        self.link.connect(mg, limit).map_err(|fault| {
            Failure::new(format!("cannot connect to {mg}"))
                .because(fault)
                .remedy("Most gateways connect to their controller: wait for that with --wait.")
        })
    }

    /// Sends actions in a transaction and waits for its reply.
    ///
    /// # Errors
    /// There is none, or it cannot be read.
    pub fn request(
        &mut self,
        mg: SocketAddr,
        actions: Vec<ActionRequest>,
        limit: Duration,
    ) -> Result<Answer, Failure> {
        self.connect(mg, limit)?;
        let now = self.now();
        self.endpoint
            .send_request(now, mg, actions, ())
            .map_err(|fault| Failure::new("not sent").because(fault))?;
        let deadline = now + limit;
        while self.now() < deadline {
            if let Some(answer) = self.turn(deadline)? {
                return Ok(answer);
            }
        }
        self.endpoint.disconnect(mg);
        // It tells of the request that failed, which we do better.
        while self.endpoint.poll_output().is_some() {}
        Err(no_reply(mg, limit))
    }

    /// Sends a message as it stands, once, and waits for whatever comes back from there.
    ///
    /// # Errors
    /// Nothing comes.
    pub fn send_raw(
        &mut self,
        mg: SocketAddr,
        bytes: &[u8],
        limit: Duration,
    ) -> Result<Answer, Failure> {
        self.connect(mg, limit)?;
        self.transmit(mg, bytes)?;
        let deadline = self.now() + limit;
        while self.now() < deadline {
            match self.receive(deadline)? {
                Some(News::Message(from, bytes)) if from == mg => {
                    if let Some(answer) = raw_answer(&bytes)? {
                        return Ok(answer);
                    }
                }
                Some(News::Closed(from)) if from == mg => return Err(connection_lost(mg)),
                _ => {}
            }
        }
        Err(no_reply(mg, limit))
    }

    fn now(&self) -> Instant {
        Instant::ZERO + self.started.elapsed()
    }

    /// Sends what is due, then waits for one message until `deadline` or the next timer.
    fn turn(&mut self, deadline: Instant) -> Result<Option<Answer>, Failure> {
        if let Some(answer) = self.perform()? {
            return Ok(Some(answer));
        }
        let until = self
            .endpoint
            .next_timeout()
            .map_or(deadline, |next| next.min(deadline));
        match self.receive(until)? {
            Some(News::Message(from, bytes)) => {
                let now = self.now();
                self.endpoint.handle_input(now, from, &bytes);
            }
            Some(News::Connected(peer)) => self.endpoint.handle_connected(peer),
            Some(News::Closed(peer)) => {
                self.note(&format!("the connection of {peer} is gone"));
                // Its requests fail: it may be long until there is another.
                self.endpoint.disconnect(peer);
            }
            None => {}
        }
        let now = self.now();
        self.endpoint.handle_timeout(now);
        self.perform()
    }

    /// Does what the engine asks; returns the reply when it has come.
    fn perform(&mut self) -> Result<Option<Answer>, Failure> {
        let mut answer = None;
        while let Some(output) = self.endpoint.poll_output() {
            match output {
                Output::Transmit { to, bytes } => self.transmit(to, &bytes)?,
                Output::Request {
                    handle, actions, ..
                } => {
                    let registers = actions.iter().any(is_registration);
                    let body = ReplyBody::Actions(actions.iter().map(obey).collect());
                    let now = self.now();
                    // A request that is no longer being executed needs no answer.
                    if self.endpoint.reply(now, handle, body).is_ok() && registers {
                        self.gateway = Some(handle.peer);
                    }
                }
                Output::Reply { id, body, .. } => {
                    let is_error = has_error(&body);
                    let reply = TransactionReply {
                        id,
                        imm_ack_required: false,
                        segment: None,
                        body,
                    };
                    let mut text = Vec::new();
                    text::write_transaction(&Transaction::Reply(reply), Style::Pretty, &mut text);
                    let text = with_line_end(String::from_utf8_lossy(&text).into_owned());
                    answer = Some(Answer { text, is_error });
                }
                Output::Pending { .. } => self.note("the gateway is at work on it"),
                Output::Failed { reason, .. } => {
                    return Err(match reason {
                        NoReply::Timeout => Failure::new("no reply, and the request was given up"),
                        NoReply::Disconnected => Failure::new("no reply: the connection is gone"),
                        NoReply::MalformedReply(fault) => {
                            Failure::new("the reply cannot be read").because(fault)
                        }
                    });
                }
                Output::MessageError { from, fault } => match fault {
                    Fault::Malformed(fault) => self.note(&format!("from {from}: {fault}")),
                    Fault::MalformedTransaction(bad) => {
                        self.note(&format!("from {from}: {}", bad.error));
                    }
                    Fault::Reported(error) => {
                        return Err(Failure::new(format!("{from} cannot read our message"))
                            .because(describe(&error)));
                    }
                },
            }
        }
        Ok(answer)
    }

    fn transmit(&mut self, to: SocketAddr, bytes: &[u8]) -> Result<(), Failure> {
        self.show("to", to, bytes);
        self.link
            .send(to, bytes)
            .map_err(|fault| Failure::new(format!("cannot send to {to}")).because(fault))
    }

    fn receive(&mut self, until: Instant) -> Result<Option<News>, Failure> {
        let wait = until.since(self.now()).max(Duration::from_millis(1));
        self.link.wait(wait)?;
        let news = self.link.poll_news();
        if let Some(News::Message(from, bytes)) = &news {
            self.show("from", *from, bytes);
        }
        Ok(news)
    }

    fn show(&self, direction: &str, peer: SocketAddr, bytes: &[u8]) {
        if !self.verbose {
            return;
        }
        let text = if Encoding::is_binary(bytes) {
            in_full(bytes, Encoding::parse(bytes, &Naming::default()).ok())
        } else {
            String::from_utf8_lossy(bytes).into_owned()
        };
        output::print(&format!("; {direction} {peer}\n{}\n", text.trim_end()));
    }

    fn note(&self, text: &str) {
        output::print(&format!("; {text}\n"));
    }
}

/// What came back for a message that was sent as it stands; `None` when more is to come.
fn raw_answer(bytes: &[u8]) -> Result<Option<Answer>, Failure> {
    let parsed = Encoding::parse(bytes, &Naming::default()).map_err(|fault| {
        let text = String::from_utf8_lossy(bytes);
        Failure::new(format!("the reply cannot be read: {text}")).because(fault)
    })?;
    let is_error = match &parsed.body {
        ParsedBody::Transactions(all) => {
            let comes_later = |each: &Result<Transaction, _>| {
                matches!(
                    each,
                    Ok(Transaction::Pending(_) | Transaction::ResponseAck(_))
                )
            };
            if all.iter().all(comes_later) {
                return Ok(None);
            }
            all.iter().any(|each| match each {
                Ok(Transaction::Reply(reply)) => has_error(&reply.body),
                Ok(_) => false,
                Err(_) => true,
            })
        }
        ParsedBody::Error(_) => true,
    };
    let text = if Encoding::is_binary(bytes) {
        in_full(bytes, Some(parsed))
    } else {
        String::from_utf8_lossy(bytes).into_owned()
    };
    Ok(Some(Answer {
        text: with_line_end(text),
        is_error,
    }))
}

fn connection_lost(mg: SocketAddr) -> Failure {
    Failure::new(format!("no reply: {mg} closed the connection"))
}

fn no_reply(mg: SocketAddr, limit: Duration) -> Failure {
    Failure::new(format!("no reply from {mg} within {} s", limit.as_secs())).remedy(
        "A gateway answers only its own controller: stop that one and use --wait, or check --mg.",
    )
}

fn with_line_end(mut text: String) -> String {
    if !text.ends_with('\n') {
        text.push('\n');
    }
    text
}

fn describe(error: &ErrorDescriptor) -> String {
    format!(
        "error {} {}",
        error.code.0,
        error.text.as_deref().unwrap_or_default()
    )
}

fn is_registration(action: &ActionRequest) -> bool {
    action
        .commands
        .iter()
        .any(|request| match &request.command {
            Command::ServiceChange(change) => matches!(
                change.parms.method,
                ServiceChangeMethod::Restart
                    | ServiceChangeMethod::Disconnected
                    | ServiceChangeMethod::Failover
                    | ServiceChangeMethod::HandOff
            ),
            _ => false,
        })
}

/// What a controller answers to the commands that a gateway may send: Notify and ServiceChange.
fn obey(action: &ActionRequest) -> ActionReply {
    let mut reply = ActionReply::new(action.context, Vec::new());
    for request in &action.commands {
        match &request.command {
            Command::ServiceChange(change) => {
                let result = ServiceChangeResult {
                    version: Some(VERSION),
                    ..ServiceChangeResult::default()
                };
                reply
                    .commands
                    .push(CommandReply::ServiceChange(ServiceChangeReply {
                        terminations: change.terminations.clone(),
                        result: Ok(Box::new(result)),
                    }));
            }
            Command::Notify(notify) => {
                reply.commands.push(CommandReply::Notify(NotifyReply {
                    terminations: notify.terminations.clone(),
                    error: None,
                }));
            }
            _ => {
                reply.error = Some(ErrorDescriptor::new(ErrorCode::UNKNOWN_COMMAND));
                break;
            }
        }
    }
    reply
}

fn has_error(body: &ReplyBody) -> bool {
    let ReplyBody::Actions(actions) = body else {
        return true;
    };
    actions
        .iter()
        .any(|action| action.error.is_some() || action.commands.iter().any(failed))
}

fn failed(reply: &CommandReply) -> bool {
    let holds_error = |audit: &[AuditReturn]| {
        audit
            .iter()
            .any(|returned| matches!(returned, AuditReturn::Error(_)))
    };
    match reply {
        CommandReply::Add(reply)
        | CommandReply::Modify(reply)
        | CommandReply::Move(reply)
        | CommandReply::Subtract(reply)
        | CommandReply::AuditValue(AuditReply::Terminations(reply))
        | CommandReply::AuditCapability(AuditReply::Terminations(reply)) => {
            holds_error(&reply.audit)
        }
        CommandReply::AuditValue(AuditReply::ContextError(_))
        | CommandReply::AuditCapability(AuditReply::ContextError(_)) => true,
        CommandReply::AuditValue(AuditReply::Context(_))
        | CommandReply::AuditCapability(AuditReply::Context(_)) => false,
        CommandReply::Notify(reply) => reply.error.is_some(),
        CommandReply::ServiceChange(reply) => reply.result.is_err(),
    }
}
