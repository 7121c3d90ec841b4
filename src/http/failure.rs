//! What is answered where a handler has failed, or has given what cannot be sent: its failures, its panics, and connections that it
//! cannot give away. All of it may run code of the user's, before anything was said to the client.

use super::config::Config;
use super::deliver::{Delivering, what_panicked};
use super::encode::Reply;
use super::error::HttpError;
use super::head::Head;
use super::request::Request;
use super::response::Response;
use crate::unwind::Payload;

/// Makes a response of whatever else than a usual one came from the handler. Says whether the connection may be kept.
#[cold]
pub(super) fn set_right(
    handled: Result<(), Payload>,
    place: &mut Option<Response>,
    request: &mut Request<'_>,
    (head, config): (&Head, &Config),
    reply: Reply,
) -> bool {
    let has_returned = handled.is_ok();
    let response = match handled {
        Ok(()) => place.get_or_insert_with(unreported_failure),
        Err(payload) => {
            let io = request.body().io();
            place.insert(after_panic(payload, Delivering { io, head, config, reply }))
        }
    };
    if response.take_over.is_some() {
        let other = response.in_place_of(request).or_else(|| {
            let text = "a handler that holds the body of the request cannot give the connection away";
            (!request.body().come_back()).then(|| Response::failed(text))
        });
        if let Some(other) = other {
            Delivering { io: request.body().io(), head, config, reply }.put_instead(response, other);
        }
    }
    if response.failure.is_some() {
        let fault = request.body().failure();
        answer_failure(response, fault, Delivering { io: request.body().io(), head, config, reply });
        return false;
    }
    has_returned
}

/// The answer where a handler has panicked.
fn after_panic(payload: Payload, mut delivering: Delivering<'_>) -> Response {
    let text = delivering.or_farewell(|| what_panicked(payload));
    delivering.report(&text);
    unreported_failure()
}

/// The answer where a handler has failed, maybe by a fault of the peer. Reports what is the handler's own, be it behind such a fault.
#[cold]
fn answer_failure(response: &mut Response, fault: Option<HttpError>, mut delivering: Delivering<'_>) {
    let reason = response.failure.take().unwrap_or_default();
    let other = match fault.filter(|fault| fault.is_told_in(&reason)) {
        Some(fault) => Response::refusal(fault),
        None => {
            delivering.report(&reason);
            unreported_failure()
        }
    };
    delivering.put_instead(response, other);
}

/// The answer to a failure that has been reported.
pub(super) fn unreported_failure() -> Response {
    let mut response = Response::failed("");
    response.failure = None;
    response
}
