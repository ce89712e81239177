//! The logs of the app and of nginx, and the client's address in them. Every line can be parsed, whatever a client sends.

use std::{net::SocketAddr, process::Command};

use crate::{load::counting_folder, programs::program};
use harness::{
    Solo, Stack,
    solo::{FREE, wait_for},
    wire::{self, Reply},
};
use serde_json::Value;

/// Targets and header values that would break a line or a terminal if they were copied as they are.
const HOSTILE: &[&[u8]] = &[
    b"GET /\"}{\"status\":200 HTTP/1.1\r\nHost: localhost\r\n",
    b"GET /\\\"x\\n\\u0000 HTTP/1.1\r\nHost: localhost\r\n",
    b"GET /%0a%0d%22%1b[31m HTTP/1.1\r\nHost: localhost\r\n",
    b"GET /\xff\xfe HTTP/1.1\r\nHost: localhost\r\n",
    b"GET /\xc2\x9b31m HTTP/1.1\r\nHost: localhost\r\n",
    "GET /\u{202e}txt.exe HTTP/1.1\r\nHost: localhost\r\n".as_bytes(),
    b"GET /\x7f HTTP/1.1\r\nHost: localhost\r\n",
    b"GET /\x1b[2J HTTP/1.1\r\nHost: localhost\r\n",
    b"GET / HTTP/1.1\r\nHost: local\"host\r\n",
    b"GET / HTTP/1.1\r\nHost: \x1b[2J\r\n",
    b"GET / HTTP/1.1\r\nHost: \xff\r\n",
    b"GET / HTTP/1.1\r\nHost: localhost\r\nX-Request-Id: a\" status=200\r\n",
    b"GET / HTTP/1.1\r\nHost: localhost\r\nX-Forwarded-For: \"\\\x1b[2J\r\n",
    b"GET / HTTP/1.1\r\nHost: localhost\r\nUser-Agent: \"\xff\x1b\\\r\n",
    b"GET / status=200 bytes=1 HTTP/1.1\r\nHost: localhost\r\n",
    b"G\"T / HTTP/1.1\r\nHost: localhost\r\n",
    b"\x16\x03\x01\xff\x00\r\n",
];

/// The headers that only a trusted proxy may send.
const FORGED: &str = "X-Forwarded-For: 203.0.113.9\r\nX-Forwarded-Proto: https\r\n\
                      X-Request-Id: chosen-by-the-client\r\n\
                      Forwarded: for=203.0.113.9;proto=https\r\n";

/// How many of them, at least, actix takes for requests; it refuses the others without a line.
const REACH_THE_APP: usize = 5;

fn send_hostile(address: SocketAddr) {
    for request in HOSTILE {
        let request = [request, b"Connection: close\r\n\r\n".as_slice()].concat();
        wire::exchange(address, &request, wire::TIMEOUT);
    }
    // actix panics over a name that is longer than the http crate can hold.
    let name = "a".repeat(70_000);
    let request = format!("GET / HTTP/1.1\r\nHost: localhost\r\n{name}: a\r\n\r\n");
    wire::exchange(address, request.as_bytes(), wire::TIMEOUT);
}

/// Header lines sent with `GET /`.
fn ask(address: SocketAddr, headers: &str) -> Reply {
    let request =
        format!("GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n{headers}\r\n");
    wire::ask(address, request)
}

fn id(reply: &Reply) -> String {
    reply.header("x-request-id").expect("an id").to_owned()
}

fn json(line: &str) -> Value {
    let value: Value = serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
    assert!(value.is_object(), "no object: {line}");
    assert!(
        line.bytes().all(|byte| (b' '..=b'~').contains(&byte)),
        "not printable: {line}"
    );
    value
}

/// `key=value` and `key="value with blanks"`; panics where a line is anything else.
fn fields(line: &str) -> Vec<(String, String)> {
    assert!(
        line.bytes().all(|byte| (b' '..=b'~').contains(&byte)),
        "not printable: {line}"
    );
    let mut rest = line.split_once(" request ").expect(line).1;
    let mut fields = Vec::new();
    while let Some((key, after)) = rest.split_once('=') {
        assert!(
            key.bytes()
                .all(|byte| byte.is_ascii_lowercase() || byte == b'_'),
            "{key}: {line}"
        );
        let (value, after) = match after.strip_prefix('"') {
            Some(quoted) => {
                let mut escaped = false;
                let end = quoted.find(|c| {
                    let ends = c == '"' && !escaped;
                    escaped = c == '\\' && !escaped;
                    ends
                });
                let (value, after) = quoted.split_at(end.expect(line));
                (value, &after[1..])
            }
            None => after.split_at(after.find(' ').unwrap_or(after.len())),
        };
        fields.push((key.to_owned(), value.to_owned()));
        rest = after.strip_prefix(' ').unwrap_or(after);
    }
    assert!(rest.is_empty(), "{rest:?} is left of {line}");
    fields
}

const ACCESS: [&str; 9] = [
    "request_id",
    "client",
    "scheme",
    "method",
    "target",
    "status",
    "bytes",
    "duration_ms",
    "replica",
];

fn the_apps_text_has_one_line_a_request_whatever_is_sent() {
    let app = Solo::start(&[]);
    send_hostile(app.address);
    let last = id(&ask(app.address, ""));
    app.log_line(|line| line.contains(&last));
    let log = app.log();
    let access: Vec<_> = log
        .iter()
        .filter(|line| line.contains("berth::access"))
        .collect();
    assert!(access.len() > REACH_THE_APP, "{access:#?}");
    for line in access {
        let fields = fields(line);
        let keys: Vec<_> = fields.iter().map(|(key, _)| key.as_str()).collect();
        assert_eq!(keys, ACCESS, "{line}");
        assert!(fields[5].1.parse::<u16>().is_ok(), "{line}");
    }
}

fn the_apps_json_has_one_object_a_line_whatever_is_sent() {
    let app = Solo::start(&[("LOG_FORMAT", "json")]);
    send_hostile(app.address);
    let last = id(&ask(app.address, ""));
    app.log_line(|line| line.contains(&last));
    let objects: Vec<Value> = app.log().iter().map(|line| json(line)).collect();
    for object in &objects {
        for key in ["time", "level", "logger", "message"] {
            assert!(object[key].is_string(), "{key} is missing in {object}");
        }
    }
    let access = objects
        .iter()
        .filter(|object| object["logger"] == "berth::access");
    let mut count = 0;
    for object in access {
        count += 1;
        for key in ACCESS {
            assert!(!object[key].is_null(), "{key} is missing in {object}");
        }
        assert!(
            object["status"].is_u64() && object["bytes"].is_u64(),
            "{object}"
        );
        assert!(object["duration_ms"].is_number(), "{object}");
    }
    assert!(count > REACH_THE_APP, "{count} access lines");
}

fn an_access_line_says_what_was_asked_and_answered() {
    let app = Solo::start(&[("LOG_FORMAT", "json")]);
    let request = "POST /nothing?a=b HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n";
    let reply = wire::ask(app.address, request);
    let line = json(&app.log_line(|line| line.contains(&id(&reply))));
    assert_eq!(line["client"], "127.0.0.1");
    assert_eq!(line["method"], "POST");
    assert_eq!(line["target"], "/nothing?a=b");
    assert_eq!(line["status"], 501);
    assert_eq!(line["bytes"], reply.body.len());
}

fn of_an_answer_to_head_nothing_is_sent() {
    let app = Solo::start(&[("LOG_FORMAT", "json")]);
    let request = "HEAD /about.html HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    let reply = wire::ask(app.address, request);
    assert!(reply.header("content-length").is_some_and(|it| it != "0"));
    let line = json(&app.log_line(|line| line.contains(&id(&reply))));
    assert_eq!(line["bytes"], 0);
}

fn a_handler_that_panics_is_an_internal_error() {
    let folder = counting_folder();
    let mut counting = Command::new(program("counting"));
    counting.env("BIND", FREE).env("COUNT_DIR", folder.path());
    let app = Solo::run(&mut counting);
    assert_eq!(wire::get(app.address, "/panic", "localhost").status, 500);
    let line = app.log_line(|line| line.contains("target=/panic"));
    assert!(line.contains(" status=500 "), "{line}");
}

fn a_client_that_goes_away_leaves_a_line_too() {
    let app = Solo::start(&[("LOG_FORMAT", "json")]);
    let request = b"POST /gone HTTP/1.1\r\nHost: localhost\r\nContent-Length: 10\r\n\r\nabc";
    let socket = std::net::TcpStream::connect(app.address).unwrap();
    std::io::Write::write_all(&mut &socket, request).unwrap();
    drop(socket);
    let line = json(&app.log_line(|line| line.contains("/gone")));
    assert!(line["status"] == 499 || line["status"] == 400, "{line}");
}

fn only_a_trusted_peer_says_who_the_client_is() {
    for (trusted, client, chosen) in [
        ("", "127.0.0.1", false),
        ("192.0.2.1", "127.0.0.1", false),
        ("127.0.0.0/8", "203.0.113.9", true),
    ] {
        let app = Solo::start(&[("LOG_FORMAT", "json"), ("TRUSTED_PROXIES", trusted)]);
        let id = id(&ask(app.address, FORGED));
        assert_eq!(id == "chosen-by-the-client", chosen, "{trusted}: {id}");
        let line = json(&app.log_line(|line| line.contains(&id)));
        assert_eq!(line["client"], client, "{trusted}");
        let scheme = if chosen { "https" } else { "http" };
        assert_eq!(line["scheme"], scheme, "{trusted}");
    }
}

fn a_trusted_peers_request_id_counts_only_if_it_is_well_formed() {
    let app = Solo::start(&[("TRUSTED_PROXIES", "127.0.0.1")]);
    let long = "a".repeat(129);
    for bad in ["a b", "a\"b", "a,b", "", "\u{e4}", "<script>", &long] {
        let id = id(&ask(app.address, &format!("X-Request-Id: {bad}\r\n")));
        assert_ne!(id, bad);
        assert!(
            id.len() == 32 && id.bytes().all(|byte| byte.is_ascii_hexdigit()),
            "{id}"
        );
    }
    let trace = "Root=1-67891233-abcdef;Self=1:a/b";
    for good in [trace, &"Az09._-".repeat(18)] {
        let told = ask(app.address, &format!("X-Request-Id: {good}\r\n"));
        assert_eq!(id(&told), good);
    }
}

fn a_trusted_peer_may_use_headers_of_its_own() {
    let app = Solo::start(&[
        ("TRUSTED_PROXIES", "private"),
        ("CLIENT_HEADER", "Fly-Client-IP"),
        ("REQUEST_ID_HEADER", "traceparent"),
        ("LOG_FORMAT", "json"),
    ]);
    let headers = "X-Forwarded-For: 192.0.2.66\r\nfly-client-ip: 203.0.113.9\r\n\
                   X-Request-Id: chosen\r\nTraceparent: 00-4bf9-00f0-01\r\n";
    let reply = ask(app.address, headers);
    assert_eq!(id(&reply), "00-4bf9-00f0-01");
    let line = json(&app.log_line(|line| line.contains("00-4bf9-00f0-01")));
    assert_eq!(line["client"], "203.0.113.9");
}

fn a_trusted_peer_may_give_no_id_and_pass_on_a_clients() {
    let app = Solo::start(&[
        ("TRUSTED_PROXIES", "private"),
        ("REQUEST_ID_HEADER", "none"),
    ]);
    let headers = "X-Request-Id: chosen\r\nNone: chosen\r\n";
    assert_ne!(id(&ask(app.address, headers)), "chosen");
}

fn through_nginx_both_logs_tell_one_story() {
    let stack = Stack::start(&[("LOG_FORMAT", "json")]);
    let honest = id(&ask(stack.address, ""));
    let spoofed = id(&ask(stack.address, FORGED));
    assert_ne!(spoofed, "chosen-by-the-client");
    let file = id(&wire::get(stack.address, "/robots.txt", "localhost"));
    for path in ["/health/live", "/health/ready", "/up", "/ping"] {
        wire::get(stack.address, path, "localhost");
    }
    send_hostile(stack.address);
    let last = id(&ask(stack.address, ""));

    let logs = |service: &str| -> Vec<Value> {
        wait_for(|| {
            let lines = stack.log(service);
            lines
                .iter()
                .any(|line| line.contains(&last))
                .then_some(lines)
        })
        .iter()
        .filter(|line| line.starts_with('{') || service == "app")
        .map(|line| json(line))
        .collect()
    };
    let (app, nginx) = (logs("app"), logs("nginx"));
    let find = |lines: &[Value], id: &str| -> Value {
        let mut found = lines.iter().filter(|line| line["request_id"] == id);
        let line = found
            .next()
            .unwrap_or_else(|| panic!("no line for {id}"))
            .clone();
        assert!(found.next().is_none(), "two lines for {id}");
        line
    };

    // The headers of an untrusted peer are ignored.
    let client = find(&app, &honest)["client"].clone();
    assert_eq!(find(&app, &spoofed)["client"], client);
    assert_eq!(find(&app, &spoofed)["scheme"], "http");
    assert_eq!(find(&nginx, &spoofed)["client"], client);

    let line = find(&nginx, &honest);
    assert_eq!(line["request"], "GET / HTTP/1.1");
    assert_eq!(line["status"], 200);
    assert_eq!(line["upstream_status"], "200");
    assert!(
        line["upstream"].as_str().unwrap().ends_with(":8080"),
        "{line}"
    );
    assert!(
        line["upstream_s"].as_str().unwrap().parse::<f64>().is_ok(),
        "{line}"
    );
    assert!(
        line["duration_s"].is_number() && line["bytes"].is_u64(),
        "{line}"
    );
    assert_eq!(line["host"], "localhost");
    assert!(line["time"].is_string(), "{line}");

    // nginx answers with a file by itself.
    assert_eq!(find(&nginx, &file)["upstream"], "");
    assert!(app.iter().all(|line| line["request_id"] != file.as_str()));

    let probes = |line: &&Value| line.to_string().contains("/health/") || line["target"] == "/up";
    assert_eq!(app.iter().find(probes), None);
    assert_eq!(nginx.iter().find(probes), None);
    assert!(nginx.len() > HOSTILE.len(), "{} lines", nginx.len());
}

fn headers_of_a_trusted_proxy_in_front_of_nginx_count() {
    let stack = Stack::start(&[
        ("LOG_FORMAT", "json"),
        ("TRUSTED_PROXIES", "10.0.0.0/8,172.16.0.0/12,192.168.0.0/16"),
    ]);
    let reply = ask(
        stack.address,
        "X-Forwarded-For: 198.51.100.1, 203.0.113.9, 10.0.0.1\r\nX-Forwarded-Proto: https\r\n\
         X-Request-Id: from-the-proxy\r\n",
    );
    assert_eq!(id(&reply), "from-the-proxy");
    let line = wait_for(|| {
        stack
            .log("app")
            .into_iter()
            .find(|line| line.contains("from-the-proxy"))
    });
    assert_eq!(json(&line)["client"], "203.0.113.9");
    assert_eq!(json(&line)["scheme"], "https");
}

harness::trials![
    the_apps_text_has_one_line_a_request_whatever_is_sent,
    the_apps_json_has_one_object_a_line_whatever_is_sent,
    an_access_line_says_what_was_asked_and_answered,
    of_an_answer_to_head_nothing_is_sent,
    a_handler_that_panics_is_an_internal_error,
    a_client_that_goes_away_leaves_a_line_too,
    only_a_trusted_peer_says_who_the_client_is,
    a_trusted_peers_request_id_counts_only_if_it_is_well_formed,
    a_trusted_peer_may_use_headers_of_its_own,
    a_trusted_peer_may_give_no_id_and_pass_on_a_clients,
    through_nginx_both_logs_tell_one_story,
    headers_of_a_trusted_proxy_in_front_of_nginx_count,
];
