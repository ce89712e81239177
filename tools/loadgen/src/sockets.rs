//! Holds a WebSocket open, and has every message echoed. It connects again when the service has closed it with 1001.

use std::{
    io::{self, ErrorKind},
    net::TcpStream,
    thread,
};

use tungstenite::{
    ClientRequestBuilder, Error, HandshakeError, Message, WebSocket,
    handshake::client::Response,
    protocol::{CloseFrame, frame::coding::CloseCode},
};

use crate::{
    client::chain,
    held::{End, Holder, PAUSE},
    outcome::{CUT, Held},
};

/// Has a WebSocket open until the client is stopped. Blocks its thread.
pub fn hold(mut client: Holder) -> Held {
    // A message without an echo at a close with 1001 is sent again, on the next connection.
    let mut next = 1;
    while !client.is_stopped() {
        client.begin();
        let end = talk(&mut client, &mut next);
        client.end(end);
        thread::sleep(PAUSE);
    }
    client.held
}

/// Opens one WebSocket, and sends messages until its end. `next` is the number of the next message.
fn talk(client: &mut Holder, next: &mut u64) -> Result<End, String> {
    let opened = connect(client).map_err(|error| chain(&error))?;
    let (mut socket, response) = open(client, opened)?;
    let replica = response.headers().get("x-served-by");
    let replica = replica.and_then(|name| name.to_str().ok());
    client.answered(response.status().as_u16(), replica);
    client.held.opened += 1;
    while !client.is_over() {
        let text = next.to_string();
        // If this fails, reading says why: the service may have closed it just now.
        let _ = socket.send(Message::text(&text));
        match socket.read() {
            Ok(Message::Text(echo)) if echo.as_str() == text => *next += 1,
            Ok(Message::Close(frame)) => return closed(socket, frame),
            other => return Err(instead_of(&format!("an echo of {text}"), other)),
        }
        client.held.received += 1;
        socket
            .get_ref()
            .set_read_timeout(Some(PAUSE))
            .expect("an open socket");
        match socket.read() {
            Err(Error::Io(error)) if is_timeout(&error) => {}
            Ok(Message::Close(frame)) => return closed(socket, frame),
            other => return Err(instead_of("silence", other)),
        }
        socket
            .get_ref()
            .set_read_timeout(Some(client.timeout))
            .expect("an open socket");
    }
    let normal = CloseFrame {
        code: CloseCode::Normal,
        reason: "".into(),
    };
    let _ = socket.close(Some(normal));
    match socket.read() {
        Ok(Message::Close(_)) => Ok(End::Left),
        other => Err(instead_of("a close", other)),
    }
}

fn connect(client: &Holder) -> io::Result<TcpStream> {
    let socket = TcpStream::connect_timeout(&client.address, client.timeout)?;
    socket.set_nodelay(true)?;
    socket.set_read_timeout(Some(client.timeout))?;
    socket.set_write_timeout(Some(client.timeout))?;
    Ok(socket)
}

/// The handshake.
fn open(
    client: &mut Holder,
    socket: TcpStream,
) -> Result<(WebSocket<TcpStream>, Response), String> {
    let address = format!("ws://{}/socket", client.host);
    let request = ClientRequestBuilder::new(address.parse().expect("a URI"));
    match tungstenite::client(request, socket) {
        Ok(opened) => Ok(opened),
        Err(HandshakeError::Interrupted(_)) => {
            Err(format!("no handshake within {:?}", client.timeout))
        }
        Err(HandshakeError::Failure(Error::Http(response))) => {
            let status = response.status().as_u16();
            client.answered(status, None);
            Err(format!("status {status}"))
        }
        Err(HandshakeError::Failure(error)) => Err(chain(&error)),
    }
}

/// Answers a close of the service, which must have the code 1001.
fn closed(mut socket: WebSocket<TcpStream>, frame: Option<CloseFrame>) -> Result<End, String> {
    // The service closes the connection.
    while socket.read().is_ok() {}
    match frame {
        Some(frame) if frame.code == CloseCode::Away => Ok(End::Ended),
        Some(frame) => Err(format!("closed with {}", frame.code)),
        None => Err("closed without a code".to_owned()),
    }
}

fn is_timeout(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut)
}

fn instead_of(what: &str, read: Result<Message, Error>) -> String {
    let read = match read {
        Ok(message) => format!("{message:?}"),
        Err(Error::Io(error)) if is_timeout(&error) => "nothing in time".to_owned(),
        Err(error) => return format!("{CUT}: {}", chain(&error)),
    };
    format!("{read} instead of {what}")
}
