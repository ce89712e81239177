//! nginx alone: what it tells the app, what it serves by itself, and how long it waits for a slow client.

use std::{
    collections::BTreeMap,
    fs,
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    os::unix::fs::symlink,
    process::Command,
    thread,
    time::Duration,
};

use crate::stubs::{folder, start_nginx};
use harness::{
    container::{Container, nginx_image},
    solo::wait_for,
    stack::docker,
    wire::{self, TIMEOUT},
};

/// In the app's place: another nginx, which answers with the request as it got it.
const ECHO: &str = r#"
    events {}
    error_log stderr;
    http {
        access_log off;
        server {
            listen 8080;
            default_type text/plain;
            add_header X-Request-Id chosen-by-the-app;
            return 200 "request=$request
host=$http_host
connection=$http_connection
x-request-id=$http_x_request_id
x-forwarded-for=$http_x_forwarded_for
x-forwarded-proto=$http_x_forwarded_proto
x-other=$http_x_other
served-on=$connection
";
        }
    }"#;

/// A network of containers; it is gone when this is dropped.
struct Network(String);

impl Network {
    fn create(name: &str) -> Self {
        let name = format!("berth-test-{}-{name}", std::process::id());
        docker(&["network", "create", &name]);
        Self(name)
    }

    fn option(&self) -> String {
        format!("--network={}", self.0)
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        let _ = Command::new("docker")
            .args(["network", "rm", &self.0])
            .output();
    }
}

/// Returns the reply, and the parts of the request as the app gets them.
fn passed_on(address: SocketAddr, request: &str) -> (wire::Reply, BTreeMap<String, String>) {
    let reply = wire::ask(address, request);
    assert_eq!(reply.status, 200, "{reply:?}");
    let text = reply.text();
    let lines = text.lines().map(|line| line.split_once('=').expect(line));
    let parts = lines.map(|(name, value)| (name.to_owned(), value.to_owned()));
    let parts = parts.collect();
    (reply, parts)
}

fn the_app_gets_the_request_unchanged_and_the_client_from_nginx_alone() {
    let network = Network::create("passed-on");
    let echo = folder();
    fs::write(echo.path().join("echo.conf"), ECHO).unwrap();
    let _echo = Container::run(
        &[
            &network.option(),
            "--network-alias=app",
            "--user=0",
            "--entrypoint=nginx",
            &format!("--volume={}:/echo:ro", echo.path().display()),
        ],
        &nginx_image(),
        &["-c", "/echo/echo.conf", "-g", "daemon off;"],
    );
    let (_nginx, address) = start_nginx(&[&network.option()]);
    wait_for(|| (wire::get(address, "/", "localhost").status == 200).then_some(()));

    let (honest_reply, honest) = passed_on(
        address,
        "GET /a%20b/..//?c=%00 HTTP/1.1\r\nHost: LocalHost.:80\r\nX-Other: passed on\r\n\r\n",
    );
    assert_eq!(honest["request"], "GET /a%20b/..//?c=%00 HTTP/1.1");
    assert_eq!(honest["host"], "LocalHost.:80");
    assert_eq!(honest["x-other"], "passed on");
    assert_eq!(honest["x-forwarded-proto"], "http");
    assert_eq!(honest["connection"], "", "the connection is kept");
    assert_eq!(
        honest_reply.header("x-request-id"),
        Some(honest["x-request-id"].as_str())
    );
    assert!(
        honest["x-forwarded-for"]
            .parse::<std::net::IpAddr>()
            .is_ok(),
        "{honest:?}"
    );
    assert_eq!(honest_reply.header("server"), Some("nginx"), "no version");

    let (_, forged) = passed_on(
        address,
        "GET / HTTP/1.1\r\nHost: localhost\r\nX-Forwarded-For: 203.0.113.9\r\n\
         X-Forwarded-Proto: https\r\nX-Request-Id: chosen\r\n\
         Connection: X-Forwarded-For, X-Request-Id, Host\r\n\r\n",
    );
    assert_eq!(forged["x-forwarded-for"], honest["x-forwarded-for"]);
    assert_eq!(forged["x-forwarded-proto"], "http");
    assert_ne!(forged["x-request-id"], "chosen");
    assert_eq!(forged["x-request-id"].len(), 32);
    assert_eq!(forged["connection"], "");
    assert_eq!(
        forged["served-on"], honest["served-on"],
        "one connection serves many requests"
    );

    let (_, absolute) = passed_on(
        address,
        "GET http://localhost/x?y HTTP/1.1\r\nHost: localhost\r\n\r\n",
    );
    assert_eq!(absolute["request"], "GET /x?y HTTP/1.1");
    let (_, old) = passed_on(address, "GET / HTTP/1.0\r\n\r\n");
    assert_eq!(old["host"], "127.0.0.1");
}

fn files_are_served_by_their_plain_name_alone() {
    let site = folder();
    let write = |name: &str| {
        let file = site.path().join(name);
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(file, name).unwrap();
    };
    for name in [
        "page.html",
        "no-type",
        "a b.txt",
        ".hidden",
        ".well-known/x",
        "up",
        "health/live",
        "real/file.txt",
    ] {
        write(name);
    }
    let link = |target: &str, name: &str| symlink(target, site.path().join(name)).unwrap();
    link("page.html", "link.html");
    link("real", "linked");
    link("/etc/passwd", "outside");
    let mount = format!("--volume={}:/srv/site:ro", site.path().display());
    let (nginx, address) = start_nginx(&["--network=bridge", &mount]);
    for (path, kind) in [
        ("/page.html", "text/html; charset=utf-8"),
        ("/no-type", "application/octet-stream"),
        ("/a%20b.txt", "text/plain; charset=utf-8"),
        ("/.well-known/x", "application/octet-stream"),
        ("/real/file.txt", "text/plain; charset=utf-8"),
    ] {
        let reply = wire::get(address, path, "localhost");
        assert_eq!(reply.status, 200, "{path}");
        assert_eq!(reply.header("content-type"), Some(kind), "{path}");
    }
    for path in [
        "/link.html",
        "/linked/file.txt",
        "/outside",
        "/.hidden",
        "/real/",
        "/real",
        "/up",
        "/health/live",
    ] {
        // nginx asks the app, which is not there.
        assert_eq!(wire::get(address, path, "localhost").status, 502, "{path}");
    }
    let log = Command::new("docker")
        .args(["logs", &nginx.name])
        .output()
        .unwrap();
    let log = String::from_utf8_lossy(&log.stderr).into_owned();
    assert!(log.contains("no live upstreams"), "nginx says why: {log}");
}

fn it_listens_on_ipv6_and_has_a_worker_for_each_cpu_that_it_may_use() {
    let (nginx, _) = start_nginx(&["--network=bridge", "--cpus=2"]);
    // Port 8080 in hexadecimal, on every address; the container's network itself may be without IPv6.
    let sockets = docker(&["exec", &nginx.name, "cat", "/proc/net/tcp6"]);
    let everywhere = format!("{}:1F90", "0".repeat(32));
    assert!(sockets.contains(&everywhere), "{sockets}");
    let cpus = std::thread::available_parallelism().unwrap().get();
    // Those that listened on the Unix socket alone end first.
    wait_for(|| {
        let processes = docker(&["top", &nginx.name]);
        (processes.matches("worker process").count() == cpus.min(2)).then_some(())
    });
}

fn a_client_that_says_nothing_is_not_waited_for() {
    let (_nginx, address) = start_nginx(&["--network=bridge"]);
    // The default is to wait for 60 seconds, longer than this test does.
    for begun in [
        "GET / HTTP/1.1\r\nHost: localhost\r\n",
        "POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\n\r\nab",
    ] {
        let end = wire::exchange(address, begun.as_bytes(), TIMEOUT);
        assert!(end.closed, "{begun}: {end:?}");
    }
}

fn idle_clients_leave_room_for_others() {
    let (_nginx, address) = start_nginx(&["--network=bridge"]);
    let connect = |_| TcpStream::connect(address).expect("a connection");
    let idle: Vec<TcpStream> = (0..700).map(connect).collect();
    assert_eq!(wire::get(address, "/robots.txt", "localhost").status, 200);
    drop(idle);
}

fn a_reload_closes_no_connection_that_was_used_lately() {
    let (nginx, address) = start_nginx(&["--network=bridge"]);
    let workers = || {
        let processes = docker(&["top", &nginx.name]);
        let workers = processes.lines().filter(|it| it.contains("worker process"));
        workers.map(str::to_owned).collect::<Vec<_>>()
    };
    let before = workers();
    let mut client = TcpStream::connect(address).unwrap();
    client.set_read_timeout(Some(TIMEOUT)).unwrap();
    let mut ask = || {
        let _ = client.write_all(b"HEAD /robots.txt HTTP/1.1\r\nHost: localhost\r\n\r\n");
        let mut answer = [0; 1000];
        let length = client.read(&mut answer).unwrap_or(0);
        String::from_utf8_lossy(&answer[..length]).into_owned()
    };
    assert!(ask().starts_with("HTTP/1.1 200 OK"));
    docker(&["exec", &nginx.name, "nginx", "-s", "reload"]);
    wait_for(|| {
        workers()
            .iter()
            .any(|it| !before.contains(it))
            .then_some(())
    });
    // For the old worker to begin its end.
    thread::sleep(Duration::from_millis(500));
    let answer = ask();
    assert!(
        answer.starts_with("HTTP/1.1 200 OK"),
        "after a reload: {answer:?}"
    );
    assert!(
        answer.contains("\r\nConnection: close\r\n"),
        "the last: {answer:?}"
    );
}

harness::trials![
    the_app_gets_the_request_unchanged_and_the_client_from_nginx_alone,
    files_are_served_by_their_plain_name_alone,
    it_listens_on_ipv6_and_has_a_worker_for_each_cpu_that_it_may_use,
    a_client_that_says_nothing_is_not_waited_for,
    idle_clients_leave_room_for_others,
    a_reload_closes_no_connection_that_was_used_lately,
];
