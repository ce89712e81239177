//! Files, and everything beside them, the same in every mode: `cases/site.toml`.
//!
//! What a row says must hold in each mode, and every header must be what the app alone answers.

use std::{
    collections::BTreeMap,
    fs,
    net::SocketAddr,
    sync::{Arc, OnceLock},
};

use crate::run::Batch;
use actix_web::http::StatusCode;
use berth::middleware::{error_pages::Page, security_headers::SECURITY};
use harness::{
    fixture::{Entry, Fixture},
    modes::{self, Case, Mode, Modes},
    text,
    wire::{self, Reply},
};
use libtest_mimic::Failed;
use regex::{Captures, Regex};
use serde::Deserialize;

/// What differs from one answer to the next, and what a connection or its server says of itself.
const OF_ITS_OWN: [&str; 6] = [
    "connection",
    "date",
    "keep-alive",
    "server",
    "x-request-id",
    "x-served-by",
];

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Table {
    file: Vec<Entry>,
    group: Vec<Group>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Group {
    #[serde(rename = "of")]
    _of: String,
    cases: Vec<Row>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Row {
    ask: String,
    #[serde(default = "localhost")]
    host: String,
    #[serde(default = "newest")]
    http: String,
    #[serde(default)]
    with: Vec<String>,
    answer: String,
    /// nginx's answer where it can't do the same, and the reason.
    nginx: Option<String>,
    why: Option<String>,
    /// The same of Apache.
    apache: Option<String>,
    apache_why: Option<String>,
    #[serde(default)]
    has: BTreeMap<String, String>,
}

fn localhost() -> String {
    "localhost".into()
}

fn newest() -> String {
    "1.1".into()
}

pub fn batches() -> Vec<Batch> {
    let table = include_str!("../../cases/site.toml");
    let table: Table = toml::from_str(table).expect("a table of cases");
    let fixture = Arc::new(Fixture::new(&table.file));
    let groups = table.group.into_iter();
    let rows: Vec<_> = groups.flat_map(|group| group.cases).map(Arc::new).collect();
    let batch = |prefix| batch(&rows, &fixture, prefix);
    ["", "/static"].map(batch).into()
}

/// Asks all of every mode, with the files below `prefix`.
fn batch(rows: &[Arc<Row>], fixture: &Arc<Fixture>, prefix: &'static str) -> Batch {
    let mut cases = Vec::new();
    for row in rows {
        let alone = Arc::new(OnceLock::new());
        for mode in Mode::AND_APACHE {
            let (row, fixture, alone) = (row.clone(), fixture.clone(), alone.clone());
            cases.push(Case {
                name: row.name(prefix),
                mode,
                check: Box::new(move |modes| {
                    let ask = |mode| row.ask(modes.address(mode), &fixture, prefix);
                    row.check(
                        mode,
                        &ask(mode),
                        alone.get_or_init(|| ask(Mode::Solo)),
                        &fixture,
                    )
                }),
            });
        }
    }
    let variables = vec![
        ("STATIC_PREFIX", format!("{prefix}/")),
        ("TRUSTED_PROXIES", "0.0.0.0/0".to_owned()),
    ];
    let compose_file = "tools/e2e/fixtures/site.yml";
    let modes = Arc::new(Modes::with_site(variables, fixture.path(), compose_file));
    let trials = modes::trials(&modes, cases);
    let take_down = move |_| {
        modes::take_down(modes);
        Ok(())
    };
    Batch::then(trials, take_down)
}

impl Row {
    fn name(&self, prefix: &str) -> String {
        let ask = self.ask.replace("{site}", prefix);
        format!(
            "{ask} HTTP/{} ({}) {} -> {}",
            self.http,
            self.host,
            self.with.join(", "),
            self.answer
        )
    }

    /// Compares the answer with the row, and with the app's own answer.
    fn check(
        &self,
        mode: Mode,
        reply: &Reply,
        alone: &Reply,
        fixture: &Fixture,
    ) -> Result<(), Failed> {
        let (differing, reason) = match mode {
            Mode::Solo => (&None, &None),
            Mode::Stack | Mode::Bundle => (&self.nginx, &self.why),
            Mode::Apache => (&self.apache, &self.apache_why),
        };
        assert_eq!(
            differing.is_some(),
            reason.is_some(),
            "a difference needs a reason"
        );
        let faults = match differing {
            Some(answer) => self.faults(answer, reply, fixture),
            None => [
                self.faults(&self.answer, reply, fixture),
                differences(reply, alone),
            ]
            .concat(),
        };
        if faults.is_empty() {
            return Ok(());
        }
        Err(format!(
            "{}\n{} {:?}",
            faults.join("\n"),
            reply.status,
            reply.headers
        )
        .into())
    }

    fn ask(&self, address: SocketAddr, fixture: &Fixture, prefix: &str) -> Reply {
        let tags = Regex::new(r"\{tag ([^{}]+)\}").unwrap();
        let mut request = format!(
            "{} HTTP/{}\r\nHost: {}\r\n",
            self.ask.replace("{site}", prefix),
            self.http,
            self.host
        );
        for line in &self.with {
            let tag = |found: &Captures| fixture.tag(&found[1]);
            request += &format!("{}\r\n", tags.replace_all(line, tag));
        }
        request += "Connection: close\r\n\r\n";
        wire::ask(address, text::unescape(&request))
    }

    /// What is wrong with it if it should be `answer`.
    fn faults(&self, answer: &str, reply: &Reply, fixture: &Fixture) -> Vec<String> {
        let (status, what) = answer.split_once(' ').unwrap_or((answer, "refusal"));
        let mut has: BTreeMap<String, String> = SECURITY.map(owned).into();
        has.insert("x-powered-by".into(), String::new());
        has.insert("strict-transport-security".into(), String::new());
        let body = self.content(status, what, fixture, &mut has);
        has.extend(self.has.clone());

        let mut faults = Vec::new();
        if reply.status.to_string() != status {
            faults.push(format!("the status is {}", reply.status));
        }
        for (name, wanted) in has {
            let found = reply.header(&name).unwrap_or_default();
            if found != wanted {
                faults.push(format!("{name} is {found:?}, not {wanted:?}"));
            }
        }
        if let Some(body) = body {
            let body = if self.ask.starts_with("HEAD ") {
                Vec::new()
            } else {
                body
            };
            if reply.body != body {
                faults.push("the body is another".to_owned());
            }
        }
        faults
    }

    /// The body to expect, if it is known beforehand, and the header lines that go with it.
    fn content(
        &self,
        status: &str,
        what: &str,
        fixture: &Fixture,
        has: &mut BTreeMap<String, String>,
    ) -> Option<Vec<u8>> {
        let mut expect = |name: &str, value: &str| has.insert(name.to_owned(), value.to_owned());
        if ["refusal", "page"].contains(&what) {
            let page = Page::Status(StatusCode::from_bytes(status.as_bytes()).expect("a status"));
            let (kind, body) = match what {
                "page" => ("text/html; charset=utf-8", page.html()),
                _ => ("text/plain; charset=utf-8", page.text()),
            };
            expect("content-type", kind);
            expect("content-length", &body.len().to_string());
            expect("content-encoding", "");
            expect("cache-control", "no-store");
            expect("etag", "");
            expect("last-modified", "");
            return Some(body.into());
        }
        if what == "OK" {
            return Some(b"OK".into());
        }
        if ["time", "any"].contains(&what) {
            return None;
        }
        let (name, range) = match what.rsplit_once(' ') {
            Some((name, range)) if status == "206" => (name, Some(range)),
            _ => (what, None),
        };
        let mut body = fs::read(fixture.file(name)).expect(name);
        expect("etag", &fixture.tag(name));
        expect("vary", "Accept-Encoding");
        expect("last-modified", "");
        expect("content-range", "");
        expect("accept-ranges", "");
        if status == "304" {
            for name in ["content-encoding", "content-length", "content-type"] {
                expect(name, "");
            }
            return Some(Vec::new());
        }
        let coding = ["br", "gzip"]
            .into_iter()
            .find(|coding| name.starts_with(&format!("{coding} ")))
            .unwrap_or_default();
        expect("content-encoding", coding);
        match range.and_then(|range| range.split_once('-')) {
            Some((first, last)) => {
                expect(
                    "content-range",
                    &format!("bytes {first}-{last}/{}", body.len()),
                );
                body = body[first.parse().unwrap()..=last.parse().unwrap()].to_vec();
            }
            None => _ = expect("accept-ranges", "bytes"),
        }
        expect("content-length", &body.len().to_string());
        Some(body)
    }
}

fn owned((name, value): (&str, &str)) -> (String, String) {
    (name.to_owned(), value.to_owned())
}

/// Header lines that the app alone has not, or has otherwise.
fn differences(reply: &Reply, alone: &Reply) -> Vec<String> {
    let lines = |reply: &Reply| -> BTreeMap<String, String> {
        let lines = reply
            .headers
            .iter()
            // A list is the same with and without blanks (RFC 9110 §5.6.1).
            .map(|(name, value)| (name.to_ascii_lowercase(), value.replace(", ", ",")));
        lines
            .filter(|(name, _)| !OF_ITS_OWN.contains(&name.as_str()))
            .collect()
    };
    let (found, expected) = (lines(reply), lines(alone));
    let mut faults: Vec<_> = found
        .iter()
        .filter(|(name, value)| expected.get(*name) != Some(*value))
        .map(|(name, value)| format!("{name}: {value:?}, alone {:?}", expected.get(name)))
        .collect();
    let missing = expected
        .iter()
        .filter(|(name, _)| !found.contains_key(*name));
    faults.extend(missing.map(|(name, value)| format!("{name} is missing, alone {value:?}")));
    faults
}
