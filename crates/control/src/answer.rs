//! The answers by path and method.

use bytes::Bytes;
use http_body_util::Full;
use hyper::{
    Method, Request, Response, StatusCode,
    header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE, HeaderValue},
};

use crate::{Site, client, commands, metrics, readiness, status};

/// An answer whose body is in memory.
pub(crate) type Answer = Response<Full<Bytes>>;

const TEXT: HeaderValue = HeaderValue::from_static("text/plain; charset=utf-8");
const JSON: HeaderValue = HeaderValue::from_static("application/json");

/// The answer to a request. Its body is not read.
pub(crate) async fn to<B>(site: &Site, request: &Request<B>) -> Answer {
    type Make = fn(&Site) -> Answer;
    let path = request.uri().path();
    if let Some(commands) = &site.commands {
        let name = client::name_in(path);
        match (request.method(), name) {
            (&Method::POST, None) if path == "/reload" => {
                return commands::reload(site, commands).await;
            }
            (&Method::POST, Some(name)) => return commands::run(site, commands, &name).await,
            (_, None) if path != "/reload" => {}
            _ => return not_allowed("POST"),
        }
    }
    let make: Make = match path {
        "/health" => |_| text(StatusCode::OK, "ok"),
        "/ready" => readiness::short,
        "/ready/detailed" => readiness::detailed,
        "/status" => status::answer,
        "/metrics" => metrics::answer,
        _ => return text(StatusCode::NOT_FOUND, "404 page not found\n"),
    };
    match *request.method() {
        Method::GET | Method::HEAD => make(site),
        _ => not_allowed("GET, HEAD"),
    }
}

fn not_allowed(allowed: &'static str) -> Answer {
    let mut answer = text(StatusCode::METHOD_NOT_ALLOWED, "405 method not allowed\n");
    answer.headers_mut().insert(ALLOW, HeaderValue::from_static(allowed));
    answer
}

/// A text for people.
pub(crate) fn text(code: StatusCode, body: impl Into<Bytes>) -> Answer {
    of(code, TEXT, body)
}

/// A document for programs, on a line of its own.
pub(crate) fn json(code: StatusCode, document: &impl serde::Serialize) -> Answer {
    match serde_json::to_string(document) {
        Ok(text) => of(code, JSON, text + "\n"),
        // Only a map whose keys are no texts cannot be written, and there is none.
        Err(error) => text(StatusCode::INTERNAL_SERVER_ERROR, format!("{error}\n")),
    }
}

/// An answer with a body of this kind.
pub(crate) fn of(code: StatusCode, kind: HeaderValue, body: impl Into<Bytes>) -> Answer {
    let mut answer = Response::new(Full::new(body.into()));
    *answer.status_mut() = code;
    let headers = answer.headers_mut();
    headers.insert(CONTENT_TYPE, kind);
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    answer
}
