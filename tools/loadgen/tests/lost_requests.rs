//! Runs the program against a server that answers single requests wrongly: it must report each of them.

use std::{
    collections::BTreeMap,
    io::{BufRead, BufReader, Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    thread,
    time::Duration,
};

use loadgen::{
    options::Options,
    outcome::{Answered, Loss, Outcome},
};
use socket2::SockRef;

mod common;
use common::Process;

/// What the server does with a number; it answers all others correctly.
#[derive(Clone, Copy, Debug)]
enum Act {
    /// Closes the connection in place of an answer.
    Drop,
    /// Sends a reset in place of an answer.
    Reset,
    /// Never answers.
    Ignore,
    /// Closes the connection in the middle of the answer.
    Cut,
    /// Answers twice.
    Twice,
    WrongBody,
    BadGateway,
    Late,
    /// Answers with `Connection: close`, and closes.
    Close,
}

const LATE: Duration = Duration::from_millis(1500);

/// Starts a server that does the acts. It ends with the test.
fn server(acts: &'static [(u64, Act)]) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        for connection in listener.incoming() {
            thread::spawn(move || serve(connection.unwrap(), acts));
        }
    });
    address
}

fn serve(mut socket: TcpStream, acts: &[(u64, Act)]) -> Option<()> {
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
        let act = acts.iter().find(|(doomed, _)| *doomed == number);
        let text = match act.map(|(_, act)| act) {
            Some(Act::Drop) => return None,
            Some(Act::Reset) => {
                SockRef::from(&socket)
                    .set_linger(Some(Duration::ZERO))
                    .unwrap();
                return None;
            }
            Some(Act::Ignore) => String::new(),
            Some(Act::Cut) => right[..right.len() - 1].to_owned(),
            Some(Act::Twice) => right.repeat(2),
            Some(Act::WrongBody) => answer("200 OK", "", &"7".repeat(body.len())),
            Some(Act::BadGateway) => answer("502 Bad Gateway", "", &body),
            Some(Act::Late) => {
                thread::sleep(LATE);
                right
            }
            Some(Act::Close) => answer("200 OK", "Connection: close\r\n", &body),
            None => right,
        };
        socket.write_all(text.as_bytes()).ok()?;
        if let Some((_, Act::Cut | Act::Close)) = act {
            return None;
        }
    }
}

/// Reads the next request and returns its number; `None` when the client has closed the connection.
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

/// A thousand numbers from 1000 on; `fresh` percent of them have a connection of their own.
fn load(address: SocketAddr, fresh: u8) -> Options {
    Options {
        target: format!("http://{address}"),
        first: 1000,
        requests: 1000,
        timeout: 3,
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
fn correct_answers_are_no_losses() {
    for fresh in [0, 50, 100] {
        let outcome = Process::start(&load(server(&[]), fresh)).outcome();
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
fn every_kind_of_loss_is_reported() {
    let acts = &[
        (1100, Act::Drop),
        (1200, Act::Reset),
        (1300, Act::Ignore),
        (1400, Act::Cut),
        (1500, Act::WrongBody),
        (1600, Act::BadGateway),
    ];
    for fresh in [0, 100] {
        // One request at a time, so that there is always an idle connection, even on a busy machine.
        let options = Options {
            in_flight: 1,
            ..load(server(acts), fresh)
        };
        let outcome = Process::start(&options).outcome();
        let lost = lost(&outcome);
        assert!(
            lost.keys().eq(acts.iter().map(|(number, _)| number)),
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
            assert_eq!(loss.method, options.method(number).as_str(), "{loss:?}");
            assert_eq!(loss.reused, fresh == 0, "{loss:?}");
        }
        assert_eq!(lost[&1600].status, Some(502));
        assert!(lost[&1300].after >= 3000.0);
    }
}

#[test]
fn a_second_answer_is_reported() {
    let options = load(server(&[(1100, Act::Twice), (1999, Act::Twice)]), 0);
    let outcome = Process::start(&options).outcome();
    let lost = lost(&outcome);
    assert!(lost.keys().eq(&[1100, 1999]), "{lost:?}");
    assert!(
        lost.values().all(|loss| loss.what == "answered twice"),
        "{lost:?}"
    );
    assert_eq!(outcome.answered, 998);
}

#[test]
fn a_late_answer_is_no_loss_and_delays_no_other_request() {
    let options = Options {
        in_flight: 1000,
        trace: true,
        ..load(server(&[(1100, Act::Late)]), 0)
    };
    let outcome = Process::start(&options).outcome();
    assert!(outcome.losses.is_empty(), "{outcome:?}");
    assert_eq!((outcome.total, outcome.unoffered), (1000, 0));
    let answers = outcome.trace.iter();
    let (late, others): (Vec<_>, Vec<_>) = answers.partition(|answer| answer.number == 1100);
    assert!(late[0].after >= LATE.as_secs_f64() * 1000.0, "{late:?}");
    let end = late[0].at + late[0].after;
    let overtakes = |answer: &&Answered| answer.number > 1100 && answer.at + answer.after < end;
    assert!(
        others.into_iter().any(|answer| overtakes(&answer)),
        "{outcome:?}"
    );
}

#[test]
fn an_announced_close_is_no_loss() {
    let outcome =
        Process::start(&load(server(&[(1100, Act::Close), (1200, Act::Close)]), 0)).outcome();
    assert!(outcome.losses.is_empty(), "{outcome:?}");
}

#[test]
fn requests_over_the_limit_are_counted_as_not_offered() {
    let acts = &[(1000, Act::Late), (1001, Act::Late)];
    let options = Options {
        in_flight: 2,
        requests: 100,
        ..load(server(acts), 0)
    };
    let outcome = Process::start(&options).outcome();
    assert!(outcome.losses.is_empty(), "{outcome:?}");
    assert!(outcome.unoffered > 1000, "{outcome:?}");
    assert_eq!(outcome.total, 100);
}

#[test]
fn a_stopped_run_waits_for_requests_in_flight() {
    let options = Options {
        requests: u64::MAX,
        ..load(server(&[(1000, Act::Late)]), 0)
    };
    let load = Process::start(&options);
    thread::sleep(Duration::from_millis(500));
    load.stop();
    let outcome = load.outcome();
    assert!(outcome.losses.is_empty(), "{outcome:?}");
    assert_eq!(outcome.answered, outcome.total);
    let slowest = outcome.get_times.max.max(outcome.post_times.max);
    assert!(slowest >= LATE.as_secs_f64() * 1000.0, "{outcome:?}");
}
