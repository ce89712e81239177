//! The bundle: nginx and the app in one container, from its start to its end.

use std::{
    collections::BTreeSet,
    io::{Read, Write},
    net::TcpStream,
    process::{Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use app::settings::VARIABLES;
use serde_json::{Value, json};

use crate::load::{self, Options, Process, Report};
use harness::{
    Bundle,
    bundle::BARE,
    container::{Container, bundle_image, image},
    in_flight::{InFlight, wait_until_refused},
    solo::{Outcome, wait_for},
    stack::{self, docker},
    wire::{self, TIMEOUT},
};

/// Longer than any test.
const LONG: &str = "--env=DRAIN_SECONDS=3600";

/// Runs it to its end with settings that it refuses.
fn refused(options: &[&str]) -> (i32, String) {
    let bundle = Container::run(options, &bundle_image(), &[]);
    let code = wait_for(|| bundle.exit_code());
    let Outcome { stdout, stderr, .. } = bundle.log();
    (code, format!("{stdout}{stderr}"))
}

fn the_image_says_how_it_runs() {
    let config = &image(&bundle_image())["Config"];
    assert_eq!(config["Entrypoint"], json!(["/app"]));
    assert_eq!(config["Cmd"], json!(["bundle"]));
    assert_eq!(config["StopSignal"], "SIGTERM");
    assert_eq!(config["User"], "65532:0");
    assert_eq!(config["Volumes"], Value::Null);
    let probe = &config["Healthcheck"]["Test"];
    assert_eq!(probe, &json!(["CMD", "/app", "healthcheck"]));
}

fn it_is_healthy_on_the_port_of_a_platform() {
    let bundle = Bundle::start_as(&bundle_image(), 5000, &["--env=PORT=5000"]);
    assert_eq!(wire::get(bundle.address, "/", "localhost").status, 200);
    let health = ["inspect", "--format={{.State.Health.Status}}", &bundle.name];
    wait_for(|| (docker(&health).trim() == "healthy").then_some(()));
}

fn it_listens_on_the_configured_address() {
    let bundle = Bundle::start(&["--env=BIND=127.0.0.1:8081", "--env=PORT=8082"]);
    let listening = bundle.shell("cat /tmp/berth/listen.conf");
    assert_eq!(listening, "listen 127.0.0.1:8082 backlog=4096;\n");
}

fn it_writes_to_tmp_alone() {
    let bundle = Container::run(&[], &bundle_image(), &[]);
    bundle.wait_until_ready();
    let changed = docker(&["diff", &bundle.name]);
    assert!(changed.contains(" /tmp/berth.sock\n"), "{changed}");
    let elsewhere = changed.lines().find(|it| !it[2..].starts_with("/tmp"));
    assert_eq!(elsewhere, None);
}

fn it_needs_neither_dns_nor_a_network() {
    let options = [BARE, &["--network=none", "--dns=fe80::1"]].concat();
    let bundle = Container::run(&options, &bundle_image(), &[]);
    bundle.wait_until_ready();
}

fn both_log() {
    let bundle = Bundle::start(&["--env=LOG_FORMAT=json"]);
    let reply = wire::get(bundle.address, "/nothing-here", "localhost");
    let id = reply.header("X-Request-Id").expect("an id");
    for log in [Bundle::app_log, Bundle::nginx_log] {
        let line = || log(&bundle).into_iter().find(|line| line.contains(id));
        let line: Value = serde_json::from_str(&wait_for(line)).expect("JSON");
        assert_eq!(line["request_id"], id);
    }
}

fn trusted_proxies_say_who_the_client_is() {
    let trusted = "--env=TRUSTED_PROXIES=10.0.0.0/8,172.16.0.0/12,192.168.0.0/16,fc00::/7";
    for (options, believed) in [(&[trusted][..], true), (&[], false)] {
        let bundle = Bundle::start(options);
        let request = "GET / HTTP/1.1\r\nHost: localhost\r\nX-Forwarded-For: 198.51.100.7\r\n\r\n";
        assert_eq!(wire::ask(bundle.address, request).status, 200);
        let line = bundle.log_line(" berth::access ");
        assert_eq!(line.contains(" client=198.51.100.7 "), believed, "{line}");
        // A client of nginx is not taken for a peer on the app's socket.
        assert!(line.contains(" client="), "{line}");
    }
}

fn a_platforms_router_may_have_headers_of_its_own() {
    let bundle = Bundle::start(&[
        "--env=TRUSTED_PROXIES=private",
        "--env=CLIENT_HEADER=Fly-Client-IP",
        "--env=REQUEST_ID_HEADER=traceparent",
    ]);
    let request = "GET / HTTP/1.1\r\nHost: localhost\r\nFly-Client-IP: 198.51.100.7\r\nTraceparent: 00-4bf9-00f0-01\r\n\
                   X-Forwarded-For: 192.0.2.66\r\nX-Request-Id: chosen\r\n\r\n";
    let reply = wire::ask(bundle.address, request);
    assert_eq!(reply.header("X-Request-Id"), Some("00-4bf9-00f0-01"));
    let line = bundle.log_line("00-4bf9-00f0-01");
    assert!(line.contains(" client=198.51.100.7 "), "{line}");
}

fn a_platforms_router_may_pass_on_the_id_that_a_client_chose() {
    let bundle = Bundle::start(&[
        "--env=TRUSTED_PROXIES=private",
        "--env=REQUEST_ID_HEADER=none",
    ]);
    let request =
        "GET / HTTP/1.1\r\nHost: localhost\r\nX-Request-Id: chosen\r\nNone: chosen\r\n\r\n";
    let reply = wire::ask(bundle.address, request);
    assert_ne!(reply.header("X-Request-Id"), Some("chosen"));
}

fn what_the_platform_calls_it_is_answered_by_nginx_too() {
    let bundle = Bundle::start(&["--env=FLY_APP_NAME=clock"]);
    for (host, status) in [("clock.fly.dev", 200), ("other.fly.dev", 404)] {
        assert_eq!(wire::get(bundle.address, "/", host).status, status);
        let file = wire::get(bundle.address, "/robots.txt", host);
        assert_eq!(file.status, status, "{host}");
    }
    // A file is nginx's to send: the app has logged the others.
    let log = bundle.app_log();
    assert!(
        !log.iter()
            .any(|it| it.contains("/robots.txt") && it.contains("status=200")),
        "{log:?}"
    );
}

fn a_wrong_configuration_is_reported_once() {
    let (code, said) = refused(&["--env=PORT=x", "--env=ALLOWED_HOSTS=https://example.com"]);
    assert_eq!(code, 78, "{said}");
    assert_eq!(said.matches("can't be used").count(), 1, "{said}");
    for part in [
        "  PORT=\"x\": ",
        "  ALLOWED_HOSTS=\"https://example.com\": ",
    ] {
        assert_eq!(said.matches(part).count(), 1, "{said}");
    }
    // Where nginx can't listen.
    let (code, said) = refused(&["--env=BIND=unix:/tmp/socket"]);
    assert_eq!(code, 78, "{said}");
    assert!(said.contains("BIND=unix:/tmp/socket: "), "{said}");
}

fn a_misspelt_variable_is_named_once() {
    let bundle = Bundle::start(&["--env=ALOWED_HOSTS=example.com"]);
    let log = bundle.app_log();
    let warnings = log
        .iter()
        .filter(|it| it.contains("did you mean ALLOWED_HOSTS?"));
    assert_eq!(warnings.count(), 1, "{log:?}");
}

fn what_the_container_may_not_do_is_said_with_what_to_do() {
    let reserved = "--sysctl=net.ipv4.ip_unprivileged_port_start=1024";
    for (options, says) in [
        (
            &["--env=PORT=80", reserved][..],
            "set PORT to one above 1023",
        ),
        (
            &["--read-only"],
            "give the container a /tmp that it may write",
        ),
    ] {
        let (code, said) = refused(options);
        assert_eq!(code, 1, "{said}");
        assert!(said.contains(says), "{said}");
        assert_eq!(said.lines().count(), 1, "{said}");
    }
}

/// Returns the shell command that signals the process of this name, or with "-" for `group` the process's group.
fn kill(signal: &str, group: &str, name: &str) -> String {
    format!(
        r#"for it in /proc/[0-9]*; do
            [ "$(tr '\0' ' ' < $it/cmdline)" != "{name} " ] || kill -s {signal} -- {group}"${{it#/proc/}}"; done"#
    )
}

fn when_one_dies_the_container_fails_at_once_and_says_which() {
    let app = kill("KILL", "", "/app serve");
    for (kill, says) in [
        (
            "kill -KILL $(cat /tmp/nginx.pid)",
            "nginx ended by itself (signal: 9 (SIGKILL))",
        ),
        (
            "kill -TERM $(cat /tmp/nginx.pid)",
            "nginx ended by itself (exit status: 0)",
        ),
        (
            app.as_str(),
            "the app ended by itself (signal: 9 (SIGKILL))",
        ),
    ] {
        for options in [&[][..], &["--init"]] {
            // However long it would drain.
            let bundle = Bundle::start(&[options, &[LONG]].concat());
            // One with a request in flight.
            let _request = InFlight::begin(bundle.address);
            let started = Instant::now();
            bundle.shell(kill);
            assert_eq!(bundle.ended(), 1, "{kill}");
            assert!(started.elapsed() < Duration::from_secs(2), "{kill}");
            let said = bundle.log().stderr;
            let last = said.lines().last().unwrap_or_default();
            assert!(last.starts_with(&format!("app: {says}")), "{said}");
        }
    }
}

fn orphans_leave_nothing_behind() {
    let bundle = Bundle::start(&[]);
    for _ in 0..5 {
        bundle.shell("for _ in 1 2 3 4; do (sleep 0.1 &) done");
    }
    let states = || bundle.shell("cat /proc/[0-9]*/status | grep -A2 '^Name'");
    wait_for(|| (!states().contains("\tsleep")).then_some(()));
    assert!(!states().contains("zombie"), "{}", states());
}

fn requests_in_flight_are_answered_however_many_signals_come() {
    for signals in [
        &["TERM"][..],
        &["INT"],
        &["QUIT"],
        &["TERM", "TERM", "INT", "QUIT"],
    ] {
        let bundle = Bundle::start(&["--env=DRAIN_SECONDS=0.5", "--env=SHUTDOWN_SECONDS=3600"]);
        // Past Docker's proxy, which accepts connections even if no process listens.
        let address = bundle.inner();
        let request = InFlight::begin(address);
        signals.iter().for_each(|signal| bundle.signal(signal));
        wait_until_refused(address);
        bundle.signal(signals[0]);
        let answer = request.finish();
        assert!(
            answer.starts_with("HTTP/1.1 501 Not Implemented\r\n"),
            "{answer}"
        );
        assert!(answer.ends_with("\r\n\r\n501 Not Implemented"), "{answer}");
        assert_eq!(bundle.ended(), 0, "{signals:?}");
        let log = bundle.app_log();
        let said: Vec<&str> = log
            .iter()
            .filter_map(|line| line.split_once(" INFO  berth::nginx::supervisor "))
            .map(|(_, said)| said)
            .collect();
        let first = format!("SIG{}: draining for 0.5 s", signals[0]);
        let steps = [first.as_str(), "drained: listening no more", "stopped"];
        assert!(said.ends_with(&steps), "{log:?}");
        // Both logs have their last lines.
        let is_post = |line: &String| line.contains("POST");
        assert_eq!(log.into_iter().filter(is_post).count(), 1);
        assert_eq!(bundle.nginx_log().into_iter().filter(is_post).count(), 1);
    }
}

fn a_request_without_end_is_cut_off_in_time() {
    let bundle = Bundle::start(&["--env=DRAIN_SECONDS=0", "--env=SHUTDOWN_SECONDS=2"]);
    let mut request = InFlight::begin(bundle.inner());
    let told = Instant::now();
    bundle.signal("TERM");
    assert_eq!(request.line(), "", "an answer to half a request");
    assert_eq!(bundle.ended(), 0);
    let took = told.elapsed();
    assert!(
        took > Duration::from_millis(1500),
        "it was cut after {took:?}"
    );
    assert!(took < Duration::from_secs(4), "it took {took:?}");
    bundle.log_line(" WARN  berth::nginx::supervisor out of time");
}

fn requests_are_served_during_the_drain_and_each_answer_is_the_last_of_its_connection() {
    let bundle = Bundle::start(&[LONG]);
    let address = bundle.address;
    let ready = |host| wire::get(address, "/health/ready?probe", host);
    assert_eq!(ready("localhost").status, 200);
    bundle.signal("TERM");
    // While nginx changes its configuration, workers with the old one and the new one take turns.
    wait_for(|| {
        (0..9)
            .all(|_| ready("localhost").status == 503)
            .then_some(())
    });
    // As src/health.rs answers.
    for host in ["localhost", "elsewhere.example", "user@localhost", ""] {
        let reply = ready(host);
        assert_eq!(reply.status, 503, "{host:?}");
        assert_eq!(
            reply.header("Content-Type"),
            Some("text/plain; charset=utf-8")
        );
        assert_eq!(reply.header("Cache-Control"), Some("no-store"));
        assert!(reply.header("X-Request-Id").is_some());
        assert_eq!(reply.text(), "Service Unavailable");
    }
    for (target, status) in [
        ("/", 200),
        ("/robots.txt", 200),
        ("/nothing-here", 404),
        ("/up", 200),
        ("/health/ready", 503),
        ("//health/ready", 404),
    ] {
        let request = format!("GET {target} HTTP/1.1\r\nHost: localhost\r\n\r\n");
        let exchange = wire::converse(address, &[&request, &request], false, 1, TIMEOUT);
        let [answer] = &exchange.replies[..] else {
            panic!("{target}: not one answer: {exchange:?}")
        };
        assert_eq!(answer.status, status, "{target}");
        assert_eq!(answer.header("Connection"), Some("close"), "{target}");
        assert!(exchange.closed, "{target}: {exchange:?}");
    }
    let malformed = "GET /health/ready HTTP/1.32\r\nHost: localhost\r\n\r\n";
    assert_eq!(wire::ask(address, malformed).status, 400);
    let other = "DELETE /health/ready HTTP/1.1\r\nHost: localhost\r\n\r\n";
    assert_eq!(wire::ask(address, other).status, 501);
}

fn a_connection_that_was_used_lately_outlives_the_signal_by_one_answer() {
    let bundle = Bundle::start(&[LONG]);
    let mut client = TcpStream::connect(bundle.inner()).unwrap();
    client.set_read_timeout(Some(TIMEOUT)).unwrap();
    let mut ask = || {
        let _ = client.write_all(b"HEAD /robots.txt HTTP/1.1\r\nHost: localhost\r\n\r\n");
        let mut answer = [0; 1000];
        let length = client.read(&mut answer).unwrap_or(0);
        String::from_utf8_lossy(&answer[..length]).into_owned()
    };
    assert!(ask().contains("\r\nConnection: keep-alive\r\n"));
    bundle.signal("TERM");
    let ready = || wire::get(bundle.address, "/health/ready", "localhost").status;
    wait_for(|| (ready() == 503).then_some(()));
    // nginx's new worker processes answer some time before the old one learns of the drain.
    wait_for(|| {
        let answer = ask();
        assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer:?}");
        answer.contains("\r\nConnection: close\r\n").then_some(())
    });
}

fn an_idle_connection_is_kept_for_keep_alive() {
    for (keep, least) in [("0", 0.0), ("1.5", 1.5)] {
        let bundle = Bundle::start(&[&format!("--env=KEEP_ALIVE={keep}")]);
        let asked = Instant::now();
        let request = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n";
        let exchange = wire::exchange(bundle.inner(), request, TIMEOUT);
        assert!(exchange.closed, "{exchange:?}");
        let kept = asked.elapsed().as_secs_f64();
        assert!(least <= kept && kept < least + 1.5, "{kept} s, not {keep}");
    }
}

/// Half of the requests are POSTs, most of them on connections that are kept alive.
fn under_load_nothing_is_lost_from_the_signal_to_the_end_of_the_drain() {
    let counts = load::counting_folder();
    let folder = format!("--volume={}:/counts", counts.path().display());
    let bundle = Bundle::start_as(
        &load::image("bundled", "1"),
        8080,
        &[&folder, "--env=COUNT_DIR=/counts", "--env=DRAIN_SECONDS=4"],
    );
    let options = Options {
        target: format!("http://{}", bundle.inner()),
        rate: 500,
        ..Options::default()
    };
    let load = Process::on_host(&options);
    thread::sleep(Duration::from_secs(1));
    bundle.signal("TERM");
    thread::sleep(Duration::from_secs(3));
    load.stop();
    let outcome = load.outcome();
    assert_eq!(bundle.ended(), 0);
    let report = Report::new(&options, outcome, &load::counts(counts.path()));
    println!("{report}");
    report.assert_nothing_lost();
    let log = bundle.app_log();
    assert!(!log.iter().any(|it| it.contains(" WARN ")), "{log:?}");
}

/// deploy/compose/bundle.yml under a name of its own; removed on drop.
struct Composed(String);

impl Composed {
    fn compose(&self, arguments: &[&str]) -> Command {
        let file = [
            "--file=deploy/compose/bundle.yml",
            "--project-name",
            &self.0,
        ];
        let mut command = stack::compose(&[&file, arguments].concat());
        command.env("PUBLISH", "127.0.0.1:");
        command
    }
}

impl Drop for Composed {
    fn drop(&mut self) {
        let mut down = self.compose(&["down", "--volumes", "--timeout=1"]);
        let _ = down.stderr(Stdio::null()).status();
    }
}

fn the_compose_file_runs_it_hardened() {
    let bundle = Composed(format!("berth-test-{}-bundle", std::process::id()));
    let run = |arguments: &[&str]| stack::run(&mut bundle.compose(arguments));
    let model: Value = serde_json::from_str(&run(&["config", "--format=json"])).unwrap();
    let service = &model["services"]["bundle"];
    for (key, value) in [
        ("read_only", json!(true)),
        ("cap_drop", json!(["ALL"])),
        ("security_opt", json!(["no-new-privileges:true"])),
        ("volumes", Value::Null),
    ] {
        assert_eq!(service[key], value, "{key}");
    }
    for limit in ["cpus", "memory", "pids"] {
        let limits = &service["deploy"]["resources"]["limits"];
        assert_ne!(limits[limit], Value::Null, "no limit of {limit}");
    }
    // Each but what the image and the container's port say, and what is for a stack.
    let passed = service["environment"].as_object().unwrap().keys();
    let excluded = ["BIND", "NGINX_ADDRESS", "PORT", "STATIC_DIR"];
    let variables = VARIABLES.iter().map(|it| it.name);
    let variables: BTreeSet<_> = variables.filter(|it| !excluded.contains(it)).collect();
    assert_eq!(
        passed.map(String::as_str).collect::<BTreeSet<_>>(),
        variables
    );

    run(&["up", "--detach", "--no-build", "--pull=never", "--wait"]);
    let address = run(&["port", "bundle", "8080"]);
    let address = address.trim().parse().expect("an address");
    assert_eq!(wire::get(address, "/", "localhost").status, 200);
}

/// As a terminal signals at Ctrl-C.
fn a_signal_to_its_process_group_reaches_it_alone() {
    // The group of a container's first process would have all its processes.
    let bundle = Bundle::start(&["--init", "--env=DRAIN_SECONDS=0.5"]);
    let request = InFlight::begin(bundle.inner());
    bundle.shell(&kill("INT", "-", "/app bundle"));
    wait_until_refused(bundle.inner());
    let answer = request.finish();
    assert!(answer.starts_with("HTTP/1.1 501 "), "{answer}");
    assert_eq!(bundle.ended(), 0);
}

/// Some platforms signal every process of a container. nginx then stops at once, but that is no failure.
fn when_every_process_gets_the_signal_it_ends_in_order() {
    let bundle = Bundle::start(&[]);
    bundle.shell("kill -TERM -1; kill -TERM 1");
    assert_eq!(bundle.ended(), 0);
    bundle.log_line(" WARN  berth::nginx::supervisor nginx has been stopped too");
}

harness::trials![
    the_image_says_how_it_runs,
    it_is_healthy_on_the_port_of_a_platform,
    it_listens_on_the_configured_address,
    it_writes_to_tmp_alone,
    it_needs_neither_dns_nor_a_network,
    both_log,
    trusted_proxies_say_who_the_client_is,
    a_platforms_router_may_have_headers_of_its_own,
    a_platforms_router_may_pass_on_the_id_that_a_client_chose,
    what_the_platform_calls_it_is_answered_by_nginx_too,
    a_wrong_configuration_is_reported_once,
    a_misspelt_variable_is_named_once,
    what_the_container_may_not_do_is_said_with_what_to_do,
    @timed when_one_dies_the_container_fails_at_once_and_says_which,
    orphans_leave_nothing_behind,
    requests_in_flight_are_answered_however_many_signals_come,
    a_request_without_end_is_cut_off_in_time,
    requests_are_served_during_the_drain_and_each_answer_is_the_last_of_its_connection,
    a_connection_that_was_used_lately_outlives_the_signal_by_one_answer,
    an_idle_connection_is_kept_for_keep_alive,
    under_load_nothing_is_lost_from_the_signal_to_the_end_of_the_drain,
    the_compose_file_runs_it_hardened,
    a_signal_to_its_process_group_reaches_it_alone,
    when_every_process_gets_the_signal_it_ends_in_order,
];
