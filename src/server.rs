//! Puts the parts together: [`build`] binds the address, [`Server::run`] serves until the process is told to stop.

use std::{
    fmt, fs, io,
    net::{Ipv4Addr, SocketAddr, TcpListener},
    os::unix::{
        fs::FileTypeExt,
        net::{UnixListener, UnixStream},
    },
    path::Path,
    pin::pin,
    time::Duration,
};

use actix_web::{
    App, HttpServer,
    http::KeepAlive,
    middleware::{Condition, from_fn},
    rt::time::timeout,
    web::{self, Data, ServiceConfig},
};
use futures_util::future::{Either, select};
use rustix::process::{Resource, getrlimit, setrlimit};
use socket2::{Domain, Protocol, Socket, Type};

use crate::{
    body,
    config::{Address, Config},
    drain::{self, Drain, StopSignals},
    failure, guard, headers, health, idle, last,
    load::{self, Load},
    logging::access,
    maintenance, memory, refusal,
    relief::{Listener, Relief},
    site::{self, folder::Folders},
};

/// Connections that may wait to be accepted.
const BACKLOG: i32 = 1024;
/// Files that are open beside the connections: those that are served, the log, the runtime's own.
const OTHER_FILES: usize = 1024;

/// Requests that are cut off at the end have this long to leave their lines in the log.
const LINES: Duration = Duration::from_secs(1);

/// A server that is bound, and takes connections once it runs.
pub struct Server {
    address: Address,
    actix: actix_web::dev::Server,
    stop: StopSignals,
    drain: Drain,
    relief: Relief,
    config: Config,
}

impl Server {
    /// What it is bound to; where the configuration said port 0, the port that the system chose.
    pub fn address(&self) -> &Address {
        &self.address
    }

    /// Serves until the process is told to stop and the requests in flight are done, or out of time.
    pub async fn run(self) -> io::Result<()> {
        let handle = self.actix.handle();
        actix_web::rt::spawn(memory::give_back());
        let drained = pin!(self.stop.drained(self.drain, self.config));
        let ended = match select(self.actix, drained).await {
            Either::Left((ended, _)) => ended,
            Either::Right((left, mut server)) => {
                drop(self.relief);
                // Now: later it may be the successor's.
                if let Address::Unix(path) = &self.address {
                    let _ = fs::remove_file(path);
                }
                // Sent by the call; the server obeys as it is polled.
                drop(handle.stop(true));
                timeout(left, &mut server).await.unwrap_or_else(|_| {
                    log::warn!("out of time: whoever waits for an answer is cut off");
                    Ok(())
                })
            }
        };
        // The workers cut off whom they still have, now that the server is gone.
        let _ = timeout(LINES, access::all_written()).await;
        log::info!("stopped");
        ended
    }
}

/// An address that could not be bound.
#[derive(Debug)]
pub struct BindError(Address, io::Error);

impl fmt::Display for BindError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(address, error) = self;
        let remedy = match error.kind() {
            io::ErrorKind::AddrInUse => {
                "stop what listens there, or set BIND or PORT to another address"
            }
            io::ErrorKind::PermissionDenied => {
                "set PORT to one above 1023, or BIND to a path that you may write"
            }
            _ => "set BIND to an address of this machine",
        };
        write!(out, "can't listen on {address}: {error}; {remedy}")
    }
}

/// Binds the configured address, to serve `service`: what adds its routes.
///
/// # Errors
/// If it can't be bound. Nothing has been started then.
pub fn build(config: Config, service: fn(&mut ServiceConfig)) -> Result<Server, BindError> {
    let refused = |error| BindError(config.bind.clone(), error);
    let stop = StopSignals::listen().map_err(refused)?;
    let drain = Drain::default();

    let shared = Data::new(config.clone());
    let shared_drain = Data::new(drain.clone());
    let load = Data::new(Load::default());
    let workers = usize::from(config.web_concurrency.clone());
    let spare = raise_open_files(config.max_connections.count());
    let watched = spare.div_ceil(workers);
    let limit = Duration::from(config.keep_alive) + config.client_timeout.seconds();
    let server = HttpServer::new(move || {
        // Innermost first: a request meets these from the last to the first, then the service.
        App::new()
            .app_data(shared.clone())
            .app_data(shared_drain.clone())
            .app_data(load.clone())
            .app_data(Folders::new(&shared))
            .configure(service)
            .default_service(web::to(refusal::last_resort))
            .wrap(from_fn(failure::contain))
            .wrap(from_fn(load::shed))
            .wrap(from_fn(site::serve))
            .wrap(from_fn(guard::check))
            .wrap(Condition::new(
                shared.maintenance.0,
                from_fn(maintenance::refuse),
            ))
            .wrap(from_fn(body::limit))
            .wrap(from_fn(refusal::dress))
            .wrap(from_fn(access::line))
            .wrap(from_fn(drain::note))
            .wrap(from_fn(health::answer))
            .wrap(from_fn(headers::set))
            .wrap(from_fn(last::cut))
            .wrap(from_fn(idle::note))
    })
    .on_connect(move |stream, connection| {
        last::connected(connection);
        idle::connected(stream, connection, limit, watched);
    })
    .workers(workers)
    .max_connections(config.max_connections.count().div_ceil(workers))
    .client_request_timeout(config.client_timeout.seconds())
    .keep_alive(keep_alive(config.keep_alive.into()))
    .tcp_nodelay(true)
    // `run` is more exact, and knows the signals.
    .shutdown_timeout(u64::MAX)
    .disable_signals();

    let (address, copy, server) = match &config.bind {
        Address::Unix(path) => {
            let listener = listen_unix(path).map_err(refused)?;
            let copy = listener.try_clone().map(Listener::Unix);
            (config.bind.clone(), copy, server.listen_uds(listener))
        }
        Address::Tcp(address) => {
            let listener =
                listen_tcp(*address, config.client_timeout.seconds()).map_err(refused)?;
            let bound = listener.local_addr().map_err(refused)?;
            let copy = listener.try_clone().map(Listener::Tcp);
            (Address::Tcp(bound), copy, server.listen(listener))
        }
    };
    let relief = copy.and_then(Relief::start).map_err(refused)?;
    Ok(Server {
        address,
        actix: server.map_err(refused)?.run(),
        stop,
        drain,
        relief,
        config,
    })
}

/// Whether this process may listen there; nobody is answered.
///
/// # Errors
/// If it may not.
pub fn try_to_listen(address: SocketAddr) -> Result<(), BindError> {
    let refused = |error| BindError(Address::Tcp(address), error);
    listen_tcp(address, Duration::ZERO)
        .map(drop)
        .map_err(refused)
}

fn keep_alive(time: Duration) -> KeepAlive {
    match time {
        Duration::ZERO => KeepAlive::Disabled,
        time => KeepAlive::Timeout(time),
    }
}

/// Has the system allow as many open files as `connections` need, and one more for each, of which it returns how many there
/// can be; many start a process with 1024, and let it ask.
fn raise_open_files(connections: usize) -> usize {
    let needed = connections + OTHER_FILES;
    let wanted = (needed + connections) as u64;
    let mut limit = getrlimit(Resource::Nofile);
    if limit.current.is_none_or(|current| current >= wanted) {
        return connections;
    }
    let most = limit.maximum.map_or(wanted, |most| most.min(wanted));
    limit.current = Some(most);
    let _ = setrlimit(Resource::Nofile, limit);
    if most < needed as u64 {
        log::warn!(
            "the system allows {most} open files, too few for MAX_CONNECTIONS; raise its limit or lower that"
        );
    }
    (most as usize).saturating_sub(needed)
}

/// `[::]` listens on IPv4 too, and falls back to `0.0.0.0` on a machine without IPv6. A connection whose client takes
/// nothing of its answer for as long as `patience` is cut by the system: actix would hold it for ever.
fn listen_tcp(address: SocketAddr, patience: Duration) -> io::Result<TcpListener> {
    let listen = |address: SocketAddr| -> io::Result<TcpListener> {
        let socket = Socket::new(
            Domain::for_address(address),
            Type::STREAM,
            Some(Protocol::TCP),
        )?;
        if address.is_ipv6() {
            socket.set_only_v6(false)?;
        }
        socket.set_reuse_address(true)?;
        // Connections that are accepted have it from here.
        socket.set_tcp_user_timeout(Some(patience))?;
        socket.bind(&address.into())?;
        socket.listen(BACKLOG)?;
        Ok(TcpListener::from(socket))
    };
    let all_ipv6 = address.is_ipv6() && address.ip().is_unspecified();
    match listen(address) {
        Err(error) if all_ipv6 && error.kind() != io::ErrorKind::AddrInUse => {
            listen((Ipv4Addr::UNSPECIFIED, address.port()).into())
        }
        listened => listened,
    }
}

/// A socket that a dead process left behind is taken over; one that somebody answers on is not.
fn listen_unix(path: &Path) -> io::Result<UnixListener> {
    if UnixStream::connect(path).is_ok() {
        return Err(io::ErrorKind::AddrInUse.into());
    }
    if fs::symlink_metadata(path).is_ok_and(|found| found.file_type().is_socket()) {
        fs::remove_file(path)?;
    }
    UnixListener::bind(path)
}
