//! Makes `Connection: close` final. A server "MUST NOT" process what a client sends after it (RFC 9112 §9.6); actix would
//! answer the pipelined requests that it has read, and keep the connection.

use std::{cell::Cell, convert::Infallible, rc::Rc, time::Duration};

use actix_web::{
    HttpResponse,
    body::{BodySize, MessageBody, SizedStream},
    dev::{Extensions, ResponseHead, ServiceRequest, ServiceResponse},
    http::{ConnectionType, StatusCode, Version},
    rt::time::sleep,
    web::Bytes,
};
use futures_util::stream;

/// Time for the last response to leave actix's buffer; most leave at once.
const FLUSH_DELAY: Duration = Duration::from_millis(200);

/// Whether a connection has had its last response.
#[derive(Clone, Default)]
pub struct Closed(Rc<Cell<bool>>);

impl Closed {
    /// That of a request's connection.
    pub fn of(request: &ServiceRequest) -> Self {
        request.conn_data::<Self>().cloned().unwrap_or_default()
    }

    /// This response is the last.
    pub fn close(&self) {
        self.0.set(true);
    }
}

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

/// Whether the connection must end the body: a stream without chunks.
pub fn ends_body<B: MessageBody>(response: &mut ServiceResponse<B>, takes_chunks: bool) -> bool {
    let is_stream = response.response().body().size() == BodySize::Stream;
    let ends = is_stream && !takes_chunks && response.status() != StatusCode::SWITCHING_PROTOCOLS;
    if ends {
        response.response_mut().head_mut().no_chunking(true);
    }
    ends
}

/// Closes the connection after this response if `close` says so, or the response itself does.
pub fn enforce_close<B>(response: &mut ServiceResponse<B>, close: bool, closed: &Closed) {
    let head: &mut ResponseHead = response.response_mut().head_mut();
    if close {
        head.set_connection_type(ConnectionType::Close);
    }
    // actix reuses the heads of responses, with the version of the one before.
    head.version = Version::HTTP_11;
    if head.connection_type() == ConnectionType::Close {
        closed.close();
    }
}

/// Whether the client asks to close the connection after this request.
pub fn is_requested(request: &ServiceRequest) -> bool {
    request.head().connection_type() == ConnectionType::Close
}
