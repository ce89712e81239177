//! The server: [`Server::bind`] binds the address, [`Server::run`] serves until the process is told to stop.

use std::{fs, io, pin::pin, time::Duration};

use actix_web::{
    App, Error, HttpServer,
    body::MessageBody,
    dev::{ServiceFactory, ServiceRequest, ServiceResponse},
    http::KeepAlive,
    rt::time::timeout,
};
use futures_util::future::{Either, select};

use super::{
    fd_exhaustion::{FdExhaustion, Listener},
    listener::{BindError, listen_tcp, listen_unix},
    malloc_trim,
    open_files::raise_open_files,
    shutdown::Shutdown,
    signals::StopSignals,
};
use crate::{
    log::pending,
    middleware::{
        connection_close,
        drain::Drain,
        idle_timeout::{self, Limits},
    },
    settings::values::Address,
};

/// Requests that are cut off at the end have this long to write their access lines.
const LOG_TIMEOUT: Duration = Duration::from_secs(1);

/// How to serve.
#[derive(Clone, Debug)]
pub struct Options {
    /// Where to listen.
    pub bind: Address,
    /// Worker threads.
    pub workers: usize,
    /// Connections at the same time; more wait to be accepted.
    pub max_connections: usize,
    /// How long an idle connection is kept; zero keeps none.
    pub keep_alive: Duration,
    /// How long a client may take for a request's head.
    pub client_timeout: Duration,
    /// How long a client may take none of a response.
    pub response_timeout: Duration,
    /// How to stop.
    pub shutdown: Shutdown,
}

/// A server that is bound, and takes connections once it runs.
pub struct Server {
    address: Address,
    actix: actix_web::dev::Server,
    signals: StopSignals,
    drain: Drain,
    shutdown: Shutdown,
    fd_exhaustion: FdExhaustion,
}

impl Server {
    /// Binds the address. `app` makes the actix `App` of a worker; `drain` is the one that its layers see.
    ///
    /// # Errors
    /// If the address can't be bound. Nothing has been started then.
    pub fn bind<F, T, B>(options: Options, drain: Drain, app: F) -> Result<Self, BindError>
    where
        F: Fn() -> App<T> + Send + Clone + 'static,
        T: ServiceFactory<
                ServiceRequest,
                Config = (),
                Response = ServiceResponse<B>,
                Error = Error,
                InitError = (),
            > + 'static,
        B: MessageBody + 'static,
    {
        let Options {
            bind,
            workers,
            max_connections,
            keep_alive,
            client_timeout,
            response_timeout,
            shutdown,
        } = options;
        let refused = |error| BindError {
            address: bind.clone(),
            error,
        };
        let signals = StopSignals::listen().map_err(refused)?;
        let duplicates = raise_open_files(max_connections);
        let limits = Limits {
            first_head: client_timeout,
            idle: keep_alive + client_timeout,
            connections: duplicates.div_ceil(workers),
        };
        let server = HttpServer::new(app)
            .on_connect(move |stream, connection| {
                connection_close::connected(connection);
                idle_timeout::connected(stream, connection, limits);
            })
            .workers(workers)
            .max_connections(max_connections.div_ceil(workers))
            // `idle_timeout` is first; this is for connections that it does not watch.
            .client_request_timeout(limits.idle)
            .keep_alive(match keep_alive {
                Duration::ZERO => KeepAlive::Disabled,
                time => KeepAlive::Timeout(time),
            })
            .tcp_nodelay(true)
            // `run` limits the time itself, and handles the signals.
            .shutdown_timeout(u64::MAX)
            .disable_signals();

        let (address, duplicate, server) = match &bind {
            Address::Unix(path) => {
                let listener = listen_unix(path).map_err(refused)?;
                let duplicate = listener.try_clone().map(Listener::Unix);
                (bind.clone(), duplicate, server.listen_uds(listener))
            }
            Address::Tcp(address) => {
                let listener = listen_tcp(*address, response_timeout).map_err(refused)?;
                let bound = listener.local_addr().map_err(refused)?;
                let duplicate = listener.try_clone().map(Listener::Tcp);
                (Address::Tcp(bound), duplicate, server.listen(listener))
            }
        };
        let fd_exhaustion = duplicate.and_then(FdExhaustion::watch).map_err(refused)?;
        Ok(Self {
            address,
            actix: server.map_err(refused)?.run(),
            signals,
            drain,
            shutdown,
            fd_exhaustion,
        })
    }

    /// The address; for port 0, with the port that the system chose.
    pub fn address(&self) -> &Address {
        &self.address
    }

    /// Serves until the process is told to stop and the requests in flight are done, or out of time.
    ///
    /// # Errors
    /// If actix fails.
    pub async fn run(self) -> io::Result<()> {
        let handle = self.actix.handle();
        actix_web::rt::spawn(malloc_trim::trim_forever());
        let drained = pin!(self.shutdown.drained(self.signals, self.drain));
        let ended = match select(self.actix, drained).await {
            Either::Left((ended, _)) => ended,
            Either::Right((time_left, mut server)) => {
                drop(self.fd_exhaustion);
                // Before the listener closes: later the path may be the successor's.
                if let Address::Unix(path) = &self.address {
                    let _ = fs::remove_file(path);
                }
                // The call sends the command; the server obeys when it is polled.
                drop(handle.stop(true));
                timeout(time_left, &mut server).await.unwrap_or_else(|_| {
                    log::warn!("out of time: requests in flight are cut off");
                    Ok(())
                })
            }
        };
        // The workers drop the requests that are left, now that the server is gone.
        let _ = timeout(LOG_TIMEOUT, pending::none_left()).await;
        log::info!("stopped");
        ended
    }
}
