//! The life of a request, as one layer of the actix `App`: what needs no waiting is a step here, not a layer of its own.
//!
//! [`Layers`] holds the values of the steps, in the order in which a request meets them.

use std::{
    path::PathBuf,
    pin::Pin,
    rc::Rc,
    task::{Context, Poll},
    time::Duration,
};

use actix_web::{
    Error, FromRequest, HttpMessage, HttpRequest,
    body::{BodySize, BoxBody, MessageBody},
    dev::{Payload, Service, ServiceRequest, ServiceResponse, Transform},
    error::ErrorInternalServerError,
    http::{Method, StatusCode, Version, header::HeaderName},
    web::Bytes,
};
use futures_util::future::{LocalBoxFuture, Ready, ready};
use tokio::task::coop::consume_budget;

use super::{
    access_log::{AccessLog, Line, RequestId, SERVED_BY, SERVED_BY_VALUE},
    allowed_methods::AllowedMethods,
    body_limit::BodyLimit,
    caching,
    client_ip::ClientIp,
    compression,
    concurrency_limit::{self, ConcurrencyLimit},
    connection_close::{self, Closed},
    cors::Cors,
    drain::Drain,
    error_pages::{self, closing},
    fallback, health,
    idle_timeout::{self, InFlight},
    internal_errors, maintenance,
    request_validation::{Rejection, validate},
    response_limits::{self, LastRead, PauseLimit},
    security_headers,
    static_files::service::StaticFiles,
    upgrade::Upgrade,
};
use crate::http::{forwarded::Client, host::AllowedHosts, origins::CorsOrigins};

/// Who sent a request, and its id, as in the access log. A handler takes it as an argument.
#[derive(Clone, Debug)]
pub struct RequestInfo {
    /// The id, which the client gets back.
    pub id: RequestId,
    /// The client's address and scheme.
    pub client: Client,
    /// Tells when the process is about to stop: what has no end of its own ends then.
    pub drain: Drain,
}

impl FromRequest for RequestInfo {
    type Error = Error;
    type Future = Ready<Result<Self, Error>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let info = request.extensions().get().cloned();
        ready(info.ok_or_else(|| ErrorInternalServerError("the App is not wrapped by Layers")))
    }
}

/// The values of the steps.
#[derive(Clone)]
pub struct Layers {
    /// Every response closes its connection where this is zero.
    pub keep_alive: Duration,
    /// Whether the process drains.
    pub drain: Drain,
    /// Who the client is.
    pub client_ip: ClientIp,
    /// The origins that may read every response.
    pub cors_origins: CorsOrigins,
    /// The header in which a trusted proxy sends the request's id.
    pub request_id_header: Option<HeaderName>,
    /// The access log; none writes no lines.
    pub access_log: Option<AccessLog>,
    /// Whether responses name the replica.
    pub served_by: bool,
    /// The limits of a body.
    pub body_limit: BodyLimit,
    /// Whether every request is refused.
    pub maintenance: bool,
    /// The hosts to answer for.
    pub allowed_hosts: AllowedHosts,
    /// The folder of the static files.
    pub static_dir: PathBuf,
    /// The path below which they appear, without a slash at its end.
    pub static_prefix: String,
    /// The limit of requests in flight.
    pub concurrency_limit: ConcurrencyLimit,
    /// How long a handler may take until its response begins, and for each further part of it.
    pub response_timeout: Duration,
    /// Whether responses of the service are compressed.
    pub compression: bool,
}

impl Layers {
    /// From the connection to the access log: the steps around every request, probes included.
    async fn handle<S, B>(
        &self,
        mut request: ServiceRequest,
        worker: &Worker<S>,
    ) -> Result<ServiceResponse<Body>, Error>
    where
        S: Service<ServiceRequest, Response = ServiceResponse<B>, Error = Error>,
        B: MessageBody + 'static,
    {
        // actix answers pipelined requests for as long as they come: other connections get their turn in between.
        consume_budget().await;
        if connection_close::is_closed(&request) {
            let dropped = Box::pin(connection_close::drop_pipelined(request)).await;
            return Ok(dropped.map_body(|_, body| Body::untracked(body)));
        }
        let in_flight = idle_timeout::track(&request);
        let mut close = self.keep_alive.is_zero() || connection_close::is_requested(&request);
        let upgrade = Upgrade::of(request.head());
        close |= upgrade.ignore_in_vain(&mut request);
        // HTTP/1.0 knows no chunks (RFC 9112 §6.1), and actix sends none to a request that names WebSockets.
        let takes_chunks = request.version() == Version::HTTP_11 && !upgrade.names_websocket;
        let closed = Closed::of(&request);
        let client = self.client_ip.resolve(&request);
        let cors = Cors::of(&self.cors_origins, request.headers());
        let is_head = request.method() == Method::HEAD;

        let (mut response, line) = if health::is_probe(&request) {
            (Box::pin(self.probe(request)).await, None)
        } else {
            self.drain.record_request();
            let id = RequestId::of(&request, self.request_id_header.as_ref(), &self.client_ip);
            let mut line = self
                .access_log
                .as_ref()
                .map(|log| log.line(&request, &id, client));
            request.extensions_mut().insert(RequestInfo {
                id: id.clone(),
                client,
                drain: self.drain.clone(),
            });

            let result = self.respond(request, worker, client, &id, &cors).await;
            if let Some(line) = &mut line {
                line.status = match &result {
                    Ok(response) => response.status().as_u16(),
                    Err(error) => error.as_response_error().status_code().as_u16(),
                };
            }
            // The handler is gone, and the request's body with it.
            let mut response = result.inspect_err(|_| closed.close())?;
            id.add_to(response.headers_mut());
            if self.served_by {
                let name = SERVED_BY_VALUE.clone();
                response.headers_mut().insert(SERVED_BY, name);
            }
            (response, line)
        };

        security_headers::add(response.headers_mut(), client.scheme);
        cors.add(response.headers_mut());
        close |= self.drain.has_begun();
        close |= connection_close::ends_body(&mut response, takes_chunks);
        close |= upgrade.was_declined(&response);
        close &= response.status() != StatusCode::SWITCHING_PROTOCOLS;
        connection_close::enforce_close(&mut response, close, &closed);
        let pause = PauseLimit::of(&response, self.response_timeout);
        Ok(response.map_body(|_, body| Body {
            body,
            is_head,
            pause,
            line,
            _in_flight: in_flight,
        }))
    }

    /// A probe is answered for any host, and during maintenance too.
    async fn probe(&self, mut request: ServiceRequest) -> ServiceResponse {
        let (body, answer) = match self.body_limit.apply(&mut request) {
            Err(status) => (None, closing(status)),
            Ok(body) => match self.validate(&request) {
                Err(Rejection::Invalid(status)) => (body, closing(status)),
                _ => (body, health::respond(&request, &self.drain)),
            },
        };
        let mut response = request.into_response(answer);
        if let Some(body) = body {
            // In a box, as all that rarely waits: the future of every request would have room for it.
            response = Box::pin(body.finish(response)).await;
        }
        error_pages::fill_error_body(response)
    }

    fn validate(&self, request: &ServiceRequest) -> Result<(), Rejection> {
        validate(request.head(), &self.allowed_hosts, || {
            self.client_ip.trusts_peer(request)
        })
    }

    /// From the limits of the body to the service.
    async fn respond<S, B>(
        &self,
        mut request: ServiceRequest,
        worker: &Worker<S>,
        client: Client,
        id: &RequestId,
        cors: &Cors,
    ) -> Result<ServiceResponse, Error>
    where
        S: Service<ServiceRequest, Response = ServiceResponse<B>, Error = Error>,
        B: MessageBody + 'static,
    {
        let body = match self.body_limit.apply(&mut request) {
            Ok(body) => body,
            Err(status) => {
                return Ok(error_pages::fill_error_body(
                    request.into_response(closing(status)),
                ));
            }
        };
        let early = if self.maintenance {
            Some(maintenance::respond())
        } else {
            match self.validate(&request) {
                Ok(()) => cors
                    .preflight(&request)
                    .or_else(|| worker.files.respond(&mut request)),
                Err(Rejection::Invalid(status)) => Some(closing(status)),
                Err(Rejection::NotImplemented) => Some(fallback::not_implemented()),
                Err(Rejection::HostNotAllowed) => Some(fallback::host_not_allowed(&request)),
            }
        };
        let mut response = match early {
            Some(response) => request.into_response(response),
            None => {
                let last_read = body.as_ref().map(|body| Rc::clone(&body.last_read));
                self.call(request, worker, client, id, cors, last_read)
                    .await?
            }
        };
        if let Some(body) = body {
            response = Box::pin(body.finish(response)).await;
        }
        Ok(error_pages::fill_error_body(response))
    }

    /// The service, for as many requests at once as the limit allows.
    async fn call<S, B>(
        &self,
        mut request: ServiceRequest,
        worker: &Worker<S>,
        client: Client,
        id: &RequestId,
        cors: &Cors,
        last_read: Option<LastRead>,
    ) -> Result<ServiceResponse, Error>
    where
        S: Service<ServiceRequest, Response = ServiceResponse<B>, Error = Error>,
        B: MessageBody + 'static,
    {
        let Some(permit) = self.concurrency_limit.acquire(&mut request) else {
            return Ok(request.into_response(concurrency_limit::refuse()));
        };
        self.client_ip.overwrite(&mut request, client);
        id.add_to(request.headers_mut());
        // A panic drops the request, so what its response needs of it is kept.
        let accept = internal_errors::accept(&request);
        let asked = fallback::prepare(&mut request);
        let response = worker.service.call(request);
        let completed = async {
            let response = response.await?.map_into_boxed_body();
            let response = fallback::complete(response, &asked, &worker.allowed_methods).await;
            Ok::<_, Error>(worker.files.fill(response, &asked.method))
        };
        let response = internal_errors::catch_panic(completed);
        let response = response_limits::in_time(response, self.response_timeout, last_read).await;
        let response = match response {
            Some(Some(Ok(response))) => Ok(self.finish(response).await),
            Some(Some(Err(error))) => Err(error),
            gone => {
                let status = match gone {
                    None => StatusCode::GATEWAY_TIMEOUT,
                    Some(_) => StatusCode::INTERNAL_SERVER_ERROR,
                };
                Err(internal_errors::Gone::new(status, client.scheme, id, cors, accept).into())
            }
        };
        permit.release();
        response
    }

    /// What every response of the service needs.
    async fn finish(&self, response: ServiceResponse) -> ServiceResponse {
        let mut response = caching::fill_caching(internal_errors::hide_details(response));
        if self.compression && compression::is_concerned(&response) {
            let (plain, job) = compression::choose(response);
            response = match job {
                // In a box, as above.
                Some(job) => Box::pin(job.compress(plain)).await,
                None => plain,
            };
        }
        response_limits::limit_head(response)
    }
}

impl<S, B> Transform<S, ServiceRequest> for Layers
where
    S: Service<ServiceRequest, Response = ServiceResponse<B>, Error = Error> + 'static,
    B: MessageBody + 'static,
{
    type Response = ServiceResponse<Body>;
    type Error = Error;
    type Transform = Layered<S>;
    type InitError = ();
    type Future = LocalBoxFuture<'static, Result<Self::Transform, ()>>;

    fn new_transform(&self, service: S) -> Self::Future {
        let layers = self.clone();
        Box::pin(async {
            Ok(Layered(Rc::new(Worker {
                files: StaticFiles::new(&layers.static_dir, layers.static_prefix.clone()),
                allowed_methods: AllowedMethods::new().await,
                layers,
                service,
            })))
        })
    }
}

/// A worker's service with the layers around it.
pub struct Layered<S>(Rc<Worker<S>>);

struct Worker<S> {
    layers: Layers,
    files: StaticFiles,
    allowed_methods: AllowedMethods,
    service: S,
}

impl<S, B> Service<ServiceRequest> for Layered<S>
where
    S: Service<ServiceRequest, Response = ServiceResponse<B>, Error = Error> + 'static,
    B: MessageBody + 'static,
{
    type Response = ServiceResponse<Body>;
    type Error = Error;
    type Future = LocalBoxFuture<'static, Result<Self::Response, Error>>;

    fn poll_ready(&self, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        self.0.service.poll_ready(cx)
    }

    fn call(&self, request: ServiceRequest) -> Self::Future {
        let worker = Rc::clone(&self.0);
        Box::pin(async move { worker.layers.handle(request, &worker).await })
    }
}

/// The body of a response. It counts the bytes that are sent, and writes the access line and marks the connection idle once
/// it is sent or dropped.
pub struct Body {
    body: BoxBody,
    /// Nothing is sent to HEAD, so nothing is read.
    is_head: bool,
    pause: Option<PauseLimit>,
    line: Option<Line>,
    _in_flight: InFlight,
}

impl Body {
    fn untracked(body: BoxBody) -> Self {
        Self {
            body,
            is_head: false,
            pause: None,
            line: None,
            _in_flight: InFlight::default(),
        }
    }
}

impl MessageBody for Body {
    type Error = <BoxBody as MessageBody>::Error;

    fn size(&self) -> BodySize {
        self.body.size()
    }

    fn poll_next(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Bytes, Self::Error>>> {
        if self.is_head {
            return Poll::Ready(None);
        }
        let mut chunk = Pin::new(&mut self.body).poll_next(cx);
        if let Some(pause) = &mut self.pause
            && let Err(error) = pause.check(chunk.is_pending(), cx)
        {
            chunk = Poll::Ready(Some(Err(error.into())));
        }
        if let (Poll::Ready(Some(Ok(bytes))), Some(line)) = (&chunk, &mut self.line) {
            line.bytes += bytes.len() as u64;
        }
        chunk
    }
}
