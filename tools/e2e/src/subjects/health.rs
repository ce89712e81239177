//! Probes: the answers of the health paths to any client, and `app healthcheck`, which requests them.

use std::{
    net::{Ipv4Addr, TcpListener},
    process::Stdio,
    thread,
};

use harness::{
    Solo,
    solo::{Running, app_command, outcome, wait_for},
    wire::{self, Reply},
};

const PATHS: [&str; 4] = ["/health/live", "/health/ready", "/up", "/ping"];
/// Longer than any test: the end of the test ends the drain.
const LONG: (&str, &str) = ("DRAIN_SECONDS", "3600");

fn assert_healthy(reply: &Reply, asked: &str) {
    assert_eq!(reply.status, 200, "{asked}");
    assert_eq!(reply.header("cache-control"), Some("no-store"), "{asked}");
    let body = if asked.starts_with("HEAD ") { "" } else { "OK" };
    assert_eq!(reply.text(), body, "{asked}");
    assert_eq!(reply.header("content-length"), Some("2"), "{asked}");
}

fn healthy_for_any_host() {
    let app = Solo::start(&[]);
    let heads: [&[u8]; 9] = [
        b"HTTP/1.1\r\nHost: localhost",
        b"HTTP/1.1\r\nHost: 127.0.0.1:8080",
        b"HTTP/1.1\r\nHost: unknown.example",
        b"HTTP/1.1\r\nHost: 10.1.2.3:8080",
        b"HTTP/1.1\r\nHost: a_b.example",
        b"HTTP/1.1\r\nHost:",
        b"HTTP/1.0",
        b"HTTP/1.0\r\nHost: unknown.example",
        b"HTTP/1.1\r\nHost: localhost\r\nUser-Agent: kube-probe/1.30 \xff\xf0(\"",
    ];
    for method in ["GET", "HEAD"] {
        for path in PATHS {
            for head in heads {
                let start = format!("{method} {path} ");
                let request = [start.as_bytes(), head, b"\r\n\r\n"].concat();
                let reply = wire::ask(app.address, &request);
                assert_healthy(&reply, &request.escape_ascii().to_string());
            }
        }
    }
}

fn a_query_does_not_matter_but_the_path_does() {
    let app = Solo::start(&[]);
    for path in PATHS {
        let status = |path: String| wire::get(app.address, &path, "localhost").status;
        assert_eq!(status(format!("{path}?a=b")), 200);
        for other in [
            format!("{path}/"),
            format!("/{path}"),
            format!("{path}z"),
            path.to_uppercase(),
        ] {
            assert_eq!(status(other.clone()), 404, "{other}");
        }
    }
}

fn other_methods_are_refused() {
    let app = Solo::start(&[]);
    for method in ["POST", "PUT", "DELETE", "OPTIONS", "PATCH", "NONSENSE"] {
        for path in PATHS {
            for (host, status) in [("localhost", 501), ("unknown.example", 501), ("a b", 400)] {
                let request = format!("{method} {path} HTTP/1.1\r\nHost: {host}\r\n\r\n");
                assert_eq!(wire::ask(app.address, &request).status, status, "{request}");
            }
        }
    }
}

fn probes_leave_no_access_line() {
    let app = Solo::start(&[]);
    for path in PATHS {
        let reply = wire::get(app.address, path, "localhost");
        assert_eq!(reply.header("x-request-id"), None, "an id without a line");
    }
    wire::get(app.address, "/?the-last-request", "localhost");
    app.log_line(|line| line.contains("the-last-request"));
    let log = app.log();
    let lines: Vec<_> = log
        .iter()
        .filter(|line| line.contains("berth::access"))
        .collect();
    assert_eq!(lines.len(), 1, "{lines:?}");
}

fn a_draining_server_is_alive_but_not_ready() {
    let app = Solo::start(&[LONG]);
    app.signal("TERM");
    app.log_line(|line| line.contains("draining"));
    for (path, status) in [
        ("/health/ready", 503),
        ("/health/live", 200),
        ("/up", 200),
        ("/ping", 200),
    ] {
        for host in ["localhost", "unknown.example"] {
            let reply = wire::get(app.address, path, host);
            assert_eq!(reply.status, status, "{path}");
            assert_eq!(reply.header("cache-control"), Some("no-store"), "{path}");
        }
    }
}

/// Runs `app healthcheck`; returns its exit code and its output. The code is `None` if it does not end by itself.
fn healthcheck(variables: &[(&str, &str)]) -> (Option<i32>, String) {
    let asked = outcome(app_command(variables).arg("healthcheck"));
    assert_eq!(asked.stdout, "");
    (asked.code, asked.stderr)
}

fn assert_passes(variables: &[(&str, &str)]) {
    let passed = (Some(0), String::new());
    assert_eq!(healthcheck(variables), passed, "{variables:?}");
}

fn assert_fails(variables: &[(&str, &str)], says: &[&str]) {
    let (code, said) = healthcheck(variables);
    assert_eq!(code, Some(1), "{variables:?}: {said}");
    assert!(said.starts_with("app: "), "{variables:?}: {said}");
    for part in says {
        assert!(said.contains(part), "{variables:?}: {said}");
    }
}

/// An unused port, below the ephemeral ones.
fn free_port() -> u16 {
    let first = 10_000 + std::process::id() as u16 % 20_000;
    let free = |port: &u16| TcpListener::bind((Ipv4Addr::UNSPECIFIED, *port)).is_ok();
    (first..32_000).find(free).expect("a free port")
}

fn healthcheck_finds_the_server_wherever_it_listens() {
    for bind in ["127.0.0.1:0", "0.0.0.0:0", "[::]:0"] {
        let app = Solo::start(&[("BIND", bind)]);
        assert_passes(&[("BIND", &app.address.to_string())]);
        // As where the image has a BIND and the platform sets the PORT.
        assert_passes(&[
            ("BIND", &bind.replace(":0", ":1")),
            ("PORT", &app.address.port().to_string()),
        ]);
    }
    let port = free_port().to_string();
    let _app = Solo::start(&[("BIND", ""), ("PORT", &port)]);
    assert_passes(&[("PORT", &port)]);
}

fn healthcheck_works_with_any_allowed_hosts() {
    let app = Solo::start(&[("ALLOWED_HOSTS", "example.com"), ("KEEP_ALIVE", "0")]);
    assert_passes(&[("BIND", &app.address.to_string())]);
}

fn healthcheck_asks_over_a_unix_socket() {
    let folder = tempfile::tempdir().unwrap();
    let bind = format!("unix:{}/socket", folder.path().display());
    let variables = [("BIND", bind.as_str())];
    assert_fails(&variables, &["/socket", "is the server running?"]);
    let _app = Running::start(app_command(&variables).stderr(Stdio::null()));
    wait_for(|| (healthcheck(&variables).0 == Some(0)).then_some(()));
    assert_passes(&variables);
}

fn healthcheck_fails_without_a_listener() {
    let gone = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let address = gone.local_addr().unwrap().to_string();
    drop(gone);
    assert_fails(
        &[("BIND", &address)],
        &["/health/ready", &address, "is the server running?"],
    );
}

fn healthcheck_gives_up_on_a_server_that_hangs() {
    // The kernel accepts the connection, and no process reads from it.
    let mute = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let address = mute.local_addr().unwrap().to_string();
    assert_fails(&[("BIND", &address)], &[&address, "can't be asked"]);
}

fn healthcheck_fails_on_a_server_that_hangs_up() {
    let rude = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let address = rude.local_addr().unwrap().to_string();
    thread::spawn(move || rude.incoming().for_each(drop));
    assert_fails(&[("BIND", &address)], &[&address]);
}

fn healthcheck_fails_while_the_server_drains() {
    let app = Solo::start(&[LONG]);
    app.signal("TERM");
    app.log_line(|line| line.contains("draining"));
    let address = app.address.to_string();
    assert_fails(
        &[("BIND", &address)],
        &["answers: HTTP/1.0 503 Service Unavailable"],
    );
}

fn healthcheck_fails_on_a_configuration_that_cannot_be_used() {
    assert_fails(
        &[("PORT", "http"), ("TZ", "Mars/Base")],
        &["\n  PORT=\"http\": ", "\n  TZ=\"Mars/Base\": "],
    );
}

harness::trials![
    healthy_for_any_host,
    a_query_does_not_matter_but_the_path_does,
    other_methods_are_refused,
    probes_leave_no_access_line,
    a_draining_server_is_alive_but_not_ready,
    healthcheck_finds_the_server_wherever_it_listens,
    healthcheck_works_with_any_allowed_hosts,
    healthcheck_asks_over_a_unix_socket,
    healthcheck_fails_without_a_listener,
    healthcheck_gives_up_on_a_server_that_hangs,
    healthcheck_fails_on_a_server_that_hangs_up,
    healthcheck_fails_while_the_server_drains,
    healthcheck_fails_on_a_configuration_that_cannot_be_used,
];
