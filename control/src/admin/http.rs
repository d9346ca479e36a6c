//! HTTP for [`super`]: one thread, one connection after the other being served without blocking the
//! rest.

mod mrf;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::mpsc::{SyncSender, TrySendError};
use std::thread;
use std::time::Duration;

use axum::Json;
use axum::Router;
use axum::body::Bytes;
use axum::extract::rejection::{BytesRejection, QueryRejection};
use axum::extract::{DefaultBodyLimit, Path, Query, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use mio::Waker;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::sync::{Semaphore, oneshot};
use tokio::time::timeout;

use super::{Envelope, Reply, Request};
use crate::config::Role;
use crate::store::{Entry, Impi, Operation, Outcome, PAGE_MAX, PutMode, Refusal, Subscriber};

/// The largest request body: an import of [`PAGE_MAX`] subscribers with small service profiles.
const BODY_BYTES_MAX: usize = 4 << 20;

/// Questions that may wait for the event loop and the store at once; beyond: 503.
const ASKED_MAX: usize = 128;

/// How long an answer may take. A disk that stalls for longer is down.
const PATIENCE: Duration = Duration::from_secs(30);

/// A bound admin address, not yet serving.
pub struct Server {
    listener: std::net::TcpListener,
}

/// Binds the admin address.
///
/// # Errors
/// The system's error with the address and what to do.
pub fn bind(address: SocketAddr) -> io::Result<Server> {
    let listener = std::net::TcpListener::bind(address).map_err(|fault| {
        let remedy = "choose another address with --admin";
        io::Error::new(
            fault.kind(),
            format!("cannot listen on admin address {address}: {fault}; {remedy}"),
        )
    })?;
    listener.set_nonblocking(true)?;
    Ok(Server { listener })
}

#[derive(Clone)]
struct Gate {
    requests: SyncSender<Envelope>,
    waker: Arc<Waker>,
    token: Arc<str>,
    asked: Arc<Semaphore>,
}

impl Server {
    /// Where it listens.
    ///
    /// # Errors
    /// The system does not say.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Serves on a thread of its own until the process ends.
    ///
    /// # Errors
    /// No thread can be had.
    pub fn spawn(
        self,
        requests: SyncSender<Envelope>,
        waker: Arc<Waker>,
        token: &str,
    ) -> io::Result<()> {
        let gate = Gate {
            requests,
            waker,
            token: token.into(),
            asked: Arc::new(Semaphore::new(ASKED_MAX)),
        };
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        thread::Builder::new().name("admin".into()).spawn(move || {
            let served = runtime.block_on(async move {
                let listener = tokio::net::TcpListener::from_std(self.listener)?;
                axum::serve(listener, router(gate)).await
            });
            if let Err(fault) = served {
                tracing::error!(error = %fault, "the admin interface ended");
            }
        })?;
        Ok(())
    }
}

fn router(gate: Gate) -> Router {
    Router::new()
        .route("/status", get(status))
        .route("/metrics", get(metrics))
        .route("/calls/{call_id}/contexts", get(contexts))
        .route("/subscribers", get(list).post(import))
        .route("/subscribers/{impi}", get(show).put(put).delete(remove))
        .merge(mrf::routes())
        .fallback(nothing_there)
        .method_not_allowed_fallback(not_so)
        .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
        .with_state(gate)
}

impl Gate {
    async fn ask(&self, request: Request) -> Result<Reply, Box<Response>> {
        let Ok(_permit) = self.asked.try_acquire() else {
            return Err(refusal("control is busy, try again"));
        };
        let (reply, answer) = oneshot::channel();
        match self.requests.try_send(Envelope { request, reply }) {
            Ok(()) => {}
            Err(TrySendError::Full(_)) => {
                return Err(refusal("control is busy, try again"));
            }
            Err(TrySendError::Disconnected(_)) => {
                return Err(refusal("control is stopping"));
            }
        }
        if self.waker.wake().is_err() {
            return Err(refusal("control is stopping"));
        }
        match timeout(PATIENCE, answer).await {
            Ok(Ok(reply)) => Ok(reply),
            Ok(Err(_)) => Err(refusal("control stopped meanwhile")),
            Err(_) => Err(refusal("control does not answer")),
        }
    }

    fn authorize(&self, headers: &HeaderMap) -> Result<(), Box<Response>> {
        let given = headers
            .get(header::AUTHORIZATION)
            .and_then(|value| value.to_str().ok())
            .and_then(|value| value.split_once(' '))
            // The name of a scheme has no case (RFC 9110 11.1).
            .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("Bearer"));
        match given {
            Some((_, token)) if same(token.trim().as_bytes(), self.token.as_bytes()) => Ok(()),
            _ => {
                let text = "send Authorization: Bearer with the token in admin.token of the state \
                            directory";
                let mut refusal = fault(StatusCode::UNAUTHORIZED, text);
                let scheme = header::HeaderValue::from_static("Bearer");
                refusal
                    .headers_mut()
                    .insert(header::WWW_AUTHENTICATE, scheme);
                Err(Box::new(refusal))
            }
        }
    }
}

/// Compares without telling by its duration where the difference is.
fn same(a: &[u8], b: &[u8]) -> bool {
    a.len() == b.len()
        && a.iter()
            .zip(b)
            .fold(0, |difference, (a, b)| difference | (a ^ b))
            == 0
}

fn fault(status: StatusCode, text: &str) -> Response {
    (status, Json(json!({ "error": text }))).into_response()
}

/// 503 with its reason.
fn refusal(text: &str) -> Box<Response> {
    Box::new(fault(StatusCode::SERVICE_UNAVAILABLE, text))
}

fn respond(reply: Reply) -> Response {
    match reply {
        Reply::Status(status) => Json(*status).into_response(),
        Reply::Contexts(found) if found.is_empty() => fault(
            StatusCode::NOT_FOUND,
            "no call with this Call-ID has media here",
        ),
        Reply::Contexts(found) => Json(found).into_response(),
        Reply::Stored(outcome) => respond_stored(*outcome),
        Reply::Mrf(reply) => mrf::respond(reply),
        Reply::NotHere(Role::Mrfc) => fault(
            StatusCode::NOT_FOUND,
            "this process has no MRFC: ask the one that plays the role mrfc",
        ),
        Reply::NotHere(_) => fault(
            StatusCode::NOT_FOUND,
            "this process has no subscriber store: ask the one that plays the role hss",
        ),
    }
}

fn respond_stored(outcome: Outcome) -> Response {
    match outcome {
        Outcome::Stored { previous: None } => StatusCode::CREATED.into_response(),
        Outcome::Stored { previous: Some(_) } | Outcome::Removed(_) => {
            StatusCode::NO_CONTENT.into_response()
        }
        Outcome::Imported { created, replaced } => {
            Json(json!({ "created": created, "replaced": replaced })).into_response()
        }
        Outcome::Found(entry) => Json(view(&entry)).into_response(),
        Outcome::Page { entries, .. } => {
            Json(entries.iter().map(view).collect::<Vec<_>>()).into_response()
        }
        Outcome::Count(count) => Json(json!({ "count": count })).into_response(),
        Outcome::Sqn(_) | Outcome::Registered(_) => StatusCode::NO_CONTENT.into_response(),
        Outcome::Refused(refusal) => {
            let status = match refusal {
                Refusal::NotFound => StatusCode::NOT_FOUND,
                Refusal::Invalid { .. } => StatusCode::BAD_REQUEST,
                Refusal::Busy => StatusCode::SERVICE_UNAVAILABLE,
                _ => StatusCode::CONFLICT,
            };
            fault(status, &refusal.to_string())
        }
        Outcome::Failed(error) => fault(StatusCode::INTERNAL_SERVER_ERROR, &error.to_string()),
    }
}

/// A subscriber as it is shown: everything but its secrets.
fn view(entry: &Entry) -> Value {
    let mut shown = serde_json::to_value(&entry.subscriber).unwrap_or_default();
    if let Some(aka) = shown.get_mut("aka").and_then(Value::as_object_mut) {
        aka.remove("k");
        aka.remove("opc");
        if let Some(sqn) = entry.sqn {
            aka.insert("sqn".into(), json!(sqn));
        }
    }
    if let Some(object) = shown.as_object_mut() {
        if object.remove("digest").is_some() {
            object.insert("digest".into(), json!(true));
        }
        object.insert("registrations".into(), json!(entry.registrations));
    }
    shown
}

async fn nothing_there() -> Response {
    let text = "there is /status, /metrics, /calls, /subscribers and /mrf";
    fault(StatusCode::NOT_FOUND, text)
}

async fn not_so() -> Response {
    let text = "the header Allow names the methods there are";
    fault(StatusCode::METHOD_NOT_ALLOWED, text)
}

async fn status(State(gate): State<Gate>) -> Response {
    gate.ask(Request::Status)
        .await
        .map_or_else(|refused| *refused, respond)
}

async fn contexts(State(gate): State<Gate>, Path(call_id): Path<String>) -> Response {
    gate.ask(Request::Contexts(call_id))
        .await
        .map_or_else(|refused| *refused, respond)
}

async fn metrics(State(gate): State<Gate>) -> Response {
    match gate.ask(Request::Status).await {
        Ok(Reply::Status(status)) => {
            let kind = "text/plain; version=0.0.4; charset=utf-8";
            ([(header::CONTENT_TYPE, kind)], status.to_prometheus()).into_response()
        }
        Ok(reply) => respond(reply),
        Err(refused) => *refused,
    }
}

impl Gate {
    async fn store(&self, operation: Operation) -> Response {
        self.ask(Request::Store(Box::new(operation)))
            .await
            .map_or_else(|refused| *refused, respond)
    }
}

#[derive(Deserialize)]
struct Page {
    #[serde(default)]
    prefix: String,
    after: Option<String>,
    limit: Option<usize>,
}

async fn list(State(gate): State<Gate>, page: Result<Query<Page>, QueryRejection>) -> Response {
    let Query(page) = match page {
        Ok(page) => page,
        Err(why) => return fault(why.status(), &why.body_text()),
    };
    let after = page.after.filter(|after| !after.is_empty());
    let limit = page.limit.unwrap_or(100).clamp(1, PAGE_MAX);
    gate.store(Operation::List {
        prefix: page.prefix,
        after,
        limit,
    })
    .await
}

async fn show(State(gate): State<Gate>, Path(impi): Path<String>) -> Response {
    match Impi::parse(&impi) {
        Ok(impi) => gate.store(Operation::Get(impi)).await,
        Err(why) => fault(StatusCode::BAD_REQUEST, &format!("{impi:?}: {why}")),
    }
}

async fn put(
    State(gate): State<Gate>,
    Path(impi): Path<String>,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Response {
    if let Err(refused) = gate.authorize(&headers) {
        return *refused;
    }
    let body = match body {
        Ok(body) => body,
        Err(why) => return fault(why.status(), &why.body_text()),
    };
    let subscriber: Subscriber = match serde_json::from_slice(&body) {
        Ok(subscriber) => subscriber,
        Err(why) => return fault(StatusCode::BAD_REQUEST, &format!("not a subscriber: {why}")),
    };
    if subscriber.impi.as_str() != impi {
        return fault(
            StatusCode::BAD_REQUEST,
            "the path and the body name different identities",
        );
    }
    let creates = headers
        .get(header::IF_NONE_MATCH)
        .is_some_and(|value| value == "*");
    let mode = if creates {
        PutMode::Create
    } else {
        PutMode::CreateOrReplace
    };
    gate.store(Operation::Put {
        subscriber: Box::new(subscriber),
        mode,
    })
    .await
}

async fn import(
    State(gate): State<Gate>,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Response {
    if let Err(refused) = gate.authorize(&headers) {
        return *refused;
    }
    let body = match body {
        Ok(body) => body,
        Err(why) => return fault(why.status(), &why.body_text()),
    };
    let subscribers: Vec<Subscriber> = match serde_json::from_slice(&body) {
        Ok(subscribers) => subscribers,
        Err(why) => return fault(StatusCode::BAD_REQUEST, &format!("not subscribers: {why}")),
    };
    if subscribers.len() > PAGE_MAX {
        return fault(
            StatusCode::PAYLOAD_TOO_LARGE,
            &format!("at most {PAGE_MAX} subscribers in one request"),
        );
    }
    gate.store(Operation::Import {
        subscribers,
        mode: PutMode::CreateOrReplace,
    })
    .await
}

async fn remove(
    State(gate): State<Gate>,
    Path(impi): Path<String>,
    headers: HeaderMap,
) -> Response {
    if let Err(refused) = gate.authorize(&headers) {
        return *refused;
    }
    match Impi::parse(&impi) {
        Ok(impi) => gate.store(Operation::Remove(impi)).await,
        Err(why) => fault(StatusCode::BAD_REQUEST, &format!("{impi:?}: {why}")),
    }
}

#[cfg(test)]
mod tests;
