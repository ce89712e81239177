//! Binds the address: TCP, dual-stack where the machine has IPv6, or a Unix socket.

use std::{
    fmt, fs, io,
    net::{Ipv4Addr, SocketAddr, TcpListener},
    os::unix::{
        fs::FileTypeExt,
        net::{UnixListener, UnixStream},
    },
    path::Path,
    time::Duration,
};

use socket2::{Domain, Protocol, Socket, Type};

use crate::settings::values::Address;

/// Connections that may wait to be accepted.
const BACKLOG: i32 = 1024;

/// An address that could not be bound.
#[derive(Debug)]
pub struct BindError {
    /// The address.
    pub address: Address,
    /// What the system said.
    pub error: io::Error,
}

impl std::error::Error for BindError {}

impl fmt::Display for BindError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { address, error } = self;
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

/// Whether this process may listen there; no connection is accepted.
///
/// # Errors
/// If it may not.
pub fn try_to_listen(address: SocketAddr) -> Result<(), BindError> {
    let refused = |error| BindError {
        address: Address::Tcp(address),
        error,
    };
    listen_tcp(address, Duration::ZERO)
        .map(drop)
        .map_err(refused)
}

/// `[::]` listens on IPv4 too, and falls back to `0.0.0.0` on a machine without IPv6. The system closes a connection whose
/// client acknowledges nothing of a response for `timeout`; actix would hold it forever.
pub fn listen_tcp(address: SocketAddr, timeout: Duration) -> io::Result<TcpListener> {
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
        // Accepted connections inherit it.
        socket.set_tcp_user_timeout(Some(timeout))?;
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

/// Replaces a socket that a dead process left; one that a process answers on is an error.
pub fn listen_unix(path: &Path) -> io::Result<UnixListener> {
    if UnixStream::connect(path).is_ok() {
        return Err(io::ErrorKind::AddrInUse.into());
    }
    if fs::symlink_metadata(path).is_ok_and(|found| found.file_type().is_socket()) {
        fs::remove_file(path)?;
    }
    UnixListener::bind(path)
}
