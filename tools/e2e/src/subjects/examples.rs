//! The sample service answers the same on each level: the programs in examples/ and Berth itself, asked what the contract
//! says of the service alone.

use std::{
    net::SocketAddr,
    process::Command,
    sync::{Arc, OnceLock},
    time::Duration,
};

use libtest_mimic::Failed;

use crate::{programs::built, run::Batch};
use harness::{
    Solo,
    contract::{self, Question},
    skip,
    solo::FREE,
    wire::exchange,
};

/// Groups of the contract for features of Berth alone.
const ONLY_BERTH: [&str; 3] = [
    "paths that name nothing",
    "files, in the same namespace",
    "health, before any check",
];
/// Longer than the examples' timeout for a request's head.
const TIMEOUT: Duration = Duration::from_secs(15);

/// How a level is started.
type Start = fn() -> Solo;
const LEVELS: [(&str, Start); 3] = [
    ("raw", || example("raw")),
    ("messages", || example("messages")),
    ("berth", || Solo::start(&[("TZ", "UTC")])),
];

/// Cases mostly wait.
pub fn batches() -> Vec<Batch> {
    let mut trials = Vec::new();
    for (level, start) in LEVELS {
        // Started by the first of its cases.
        let running = Arc::new(OnceLock::new());
        let mut add = |name: String, check: Check| {
            let running = Arc::clone(&running);
            trials.push(skip::trial(format!("{level}: {name}"), move || {
                check(running.get_or_init(start).address)
            }));
        };
        for (group, question) in contract::questions() {
            if is_asked(&group, &question) {
                let name = format!("{group}: {}", question.name());
                add(name, Box::new(move |address| question.check(address)));
            }
        }
        add("a connection is kept".into(), Box::new(is_kept));
        add("and closed when asked to".into(), Box::new(is_closed));
        add("a head has an end".into(), Box::new(has_an_end));
        add("and is not waited for".into(), Box::new(is_not_waited_for));
    }
    vec![Batch::of(trials)]
}

type Check = Box<dyn FnOnce(SocketAddr) -> Result<(), Failed> + Send>;

/// Limits are each one's own, and files are Berth's.
fn is_asked(group: &str, question: &Question) -> bool {
    let is_theirs = matches!(&*question.answer, "200 time" | "400" | "404" | "501");
    is_theirs && !ONLY_BERTH.contains(&group)
}

/// One of tools/e2e/examples/, built if it has to be.
fn example(name: &str) -> Solo {
    let program = built(&format!("examples/{name}"));
    Solo::run(
        Command::new(program)
            .env_clear()
            .envs([("BIND", FREE), ("TZ", "UTC")]),
    )
}

const ASK: &str = "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n";

fn is_kept(address: SocketAddr) -> Result<(), Failed> {
    let found = exchange(address, ASK.repeat(3).as_bytes(), Duration::from_secs(1));
    let answers: Vec<u16> = found.replies.iter().map(|it| it.status).collect();
    assert_eq!((&answers[..], found.closed), (&[200; 3][..], false));
    Ok(())
}

fn is_closed(address: SocketAddr) -> Result<(), Failed> {
    let last = ASK.replace("\r\n\r\n", "\r\nConnection: close\r\n\r\n");
    let found = exchange(address, last.as_bytes(), Duration::from_secs(5));
    assert!(found.closed && found.replies.len() == 1, "{found:?}");
    Ok(())
}

fn has_an_end(address: SocketAddr) -> Result<(), Failed> {
    let endless = format!("GET / HTTP/1.1\r\nX: {}", "x".repeat(1 << 20));
    let found = exchange(address, endless.as_bytes(), TIMEOUT);
    let refusals = found.replies.iter().filter(|it| it.status >= 400).count();
    assert!(found.closed && refusals == found.replies.len(), "{found:?}");
    Ok(())
}

fn is_not_waited_for(address: SocketAddr) -> Result<(), Failed> {
    let found = exchange(address, &ASK.as_bytes()[..20], TIMEOUT);
    assert!(found.closed, "{found:?}");
    Ok(())
}
