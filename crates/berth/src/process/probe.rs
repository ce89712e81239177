//! The client of the health paths: asks a server for one, over TCP or a Unix socket. An image without a shell and curl uses
//! it as its health check.

use std::{
    io::{self, Read, Write},
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream},
    os::unix::net::UnixStream,
    time::Duration,
};

use crate::{http::health_paths::READY, settings::values::Address};

/// Of a health check, for each of connecting, asking and reading: two seconds at most, with two addresses tried.
const HEALTHCHECK_TIMEOUT: Duration = Duration::from_millis(450);

/// Asks the server that listens on `address` whether it is ready.
///
/// # Errors
/// If it can't be reached, or answers anything but 200.
pub fn healthcheck(address: &Address) -> Result<(), String> {
    match status_line(address, READY, HEALTHCHECK_TIMEOUT) {
        Ok(line) if line.split(' ').nth(1) == Some("200") => Ok(()),
        Ok(line) => Err(format!("{READY} on {address} answers: {line}")),
        Err(error) => Err(format!(
            "{READY} on {address} can't be asked: {error}; is the server running?"
        )),
    }
}

/// Sends `GET target` and returns the status line, `nothing` for an empty response. `timeout` limits each step.
///
/// # Errors
/// If a step fails or takes longer.
pub fn status_line(address: &Address, target: &str, timeout: Duration) -> io::Result<String> {
    match address {
        Address::Unix(path) => {
            let socket = UnixStream::connect(path)?;
            socket.set_read_timeout(Some(timeout))?;
            socket.set_write_timeout(Some(timeout))?;
            exchange(socket, target)
        }
        Address::Tcp(address) => {
            let connect =
                |ip| TcpStream::connect_timeout(&SocketAddr::new(ip, address.port()), timeout);
            let socket = match address.ip() {
                IpAddr::V4(ip) if ip.is_unspecified() => connect(Ipv4Addr::LOCALHOST.into()),
                // The server falls back to IPv4 where there is no IPv6.
                IpAddr::V6(ip) if ip.is_unspecified() => connect(Ipv6Addr::LOCALHOST.into())
                    .or_else(|_| connect(Ipv4Addr::LOCALHOST.into())),
                ip => connect(ip),
            }?;
            socket.set_read_timeout(Some(timeout))?;
            socket.set_write_timeout(Some(timeout))?;
            exchange(socket, target)
        }
    }
}

/// Reads the response to its end, so that the server sees no reset.
fn exchange(mut socket: impl Read + Write, target: &str) -> io::Result<String> {
    write!(
        socket,
        "GET {target} HTTP/1.0\r\nUser-Agent: berth-probe\r\n\r\n"
    )?;
    let mut response = Vec::new();
    socket.read_to_end(&mut response)?;
    let response = String::from_utf8_lossy(&response);
    Ok(response.lines().next().unwrap_or("nothing").to_owned())
}
