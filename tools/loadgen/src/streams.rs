//! Holds a stream of events open, as an `EventSource` does: it connects again with `Last-Event-ID` when the stream has ended.

use std::{error::Error, time::Duration};

use http_body_util::{BodyExt, Empty};
use hyper::{
    Request, StatusCode,
    body::Bytes,
    client::conn::http1::handshake,
    header::{ACCEPT, HOST, TRANSFER_ENCODING},
};
use hyper_util::rt::TokioIo;
use tokio::{
    net::TcpStream,
    task::spawn_local,
    time::{sleep, timeout},
};

use crate::{
    client::chain,
    held::{End, Holder, PAUSE},
    outcome::{CUT, Held},
};

/// How far the client has read, over all of its connections.
struct Position {
    /// The id of the last event.
    last: u64,
    /// How soon to connect again.
    retry: Duration,
}

/// Has a stream open until the client is stopped.
pub async fn hold(mut client: Holder) -> Held {
    let mut position = Position {
        last: 0,
        retry: PAUSE,
    };
    while !client.is_stopped() {
        client.begin();
        let end = read(&mut client, &mut position).await;
        client.end(end);
        sleep(position.retry).await;
    }
    client.held
}

/// Opens one stream, and reads it to its end.
async fn read(client: &mut Holder, position: &mut Position) -> Result<End, String> {
    let limit = client.timeout;
    let socket = within(limit, TcpStream::connect(client.address)).await?;
    let (mut sender, traffic) = within(limit, handshake(TokioIo::new(socket))).await?;
    spawn_local(traffic);
    let mut request = Request::get(format!("/events?pause={}", PAUSE.as_millis()))
        .header(HOST, &client.host)
        .header(ACCEPT, "text/event-stream");
    if position.last > 0 {
        request = request.header("last-event-id", position.last);
    }
    let request = request.body(Empty::<Bytes>::new());
    let request = request.expect("a well-formed request");
    let response = within(limit, sender.send_request(request)).await?;
    let header = |name: &str| response.headers().get(name)?.to_str().ok();
    client.answered(response.status().as_u16(), header("x-served-by"));
    if response.status() != StatusCode::OK {
        return Err(format!("status {}", response.status().as_u16()));
    }
    if header(TRANSFER_ENCODING.as_str()) != Some("chunked") {
        return Err("a stream without chunks, whose end looks like a cut".to_owned());
    }
    client.held.opened += 1;
    let (mut body, mut text) = (response.into_body(), String::new());
    while !client.is_over() {
        let frame = timeout(limit, body.frame()).await;
        let Some(frame) = frame.map_err(|_| format!("no event within {limit:?}"))? else {
            return match text.as_str() {
                "" => Ok(End::Ended),
                part => Err(format!("ended within an event: {part:?}")),
            };
        };
        let frame = frame.map_err(|error| format!("{CUT}: {}", chain(&error)))?;
        let bytes = frame.into_data().unwrap_or_default();
        text += &String::from_utf8_lossy(&bytes);
        while let Some((event, rest)) = text.split_once("\n\n") {
            position.take(event)?;
            client.held.received += 1;
            text = rest.to_owned();
        }
    }
    Ok(End::Left)
}

impl Position {
    /// Takes an event, which must be the next one.
    fn take(&mut self, event: &str) -> Result<(), String> {
        let field = |name| {
            let value = event.lines().find_map(|line| line.strip_prefix(name))?;
            value.trim().parse().ok()
        };
        if let Some(retry) = field("retry:") {
            self.retry = Duration::from_millis(retry);
        }
        let id = field("id:").ok_or_else(|| format!("an event without an id: {event:?}"))?;
        let last = std::mem::replace(&mut self.last, id);
        if id != last + 1 {
            return Err(format!("event {id} after event {last}"));
        }
        Ok(())
    }
}

async fn within<T, E: Error>(
    limit: Duration,
    step: impl Future<Output = Result<T, E>>,
) -> Result<T, String> {
    match timeout(limit, step).await {
        Ok(done) => done.map_err(|error| chain(&error)),
        Err(_) => Err(format!("nothing within {limit:?}")),
    }
}
