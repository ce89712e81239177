//! A request that stays in flight until a test ends it.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{SocketAddr, TcpStream},
};

use crate::{solo::wait_for, wire};

/// A request whose head the server has read. Its body has not been sent.
pub struct InFlight(BufReader<TcpStream>);

impl InFlight {
    /// Sends the head, and waits until the server asks for the body.
    pub fn begin(address: SocketAddr) -> Self {
        let mut socket = TcpStream::connect(address).unwrap();
        socket.set_read_timeout(Some(wire::TIMEOUT)).unwrap();
        let head = "POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 4\r\n";
        socket.write_all(head.as_bytes()).unwrap();
        socket
            .write_all(b"Connection: close\r\nExpect: 100-continue\r\n\r\n")
            .unwrap();
        let mut request = Self(BufReader::new(socket));
        // `100 Continue` proves that the server has read the head.
        assert_eq!(request.line(), "HTTP/1.1 100 Continue");
        assert_eq!(request.line(), "");
        request
    }

    /// The next line of the answer.
    pub fn line(&mut self) -> String {
        let mut line = String::new();
        self.0.read_line(&mut line).expect("an answer");
        line.trim_end().to_owned()
    }

    /// Sends the rest and returns the whole answer.
    pub fn finish(mut self) -> String {
        self.0.get_mut().write_all(b"body").unwrap();
        let mut answer = String::new();
        let _ = self.0.read_to_string(&mut answer);
        answer
    }
}

/// Waits until connections are refused.
pub fn wait_until_refused(address: SocketAddr) {
    wait_for(|| TcpStream::connect(address).is_err().then_some(()));
}
