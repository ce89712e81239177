//! Makes `Connection: close` final. A server "MUST NOT" process what a client sends after it (RFC 9112 §9.6); actix would
//! answer the pipelined requests that it has read, and keep the connection.

use std::{cell::Cell, convert::Infallible, time::Duration};

use actix_web::{
    HttpResponse,
    body::{BodySize, MessageBody, SizedStream},
    dev::{Extensions, ResponseHead, ServiceRequest, ServiceResponse},
    http::{ConnectionType, Version},
    rt::time::sleep,
    web::Bytes,
};
use futures_util::stream;

/// Time for the last response to leave actix's buffer; most leave at once.
const FLUSH_DELAY: Duration = Duration::from_millis(200);

/// Whether a connection has had its last response.
#[derive(Default)]
struct Closed(Cell<bool>);

/// Marks a new connection; for `HttpServer::on_connect`.
pub fn connected(connection: &mut Extensions) {
    connection.insert(Closed::default());
}

/// Whether the connection of a request has had its last response.
pub fn is_closed(request: &ServiceRequest) -> bool {
    let closed = request.conn_data::<Closed>();
    closed.is_some_and(|closed| closed.0.get())
}

/// Drops the connection, with a pipelined request that came after the last response.
pub async fn drop_pipelined(request: ServiceRequest) -> ServiceResponse {
    sleep(FLUSH_DELAY).await;
    // A body that ends before it begins: actix drops the connection, and sends nothing of the response.
    let nothing = SizedStream::new(1, stream::empty::<Result<Bytes, Infallible>>());
    request.into_response(HttpResponse::Ok().body(nothing))
}

/// Whether the connection must end a streamed body: HTTP/1.0 knows no chunks (RFC 9112 §6.1), so it gets none.
pub fn ends_body<B: MessageBody>(response: &mut ServiceResponse<B>, version: Version) -> bool {
    let ends = version < Version::HTTP_11 && response.response().body().size() == BodySize::Stream;
    response.response_mut().head_mut().no_chunking(ends);
    ends
}

/// Closes the connection after this response if `close` says so, or the response itself does.
pub fn enforce_close<B>(response: &mut ServiceResponse<B>, close: bool) {
    let head: &mut ResponseHead = response.response_mut().head_mut();
    if close {
        head.set_connection_type(ConnectionType::Close);
    }
    // actix reuses the heads of responses, with the version of the one before.
    head.version = Version::HTTP_11;
    let is_last = head.connection_type() == ConnectionType::Close;
    if is_last && let Some(closed) = response.request().conn_data::<Closed>() {
        closed.0.set(true);
    }
}

/// Whether the client asks to close the connection after this request.
pub fn is_requested(request: &ServiceRequest) -> bool {
    request.head().connection_type() == ConnectionType::Close
}
