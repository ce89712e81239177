//! The server: [`Server::bind`] binds the address, [`Server::run`] serves until the process is told to stop.

use std::{fs, io, pin::pin, time::Duration};

use actix_web::{App, body::MessageBody, rt::time::timeout};
use futures_util::future::{Either, select};

use super::{
    fd_exhaustion::{FdExhaustion, Listener},
    http_server::{self, AppFactory},
    listener::{BindError, listen_tcp, listen_unix},
    malloc_trim,
    open_files::raise_open_files,
    shutdown::Shutdown,
    signals::StopSignals,
};
use crate::{
    log::pending,
    middleware::{drain::Drain, idle_timeout::Limits},
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
    /// Whether nginx is in front, and the only peer.
    pub behind_nginx: bool,
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
        T: AppFactory<B>,
        B: MessageBody + 'static,
    {
        let Options {
            bind,
            workers,
            max_connections,
            keep_alive,
            client_timeout,
            response_timeout,
            behind_nginx,
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
        let (address, listener) = match &bind {
            Address::Unix(path) => {
                let listener = listen_unix(path).map_err(refused)?;
                (bind.clone(), Listener::Unix(listener))
            }
            Address::Tcp(address) => {
                let listener = listen_tcp(*address, response_timeout).map_err(refused)?;
                let bound = listener.local_addr().map_err(refused)?;
                (Address::Tcp(bound), Listener::Tcp(listener))
            }
        };
        let duplicate = listener.try_clone().map_err(refused)?;
        let fd_exhaustion = FdExhaustion::watch(duplicate).map_err(refused)?;
        let connections = http_server::Options {
            workers,
            max_connections: max_connections.div_ceil(workers),
            keep_alive,
            limits,
            behind_nginx,
        };
        let actix = http_server::serve(listener, connections, app).map_err(refused)?;
        Ok(Self {
            address,
            actix,
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
