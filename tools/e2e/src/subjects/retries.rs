//! Which requests nginx sends to a replica, which it sends once more, and what it says of the others. Its replicas are
//! stubs, so that each loss that a directive prevents happens every time.

use std::{
    thread,
    time::{Duration, Instant},
};

use crate::stubs::{Staged, ask, start_nginx};
use harness::{solo::wait_for, stack::docker, wire::TIMEOUT};

/// Enough requests to reach every replica.
const ROUND: usize = 6;
/// What makes a GET the handshake of a WebSocket.
const HANDSHAKE: &str = "Connection: Upgrade\r\nUpgrade: websocket\r\n";
/// At the same time, and more than nginx keeps connections for by itself.
const MANY: usize = 100;
const BAD_GATEWAY: (u16, &str) = (502, "502 Bad Gateway");
const GATEWAY_TIMEOUT: (u16, &str) = (504, "504 Gateway Timeout");

/// Fails unless `method` is answered with `wanted` after the stubs have been asked so often.
#[track_caller]
fn assert_asked(stage: &Staged, method: &str, header: &str, times: usize, wanted: (u16, &str)) {
    let target = format!("/{method}-{}", header.len());
    let answer = stage.ask(method, &target, header);
    let what = format!("{method} {header:?}: {answer:?}");
    assert_eq!((answer.status, answer.text().as_str()), wanted, "{what}");
    assert_eq!(
        stage.had(&format!("{method} {target}")),
        times,
        "times: {what}"
    );
}

fn what_may_have_been_processed_is_not_sent_twice() {
    let stage = Staged::start(&["", ""], &[0, 1], &[]);
    stage.tell("requests hang-up");
    for method in ["POST", "PATCH", "LOCK"] {
        assert_asked(&stage, method, "", 1, BAD_GATEWAY);
        // Unless the client marks it as idempotent.
        assert_asked(&stage, method, "Idempotency-Key: a\r\n", 2, BAD_GATEWAY);
    }
    for method in ["GET", "PUT", "DELETE"] {
        let answer = stage.ask(method, "/again", "");
        assert_eq!(
            (answer.status, answer.text().as_str()),
            BAD_GATEWAY,
            "{method}"
        );
        let times = stage.had(&format!("{method} /again"));
        assert!(
            times > 2,
            "{method}: asked {times} times, and there is a backup"
        );
    }
}

/// It may still be running.
fn what_is_not_answered_in_time_is_not_sent_again() {
    let stage = Staged::impatient(&["", "", ""], &[0, 1, 2]);
    stage.tell("requests mute");
    thread::scope(|scope| {
        for method in ["GET", "PUT", "POST"] {
            let stage = &stage;
            scope.spawn(move || assert_asked(stage, method, "", 1, GATEWAY_TIMEOUT));
        }
        scope.spawn(|| {
            assert_asked(
                &stage,
                "POST",
                "Idempotency-Key: a|b\r\n",
                1,
                GATEWAY_TIMEOUT,
            );
        });
    });
}

fn a_replica_that_hangs_costs_one_request() {
    let stage = Staged::impatient(&["", ""], &[0, 1]);
    stage.stubs[0].tell("requests mute");
    let statuses: Vec<_> = (0..ROUND).map(|_| stage.get("/late").status).collect();
    let lost = statuses.iter().filter(|&&status| status == 504).count();
    assert_eq!(
        (lost, stage.stubs[0].had("GET /late")),
        (1, 1),
        "{statuses:?}"
    );
    assert_eq!(stage.stubs[1].had("GET /late"), ROUND - 1);
}

fn the_page_says_what_became_of_the_last_attempt() {
    let stage = Staged::impatient(&["", "absent", "absent"], &[0, 1, 2]);
    stage.stubs[0].tell("requests mute");
    let refused = || stage.errors().matches("Connection refused").count();
    let (before, begun) = (refused(), Instant::now());
    // The absent one is tried again once it counts as available; then the POST is passed on to the one that hangs.
    while begun.elapsed() < 5 * TIMEOUT / 4 {
        let answer = stage.ask("POST", "/", "");
        assert_eq!((answer.status, answer.text().as_str()), GATEWAY_TIMEOUT);
    }
    assert!(refused() > before, "no request was sent to the absent one");
}

fn a_service_may_answer_with_what_nginx_says_of_a_failure() {
    let stage = Staged::start(&["", ""], &[0, 1], &[]);
    for status in [500, 502, 503, 504] {
        stage.tell(&format!("requests {status}"));
        for method in ["GET", "POST"] {
            let target = format!("/{status}");
            let answer = stage.ask(method, &target, "");
            assert_eq!(
                (answer.status, answer.text().as_str()),
                (status, "ok"),
                "{method}"
            );
            assert_eq!(
                stage.had(&format!("{method} {target}")),
                1,
                "{method} {status}"
            );
        }
    }
}

fn an_address_that_is_gone_costs_a_moment() {
    // Several, so that one is tried.
    let stage = Staged::start(&["", "deaf", "deaf"], &[0, 1, 2], &[]);
    for method in ["GET", "POST"] {
        for _ in 0..ROUND {
            assert_eq!(stage.ask(method, "/", "").status, 200, "{method}");
        }
    }
    assert!(
        stage.errors().contains("timed out"),
        "no request was sent to such an address"
    );
}

fn a_replica_with_much_to_do_gets_less() {
    let stage = Staged::start(&["", ""], &[0, 1], &[]);
    stage.stubs[0].tell("requests mute");
    let address = stage.address;
    let begin = |_| {
        thread::spawn(move || ask(address, "PUT", "/hanging", ""));
        thread::sleep(Duration::from_millis(200));
    };
    (0..2).for_each(begin);
    assert_eq!(stage.stubs[0].had("PUT /hanging"), 1, "one of two");
    (0..ROUND).for_each(|_| assert_eq!(stage.get("/quick").status, 200));
    assert_eq!(stage.stubs[0].had("GET /quick"), 0, "it hangs");
}

fn a_connection_is_kept_for_each_request_of_a_burst() {
    let stage = Staged::start(&[""], &[0], &[]);
    let burst = |target: &'static str, requests| {
        stage.tell("requests wait");
        let address = stage.address;
        let ask = |_| thread::spawn(move || ask(address, "GET", target, "").status);
        let asked: Vec<_> = (0..requests).map(ask).collect();
        wait_for(|| (stage.had(&format!("GET {target}")) == requests).then_some(()));
        stage.tell("requests 200");
        for status in asked {
            assert_eq!(status.join().unwrap(), 200);
        }
        stage.had("connection")
    };
    // The health check of the container may take one more.
    let connections = burst("/first", MANY + 10);
    assert!(connections >= MANY + 10, "{connections}");
    assert_eq!(burst("/second", MANY), connections, "none was opened");
}

/// nginx gives a request up when the set of replicas has changed since it began.
fn a_request_outlives_a_change_of_the_replicas() {
    // Longer than it takes nginx to see the change.
    let connect = ("proxy_connect_timeout 1s", "proxy_connect_timeout 6s");
    let stage = Staged::start(&["", "deaf", ""], &[0], &[connect]);
    let address = stage.address;
    stage.stubs[0].tell("requests mute");
    // Requests that arrive while these hang are sent to the deaf one first.
    for _ in 0..10 {
        thread::spawn(move || ask(address, "PUT", "/hanging", ""));
    }
    wait_for(|| (stage.had("PUT /hanging") == 10).then_some(()));
    stage.stubs[0].tell("requests 200");
    stage.know(&[&[0, 1], &[0, 1, 2]]);
    let asked: Vec<_> = (0..60)
        .map(|number| {
            thread::sleep(Duration::from_millis(50));
            let (method, lines) = [("GET", ""), ("POST", ""), ("GET", HANDSHAKE)][number % 3];
            let asked = move || {
                let begun = Instant::now();
                (
                    ask(address, method, &format!("/{number}."), lines).status,
                    begun.elapsed(),
                )
            };
            (method, number, thread::spawn(asked))
        })
        .collect();
    let mut late = [0; 3];
    for (method, number, asked) in asked {
        let (status, time) = asked.join().unwrap();
        assert_eq!(status, 200, "{method} {number} after {time:?}");
        assert_eq!(
            stage.had(&format!("{method} /{number}.")),
            1,
            "{method} {number}"
        );
        late[number % 3] += usize::from(time > Duration::from_secs(5));
    }
    assert!(
        !late.contains(&0),
        "GETs, POSTs and handshakes that the deaf one was to have: {late:?}"
    );
    assert!(
        stage.errors().contains("no live upstreams"),
        "the set did not change"
    );
}

fn a_new_replica_is_found_even_after_the_resolver_failed() {
    let stage = Staged::start(&["", "", ""], &[0], &[]);
    let find = |stage: &Staged, number: usize| {
        wait_for(|| {
            assert_eq!(stage.get("/").status, 200);
            (stage.stubs[number].had("GET /") > 0).then_some(())
        });
    };
    stage.know(&[&[0, 1]]);
    find(&stage, 1);
    // Longer than it takes nginx to ask again.
    stage.know(&[]);
    let failing = Instant::now();
    while failing.elapsed() < Duration::from_secs(4) {
        assert_eq!(stage.get("/").status, 200);
    }
    assert!(
        stage.errors().contains("could not be resolved"),
        "it did not fail"
    );
    stage.know(&[&[0, 1, 2]]);
    find(&stage, 2);
    // Removed replicas get no more requests.
    stage.know(&[&[2]]);
    wait_for(|| {
        let before = stage.stubs[2].had("GET /");
        (0..ROUND).for_each(|_| assert_eq!(stage.get("/").status, 200));
        (stage.stubs[2].had("GET /") == before + ROUND).then_some(())
    });
}

fn a_replica_that_is_not_ready_is_left_alone_for_a_while() {
    for act in ["503", "hang-up", "mute"] {
        let stage = Staged::start(&["", ""], &[0, 1], &[]);
        stage.stubs[0].tell(&format!("ready {act}"));
        let probes = || stage.stubs[0].had("GET /health/ready");
        let before = probes();
        for _ in 0..ROUND {
            let begun = Instant::now();
            assert_eq!(stage.get("/health/ready").status, 200, "{act}");
            assert!(
                begun.elapsed() < Duration::from_secs(10),
                "{act}: {:?}",
                begun.elapsed()
            );
        }
        assert_eq!(probes() - before, 1, "{act}: probes");
        // The rest of a default drain would be longer.
        (0..ROUND).for_each(|_| assert_eq!(stage.get("/while").status, 200, "{act}"));
        assert_eq!(stage.stubs[0].had("GET /while"), 0, "{act}");
        assert!(
            !stage.errors().contains("/health/ready"),
            "{act}: {}",
            stage.errors()
        );

        stage.stubs[0].tell("ready 200");
        let recovered = Instant::now();
        wait_for(|| {
            assert_eq!(stage.get("/after").status, 200, "{act}");
            (stage.stubs[0].had("GET /after") > 0).then_some(())
        });
        let took = recovered.elapsed();
        assert!(
            took < Duration::from_secs(8),
            "{act}: noticed after {took:?}"
        );
    }
}

fn replicas_that_are_all_not_ready_serve_on() {
    let stage = Staged::start(&["", ""], &[0, 1], &[]);
    stage.tell("ready 503");
    for _ in 0..ROUND {
        assert_eq!(stage.get("/health/ready").status, 503);
        assert_eq!(stage.get("/").status, 200);
        assert_eq!(stage.ask("POST", "/", "").status, 200);
    }
    // New ones too.
    let stage = Staged::start(&["", "", ""], &[0, 1], &[]);
    stage.tell("ready 503");
    stage.know(&[&[2]]);
    wait_for(|| {
        assert_eq!(stage.get("/health/ready").status, 503);
        assert_eq!(stage.get("/").status, 200);
        (stage.stubs[2].had("GET /") > 0).then_some(())
    });
}

fn a_replica_is_left_alone_as_long_as_it_drains_and_is_known() {
    // nginx/conf.d/upstream.conf says how long the resolver's news take.
    const NEWS: f64 = 2.0;
    for drain in ["", "0", "2.5", "60"] {
        let setting = format!("--env=DRAIN_SECONDS={drain}");
        let (nginx, _) = start_nginx(&["--network=bridge", &setting]);
        let replicas = docker(&["exec", &nginx.name, "cat", "/tmp/berth/replicas.conf"]);
        let (_, time) = replicas.split_once(" fail_timeout=").expect("a time");
        let (time, _) = time.split_once("s;").expect("seconds");
        let needed = drain.parse().unwrap_or(2.5) + NEWS;
        let time: f64 = time.parse().unwrap();
        assert!(
            (needed..needed + 1.0).contains(&time),
            "{drain}: {time} s, not {needed} s"
        );
    }
}

fn the_resolver_is_the_containers_own() {
    let nowhere = ["--dns=192.0.2.1", "--dns=2001:db8::1"];
    let (nginx, _) = start_nginx(&[&["--network=bridge"], &nowhere[..]].concat());
    let resolver = docker(&["exec", &nginx.name, "cat", "/tmp/berth/resolver.conf"]);
    assert!(
        resolver.starts_with("resolver 192.0.2.1 [2001:db8::1] "),
        "{resolver}"
    );
}

harness::trials![
    what_may_have_been_processed_is_not_sent_twice,
    what_is_not_answered_in_time_is_not_sent_again,
    a_replica_that_hangs_costs_one_request,
    the_page_says_what_became_of_the_last_attempt,
    a_service_may_answer_with_what_nginx_says_of_a_failure,
    an_address_that_is_gone_costs_a_moment,
    a_replica_with_much_to_do_gets_less,
    a_connection_is_kept_for_each_request_of_a_burst,
    a_request_outlives_a_change_of_the_replicas,
    a_new_replica_is_found_even_after_the_resolver_failed,
    a_replica_that_is_not_ready_is_left_alone_for_a_while,
    replicas_that_are_all_not_ready_serve_on,
    a_replica_is_left_alone_as_long_as_it_drains_and_is_known,
    the_resolver_is_the_containers_own,
];
