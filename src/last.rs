//! Ends a connection with the answer that is said to be its last: what a client sends behind it "MUST NOT" be processed
//! (RFC 9112 §9.6). actix would go on with what it has read by then, and stay connected. While the process drains, every
//! answer is the last. And a client that sends many requests at once has its turn with others, not before them.

use std::{cell::Cell, convert::Infallible, time::Duration};

use actix_web::{
    Error, HttpResponse,
    body::{BoxBody, EitherBody, MessageBody, SizedStream},
    dev::{Extensions, ServiceRequest, ServiceResponse},
    http::{ConnectionType, Version},
    middleware::Next,
    rt::time::sleep,
    web::Bytes,
};
use futures_util::stream;
use tokio::task::coop::consume_budget;

use crate::{config::Config, drain::Drain};

/// How long the last answer has to leave actix's buffer; most are gone at once.
const FLUSH: Duration = Duration::from_millis(200);

/// Whether a connection has had its last answer.
#[derive(Default)]
struct Ended(Cell<bool>);

/// Marks a new connection; for `HttpServer::on_connect`.
pub fn connected(connection: &mut Extensions) {
    connection.insert(Ended::default());
}

/// Cuts the connection if it has had its last answer, and notes whether this is the one. Every so many requests, others
/// have their turn.
pub async fn cut<B: MessageBody>(
    request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<EitherBody<B, BoxBody>>, Error> {
    // actix goes on for as long as requests are there and answers ready.
    consume_budget().await;
    if request
        .conn_data::<Ended>()
        .is_some_and(|ended| ended.0.get())
    {
        sleep(FLUSH).await;
        // An answer that ends before it begins: actix drops the connection, and nothing of it is sent.
        let nothing = SizedStream::new(1, stream::empty::<Result<Bytes, Infallible>>());
        return Ok(request
            .into_response(HttpResponse::Ok().body(nothing))
            .map_into_right_body());
    }
    let keeps_none = Duration::from(Config::of(&request).keep_alive).is_zero();
    let asked = request.head().connection_type() == ConnectionType::Close;
    let drain = Drain::of(&request).clone();
    let mut answer = next.call(request).await?;
    if drain.has_begun() {
        let head = answer.response_mut().head_mut();
        head.set_connection_type(ConnectionType::Close);
    }
    // actix recycles the heads of answers, with the version of whoever had it last.
    answer.response_mut().head_mut().version = Version::HTTP_11;
    let is_last =
        keeps_none || asked || answer.response().head().connection_type() == ConnectionType::Close;
    if let Some(ended) = answer.request().conn_data::<Ended>() {
        ended.0.set(is_last);
    }
    Ok(answer.map_into_left_body())
}
