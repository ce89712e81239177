//! Slow and hostile clients: a limit ends each of them, in the app alone and in nginx, and others are served meanwhile.
//! And more requests than can be worked on: some get 503 at once, and all is well again when they are gone.

use std::{
    io::{ErrorKind, Read, Write},
    net::{SocketAddr, TcpStream},
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::{Duration, Instant},
};

use harness::{
    SetOnDrop, Solo, Stack,
    overload::overload,
    stack::docker,
    wire::{self, Reply, TIMEOUT},
};
use rustix::process::{Resource, getrlimit, setrlimit};

/// Seconds that a client has, and bytes that a body may have.
const LIMITS: [(&str, &str); 3] = [
    ("CLIENT_TIMEOUT", "2"),
    ("RESPONSE_TIMEOUT", "2"),
    ("MAX_BODY", "1m"),
];
/// How long after its limit a client may still be connected.
const LATE: Duration = Duration::from_secs(10);
const PAUSE: Duration = Duration::from_millis(500);

/// A client that sends `first`, then `again` after each pause, for ever.
struct Attack {
    name: &'static str,
    first: &'static str,
    again: &'static str,
    pause: Duration,
    /// Whether it reads what comes back.
    reads: bool,
    /// The allowed statuses; 0 for an end without an answer.
    answers: &'static [u16],
}

const ATTACKS: &[Attack] = &[
    attack("nothing at all", "", "", PAUSE, &[0, 408]),
    attack(
        "a head, a byte at a time",
        "GET / HTTP/1.1\r\nHost: localhost\r\nX: ",
        "x",
        PAUSE,
        &[0, 408],
    ),
    attack(
        "headers without end",
        "GET / HTTP/1.1\r\nHost: localhost\r\n",
        "X-Endless: xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\r\n",
        Duration::ZERO,
        &[0, 400, 431],
    ),
    attack(
        "a body that stops",
        "POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n\r\nhello",
        "",
        PAUSE,
        &[0, 408],
    ),
    attack(
        "chunks that stop",
        "POST / HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n",
        "",
        PAUSE,
        &[0, 408],
    ),
    attack(
        "a body of 10 GB",
        "POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 10000000000\r\n\r\n",
        "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx",
        Duration::ZERO,
        &[0, 413],
    ),
    attack(
        "chunks without end",
        "POST / HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n",
        "400\r\n{1024}\r\n",
        Duration::ZERO,
        &[0, 413],
    ),
    attack(
        "chunks without end, for a health path",
        "GET /up HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n",
        "400\r\n{1024}\r\n",
        Duration::ZERO,
        &[0, 413],
    ),
    attack(
        "a second head that stops",
        "GET / HTTP/1.1\r\nHost: localhost\r\n\r\nG",
        "",
        PAUSE,
        &[200],
    ),
    attack(
        "a second head, a byte at a time",
        "GET / HTTP/1.1\r\nHost: localhost\r\n\r\nGET /",
        "x",
        PAUSE,
        &[200],
    ),
    Attack {
        reads: false,
        ..attack(
            "requests whose answers are not read",
            "",
            "GET /about.html HTTP/1.1\r\nHost: localhost\r\n\r\n",
            Duration::ZERO,
            &[0],
        )
    },
];

/// nginx waits for more of a body, and takes a byte for more. It does so without a replica, and counts no such request.
const DRIP: Attack = attack(
    "a body, a byte at a time",
    "POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n\r\n",
    "x",
    PAUSE,
    &[408],
);

const fn attack(
    name: &'static str,
    first: &'static str,
    again: &'static str,
    pause: Duration,
    answers: &'static [u16],
) -> Attack {
    Attack {
        name,
        first,
        again,
        pause,
        reads: true,
        answers,
    }
}

impl Attack {
    /// Sends until the server ends the connection; returns what is wrong with that end.
    fn fault(&self, address: SocketAddr) -> Option<String> {
        let mut socket = TcpStream::connect(address).unwrap();
        socket.set_nonblocking(true).unwrap();
        let again = self.again.replace("{1024}", &"x".repeat(1024));
        let (mut pending, mut got) = (self.first.as_bytes().to_vec(), Vec::new());
        let deadline = Instant::now() + Duration::from_secs(2) + LATE;
        let closed = loop {
            if Instant::now() > deadline {
                break false;
            }
            // Before it sends more: of what is refused, the answer may still be there to read.
            let mut bytes = [0; 4096];
            match self.reads.then(|| socket.read(&mut bytes)) {
                Some(Ok(0)) => break true,
                Some(Ok(length)) => got.extend_from_slice(&bytes[..length]),
                Some(Err(error)) if error.kind() != ErrorKind::WouldBlock => break true,
                _ => {}
            }
            match socket.write(&pending) {
                Ok(sent) => drop(pending.drain(..sent)),
                Err(error) if error.kind() == ErrorKind::WouldBlock => thread::sleep(PAUSE / 50),
                Err(_) if self.reads => {}
                Err(_) => break true,
            }
            if pending.is_empty() {
                thread::sleep(self.pause);
                pending.extend_from_slice(again.as_bytes());
            }
        };
        let said = String::from_utf8_lossy(&got).into_owned();
        let status = said.split(' ').nth(1).map_or(Ok(0), str::parse);
        let as_expected = status.is_ok_and(|status: u16| self.answers.contains(&status));
        (!closed || !as_expected).then(|| format!("{}: closed: {closed}, {said:?}", self.name))
    }
}

fn home(address: SocketAddr) -> Reply {
    wire::get(address, "/", "localhost")
}

/// All attacks at once, each by several clients; meanwhile a visitor asks again and again.
fn all_are_ended(address: SocketAddr, attacks: &[&Attack]) {
    let over = AtomicBool::new(false);
    let faults = thread::scope(|scope| {
        let visitor = scope.spawn(|| {
            while !over.load(Ordering::Relaxed) {
                let answer = home(address);
                assert_eq!(answer.status, 200, "{answer:?}");
                thread::sleep(PAUSE / 10);
            }
        });
        let end = SetOnDrop(&over);
        let attackers: Vec<_> = attacks
            .iter()
            .cycle()
            .take(3 * attacks.len())
            .map(|attack| scope.spawn(move || attack.fault(address)))
            .collect();
        let faults: Vec<_> = attackers.into_iter().map(|it| it.join().unwrap()).collect();
        drop(end);
        visitor.join().expect("others are served meanwhile");
        faults
    });
    let faults: Vec<_> = faults.into_iter().flatten().collect();
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

fn the_app_alone_ends_every_slow_or_hostile_client() {
    let keep = [("KEEP_ALIVE", "3")];
    let app = Solo::start(&[&LIMITS[..], &keep].concat());
    let attacks: Vec<_> = ATTACKS.iter().chain([&DRIP]).collect();
    all_are_ended(app.address, &attacks);
}

fn nginx_ends_every_slow_or_hostile_client() {
    let stack = Stack::start(&LIMITS);
    let attacks: Vec<_> = ATTACKS.iter().collect();
    all_are_ended(stack.nginx_address(), &attacks);
}

/// Connects `number` clients that send only `greeting`, and requests `/` several times meanwhile.
fn serves_beside(address: SocketAddr, number: usize, greeting: &str) {
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    setrlimit(Resource::Nofile, limit).unwrap();
    let idle: Vec<_> = (0..number)
        .map(|_| {
            let mut socket = TcpStream::connect_timeout(&address, TIMEOUT).unwrap();
            socket.write_all(greeting.as_bytes()).unwrap();
            socket
        })
        .collect();
    for _ in 0..10 {
        assert_eq!(home(address).status, 200, "beside {number} of {greeting:?}");
    }
    // They were connected all the time.
    for mut socket in idle {
        socket.set_nonblocking(true).unwrap();
        let silent = socket.read(&mut [0; 1]);
        assert_eq!(silent.unwrap_err().kind(), ErrorKind::WouldBlock);
    }
}

const BEGUN: &str = "POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\nx";
const LONG: [(&str, &str); 1] = [("CLIENT_TIMEOUT", "60")];

fn the_app_alone_serves_beside_ten_thousand_idle_clients() {
    for greeting in ["", BEGUN] {
        let app = Solo::start(&LONG);
        serves_beside(app.address, 10_000, greeting);
    }
}

fn nginx_serves_beside_ten_thousand_idle_clients() {
    for greeting in ["", BEGUN] {
        let stack = Stack::start(&LONG);
        serves_beside(stack.nginx_address(), 10_000, greeting);
        let restarts = docker(&[
            "inspect",
            "--format",
            "{{.RestartCount}} {{.State.OOMKilled}}",
            &stack.containers("nginx")[0],
        ]);
        assert_eq!(restarts.trim(), "0 false", "within its memory");
    }
}

/// Not the client was slow: a handler may block its worker, and an engine may pause a container.
fn the_app_alone_answers_requests_that_came_while_it_stood_still() {
    let app = Solo::start(&[("CLIENT_TIMEOUT", "1")]);
    let mut clients: Vec<_> = (0..20)
        .map(|_| TcpStream::connect(app.address).unwrap())
        .collect();
    // By then it has accepted all of them.
    assert_eq!(home(app.address).status, 200);
    app.signal("STOP");
    for client in &mut clients {
        let request = b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
        client.write_all(request).unwrap();
    }
    thread::sleep(Duration::from_secs(3));
    app.signal("CONT");
    for mut client in clients {
        client.set_read_timeout(Some(TIMEOUT)).unwrap();
        let mut answer = String::new();
        client.read_to_string(&mut answer).unwrap();
        assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer:?}");
    }
}

fn nginx_sheds_what_is_too_much() {
    let stack = Stack::start(&[("MAX_REQUESTS", "2")]);
    let address = stack.nginx_address();
    let (served, shed) = overload(address, "/", 64);
    assert!(served > 0 && shed > 0, "{served} served, {shed} shed");
    // Back to normal: one at a time is never too much.
    for _ in 0..100 {
        assert_eq!(home(address).status, 200);
    }
}

fn slow_senders_do_not_count_as_in_flight() {
    let variables = [("MAX_REQUESTS", "2"), LONG[0]];
    let app = Solo::start(&variables);
    let stack = Stack::start(&variables);
    for address in [app.address, stack.nginx_address()] {
        serves_beside(address, 20, BEGUN);
    }
}

harness::trials![
    @timed the_app_alone_ends_every_slow_or_hostile_client,
    @timed nginx_ends_every_slow_or_hostile_client,
    @timed the_app_alone_serves_beside_ten_thousand_idle_clients,
    @timed nginx_serves_beside_ten_thousand_idle_clients,
    the_app_alone_answers_requests_that_came_while_it_stood_still,
    @timed nginx_sheds_what_is_too_much,
    @timed slow_senders_do_not_count_as_in_flight,
];
