//! Closes a connection that sends no complete head within KEEP_ALIVE + CLIENT_TIMEOUT. actix limits the first head and
//! silence, but after a response it waits forever for the rest of a head (actix-http 3.20, `h1/dispatcher.rs`).

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
    /// The end of the last response, while no request is in flight.
    idle_since: Cell<Option<Instant>>,
}

/// Closes a new connection once it is idle for `limit`, unless this worker watches `max` connections already; for
/// `HttpServer::on_connect`. A connection on a Unix socket is nginx's, and is not watched.
pub fn connected(stream: &dyn Any, connection: &mut Extensions, limit: Duration, max: usize) {
    let Some(stream) = stream.downcast_ref::<TcpStream>() else {
        return;
    };
    CONNECTIONS.with_borrow_mut(|all| {
        let all = all.get_or_insert_with(|| {
            rt::spawn(watch(limit));
            Vec::new()
        });
        if all.len() >= max {
            all.retain(|it| it.strong_count() > 0);
        }
        if all.len() < max
            && let Ok(socket) = stream.as_fd().try_clone_to_owned()
        {
            let idle_since = Cell::new(None);
            let watched = Rc::new(Connection { socket, idle_since });
            all.push(Rc::downgrade(&watched));
            connection.insert(watched);
        }
    });
}

async fn watch(limit: Duration) {
    loop {
        sleep(POLL_INTERVAL).await;
        let is_alive = |connection: &Weak<Connection>| {
            connection
                .upgrade()
                .inspect(|it| it.close_if_idle(limit))
                .is_some()
        };
        CONNECTIONS.with_borrow_mut(|all| all.as_mut().map(|all| all.retain(is_alive)));
    }
}

impl Connection {
    fn close_if_idle(&self, limit: Duration) {
        if self.idle_since.get().is_some_and(|it| it.elapsed() > limit) {
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
        connection.idle_since.set(None);
    }
    InFlight(connection.cloned())
}

impl Drop for InFlight {
    fn drop(&mut self) {
        if let Some(connection) = &self.0 {
            connection.idle_since.set(Some(Instant::now()));
        }
    }
}
