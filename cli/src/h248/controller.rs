//! A controller on one socket: the transaction engine of `h248` driven by the clock.

use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use ::h248::encoding::Encoding;
use ::h248::error::ErrorCode;
use ::h248::message::{
    ActionReply, ActionRequest, AuditReply, AuditReturn, Command, CommandReply, ErrorDescriptor,
    Mid, NotifyReply, ReplyBody, ServiceChangeMethod, ServiceChangeReply, ServiceChangeResult,
    Transaction, TransactionId, TransactionReply, VERSION,
};
use ::h248::text::{self, ParsedBody, Style};
use ::h248::transaction::{Association, Config, Endpoint, Failure as NoReply, Fault, Output};
use base::{Entropy, Instant};

use crate::failure::Failure;
use crate::output;

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
    socket: UdpSocket,
    endpoint: Endpoint<()>,
    started: std::time::Instant,
    verbose: bool,
    /// The gateway that registered last.
    gateway: Option<SocketAddr>,
}

impl Controller {
    /// Opens the socket.
    ///
    /// # Errors
    /// The address cannot be used.
    pub fn open(mid: SocketAddr, verbose: bool) -> Result<Self, Failure> {
        let socket = UdpSocket::bind(mid).map_err(|fault| {
            Failure::new(format!("cannot listen on {mid}"))
                .because(fault)
                .remedy("Another controller may have the address: choose one with --mid IP:PORT.")
        })?;
        let mid = socket
            .local_addr()
            .map_err(|fault| Failure::new("the socket has no address").because(fault))?;
        // Numbers that an earlier run did not use: a gateway remembers those for half a minute.
        let since_epoch = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        let first_id = (since_epoch.as_millis() / 100 % 4_000_000_000) as u32;
        let mut config = Config::new(Mid::from(mid), TransactionId(first_id.max(1)));
        config.association = Association {
            encoding: Encoding::Text(Style::Pretty),
            ..Association::default()
        };
        let entropy = Entropy::from_u64(since_epoch.as_nanos() as u64);
        Ok(Controller {
            socket,
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
        self.transmit(mg, bytes)?;
        let deadline = self.now() + limit;
        while self.now() < deadline {
            let Some((from, bytes)) = self.receive(deadline)? else {
                continue;
            };
            if from != mg {
                continue;
            }
            let is_pending = |each: &Result<Transaction, _>| {
                matches!(
                    each,
                    Ok(Transaction::Pending(_) | Transaction::ResponseAck(_))
                )
            };
            match text::parse(&bytes) {
                Ok(parsed) => match &parsed.body {
                    ParsedBody::Transactions(all) if all.iter().all(is_pending) => {}
                    ParsedBody::Transactions(all) => {
                        let is_error = all.iter().any(|each| match each {
                            Ok(Transaction::Reply(reply)) => has_error(&reply.body),
                            Ok(_) => false,
                            Err(_) => true,
                        });
                        let text = String::from_utf8_lossy(&bytes).into_owned();
                        return Ok(Answer {
                            text: with_line_end(text),
                            is_error,
                        });
                    }
                    ParsedBody::Error(_) => {
                        let text = String::from_utf8_lossy(&bytes).into_owned();
                        return Ok(Answer {
                            text: with_line_end(text),
                            is_error: true,
                        });
                    }
                },
                Err(fault) => {
                    let text = String::from_utf8_lossy(&bytes).into_owned();
                    return Err(
                        Failure::new(format!("the reply cannot be read: {text}")).because(fault)
                    );
                }
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
        if let Some((from, bytes)) = self.receive(until)? {
            let now = self.now();
            self.endpoint.handle_input(now, from, &bytes);
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
                        NoReply::Timeout | NoReply::Disconnected => {
                            Failure::new("no reply, and the request was given up")
                        }
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

    fn transmit(&self, to: SocketAddr, bytes: &[u8]) -> Result<(), Failure> {
        if self.verbose {
            output::print(&format!(
                "; to {to}\n{}\n",
                String::from_utf8_lossy(bytes).trim_end()
            ));
        }
        self.socket
            .send_to(bytes, to)
            .map(drop)
            .map_err(|fault| Failure::new(format!("cannot send to {to}")).because(fault))
    }

    fn receive(&self, until: Instant) -> Result<Option<(SocketAddr, Vec<u8>)>, Failure> {
        let wait = until.since(self.now()).max(Duration::from_millis(1));
        let cannot = |fault: io::Error| Failure::new("cannot receive").because(fault);
        self.socket.set_read_timeout(Some(wait)).map_err(cannot)?;
        let mut buffer = vec![0; text::MESSAGE_LEN_MAX];
        match self.socket.recv_from(&mut buffer) {
            Ok((length, from)) => {
                buffer.truncate(length);
                if self.verbose {
                    let text = String::from_utf8_lossy(&buffer);
                    output::print(&format!("; from {from}\n{}\n", text.trim_end()));
                }
                Ok(Some((from, buffer)))
            }
            Err(fault) => match fault.kind() {
                io::ErrorKind::WouldBlock
                | io::ErrorKind::TimedOut
                | io::ErrorKind::Interrupted => Ok(None),
                // An ICMP error for what was sent earlier: the next repetition may fare better.
                io::ErrorKind::ConnectionRefused => Ok(None),
                _ => Err(cannot(fault)),
            },
        }
    }

    fn note(&self, text: &str) {
        output::print(&format!("; {text}\n"));
    }
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
