//! Sends one request, on a connection of its own or on a kept-alive one.

use std::{
    cell::{Cell, RefCell},
    collections::VecDeque,
    convert::Infallible,
    error::Error,
    net::SocketAddr,
    rc::Rc,
    time::Duration,
};

use futures_util::stream;
use http_body_util::{BodyExt, Full, StreamBody, combinators::UnsyncBoxBody};
use hyper::{
    Method, Request,
    body::{Bytes, Frame},
    client::conn::http1::{SendRequest, handshake},
    header::{CONNECTION, CONTENT_LENGTH, HOST},
};
use hyper_util::rt::TokioIo;
use tokio::{
    net::TcpStream,
    task::spawn_local,
    time::{Instant, sleep, timeout},
};

use crate::options::Options;

/// Number of pieces of a body that is uploaded slowly.
const PIECES: u32 = 10;

type Body = UnsyncBoxBody<Bytes, Infallible>;

/// The correct answer to a number.
#[derive(Default)]
pub struct Answer {
    pub replica: Option<String>,
    pub version: Option<String>,
}

/// What happened instead of the correct answer.
#[derive(Default)]
pub struct Fault {
    pub what: String,
    pub status: Option<u16>,
    pub replica: Option<String>,
    /// Whether the connection had served a request before.
    pub reused: bool,
}

/// Sends requests to one address.
pub struct Client {
    address: SocketAddr,
    options: Options,
    /// Idle connections, the longest idle one first.
    idle: RefCell<VecDeque<Connection>>,
    answered_again: RefCell<Vec<(u64, Instant)>>,
}

struct Connection {
    sender: SendRequest<Body>,
    reused: bool,
    /// The last number that was answered on this connection.
    last: Rc<Cell<Option<u64>>>,
}

impl Client {
    pub fn new(address: SocketAddr, options: Options) -> Rc<Self> {
        Rc::new(Self {
            address,
            options,
            idle: RefCell::default(),
            answered_again: RefCell::default(),
        })
    }

    /// Requests the number, once.
    pub async fn request(self: &Rc<Self>, number: u64) -> Result<Answer, Fault> {
        let limit = Duration::from_secs(self.options.timeout);
        let mut fault = Fault::default();
        fault.what = match timeout(limit, self.exchange(number, &mut fault)).await {
            Ok(Ok(answer)) => return Ok(answer),
            Ok(Err(what)) => what,
            Err(_) => format!("no answer within {limit:?}"),
        };
        Err(fault)
    }

    /// Returns the numbers that were answered a second time, and when.
    pub fn answered_again(&self) -> Vec<(u64, Instant)> {
        self.answered_again.take()
    }

    /// Sends the request and reads the answer. Fills `fault` with what is known until an error.
    async fn exchange(self: &Rc<Self>, number: u64, fault: &mut Fault) -> Result<Answer, String> {
        let fresh = self.options.is_fresh(number);
        let mut request = self.build(number, fresh);
        let (connection, response) = loop {
            let waiting = if fresh {
                None
            } else {
                self.idle.borrow_mut().pop_front()
            };
            let mut connection = match waiting {
                Some(connection) => connection,
                None => self.connect().await?,
            };
            fault.reused = connection.reused;
            match connection.sender.try_send_request(request).await {
                Ok(response) => break (connection, response),
                Err(mut error) => match error.take_message() {
                    // The connection was closed while it was idle, and nothing was sent: another connection is safe.
                    Some(unsent) if connection.reused => request = unsent,
                    _ => return Err(chain(&error.into_error())),
                },
            }
        };
        connection.last.set(Some(number));
        let header = |name| Some(response.headers().get(name)?.to_str().ok()?.to_owned());
        let (status, version) = (response.status().as_u16(), header("x-version"));
        fault.status = Some(status);
        fault.replica = header("x-served-by");
        let body = response
            .into_body()
            .collect()
            .await
            .map_err(|error| chain(&error))?
            .to_bytes();
        if !fresh {
            spawn_local(Rc::clone(self).keep(connection));
        }
        if status != self.options.status {
            return Err(format!("status {status}"));
        }
        if body != number.to_string() {
            return Err(format!("the body {:?}", String::from_utf8_lossy(&body)));
        }
        Ok(Answer {
            replica: fault.replica.take(),
            version,
        })
    }

    async fn connect(self: &Rc<Self>) -> Result<Connection, String> {
        let refused = |error| format!("no connection: {error}");
        let socket = TcpStream::connect(self.address).await.map_err(refused)?;
        socket.set_nodelay(true).map_err(refused)?;
        let (sender, traffic) = handshake(TokioIo::new(socket))
            .await
            .map_err(|error| chain(&error))?;
        let last = Rc::new(Cell::new(None));
        let connection = Connection {
            sender,
            reused: false,
            last: Rc::clone(&last),
        };
        let client = Rc::clone(self);
        spawn_local(async move {
            // Any other error belongs to the request in flight, or to an unused connection.
            if traffic
                .await
                .is_err_and(|error| error.to_string().contains("unexpected message"))
            {
                // The task of the last request may not have read the first answer yet.
                sleep(Duration::from_millis(1)).await;
                let again = last.get().map(|number| (number, Instant::now()));
                client.answered_again.borrow_mut().extend(again);
            }
        });
        Ok(connection)
    }

    /// Makes a connection idle, unless the server closes it.
    async fn keep(self: Rc<Self>, mut connection: Connection) {
        if connection.sender.ready().await.is_ok() {
            connection.reused = true;
            self.idle.borrow_mut().push_back(connection);
        }
    }

    fn build(&self, number: u64, fresh: bool) -> Request<Body> {
        let method = self.options.method(number);
        let (length, time) = self.options.body(number);
        let mut request = Request::builder()
            .uri(self.options.path(number))
            .header(HOST, &self.options.host);
        if fresh {
            request = request.header(CONNECTION, "close");
        }
        let is_chunked = method == Method::PUT && number.is_multiple_of(2);
        if method != Method::GET && !is_chunked {
            request = request.header(CONTENT_LENGTH, length);
        }
        let built = request.method(method).body(body(length, time));
        built.expect("a well-formed request")
    }
}

/// A body in one piece, or in several over this many milliseconds.
fn body(length: usize, time: u64) -> Body {
    if length == 0 || time == 0 {
        return Full::from(vec![b'x'; length]).boxed_unsync();
    }
    let pause = Duration::from_millis(time) / PIECES;
    let size = length.div_ceil(PIECES as usize);
    let pieces = stream::unfold(length, move |left| async move {
        sleep(pause).await;
        let piece = Bytes::from(vec![b'x'; left.min(size)]);
        (left > 0).then(|| (Ok(Frame::data(piece)), left.saturating_sub(size)))
    });
    StreamBody::new(pieces).boxed_unsync()
}

/// Returns the messages of an error and its causes.
pub(crate) fn chain(error: &dyn Error) -> String {
    let causes = std::iter::successors(Some(error), |&error| error.source());
    causes
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join(": ")
}
