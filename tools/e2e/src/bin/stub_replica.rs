//! A stub of a replica for the proofs of nginx alone, and the DNS server that lists the replicas.
//!
//! `stub_replica` accepts connections on port 8080, `stub_replica absent` refuses them, and `stub_replica deaf` answers no packet,
//! like an unused address. Each connection prints the line `connection`. Each request prints `METHOD TARGET` once it has been
//! read to its end. Lines on standard input set what happens to the next requests. Each is answered with `told`, after all
//! requests so far:
//!
//! - `requests ACT`, with `ready` in the place of `requests` for `/health/ready`. The acts: `STATUS` answers with it,
//!   `mute` never answers, `hang-up` closes the connection without an answer, `wait` holds requests until the next act.
//! - `dns ADDRESS,…` sets the replicas; several lists, separated by blanks, are returned in turn. `dns` alone makes the server
//!   return an error. As with Docker's DNS, answers may be cached for 600 seconds.

use std::{
    env,
    io::{self, BufRead, BufReader, Read, Write},
    net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream, UdpSocket},
    sync::{Arc, Mutex, PoisonError},
    thread,
    time::Duration,
};

use socket2::{Domain, Socket, Type};

const LIFETIME: u32 = 600;

/// The current acts.
#[derive(Default)]
struct Acts {
    requests: String,
    ready: String,
    /// Lists of replicas, the next first.
    replicas: Vec<Vec<Ipv4Addr>>,
}

type Shared = Arc<Mutex<Acts>>;

fn main() -> io::Result<()> {
    let acts = Shared::default();
    let dns = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 53))?;
    let shared = Arc::clone(&acts);
    thread::spawn(move || serve_names(&dns, &shared));
    let address = SocketAddr::from((Ipv4Addr::UNSPECIFIED, 8080));
    let mut kept = Vec::new();
    match env::args().nth(1).as_deref() {
        Some("deaf") => {
            // A waiting connection fills the queue: further clients get no answer.
            let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
            socket.bind(&address.into())?;
            socket.listen(0)?;
            kept.push(TcpStream::connect(("127.0.0.1", 8080))?);
            thread::spawn(move || (socket, thread::park()));
        }
        Some("absent") => {}
        _ => {
            let listener = TcpListener::bind(address)?;
            let shared = Arc::clone(&acts);
            thread::spawn(move || {
                for connection in listener.incoming().map_while(Result::ok) {
                    println!("connection");
                    let acts = Arc::clone(&shared);
                    thread::spawn(move || serve(connection, &acts));
                }
            });
        }
    }
    println!("here");
    for line in io::stdin().lines() {
        obey(&line?, &acts);
        println!("told");
    }
    Ok(())
}

fn obey(line: &str, acts: &Shared) {
    let mut acts = acts.lock().unwrap_or_else(PoisonError::into_inner);
    let (what, how) = line.split_once(' ').unwrap_or((line, ""));
    let addresses = |list: &str| {
        list.split(',')
            .map(|it| it.parse().expect("IPv4"))
            .collect()
    };
    match what {
        "requests" => acts.requests = how.into(),
        "ready" => acts.ready = how.into(),
        "dns" => acts.replicas = how.split_whitespace().map(addresses).collect(),
        "" => {}
        other => panic!("unknown command {other}"),
    }
}

/// Answers the requests of one connection.
fn serve(connection: TcpStream, acts: &Shared) -> Option<()> {
    let mut reader = BufReader::new(connection.try_clone().ok()?);
    loop {
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            if reader.read_line(&mut head).ok()? == 0 {
                return None;
            }
        }
        let length = head
            .lines()
            .find_map(|line| line.strip_prefix("Content-Length: "));
        let mut body = vec![0; length.map_or(0, |it| it.parse().expect("a number"))];
        reader.read_exact(&mut body).ok()?;
        let (request, _) = head.split_once(" HTTP/").expect("a request line");
        println!("{request}");
        let is_probe = request.contains(" /health/ready");
        let act = loop {
            let acts = acts.lock().unwrap_or_else(PoisonError::into_inner);
            let act = if is_probe {
                &acts.ready
            } else {
                &acts.requests
            };
            if act != "wait" {
                break act.clone();
            }
            drop(acts);
            thread::sleep(Duration::from_millis(10));
        };
        match act.as_str() {
            "hang-up" => return None,
            "mute" => loop {
                thread::park();
            },
            status => {
                let status = if status.is_empty() { "200" } else { status };
                let answer = format!("HTTP/1.1 {status} Said\r\nContent-Length: 2\r\n\r\nok");
                (&connection).write_all(answer.as_bytes()).ok()?;
            }
        }
    }
}

/// Answers every name with the replicas.
fn serve_names(dns: &UdpSocket, acts: &Shared) {
    let mut query = [0; 512];
    while let Ok((length, client)) = dns.recv_from(&mut query) {
        let Some(name) = query[12..length].iter().position(|&byte| byte == 0) else {
            continue;
        };
        let question = &query[12..12 + name + 5];
        let is_ipv4 = question[name + 1..name + 3] == [0, 1];
        let mut acts = acts.lock().unwrap_or_else(PoisonError::into_inner);
        let error = if acts.replicas.is_empty() { 2 } else { 0 };
        let addresses = match acts.replicas.first() {
            Some(addresses) if is_ipv4 => addresses.clone(),
            _ => Vec::new(),
        };
        if !addresses.is_empty() {
            acts.replicas.rotate_left(1);
        }
        drop(acts);
        let count = u8::try_from(addresses.len()).expect("a few");
        let mut answer = [
            &query[..2],
            &[0x81, 0x80 | error, 0, 1, 0, count, 0, 0, 0, 0],
            question,
        ]
        .concat();
        for address in addresses {
            // The name of the question, A, IN.
            answer.extend([0xc0, 12, 0, 1, 0, 1]);
            answer.extend(LIFETIME.to_be_bytes());
            answer.extend([0, 4]);
            answer.extend(address.octets());
        }
        let _ = dns.send_to(&answer, client);
    }
}
