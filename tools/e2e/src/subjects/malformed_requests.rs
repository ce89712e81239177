//! Malformed requests, and their answers: `cases/malformed_requests.toml`, in each mode.

use std::{
    sync::{Arc, OnceLock},
    time::Duration,
};

use libtest_mimic::Failed;
use regex::Regex;
use serde::Deserialize;

use crate::run::Batch;
use harness::{
    modes::{self, Case, Mode, Modes},
    solo::wait_for,
    text,
    wire::{self, Exchange, Reply},
};

/// A whole request that must never be taken for one.
const NEXT: &str = r"GET /SMUGGLED HTTP/1.1\r\nHost: localhost\r\n\r\n";
/// How long an open connection is read for surplus answers.
const SILENCE: Duration = Duration::from_millis(300);

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Table {
    group: Vec<Group>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Group {
    section: String,
    expect: Option<String>,
    file: Option<String>,
    probe: Option<String>,
    #[serde(default)]
    forged: bool,
    cases: Vec<Row>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Row {
    name: String,
    send: String,
    expect: Option<String>,
    solo: Option<String>,
    stack: Option<String>,
    file: Option<String>,
    probe: Option<String>,
    why: Option<String>,
}

/// What answers a request: each row that asks for `/` asks for a file and a probe as well.
#[derive(Clone, Copy)]
enum Target {
    Service,
    File,
    Probe,
}

impl Target {
    const ALL: [Self; 3] = [Self::Service, Self::File, Self::Probe];

    /// The row's request for this target, if it asks for `/`.
    fn send(self, row: &Row) -> Option<String> {
        let path = match self {
            Self::Service => return Some(row.send.clone()),
            Self::File => "/about.html",
            Self::Probe => "/health/ready",
        };
        let (method, rest) = row.send.split_once(" / HTTP/")?;
        Some(format!("{method} {path} HTTP/{rest}"))
    }

    fn name(self, row: &Row) -> String {
        match self {
            Self::Service => row.name.clone(),
            Self::File => format!("{}, asked of a file", row.name),
            Self::Probe => format!("{}, asked of a probe", row.name),
        }
    }
}

/// A row as it is run in one mode.
struct Malformed {
    section: String,
    pieces: Vec<Vec<u8>>,
    half_close: bool,
    expected: Expected,
    forged: bool,
}

/// The expected answers.
struct Expected {
    /// For each answer the statuses that will do; `None` is no answer.
    answers: Vec<Vec<Option<u16>>>,
    /// Whether a body without a head is expected.
    headless: bool,
    /// `close` or `end`, if the connection must not stay.
    end: Option<&'static str>,
}

pub fn batches() -> Vec<Batch> {
    let table = include_str!("../../cases/malformed_requests.toml");
    let table: Table = toml::from_str(table).expect("a table of cases");
    let mut cases = Vec::new();
    for group in table.group {
        for row in &group.cases {
            for (mode, target) in Mode::ALL
                .into_iter()
                .flat_map(|mode| Target::ALL.map(|it| (mode, it)))
            {
                let Some(malformed) = Malformed::read(&group, row, mode, target) else {
                    continue;
                };
                cases.push(Case {
                    name: target.name(row),
                    mode,
                    check: Box::new(move |modes| malformed.check(modes, mode)),
                });
            }
        }
    }
    let modes = Arc::new(Modes::new(Vec::new()));
    let trials = modes::trials(&modes, cases);
    let judge = move |_| {
        let verdict = nothing_smuggled(&modes);
        modes::take_down(modes);
        verdict
    };
    vec![Batch::then(trials, judge)]
}

impl Malformed {
    /// The row in this mode, for this target; none if it has no such target.
    fn read(group: &Group, row: &Row, mode: Mode, target: Target) -> Option<Self> {
        // nginx logs no client for a file, and nothing is logged for a probe.
        if group.forged && !matches!(target, Target::Service) {
            return None;
        }
        let send = target.send(row)?;
        let of_target = match target {
            Target::Service => None,
            Target::File => row.file.as_ref().or(group.file.as_ref()),
            Target::Probe => row.probe.as_ref().or(group.probe.as_ref()),
        };
        let of_mode = match mode {
            Mode::Solo => &row.solo,
            // nginx is what they meet in the bundle, too.
            Mode::Stack | Mode::Bundle => &row.stack,
            Mode::Apache => unreachable!("it is not among them all"),
        };
        let expected = of_target
            .or(of_mode.as_ref())
            .or(row.expect.as_ref())
            .or(group.expect.as_ref());
        let expected = Expected::read(expected.expect(&row.name));
        let own = [&row.solo, &row.stack, &row.file, &row.probe];
        let differs = own.into_iter().any(Option::is_some);
        assert_eq!(
            differs,
            row.why.is_some(),
            "{}: a difference needs a reason",
            row.name
        );
        let (send, half_close) = match send.strip_suffix("{half-close}") {
            Some(send) => (send, true),
            None => (send.as_str(), false),
        };
        let mut send = send.replace("{next}", NEXT);
        if expected.end == Some("close") {
            send.push_str(NEXT);
        }
        Some(Self {
            section: group.section.clone(),
            pieces: send.split("{pause}").map(text::unescape).collect(),
            half_close,
            expected,
            forged: group.forged,
        })
    }

    fn check(self, modes: &Modes, mode: Mode) -> Result<(), Failed> {
        let least = self
            .expected
            .answers
            .iter()
            .filter(|answer| !answer.contains(&None))
            .count();
        // Where the server must close, we wait until it does.
        let silence = if self.expected.end.is_some() {
            wire::TIMEOUT
        } else {
            SILENCE
        };
        let got = wire::converse(
            modes.address(mode),
            &self.pieces,
            self.half_close,
            least,
            silence,
        );
        if let Some(fault) = self.expected.fault(&got) {
            let sent = self.pieces.concat().escape_ascii().to_string();
            let section = self.section;
            return Err(format!("{fault}\n{section}\nsent: {sent:.1000}\ngot: {got:?}").into());
        }
        let mut malformed = got.replies.iter().filter(|reply| reply.status == 400);
        malformed.try_for_each(check_page)?;
        if self.forged {
            check_origin(&got.replies[0], modes, mode)?;
        }
        Ok(())
    }
}

impl Expected {
    /// Statuses in order, `|` between alternatives, then perhaps `close` or `end`.
    fn read(text: &str) -> Self {
        let mut expected = Self {
            answers: Vec::new(),
            headless: false,
            end: None,
        };
        for word in text.split(' ') {
            match word {
                "close" => expected.end = Some("close"),
                "end" => expected.end = Some("end"),
                "headless" => expected.headless = true,
                statuses => expected.answers.push(
                    statuses
                        .split('|')
                        .map(|status| (status != "none").then(|| status.parse().expect(text)))
                        .collect(),
                ),
            }
        }
        expected
    }

    fn fault(&self, got: &Exchange) -> Option<String> {
        let statuses: Vec<_> = got.replies.iter().map(|reply| Some(reply.status)).collect();
        let mut padded = statuses.clone();
        padded.resize(self.answers.len().max(statuses.len()), None);
        let as_expected = padded.len() == self.answers.len()
            && padded
                .iter()
                .zip(&self.answers)
                .all(|(status, good)| good.contains(status));
        // An invitation to go on is no answer.
        let rest = got
            .rest
            .strip_prefix(b"HTTP/1.1 100 Continue\r\n\r\n")
            .unwrap_or(&got.rest);
        if !as_expected {
            Some(format!("answers {statuses:?}, not {:?}", self.answers))
        } else if self.end.is_some() && !got.closed {
            Some("the connection is still open".to_owned())
        } else if self.headless == rest.is_empty() {
            Some(format!(
                "beside whole answers there is {:?}",
                rest.escape_ascii().to_string()
            ))
        } else {
            None
        }
    }
}

/// Checks that a 400 has the body and headers of all others, whatever part of the server found the fault.
fn check_page(reply: &Reply) -> Result<(), Failed> {
    let is_complete = reply.text() == "400 Bad Request"
        && reply.header("content-type") == Some("text/plain; charset=utf-8")
        && reply.header("cache-control") == Some("no-store")
        && reply.header("vary") == Some("Accept")
        && reply.header("x-content-type-options") == Some("nosniff");
    is_complete
        .then_some(())
        .ok_or_else(|| format!("not the page of a 400: {reply:?}").into())
}

/// Checks that Berth chose the id in the answer. The access line must have the same id, and the peer's address.
fn check_origin(reply: &Reply, modes: &Modes, mode: Mode) -> Result<(), Failed> {
    static PEERS: [OnceLock<String>; 3] = [const { OnceLock::new() }; 3];
    let peer = PEERS[mode as usize].get_or_init(|| {
        let honest = wire::get(modes.address(mode), "/", "localhost");
        client_of(&honest, modes, mode)
    });
    let id = reply.header("x-request-id").ok_or("no X-Request-Id")?;
    if !Regex::new("^[0-9a-f]{32}$").unwrap().is_match(id) {
        return Err(format!("the id is {id}").into());
    }
    let client = client_of(reply, modes, mode);
    if client == *peer {
        Ok(())
    } else {
        Err(format!("the client is {client}, not {peer}").into())
    }
}

/// The client in the access line of an answer.
fn client_of(reply: &Reply, modes: &Modes, mode: Mode) -> String {
    let id = reply.header("x-request-id").expect("an id");
    let line = wait_for(|| {
        modes
            .log(mode)
            .into_iter()
            .find(|line| line.contains(&format!(" request_id={id} ")))
    });
    let client = line
        .split(" client=")
        .nth(1)
        .and_then(|rest| rest.split(' ').next());
    client.expect(&line).to_owned()
}

/// No log has a request for /SMUGGLED: neither the app's nor nginx's.
fn nothing_smuggled(modes: &Modes) -> Result<(), String> {
    let mut lines = Vec::new();
    for mode in modes.started() {
        lines.extend(modes.log(mode));
        lines.extend(modes.nginx_log(mode));
    }
    let taken = Regex::new(r#"target=/SMUGGLED|"request":"GET /SMUGGLED"#).unwrap();
    let smuggled: Vec<_> = lines
        .iter()
        .filter(|line| taken.is_match(line))
        .map(String::as_str)
        .collect();
    if smuggled.is_empty() {
        Ok(())
    } else {
        Err(format!(
            "smuggled requests were taken for requests:\n{}",
            smuggled.join("\n")
        ))
    }
}
