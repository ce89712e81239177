//! Apache in nginx's place: replicas that start, stop and die, the client's address in the app's log, and the stop. That the
//! answers are the same is for `nginx_parity` and `service`.

use std::{collections::BTreeSet, sync::Mutex, thread, time::Duration};

use serde_json::Value;

use crate::load::{Counted, From, Loss, Options};
use harness::{
    Stack,
    container::image,
    modes::APACHE,
    solo::wait_for,
    stack::docker,
    wire::{self, Reply, get},
};

/// Enough requests to reach every replica.
const ROUND: usize = 40;

/// One stack under load at a time: two would measure each other.
static ALONE: Mutex<()> = Mutex::new(());

fn start(variables: &[(&str, &str)]) -> Stack {
    image("berth-apache");
    let own = [("COMPOSE_FILE", APACHE)];
    Stack::behind("apache", &[&own, variables].concat())
}

/// Returns the replicas that answer a round of requests. No request may fail.
fn answering(stack: &Stack) -> BTreeSet<String> {
    let ask = |_| {
        let reply = get(stack.address, "/", "localhost");
        assert_eq!(reply.status, 200, "{reply:?}");
        reply
            .header("x-served-by")
            .expect("a replica's name")
            .into()
    };
    (0..ROUND).map(ask).collect()
}

fn assert_is_page(reply: &Reply, status: u16) {
    assert_eq!(reply.status, status, "{reply:?}");
    assert!(reply.text().starts_with("<!doctype html>"), "{reply:?}");
    assert!(reply.header("content-security-policy").is_some());
    assert_eq!(reply.header("cache-control"), Some("no-store"));
}

fn replicas_that_come_are_found_and_those_that_die_are_left_out() {
    let stack = start(&[]);
    assert_eq!(answering(&stack).len(), 2);

    let up = ["up", "--detach", "--no-build", "--no-recreate", "--wait"];
    stack.compose(&[&up[..], &["--scale", "app=4"]].concat());
    wait_for(|| (answering(&stack).len() == 4).then_some(()));

    let dead = stack.containers("app")[0].clone();
    docker(&["kill", &dead]);
    let left = answering(&stack);
    assert!(!left.contains(&dead[..12]), "{left:?}");
    // A refused connection can be retried with any method, since no request was sent.
    for _ in 0..ROUND {
        let post = "POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1\r\n\r\nx";
        assert_eq!(wire::ask(stack.address, post).status, 501);
    }
}

fn without_replicas_there_is_a_page_that_says_so() {
    let stack = start(&[]);
    stack.compose(&["kill", "app"]);
    let browser = "GET / HTTP/1.1\r\nHost: localhost\r\nAccept: text/html\r\n\r\n";
    let reply = wire::ask(stack.address, browser);
    assert_is_page(&reply, 503);
    assert_eq!(reply.header("retry-after"), Some("1"));
    let reply = get(stack.address, "/", "localhost");
    assert_eq!(reply.text(), "503 Service Unavailable");

    stack.compose(&["start", "app"]);
    wait_for(|| (get(stack.address, "/", "localhost").status == 200).then_some(()));
}

fn headers_of_untrusted_clients_are_ignored_and_no_version_is_shown() {
    let stack = start(&[("LOG_FORMAT", "json")]);
    let forged = "X-Forwarded-For: 203.0.113.9\r\nX-Forwarded-Proto: https\r\nForwarded: for=203.0.113.9\r\n\
         X-Request-Id: chosen\r\n";
    let for_the_connection = "Connection: X-Forwarded-For, X-Forwarded-Proto, X-Request-Id\r\n";
    let clients = ["", forged, for_the_connection].map(|headers| {
        let request = format!("GET /forged HTTP/1.1\r\nHost: localhost\r\n{headers}\r\n");
        let reply = wire::ask(stack.address, request);
        assert_eq!(reply.status, 404);
        assert_eq!(reply.header("server"), Some("Apache"));
        assert!(reply.header("strict-transport-security").is_none());
        let id = reply.header("x-request-id").expect("an id").to_owned();
        assert_ne!(id, "chosen");
        let seen = wait_for(|| stack.log("app").into_iter().find(|it| it.contains(&id)));
        let seen: Value = serde_json::from_str(&seen).expect("JSON");
        assert_eq!(seen["scheme"], "http", "{seen}");
        seen["client"].to_string()
    });
    assert!(clients.iter().all(|it| *it == clients[0]), "{clients:?}");
    // What Apache would tell by itself: its version, its pages.
    let refused = wire::ask(stack.address, "GET / HTTP/9.9\r\nHost: localhost\r\n\r\n");
    assert_eq!(refused.text(), "400 Bad Request");
    let too_large = format!(
        "POST / HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\nA00001\r\n{}\r\n0\r\n\r\n",
        "x".repeat(0xA0_0001)
    );
    assert_eq!(wire::ask(stack.address, too_large).status, 413);
    let odd = "GET / HTTP/1.1\r\nHost: localhost\r\nExpect: wonders\r\n\r\n";
    assert_eq!(
        wire::ask(stack.address, odd).text(),
        "417 Expectation Failed"
    );
    for own in ["/503", "/refusals/503.html", "/server-status", "/icons/"] {
        assert_eq!(get(stack.address, own, "localhost").status, 404, "{own}");
    }
}

fn headers_of_trusted_proxies_count() {
    let stack = start(&[
        ("TRUSTED_PROXIES", "0.0.0.0/0,::/0"),
        ("LOG_FORMAT", "json"),
    ]);
    let passed_on = "GET /passed-on HTTP/1.1\r\nHost: localhost\r\nX-Request-Id: chosen.by_the-proxy\r\n\
         X-Forwarded-For: 203.0.113.9\r\nX-Forwarded-Proto: https\r\n\r\n";
    let reply = wire::ask(stack.address, passed_on);
    assert_eq!(reply.header("x-request-id"), Some("chosen.by_the-proxy"));
    assert!(reply.header("strict-transport-security").is_some());
    let is_it = |line: &String| line.contains("chosen.by_the-proxy");
    let seen = wait_for(|| stack.log("app").into_iter().find(is_it));
    assert!(seen.contains(r#""client":"203.0.113.9""#), "{seen}");
}

fn the_proxy_may_have_headers_of_its_own() {
    let stack = start(&[
        ("TRUSTED_PROXIES", "private"),
        ("CLIENT_HEADER", "X-Real-IP"),
        ("REQUEST_ID_HEADER", "X-Amzn-Trace-Id"),
        ("LOG_FORMAT", "json"),
    ]);
    let id = "Root=1-67891233-abcdef";
    let passed_on = format!(
        "GET /passed-on HTTP/1.1\r\nHost: localhost\r\nX-Amzn-Trace-Id: {id}\r\nX-Request-Id: chosen\r\n\
         X-Real-IP: 203.0.113.9\r\nX-Forwarded-For: 192.0.2.66\r\n\r\n"
    );
    let reply = wire::ask(stack.address, passed_on);
    assert_eq!(reply.header("x-request-id"), Some(id));
    let is_it = |line: &String| line.contains(id);
    let seen = wait_for(|| stack.log("app").into_iter().find(is_it));
    assert!(seen.contains(r#""client":"203.0.113.9""#), "{seen}");
}

fn the_proxy_may_pass_on_the_id_that_a_client_chose() {
    let stack = start(&[
        ("TRUSTED_PROXIES", "private"),
        ("REQUEST_ID_HEADER", "none"),
    ]);
    let request =
        "GET / HTTP/1.1\r\nHost: localhost\r\nX-Request-Id: chosen\r\nNone: chosen\r\n\r\n";
    let reply = wire::ask(stack.address, request);
    let id = reply.header("x-request-id").expect("an id");
    assert_ne!(id, "chosen");
}

fn it_stops_on_a_signal_and_exits_with_0() {
    let stack = start(&[]);
    let apache = stack.containers("apache").remove(0);
    let slow = "GET / HTTP/1.1\r\nHost: localhost\r\nConnection: keep-alive\r\n\r\n";
    assert_eq!(wire::ask(stack.address, slow).status, 200);
    docker(&["stop", "--time", "20", &apache]);
    let state = docker(&["inspect", "--format", "{{.State.ExitCode}}", &apache]);
    assert_eq!(state.trim(), "0");
}

fn an_invalid_setting_is_reported_at_start() {
    let run = [
        "run",
        "--rm",
        "--read-only",
        "--tmpfs=/tmp",
        "--env=MAX_BODY=much",
        "berth-apache",
    ];
    let output = std::process::Command::new("docker")
        .args(run)
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(78));
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(said.contains("MAX_BODY=\"much\""), "{said}");
}

/// Runs `event` under load, and prints a row of the table in deploy/compose/apache/README.md. How many requests are lost
/// depends on the machine; each loss must be one that `is_known`.
fn measure(event: &str, is_known: impl Fn(&Loss) -> bool, action: impl Fn(&Counted)) {
    let _alone = ALONE.lock();
    image("berth-apache");
    let files = "docker-compose.yml:tools/e2e/fixtures/load/compose.yml:deploy/compose/apache.yml";
    let once = || {
        let stack = Counted::behind("apache", files, &[]);
        let options = Options {
            rate: 500,
            ..Options::default()
        };
        stack.under_load(From::Network, &options, || {
            thread::sleep(Duration::from_secs(2));
            action(&stack);
            thread::sleep(Duration::from_secs(3));
        })
    };
    let mut report = once();
    for _ in 0..2 {
        // If the machine stalls under the load, the loss is not Apache's.
        if !report.was_offered() {
            println!("measured again: {report}");
            report = once();
        }
    }
    let (total, lost) = (report.outcome.total, report.lost() as u64);
    println!("| {event} | {total} | {lost} |\n{report}");
    assert!(report.faults.is_empty(), "nothing twice: {report}");
    let other: Vec<_> = (report.outcome.losses.iter().filter(|it| !is_known(it))).collect();
    assert!(other.is_empty(), "{other:#?}\n{report}");
    assert!(lost * 10 < total, "most were answered: {report}");
}

/// A reload closes the idle connections of clients.
fn is_of_a_reload(loss: &Loss) -> bool {
    loss.status.is_none() && loss.reused
}

fn scaling() {
    measure("scale 2 → 8 → 1 → 4", is_of_a_reload, |stack| {
        [8, 1, 4].iter().for_each(|&replicas| stack.scale(replicas));
    });
}

fn a_kill() {
    let is_known = |loss: &Loss| is_of_a_reload(loss) || loss.status == Some(502);
    measure("kill one of two replicas", is_known, |stack| {
        docker(&["kill", &stack.containers("app")[0]]);
    });
}

harness::trials![
    replicas_that_come_are_found_and_those_that_die_are_left_out,
    without_replicas_there_is_a_page_that_says_so,
    headers_of_untrusted_clients_are_ignored_and_no_version_is_shown,
    headers_of_trusted_proxies_count,
    the_proxy_may_have_headers_of_its_own,
    the_proxy_may_pass_on_the_id_that_a_client_chose,
    it_stops_on_a_signal_and_exits_with_0,
    an_invalid_setting_is_reported_at_start,
    @timed scaling,
    @timed a_kill,
];
