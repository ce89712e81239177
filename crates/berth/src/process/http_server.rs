//! actix's HTTP server over [`Connection`]s. `actix_web::HttpServer` serves no streams but the system's.

use std::{io, net::SocketAddr, time::Duration};

use actix_http::{Extensions, HttpService, KeepAlive, Protocol, error::DispatchError};
use actix_server::{GracefulShutdownSignal, Server};
use actix_service::{
    IntoServiceFactory, ServiceFactory, ServiceFactoryExt, fn_service, map_config,
};
use actix_web::{
    App, Error,
    body::MessageBody,
    dev::{AppConfig, ServiceRequest, ServiceResponse},
    rt::net::{TcpStream, UnixStream},
};
use tokio::io::{AsyncRead, AsyncWrite};

use super::{connection::Connection, fd_exhaustion::Listener};
use crate::middleware::{
    connection_close,
    idle_timeout::{self, Limits},
};

/// How long a client may take to close its side after the last response.
const DISCONNECT_TIMEOUT: Duration = Duration::from_secs(1);

/// How connections are served.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// Worker threads.
    pub workers: usize,
    /// Connections of a worker at the same time.
    pub max_connections: usize,
    /// How long an idle connection is kept; zero keeps none.
    pub keep_alive: Duration,
    /// The limits of a connection's silence.
    pub limits: Limits,
    /// Whether all peers are nginx.
    pub behind_nginx: bool,
}

/// What an actix `App` consists of, whose responses have bodies of type `B`.
pub trait AppFactory<B>:
    ServiceFactory<
        ServiceRequest,
        Config = (),
        Response = ServiceResponse<B>,
        Error = Error,
        InitError = (),
    > + 'static
{
}

impl<T, B> AppFactory<B> for T where
    T: ServiceFactory<
            ServiceRequest,
            Config = (),
            Response = ServiceResponse<B>,
            Error = Error,
            InitError = (),
        > + 'static
{
}

/// Serves the connections of a listener until the server's handle stops it. `app` makes the actix `App` of a worker.
///
/// # Errors
/// If the system refuses to watch the listener.
pub fn serve<F, T, B>(listener: Listener, options: Options, app: F) -> io::Result<Server>
where
    F: Fn() -> App<T> + Send + Clone + 'static,
    T: AppFactory<B>,
    B: MessageBody + 'static,
{
    let server = Server::build()
        .workers(options.workers)
        .max_concurrent_connections(options.max_connections)
        // `Server::run` limits the time itself, and handles the signals.
        .shutdown_timeout(u64::MAX)
        .disable_signals();
    let stopping = server.graceful_shutdown_signal();
    let server = match listener {
        Listener::Tcp(listener) => server.listen("http", listener, move || {
            let accepted = |stream: &TcpStream| {
                // Each part of a response is sent at once.
                let _ = stream.set_nodelay(true);
                stream.peer_addr().ok()
            };
            http(app(), options, stopping.clone(), accepted)
        }),
        Listener::Unix(listener) => server.listen_uds("http", listener, move || {
            http(app(), options, stopping.clone(), |_: &UnixStream| None)
        }),
    };
    Ok(server?.run())
}

/// The service of a worker for each connection. `accepted` prepares one, and returns the peer's address.
fn http<S, T, B>(
    app: App<T>,
    options: Options,
    stopping: GracefulShutdownSignal,
    accepted: fn(&S) -> Option<SocketAddr>,
) -> impl ServiceFactory<S, Config = (), Response = (), Error = DispatchError, InitError = ()>
where
    S: AsyncRead + AsyncWrite + Unpin + 'static,
    T: AppFactory<B>,
    B: MessageBody + 'static,
{
    let Options {
        keep_alive,
        limits,
        behind_nginx,
        ..
    } = options;
    let app = app.into_factory();
    let service = HttpService::build()
        .graceful_shutdown_signal(move || {
            let stopping = stopping.clone();
            async move { stopping.notified().await }
        })
        .keep_alive(match keep_alive {
            Duration::ZERO => KeepAlive::Disabled,
            time => KeepAlive::Timeout(time),
        })
        // `idle_timeout` is first; this is for connections that it does not watch.
        .client_request_timeout(limits.idle)
        .client_disconnect_timeout(DISCONNECT_TIMEOUT)
        .on_connect_ext(move |connection: &Connection<S>, data: &mut Extensions| {
            connection_close::connected(data);
            idle_timeout::connected(connection.stream(), data, limits);
        })
        .finish(map_config(
            app.map_err(|error| error.error_response()),
            |()| AppConfig::default(),
        ));
    fn_service(move |stream| async move {
        let peer = accepted(&stream);
        let connection = Connection::new(stream, behind_nginx);
        Ok((connection, Protocol::Http1, peer))
    })
    .and_then(service)
}
