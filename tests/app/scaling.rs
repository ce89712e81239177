//! Scales the app by one replica and back under a load through nginx. No request may be lost.

use std::{
    collections::BTreeSet,
    io::{self, BufRead, BufReader, Read, Write},
    net::{SocketAddr, TcpStream},
    sync::{
        Mutex,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use harness::{SetOnDrop, Stack, wire};

use crate::{VARIABLES, has_docker};

/// A path that the app answers, not nginx with a file. Any status is accepted if it stays the same.
const PATH: &str = "/";
/// The load ends after this time at the latest.
const LIMIT: Duration = Duration::from_secs(120);
const TIMEOUT: Duration = Duration::from_secs(20);
const PAUSE: Duration = Duration::from_millis(2);

#[test]
fn scaling_by_one_and_back_loses_no_request() {
    if !has_docker("scaling through nginx") {
        return;
    }
    let stack = Stack::start(&[VARIABLES, &[("SERVED_BY", "on")]].concat());
    let status = wire::get(stack.address, PATH, "localhost").status;
    let (end, seen) = (AtomicBool::new(false), Mutex::default());
    let load = |keep| repeat(stack.address, status, keep, &end, &seen);
    let (kept, fresh) = thread::scope(|scope| {
        // The threads end even if this one fails.
        let end = SetOnDrop(&end);
        let loads = (scope.spawn(|| load(true)), scope.spawn(|| load(false)));
        scale(&stack, 3);
        wait_for_replicas(&seen, 3);
        scale(&stack, 2);
        wait_for_replicas(&seen, 2);
        drop(end);
        (loads.0.join().unwrap(), loads.1.join().unwrap())
    });
    let lost = [&kept.lost[..], &fresh.lost].concat();
    let sent = kept.sent + fresh.sent;
    assert!(lost.is_empty(), "lost {} of {sent}: {lost:#?}", lost.len());
    assert!(kept.sent > 100 && fresh.sent > 100, "hardly any load");
    println!("PROVED: 2 to 3 replicas and back, 0 of {sent} requests lost");
}

fn scale(stack: &Stack, replicas: u32) {
    let scale = format!("--scale=app={replicas}");
    let up = ["up", "--detach", "--no-build", "--pull=never", "--wait"];
    stack.compose(&[&up[..], &["--no-recreate", &scale]].concat());
}

/// Waits until requests were answered by exactly so many replicas within a second.
fn wait_for_replicas(seen: &Mutex<BTreeSet<String>>, wanted: usize) {
    let deadline = Instant::now() + TIMEOUT;
    loop {
        seen.lock().unwrap().clear();
        thread::sleep(Duration::from_secs(1));
        let count = seen.lock().unwrap().len();
        if count == wanted {
            return;
        }
        assert!(Instant::now() < deadline, "{count} replicas, not {wanted}");
    }
}

/// The outcome of one client's requests.
#[derive(Default)]
struct Sent {
    sent: usize,
    /// The error of each lost request.
    lost: Vec<String>,
}

/// Sends request after request until the end, on one connection or each on a new one.
fn repeat(
    address: SocketAddr,
    status: u16,
    keep: bool,
    end: &AtomicBool,
    seen: &Mutex<BTreeSet<String>>,
) -> Sent {
    let (began, mut result, mut connection) = (Instant::now(), Sent::default(), None);
    while !end.load(Ordering::Relaxed) && began.elapsed() < LIMIT {
        result.sent += 1;
        let what = if keep {
            "kept connection"
        } else {
            "new connection"
        };
        match ask(connection.take(), address, keep) {
            Ok(answer) => {
                if answer.status != status {
                    let status = answer.status;
                    result.lost.push(format!("{what}: status {status}"));
                }
                connection = answer.connection;
                seen.lock().unwrap().extend(answer.replica);
            }
            Err(error) => result.lost.push(format!("{what}: {error}")),
        }
        thread::sleep(PAUSE);
    }
    result
}

struct Answer {
    status: u16,
    /// `X-Served-By`.
    replica: Option<String>,
    /// Whether the connection is still open.
    connection: Option<BufReader<TcpStream>>,
}

/// Sends one request and reads the whole response.
fn ask(
    connection: Option<BufReader<TcpStream>>,
    address: SocketAddr,
    keep: bool,
) -> io::Result<Answer> {
    let mut connection = match connection {
        Some(open) => open,
        None => BufReader::new(TcpStream::connect_timeout(&address, TIMEOUT)?),
    };
    connection.get_ref().set_read_timeout(Some(TIMEOUT))?;
    let wish = if keep { "keep-alive" } else { "close" };
    let request = format!("GET {PATH} HTTP/1.1\r\nHost: localhost\r\nConnection: {wish}\r\n\r\n");
    connection.get_mut().write_all(request.as_bytes())?;

    let status_line = line(&mut connection)?;
    let status = status_line.split(' ').nth(1).and_then(|it| it.parse().ok());
    let status = status.ok_or_else(|| io::Error::other(format!("{status_line:?}")))?;
    let (mut length, mut chunked, mut closes, mut replica) = (0, false, !keep, None);
    loop {
        let header = line(&mut connection)?.to_ascii_lowercase();
        let Some((name, value)) = header.split_once(':') else {
            break;
        };
        match (name, value.trim()) {
            ("content-length", value) => length = value.parse().map_err(io::Error::other)?,
            ("transfer-encoding", _) => chunked = true,
            ("connection", "close") => closes = true,
            ("x-served-by", value) => replica = Some(value.to_owned()),
            _ => {}
        }
    }
    read_body(&mut connection, length, chunked)?;
    Ok(Answer {
        status,
        replica,
        connection: (!closes).then_some(connection),
    })
}

fn read_body(
    connection: &mut BufReader<TcpStream>,
    length: usize,
    chunked: bool,
) -> io::Result<()> {
    if !chunked {
        return connection.read_exact(&mut vec![0; length]);
    }
    loop {
        let size = usize::from_str_radix(&line(connection)?, 16).map_err(io::Error::other)?;
        connection.read_exact(&mut vec![0; size + 2])?;
        if size == 0 {
            return Ok(());
        }
    }
}

/// A line without its end; an error if the connection closes before.
fn line(connection: &mut BufReader<TcpStream>) -> io::Result<String> {
    let mut line = String::new();
    connection.read_line(&mut line)?;
    match line.strip_suffix("\r\n") {
        Some(line) => Ok(line.to_owned()),
        None => Err(io::ErrorKind::UnexpectedEof.into()),
    }
}
