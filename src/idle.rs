//! Ends a connection that asks for nothing more: no whole head of a request has come for as long as an idle connection is
//! kept and a head may take, together. actix has a time for the first head and one for silence, but whoever has had an
//! answer and sends a byte is waited for without end (actix-http 3.20, `h1/dispatcher.rs`).

use std::{
    any::Any,
    cell::{Cell, RefCell},
    net::Shutdown,
    os::fd::{AsFd, OwnedFd},
    pin::Pin,
    rc::{Rc, Weak},
    task::{Context, Poll},
    time::{Duration, Instant},
};

use actix_web::{
    Error,
    body::{BodySize, MessageBody},
    dev::{Extensions, ServiceRequest, ServiceResponse},
    middleware::Next,
    rt::{self, net::TcpStream, time::sleep},
    web::Bytes,
};
use socket2::SockRef;

/// Between two looks at all connections.
const LOOK: Duration = Duration::from_secs(1);

thread_local! {
    /// Those that this worker watches over; none before the first has come.
    static CONNECTIONS: RefCell<Option<Vec<Weak<Connection>>>> = const { RefCell::new(None) };
}

struct Connection {
    /// A copy: the connection's own may be closed, and be another's, by the time it would be used.
    socket: OwnedFd,
    /// The end of the last answer, while no request is being answered.
    since: Cell<Option<Instant>>,
}

/// Has a new connection end after `limit`, unless this worker watches over `most` already; for `HttpServer::on_connect`.
/// On a Unix socket it is nginx's, which is not watched.
pub fn connected(stream: &dyn Any, connection: &mut Extensions, limit: Duration, most: usize) {
    let Some(stream) = stream.downcast_ref::<TcpStream>() else {
        return;
    };
    CONNECTIONS.with_borrow_mut(|all| {
        let all = all.get_or_insert_with(|| {
            rt::spawn(watch(limit));
            Vec::new()
        });
        if all.len() >= most {
            all.retain(|it| it.strong_count() > 0);
        }
        if all.len() < most
            && let Ok(socket) = stream.as_fd().try_clone_to_owned()
        {
            let since = Cell::new(None);
            let watched = Rc::new(Connection { socket, since });
            all.push(Rc::downgrade(&watched));
            connection.insert(watched);
        }
    });
}

async fn watch(limit: Duration) {
    loop {
        sleep(LOOK).await;
        let is_there = |connection: &Weak<Connection>| {
            connection
                .upgrade()
                .inspect(|it| it.end_if_later(limit))
                .is_some()
        };
        CONNECTIONS.with_borrow_mut(|all| all.as_mut().map(|all| all.retain(is_there)));
    }
}

impl Connection {
    fn end_if_later(&self, limit: Duration) {
        if self.since.get().is_some_and(|it| it.elapsed() > limit) {
            // actix sees that, and lets the connection go.
            let _ = SockRef::from(&self.socket).shutdown(Shutdown::Both);
        }
    }
}

/// Notes that there is a request, until its answer has been sent.
pub async fn note<B: MessageBody + Unpin>(
    request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<Answer<B>>, Error> {
    let asked = Asked::on(request.conn_data::<Rc<Connection>>());
    let answer = next.call(request).await?;
    Ok(answer.map_body(|_, body| Answer {
        body,
        _asked: asked,
    }))
}

/// A request that is being answered.
struct Asked(Option<Rc<Connection>>);

impl Asked {
    fn on(connection: Option<&Rc<Connection>>) -> Self {
        if let Some(connection) = connection {
            connection.since.set(None);
        }
        Self(connection.cloned())
    }
}

impl Drop for Asked {
    fn drop(&mut self) {
        if let Some(connection) = &self.0 {
            connection.since.set(Some(Instant::now()));
        }
    }
}

/// A body that takes with it, when it is done, that there is a request.
pub struct Answer<B> {
    body: B,
    _asked: Asked,
}

impl<B: MessageBody + Unpin> MessageBody for Answer<B> {
    type Error = B::Error;

    fn size(&self) -> BodySize {
        self.body.size()
    }

    fn poll_next(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Bytes, Self::Error>>> {
        Pin::new(&mut self.body).poll_next(cx)
    }
}
