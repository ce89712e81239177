//! A connection on which actix's own error responses are complete.
//!
//! actix answers a head that it can't parse with a status and nothing else, and no layer sees it (actix-http 3.20,
//! `h1/dispatcher.rs`). [`Connection`] replaces such a response by one with the body and headers of all others.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll, ready},
};

use actix_web::{
    http::{
        StatusCode,
        header::{HeaderName, HeaderValue},
    },
    web::Bytes,
};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::{
    http::forwarded::Scheme,
    middleware::{
        access_log::RequestId,
        error_pages::{Page, closing, render},
        security_headers,
    },
};

/// Ends the date, the last line of a head of actix.
const END: &[u8] = b" GMT\r\n\r\n";
/// The most bytes of a response that is replaced.
const MAX_LENGTH: usize = 160;
/// Takes nginx to the location that sends this response itself and closes the client's connection.
const MALFORMED: (HeaderName, HeaderValue) = (
    HeaderName::from_static("x-accel-redirect"),
    HeaderValue::from_static("@malformed"),
);

/// A stream to a client, or to nginx.
pub struct Connection<S> {
    stream: S,
    is_nginx: bool,
    /// What is still to be sent in place of actix's response.
    replacement: Option<Vec<u8>>,
}

impl<S> Connection<S> {
    /// A connection that was accepted.
    pub fn new(stream: S, is_nginx: bool) -> Self {
        Self {
            stream,
            is_nginx,
            replacement: None,
        }
    }

    /// The stream.
    pub fn stream(&self) -> &S {
        &self.stream
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Connection<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Connection<S> {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let stream = Pin::new(&mut this.stream);
        let Some(bare) = BareError::at_end_of(buf) else {
            return stream.poll_write(cx, buf);
        };
        if !bare.before.is_empty() {
            return stream.poll_write(cx, bare.before);
        }
        let is_nginx = this.is_nginx;
        let rest = this
            .replacement
            .get_or_insert_with(|| bare.complete(is_nginx));
        while !rest.is_empty() {
            let sent = ready!(Pin::new(&mut this.stream).poll_write(cx, rest))?;
            if sent == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            rest.drain(..sent);
        }
        Poll::Ready(Ok(buf.len()))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

/// An error response of actix: a head without what every response of the layers has.
struct BareError<'a> {
    /// What is sent before it.
    before: &'a [u8],
    status: StatusCode,
    date: &'a str,
}

impl<'a> BareError<'a> {
    fn at_end_of(sent: &'a [u8]) -> Option<Self> {
        if !sent.ends_with(END) {
            return None;
        }
        let tail = sent.len().saturating_sub(MAX_LENGTH);
        let start = sent[tail..].windows(7).rposition(|it| it == b"HTTP/1.")?;
        let (before, head) = sent.split_at(tail + start);
        let mut lines = str::from_utf8(head).ok()?.lines();
        let status = lines.next()?.get(9..12)?.parse().ok()?;
        let mut date = None;
        for line in lines {
            match line {
                "" | "content-length: 0" | "connection: close" => {}
                line => date = Some(line.strip_prefix("date: ")?),
            }
        }
        Some(Self {
            before,
            status: StatusCode::from_u16(status)
                .ok()
                .filter(StatusCode::is_client_error)?,
            date: date?,
        })
    }

    /// The response in its place.
    fn complete(&self, to_nginx: bool) -> Vec<u8> {
        let Self { status, date, .. } = self;
        let mut response = closing(*status);
        let mut text = Bytes::new();
        if to_nginx && *status == StatusCode::BAD_REQUEST {
            let (name, value) = MALFORMED;
            response.headers_mut().insert(name, value);
        } else {
            text = render(response.head_mut(), Page::Status(*status), false);
            security_headers::add(response.headers_mut(), Scheme::Http);
            RequestId::random().add_to(response.headers_mut());
        }
        let length = text.len();
        let mut sent = format!(
            "HTTP/1.1 {status}\r\ncontent-length: {length}\r\nconnection: close\r\ndate: {date}\r\n"
        )
        .into_bytes();
        for (name, value) in response.headers() {
            sent.extend([name.as_str().as_bytes(), b": ", value.as_bytes(), b"\r\n"].concat());
        }
        sent.extend(b"\r\n");
        sent.extend(text);
        sent
    }
}
