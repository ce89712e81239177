//! The load notices one request in a thousand that goes wrong, whatever goes wrong, and names it.

mod common;

use std::{
    collections::BTreeMap,
    io::{BufRead, BufReader, Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    thread,
    time::Duration,
};

use common::load::{Loss, Options, Outcome, Process, Report};
use socket2::SockRef;

/// What the server does to a number; all others it answers as it should.
#[derive(Clone, Copy, Debug)]
enum Deed {
    /// Closes the connection in place of an answer.
    Drop,
    /// Sends a reset in place of an answer.
    Reset,
    /// Says nothing.
    Ignore,
    /// Closes the connection in the middle of the answer.
    Cut,
    /// Answers, and once more.
    Twice,
    WrongBody,
    BadGateway,
    Late,
    /// Says that it closes the connection, and does.
    Close,
}

const LATE: Duration = Duration::from_millis(1500);

/// Starts a server that does `deeds` to their numbers. It ends with the test.
fn server(deeds: &'static [(u64, Deed)]) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        for connection in listener.incoming() {
            thread::spawn(move || serve(connection.unwrap(), deeds));
        }
    });
    address
}

fn serve(mut socket: TcpStream, deeds: &[(u64, Deed)]) -> Option<()> {
    socket.set_nodelay(true).unwrap();
    let mut requests = BufReader::new(socket.try_clone().unwrap());
    loop {
        let number = read_request(&mut requests)?;
        let answer = |status: &str, more: &str, body: &str| {
            let length = number.to_string().len();
            format!("HTTP/1.1 {status}\r\n{more}Content-Length: {length}\r\n\r\n{body}")
        };
        let body = number.to_string();
        let right = answer("200 OK", "", &body);
        let deed = deeds.iter().find(|(doomed, _)| *doomed == number);
        let text = match deed.map(|(_, deed)| deed) {
            Some(Deed::Drop) => return None,
            Some(Deed::Reset) => {
                SockRef::from(&socket)
                    .set_linger(Some(Duration::ZERO))
                    .unwrap();
                return None;
            }
            Some(Deed::Ignore) => String::new(),
            Some(Deed::Cut) => right[..right.len() - 1].to_owned(),
            Some(Deed::Twice) => right.repeat(2),
            Some(Deed::WrongBody) => answer("200 OK", "", &"7".repeat(body.len())),
            Some(Deed::BadGateway) => answer("502 Bad Gateway", "", &body),
            Some(Deed::Late) => {
                thread::sleep(LATE);
                right
            }
            Some(Deed::Close) => answer("200 OK", "Connection: close\r\n", &body),
            None => right,
        };
        socket.write_all(text.as_bytes()).ok()?;
        if let Some((_, Deed::Cut | Deed::Close)) = deed {
            return None;
        }
    }
}

/// The number of the next request; none when the client is gone.
fn read_request(requests: &mut BufReader<TcpStream>) -> Option<u64> {
    let mut head = Vec::new();
    loop {
        let mut line = String::new();
        requests.read_line(&mut line).ok()?;
        match line.trim_end() {
            "" => break,
            line => head.push(line.to_owned()),
        }
    }
    let length = head.iter().find_map(|line| {
        line.to_lowercase()
            .strip_prefix("content-length: ")?
            .parse()
            .ok()
    });
    requests
        .read_exact(&mut vec![0; length.unwrap_or(0)])
        .ok()?;
    let path = head.first()?.split(' ').nth(1)?;
    path.strip_prefix("/number/")?.parse().ok()
}

/// A thousand numbers from 1000 on, over kept-alive connections but for those that `fresh` says.
fn load(address: SocketAddr, fresh: u8) -> Options {
    Options {
        target: format!("http://{address}"),
        first: 1000,
        requests: 1000,
        patience: 3,
        fresh,
        ..Options::default()
    }
}

fn lost(outcome: &Outcome) -> BTreeMap<u64, &Loss> {
    outcome
        .losses
        .iter()
        .map(|loss| (loss.number, loss))
        .collect()
}

#[test]
fn a_load_that_is_well_served_loses_nothing() {
    for fresh in [0, 50, 100] {
        let outcome = Process::on_host(&load(server(&[]), fresh)).outcome();
        assert!(outcome.losses.is_empty(), "{outcome:?}");
        assert_eq!(
            (outcome.first, outcome.total, outcome.answered),
            (1000, 1000, 1000)
        );
        assert_eq!(outcome.gets + outcome.posts, 1000);
        assert!((400..600).contains(&outcome.posts), "{outcome:?}");
    }
}

#[test]
fn each_mishap_is_named() {
    let deeds = &[
        (1100, Deed::Drop),
        (1200, Deed::Reset),
        (1300, Deed::Ignore),
        (1400, Deed::Cut),
        (1500, Deed::WrongBody),
        (1600, Deed::BadGateway),
    ];
    for fresh in [0, 100] {
        let options = load(server(deeds), fresh);
        let outcome = Process::on_host(&options).outcome();
        let lost = lost(&outcome);
        assert!(
            lost.keys().eq(deeds.iter().map(|(number, _)| number)),
            "{lost:?}"
        );
        assert_eq!(outcome.answered, 1000 - 6);
        let what = [
            (1100, "connection closed before message completed"),
            (1200, "reset by peer"),
            (1300, "no answer within 3s"),
            (1400, "error reading a body"),
            (1500, "the body \"7777\""),
            (1600, "status 502"),
        ];
        for (number, what) in what {
            let loss = lost[&number];
            assert!(loss.what.contains(what), "{loss:?}");
            assert_eq!(loss.method == "POST", options.is_post(number), "{loss:?}");
            assert_eq!(loss.reused, fresh == 0, "{loss:?}");
        }
        assert_eq!(lost[&1600].status, Some(502));
        assert!(lost[&1300].after >= 3000.0);
    }
}

#[test]
fn a_second_answer_is_noticed() {
    let options = load(server(&[(1100, Deed::Twice), (1999, Deed::Twice)]), 0);
    let outcome = Process::on_host(&options).outcome();
    let lost = lost(&outcome);
    assert!(lost.keys().eq(&[1100, 1999]), "{lost:?}");
    assert!(
        lost.values().all(|loss| loss.what == "answered twice"),
        "{lost:?}"
    );
    assert_eq!(outcome.answered, 998);
}

#[test]
fn a_late_answer_is_no_loss_but_is_seen_and_holds_nothing_up() {
    let outcome = Process::on_host(&load(server(&[(1100, Deed::Late)]), 0)).outcome();
    assert!(outcome.losses.is_empty(), "{outcome:?}");
    let slowest = outcome.get_times.max.max(outcome.post_times.max);
    assert!(slowest >= LATE.as_secs_f64() * 1000.0, "{outcome:?}");
    assert_eq!((outcome.total, outcome.unoffered), (1000, 0));
}

#[test]
fn a_connection_may_be_closed_when_that_was_announced() {
    let outcome = Process::on_host(&load(
        server(&[(1100, Deed::Close), (1200, Deed::Close)]),
        0,
    ))
    .outcome();
    assert!(outcome.losses.is_empty(), "{outcome:?}");
}

#[test]
fn what_could_not_be_offered_is_said() {
    let deeds = &[(1000, Deed::Late), (1001, Deed::Late)];
    let options = Options {
        in_flight: 2,
        requests: 100,
        ..load(server(deeds), 0)
    };
    let outcome = Process::on_host(&options).outcome();
    assert!(outcome.losses.is_empty(), "{outcome:?}");
    assert!(outcome.unoffered > 1000, "{outcome:?}");
    assert_eq!(outcome.total, 100);
}

#[test]
fn a_load_that_is_stopped_waits_for_what_is_in_flight() {
    let options = Options {
        requests: u64::MAX,
        ..load(server(&[(1000, Deed::Late)]), 0)
    };
    let load = Process::on_host(&options);
    thread::sleep(Duration::from_millis(500));
    load.stop();
    let outcome = load.outcome();
    assert!(outcome.losses.is_empty(), "{outcome:?}");
    assert_eq!(outcome.answered, outcome.total);
    let slowest = outcome.get_times.max.max(outcome.post_times.max);
    assert!(slowest >= LATE.as_secs_f64() * 1000.0, "{outcome:?}");
}

/// Ten numbers, all POSTs; number 5 was lost, the others answered. They were processed as `counts` says.
fn reconciled(counts: impl IntoIterator<Item = (u64, u32)>) -> Vec<String> {
    let loss = Loss {
        number: 5,
        method: "POST".into(),
        what: "status 502".into(),
        status: Some(502),
        at: 0.0,
        after: 1.0,
        replica: None,
        reused: false,
    };
    let outcome = Outcome {
        total: 10,
        posts: 10,
        answered: 9,
        losses: vec![loss],
        ..Outcome::default()
    };
    let options = Options {
        posts: 100,
        ..Options::default()
    };
    Report::new(&options, outcome, &counts.into_iter().collect()).faults
}

#[test]
fn what_was_processed_is_reconciled_with_what_was_answered() {
    let once = |number| (number, 1);
    let none: [&str; 0] = [];
    // Nobody knows whether a request that was lost has been processed.
    assert_eq!(reconciled((0..10).map(once)), none);
    assert_eq!(
        reconciled((0..10).filter(|&number| number != 5).map(once)),
        none
    );
    let twice = |doomed| move |number| (number, if number == doomed { 2 } else { 1 });
    assert_eq!(
        reconciled((0..10).map(twice(3))),
        ["3 was answered, and processed 2 times"]
    );
    assert_eq!(
        reconciled((0..10).map(twice(5))),
        ["5 was lost, and processed 2 times"]
    );
    let missing = (0..10).filter(|&number| number != 3).map(once);
    assert_eq!(
        reconciled(missing),
        ["3 was answered, and processed 0 times"]
    );
    assert_eq!(
        reconciled((0..11).map(once)),
        ["10 was processed, and nobody asked"]
    );
}
