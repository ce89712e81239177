//! The end of the process, and what it leaves for the next: graceful stop, Unix sockets, addresses in use.

use std::{
    collections::BTreeSet,
    fs,
    io::{BufRead, BufReader, Read, Write},
    net::{SocketAddr, TcpListener, TcpStream, ToSocketAddrs},
    os::unix::net::UnixStream,
    path::{Path, PathBuf},
    process::{Command, ExitStatus, Stdio},
    thread,
    time::Instant,
};

use berth::process::shutdown;

use harness::{
    Solo,
    in_flight::{InFlight, wait_until_refused},
    solo::{Outcome, Running, app_command, outcome, wait_for},
    wire,
};

/// Longer than any test.
const LONG: &str = "3600";

fn draining_lines(app: &Solo) -> usize {
    let log = app.log();
    log.iter()
        .filter(|line| line.contains("draining for"))
        .count()
}

fn a_request_in_flight_gets_its_answer() {
    for signals in [
        &["TERM"][..],
        &["INT"],
        &["QUIT"],
        &["TERM", "TERM", "INT", "QUIT"],
    ] {
        let mut app = Solo::start(&[("DRAIN_SECONDS", "0.1"), ("SHUTDOWN_SECONDS", LONG)]);
        let request = InFlight::begin(app.address);
        for signal in signals {
            app.signal(signal);
        }
        wait_until_refused(app.address);
        // Nor does a signal in this phase.
        app.signal(signals[0]);
        let answer = request.finish();
        assert!(
            answer.starts_with("HTTP/1.1 501 Not Implemented\r\n"),
            "{signals:?}: {answer}"
        );
        assert!(
            answer.ends_with("\r\n\r\n501 Not Implemented"),
            "{signals:?}: {answer}"
        );
        assert_eq!(app.ended().code(), Some(0), "{signals:?}");
        assert_eq!(draining_lines(&app), 1, "{signals:?}");
    }
}

fn requests_are_served_during_the_drain() {
    let app = Solo::start(&[("DRAIN_SECONDS", LONG)]);
    for signal in ["TERM", "TERM", "INT", "QUIT"] {
        app.signal(signal);
        app.log_line(|line| line.contains("SIGTERM: draining for 3600 s"));
        assert_eq!(wire::get(app.address, "/", "localhost").status, 200);
        let file = wire::get(app.address, "/about.html", "localhost");
        assert_eq!(file.status, 200);
        let request = InFlight::begin(app.address);
        assert!(request.finish().starts_with("HTTP/1.1 501 "));
    }
    assert_eq!(draining_lines(&app), 1);
}

fn an_answer_during_the_drain_is_the_last_of_its_connection() {
    let app = Solo::start(&[("DRAIN_SECONDS", LONG)]);
    let targets = ["/", "/about.html", "/nothing-here", "/up", "/health/ready"];
    let ask = |target: &str| {
        let request = format!("GET {target} HTTP/1.1\r\nHost: localhost\r\n\r\n");
        wire::converse(app.address, &[&request, &request], false, 1, wire::TIMEOUT)
    };
    for target in targets {
        let last = &wire::ask(
            app.address,
            format!("GET {target} HTTP/1.1\r\nHost: localhost\r\n\r\n"),
        );
        assert_eq!(last.header("Connection"), None, "{target} before the drain");
    }
    app.signal("TERM");
    app.log_line(|line| line.contains("draining for"));
    for target in targets {
        let exchange = ask(target);
        let [answer] = &exchange.replies[..] else {
            panic!("{target}: not one answer: {exchange:?}")
        };
        assert_eq!(answer.header("Connection"), Some("close"), "{target}");
        assert!(exchange.closed, "{target}: {exchange:?}");
    }
}

fn each_step_of_the_end_is_a_line_of_the_log() {
    let mut app = Solo::start(&[("DRAIN_SECONDS", "0.1"), ("SHUTDOWN_SECONDS", "1")]);
    app.signal("QUIT");
    assert_eq!(app.ended().code(), Some(0));
    let log = app.log();
    let said: Vec<&str> = log
        .iter()
        .filter_map(|line| line.split_once(" INFO  berth::")?.1.split_once(' '))
        .map(|(_, said)| said)
        .collect();
    let steps = [
        "SIGQUIT: draining for 0.1 s",
        "drained: no more requests, closing the listener",
        "stopped",
    ];
    assert!(said.ends_with(&steps), "{log:?}");
}

/// Sends requests until the connection is refused, or so often; returns the number of answers.
fn ask_on(address: SocketAddr, path: &str, times: usize) -> usize {
    let ask = |_: &usize| {
        thread::sleep(shutdown::QUIET / 5);
        let Ok(mut socket) = TcpStream::connect(address) else {
            return false;
        };
        let _ = write!(socket, "GET {path} HTTP/1.0\r\n\r\n");
        matches!(socket.read(&mut [0; 64]), Ok(length) if length > 0)
    };
    (0..times).take_while(ask).count()
}

fn the_listener_stays_while_requests_come() {
    let mut app = Solo::start(&[("DRAIN_SECONDS", "0.5"), ("SHUTDOWN_SECONDS", LONG)]);
    app.signal("TERM");
    assert_eq!(ask_on(app.address, "/", 20), 20);
    assert_eq!(app.ended().code(), Some(0));
    app.log_line(|line| line.contains("INFO") && line.contains("drained: no more requests"));
}

fn probes_do_not_keep_the_listener() {
    let mut app = Solo::start(&[("DRAIN_SECONDS", "0.5"), ("SHUTDOWN_SECONDS", LONG)]);
    app.signal("TERM");
    assert!(ask_on(app.address, "/up", 100) < 100);
    assert_eq!(app.ended().code(), Some(0));
}

fn a_client_that_never_stops_is_refused_in_time() {
    let mut app = Solo::start(&[("DRAIN_SECONDS", "0.5"), ("SHUTDOWN_SECONDS", "2")]);
    app.signal("TERM");
    let request = InFlight::begin(app.address);
    assert!(ask_on(app.address, "/", 200) < 200);
    assert!(
        request.finish().starts_with("HTTP/1.1 501 "),
        "there is a reserve"
    );
    assert_eq!(app.ended().code(), Some(0));
    app.log_line(|line| line.contains("WARN") && line.contains("out of time"));
}

fn a_proxy_that_cannot_be_reached_is_named() {
    let closed = TcpListener::bind("127.0.0.1:0").unwrap();
    let deaf = closed.local_addr().unwrap().to_string();
    drop(closed);
    for (proxy, says) in [
        ("nowhere.invalid:8080", "nowhere.invalid:8080 can't be told"),
        (deaf.as_str(), "has not asked for readiness"),
    ] {
        let mut app = Solo::start(&[("DRAIN_SECONDS", "0.5"), ("NGINX_ADDRESS", proxy)]);
        app.signal("TERM");
        assert_eq!(app.ended().code(), Some(0));
        let log = app.log();
        let warning = log.iter().find(|line| line.contains(says));
        assert!(warning.is_some_and(|it| it.contains(" WARN ")), "{log:?}");
    }
}

fn a_proxy_is_notified_until_it_has_probed_and_again_after_that() {
    let proxy = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = proxy.local_addr().unwrap().to_string();
    let mut app = Solo::start(&[("DRAIN_SECONDS", "2"), ("NGINX_ADDRESS", &address)]);
    app.signal("TERM");
    proxy.set_nonblocking(true).unwrap();
    let answered = |answer: &str| -> String {
        let (mut socket, _) = wait_for(|| proxy.accept().ok());
        socket.set_nonblocking(false).unwrap();
        socket.set_read_timeout(Some(wire::TIMEOUT)).unwrap();
        let mut line = String::new();
        BufReader::new(&socket).read_line(&mut line).unwrap();
        let _ = socket.write_all(answer.as_bytes());
        line.split(' ').nth(1).expect("a target").to_owned()
    };
    // Another replica's answers.
    let asked: BTreeSet<String> = (0..3)
        .map(|_| answered("HTTP/1.0 200 OK\r\n\r\n"))
        .collect();
    assert_eq!(asked.len(), 1, "one ticket for each proxy: {asked:?}");
    let asked = asked.first().unwrap();
    assert!(asked.starts_with("/health/ready?leaving="), "{asked}");
    let knows = |app: &Solo| app.log().iter().any(|it| it.contains("knows, and sends"));
    assert_eq!(
        wire::get(app.address, "/health/ready?leaving=guessed", "localhost").status,
        503
    );
    answered("HTTP/1.0 200 OK\r\n\r\n");
    assert!(!knows(&app), "a guessed probe must not count");
    assert_eq!(wire::get(app.address, asked, "localhost").status, 503);
    (0..3).for_each(|_| assert_eq!(&answered("HTTP/1.0 503 No\r\n\r\n"), asked));
    assert!(knows(&app), "{:?}", app.log());
    assert_eq!(app.ended().code(), Some(0));
    assert!(
        !app.log().iter().any(|it| it.contains(" WARN ")),
        "{:?}",
        app.log()
    );
}

fn the_listener_stays_when_the_streams_have_ended() {
    let proxy = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = proxy.local_addr().unwrap().to_string();
    let mut app = Solo::start(&[("DRAIN_SECONDS", "0"), ("NGINX_ADDRESS", &address)]);
    let signalled = Instant::now();
    app.signal("TERM");
    assert_eq!(app.ended().code(), Some(0));
    assert!(signalled.elapsed() > shutdown::QUIET);
}

fn every_proxy_is_notified_even_if_it_hangs() {
    let proxy = TcpListener::bind("localhost:0").unwrap();
    let name = format!("localhost:{}", proxy.local_addr().unwrap().port());
    let addresses: BTreeSet<SocketAddr> = name.to_socket_addrs().unwrap().collect();
    if addresses.len() < 2 {
        harness::skip("localhost has but one address here");
    }
    let mine = proxy.local_addr().unwrap();
    let others = addresses.into_iter().filter(|&address| address != mine);
    let others = others.map(|address| TcpListener::bind(address).unwrap());
    let proxies: Vec<_> = [proxy].into_iter().chain(others).collect();
    let app = Solo::start(&[("DRAIN_SECONDS", LONG), ("NGINX_ADDRESS", &name)]);
    app.signal("TERM");
    let mut held = Vec::new();
    for proxy in proxies {
        proxy.set_nonblocking(true).unwrap();
        (0..2).for_each(|_| held.push(wait_for(|| proxy.accept().ok())));
    }
}

fn an_idle_connection_holds_nothing_up() {
    let mut app = Solo::start(&[("DRAIN_SECONDS", "0"), ("SHUTDOWN_SECONDS", LONG)]);
    let _mute = TcpStream::connect(app.address).unwrap();
    let mut idle = TcpStream::connect(app.address).unwrap();
    idle.write_all(b"GET /up HTTP/1.1\r\nHost: localhost\r\n\r\n")
        .unwrap();
    assert!(idle.read(&mut [0; 999]).unwrap() > 0);
    app.signal("TERM");
    assert_eq!(app.ended().code(), Some(0));
}

fn without_keep_alive_every_answer_is_the_last() {
    let app = Solo::start(&[("KEEP_ALIVE", "0")]);
    let two = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n".repeat(2);
    let exchange = wire::exchange(app.address, &two, wire::TIMEOUT);
    assert_eq!(exchange.replies.len(), 1, "{exchange:?}");
    assert!(exchange.closed);
}

fn a_request_without_end_is_cut_off() {
    let mut app = Solo::start(&[("DRAIN_SECONDS", "0"), ("SHUTDOWN_SECONDS", "1")]);
    let mut request = InFlight::begin(app.address);
    app.signal("TERM");
    assert_eq!(app.ended().code(), Some(0));
    assert_eq!(request.line(), "", "an answer to half a request");
    let last = app.log_line(|line| line.contains("stopped"));
    let log = app.log();
    for what in ["out of time", "berth::access"] {
        assert!(
            log.iter().any(|line| line.contains(what)),
            "{what}: {log:?}"
        );
    }
    assert_eq!(log.last(), Some(&last), "{log:?}");
}

/// Starts an app on a Unix socket, and waits until it answers.
fn start_on(socket: &Path) -> Running {
    let app = Running::start(on_socket(socket).stderr(Stdio::null()));
    wait_for(|| up(socket).then_some(()));
    app
}

/// Stops an app as a platform does.
fn stop(mut app: Running) -> ExitStatus {
    app.signal("TERM");
    app.ended()
}

fn on_socket(socket: &Path) -> Command {
    let bind = format!("unix:{}", socket.display());
    app_command(&[("BIND", &bind), ("DRAIN_SECONDS", "0")])
}

/// Whether an app answers on the socket.
fn up(socket: &Path) -> bool {
    let Ok(mut stream) = UnixStream::connect(socket) else {
        return false;
    };
    stream.set_read_timeout(Some(wire::TIMEOUT)).unwrap();
    let mut answer = String::new();
    stream.write_all(b"GET /up HTTP/1.0\r\n\r\n").unwrap();
    let _ = stream.read_to_string(&mut answer);
    answer.starts_with("HTTP/1.0 200 ")
}

fn socket_in(folder: &tempfile::TempDir) -> PathBuf {
    folder.path().join("socket")
}

fn a_unix_socket_goes_with_its_server() {
    let folder = tempfile::tempdir().unwrap();
    let socket = socket_in(&folder);
    let app = start_on(&socket);
    assert!(socket.exists());
    assert_eq!(stop(app).code(), Some(0));
    assert!(!socket.exists());
}

fn the_unix_socket_of_a_successor_stays() {
    let folder = tempfile::tempdir().unwrap();
    let socket = socket_in(&folder);
    let first = start_on(&socket);
    let mut in_flight = UnixStream::connect(&socket).unwrap();
    let half = b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\n\r\nx";
    in_flight.write_all(half).unwrap();
    first.signal("TERM");
    wait_for(|| UnixStream::connect(&socket).is_err().then_some(()));
    let second = start_on(&socket);
    drop(in_flight);
    assert_eq!(stop(first).code(), Some(0));
    assert!(up(&socket));
    stop(second);
}

fn a_stale_unix_socket_is_taken_over() {
    let folder = tempfile::tempdir().unwrap();
    let socket = socket_in(&folder);
    drop(start_on(&socket)); // SIGKILL: it can't tidy up
    assert!(socket.exists());
    let app = start_on(&socket);
    assert_eq!(stop(app).code(), Some(0));
    assert!(!socket.exists());
}

/// Asserts that the app refuses to start, with a line that has the cause and the remedy.
fn assert_cannot_listen(mut command: Command, says: &[&str]) {
    let Outcome {
        code, stderr: said, ..
    } = outcome(&mut command);
    assert_eq!(code, Some(1), "{said}");
    assert!(said.starts_with("app: can't listen on "), "{said}");
    assert_eq!(said.lines().count(), 1, "{said}");
    for part in says {
        assert!(said.contains(part), "{said}");
    }
}

fn a_unix_socket_in_use_is_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let socket = socket_in(&folder);
    let _first = start_on(&socket);
    let says = [
        socket.to_str().unwrap(),
        "in use",
        "stop what listens there",
    ];
    assert_cannot_listen(on_socket(&socket), &says);
    assert!(up(&socket), "the first one serves on");
}

fn a_file_that_is_no_socket_is_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("precious");
    fs::write(&file, "data").unwrap();
    assert_cannot_listen(on_socket(&file), &["precious", "in use"]);
    assert_eq!(fs::read(&file).unwrap(), b"data");
}

fn an_address_in_use_is_named() {
    let other = TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = other.local_addr().unwrap().to_string();
    let says = [
        &taken,
        "in use",
        "stop what listens there, or set BIND or PORT",
    ];
    assert_cannot_listen(app_command(&[("BIND", &taken)]), &says);
}

fn an_address_of_another_machine_is_named() {
    let elsewhere = "192.0.2.1:8080";
    let says = [elsewhere, "set BIND to an address of this machine"];
    assert_cannot_listen(app_command(&[("BIND", elsewhere)]), &says);
}

harness::trials![
    a_request_in_flight_gets_its_answer,
    requests_are_served_during_the_drain,
    an_answer_during_the_drain_is_the_last_of_its_connection,
    each_step_of_the_end_is_a_line_of_the_log,
    @timed the_listener_stays_while_requests_come,
    probes_do_not_keep_the_listener,
    @timed a_client_that_never_stops_is_refused_in_time,
    a_proxy_that_cannot_be_reached_is_named,
    @timed a_proxy_is_notified_until_it_has_probed_and_again_after_that,
    the_listener_stays_when_the_streams_have_ended,
    every_proxy_is_notified_even_if_it_hangs,
    an_idle_connection_holds_nothing_up,
    without_keep_alive_every_answer_is_the_last,
    a_request_without_end_is_cut_off,
    a_unix_socket_goes_with_its_server,
    the_unix_socket_of_a_successor_stays,
    a_stale_unix_socket_is_taken_over,
    a_unix_socket_in_use_is_left_alone,
    a_file_that_is_no_socket_is_left_alone,
    an_address_in_use_is_named,
    an_address_of_another_machine_is_named,
];
