//! `/mrf`: what people ask of the MRFC.

use axum::Json;
use axum::Router;
use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, patch, post};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::json;

use super::{Gate, fault};
use crate::admin::{MrfReply, MrfRequest, Request};

type Body = Result<Bytes, BytesRejection>;

pub(super) fn routes() -> Router<Gate> {
    let members = "/mrf/conferences/{name}/members";
    let member = "/mrf/conferences/{name}/members/{id}";
    Router::new()
        .route("/mrb", post(consult))
        .route("/mrf", get(show))
        .route("/mrf/conferences", post(open))
        .route("/mrf/conferences/{name}", axum::routing::delete(close))
        .route(members, post(invite))
        .route(member, patch(mute).delete(expel))
        .route("/mrf/jobs", post(begin))
        .route("/mrf/jobs/{id}", get(job).delete(end))
}

pub(super) fn respond(reply: MrfReply) -> Response {
    match reply {
        MrfReply::Shown(detail) => Json(*detail).into_response(),
        MrfReply::Opened(conference) => (StatusCode::CREATED, Json(*conference)).into_response(),
        MrfReply::Job(job) => Json(*job).into_response(),
        MrfReply::Consulted(text) => {
            let kind = [(header::CONTENT_TYPE, msml::mrb::CONTENT_TYPE)];
            (kind, text).into_response()
        }
        MrfReply::Done => StatusCode::NO_CONTENT.into_response(),
        MrfReply::Refused(status, reason) => {
            let status = StatusCode::from_u16(status).unwrap_or(StatusCode::CONFLICT);
            (status, Json(json!({ "error": reason }))).into_response()
        }
    }
}

impl Gate {
    async fn mrf(&self, request: MrfRequest) -> Response {
        self.ask(Request::Mrf(Box::new(request)))
            .await
            .map_or_else(|refused| *refused, super::respond)
    }

    /// What changes something: with the token, and with a body of this shape.
    async fn change<T: DeserializeOwned>(
        &self,
        headers: &HeaderMap,
        body: Body,
        request: impl FnOnce(T) -> MrfRequest,
    ) -> Response {
        if let Err(refused) = self.authorize(headers) {
            return *refused;
        }
        let body = match body {
            Ok(body) => body,
            Err(why) => return fault(why.status(), &why.body_text()),
        };
        match serde_json::from_slice(&body) {
            Ok(value) => self.mrf(request(value)).await,
            Err(why) => fault(StatusCode::BAD_REQUEST, &format!("not understood: {why}")),
        }
    }

    /// What ends something: with the token.
    async fn end(&self, headers: &HeaderMap, request: MrfRequest) -> Response {
        match self.authorize(headers) {
            Ok(()) => self.mrf(request).await,
            Err(refused) => *refused,
        }
    }
}

async fn show(State(gate): State<Gate>) -> Response {
    gate.mrf(MrfRequest::Show).await
}

async fn open(State(gate): State<Gate>, headers: HeaderMap, body: Body) -> Response {
    gate.change(&headers, body, MrfRequest::Open).await
}

async fn close(State(gate): State<Gate>, Path(name): Path<String>, headers: HeaderMap) -> Response {
    gate.end(&headers, MrfRequest::Close(name)).await
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Invited {
    user: String,
}

async fn invite(
    State(gate): State<Gate>,
    Path(conference): Path<String>,
    headers: HeaderMap,
    body: Body,
) -> Response {
    let request = |Invited { user }| MrfRequest::Invite { conference, user };
    gate.change(&headers, body, request).await
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Muted {
    muted: bool,
}

async fn mute(
    State(gate): State<Gate>,
    Path((conference, member)): Path<(String, u64)>,
    headers: HeaderMap,
    body: Body,
) -> Response {
    let request = |Muted { muted }| MrfRequest::Mute {
        conference,
        member,
        is_muted: muted,
    };
    gate.change(&headers, body, request).await
}

async fn expel(
    State(gate): State<Gate>,
    Path((conference, member)): Path<(String, u64)>,
    headers: HeaderMap,
) -> Response {
    gate.end(&headers, MrfRequest::Expel { conference, member })
        .await
}

async fn begin(State(gate): State<Gate>, headers: HeaderMap, body: Body) -> Response {
    gate.change(&headers, body, MrfRequest::Begin).await
}

async fn job(State(gate): State<Gate>, Path(id): Path<u64>) -> Response {
    gate.mrf(MrfRequest::Job(id)).await
}

async fn end(State(gate): State<Gate>, Path(id): Path<u64>, headers: HeaderMap) -> Response {
    gate.end(&headers, MrfRequest::End(id)).await
}

/// Query mode of the media resource broker (RFC 6917 5.1): what is wrong with a request is told by
/// the status in the document.
async fn consult(State(gate): State<Gate>, headers: HeaderMap, body: Body) -> Response {
    if let Err(refused) = gate.authorize(&headers) {
        return *refused;
    }
    let kind = headers.get(header::CONTENT_TYPE);
    let kind = kind.and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    let kind = kind.split(';').next().unwrap_or_default().trim();
    if !kind.eq_ignore_ascii_case(msml::mrb::CONTENT_TYPE) {
        let text = format!("send {}", msml::mrb::CONTENT_TYPE);
        return fault(StatusCode::UNSUPPORTED_MEDIA_TYPE, &text);
    }
    match body {
        Ok(body) => gate.mrf(MrfRequest::Consult(body.to_vec())).await,
        Err(why) => fault(why.status(), &why.body_text()),
    }
}
