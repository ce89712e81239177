//! `berth healthcheck`: asks the server of this container whether it is ready. The image has no shell and no curl, so
//! the binary is its own probe.

use std::{
    io::{self, Read, Write},
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream},
    os::unix::net::UnixStream,
    time::Duration,
};

use crate::{config::Address, health::READY};

/// Time for each of connecting, asking and hearing the answer: two seconds at the most in all, with two addresses tried.
const PATIENCE: Duration = Duration::from_millis(450);

/// Asks the server that listens on `address`.
///
/// # Errors
/// If it can't be reached, or answers anything but 200.
pub fn ask(address: &Address) -> Result<(), String> {
    match status_line(address) {
        Ok(line) if line.split(' ').nth(1) == Some("200") => Ok(()),
        Ok(line) => Err(format!("{READY} on {address} answers: {line}")),
        Err(error) => Err(format!(
            "{READY} on {address} can't be asked: {error}; is the server running?"
        )),
    }
}

fn status_line(address: &Address) -> io::Result<String> {
    match address {
        Address::Unix(path) => {
            let socket = UnixStream::connect(path)?;
            socket.set_read_timeout(Some(PATIENCE))?;
            socket.set_write_timeout(Some(PATIENCE))?;
            exchange(socket)
        }
        Address::Tcp(address) => {
            let connect =
                |ip| TcpStream::connect_timeout(&SocketAddr::new(ip, address.port()), PATIENCE);
            let socket = match address.ip() {
                IpAddr::V4(ip) if ip.is_unspecified() => connect(Ipv4Addr::LOCALHOST.into()),
                // The server falls back to IPv4 where there is no IPv6.
                IpAddr::V6(ip) if ip.is_unspecified() => connect(Ipv6Addr::LOCALHOST.into())
                    .or_else(|_| connect(Ipv4Addr::LOCALHOST.into())),
                ip => connect(ip),
            }?;
            socket.set_read_timeout(Some(PATIENCE))?;
            socket.set_write_timeout(Some(PATIENCE))?;
            exchange(socket)
        }
    }
}

fn exchange(mut socket: impl Read + Write) -> io::Result<String> {
    write!(
        socket,
        "GET {READY} HTTP/1.0\r\nUser-Agent: berth-healthcheck\r\n\r\n"
    )?;
    let mut answer = [0; 64];
    let length = socket.read(&mut answer)?;
    let answer = String::from_utf8_lossy(&answer[..length]);
    Ok(answer.lines().next().unwrap_or("nothing").to_owned())
}
