//! Closes a connection that sends no complete head: the first within CLIENT_TIMEOUT, a later one within KEEP_ALIVE +
//! CLIENT_TIMEOUT of the last response. Bytes that have arrived and were not read, since the worker was busy, are read first.
//!
//! actix answers such a head with 408, however long it was the worker that was busy, and after a response it waits forever
//! (actix-http 3.20, `h1/dispatcher.rs`).

use std::{
    any::Any,
    cell::{Cell, RefCell},
    net::Shutdown,
    os::fd::{AsFd, OwnedFd},
    rc::{Rc, Weak},
    time::{Duration, Instant},
};

use actix_web::{
    dev::{Extensions, ServiceRequest},
    rt::{self, net::TcpStream, time::sleep},
};
use rustix::io::ioctl_fionread;
use socket2::SockRef;

/// Between two checks of all connections.
const POLL_INTERVAL: Duration = Duration::from_secs(1);

thread_local! {
    /// The connections that this worker watches; none before the first.
    static CONNECTIONS: RefCell<Option<Vec<Weak<Connection>>>> = const { RefCell::new(None) };
}

struct Connection {
    /// A duplicate: the connection's own descriptor may have been closed and reused.
    socket: OwnedFd,
    /// How long it may be idle after a response.
    idle_limit: Duration,
    /// The end of its time, while no request is in flight.
    deadline: Cell<Option<Instant>>,
}

/// The limits of a connection's silence.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// For the first head.
    pub first_head: Duration,
    /// For another head, after a response.
    pub idle: Duration,
    /// The number of connections that a worker watches; further ones have no limit here.
    pub connections: usize,
}

/// Watches a new connection; for `HttpServer::on_connect`. One on a Unix socket is nginx's, and is not watched.
pub fn connected(stream: &dyn Any, connection: &mut Extensions, limits: Limits) {
    let Some(stream) = stream.downcast_ref::<TcpStream>() else {
        return;
    };
    CONNECTIONS.with_borrow_mut(|all| {
        let all = all.get_or_insert_with(|| {
            rt::spawn(watch());
            Vec::new()
        });
        if all.len() >= limits.connections {
            all.retain(|it| it.strong_count() > 0);
        }
        if all.len() < limits.connections
            && let Ok(socket) = stream.as_fd().try_clone_to_owned()
        {
            let watched = Rc::new(Connection {
                socket,
                idle_limit: limits.idle,
                deadline: Cell::new(Some(Instant::now() + limits.first_head)),
            });
            all.push(Rc::downgrade(&watched));
            connection.insert(watched);
        }
    });
}

async fn watch() {
    loop {
        sleep(POLL_INTERVAL).await;
        let is_alive = |connection: &Weak<Connection>| {
            connection
                .upgrade()
                .inspect(|it| it.close_if_late())
                .is_some()
        };
        CONNECTIONS.with_borrow_mut(|all| all.as_mut().map(|all| all.retain(is_alive)));
    }
}

impl Connection {
    fn close_if_late(&self) {
        let is_late = self.deadline.get().is_some_and(|it| it < Instant::now());
        let has_unread = || ioctl_fionread(&self.socket).is_ok_and(|bytes| bytes > 0);
        if is_late && !has_unread() {
            // actix sees the end, and drops the connection.
            let _ = SockRef::from(&self.socket).shutdown(Shutdown::Both);
        }
    }
}

/// A request in flight: while it exists, its connection is not idle.
#[derive(Default)]
pub struct InFlight(Option<Rc<Connection>>);

/// Marks the connection of a request as busy until the returned value is dropped.
pub fn track(request: &ServiceRequest) -> InFlight {
    let connection = request.conn_data::<Rc<Connection>>();
    if let Some(connection) = connection {
        connection.deadline.set(None);
    }
    InFlight(connection.cloned())
}

impl Drop for InFlight {
    fn drop(&mut self) {
        if let Some(connection) = &self.0 {
            let deadline = Instant::now() + connection.idle_limit;
            connection.deadline.set(Some(deadline));
        }
    }
}
