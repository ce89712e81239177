//! The contract of a service: a table of requests and the answers that they must get (`tests/service.toml`).

use std::{fs, net::SocketAddr};

use chrono::{NaiveDateTime, TimeDelta, Utc};
use libtest_mimic::Failed;
use serde::Deserialize;

use crate::{
    root, text,
    wire::{self, Reply},
};

#[derive(Deserialize)]
struct Table {
    group: Vec<Group>,
    #[serde(default)]
    apache: Vec<Difference>,
}

#[derive(Deserialize)]
struct Group {
    of: String,
    cases: Vec<Row>,
}

#[derive(Clone, Deserialize)]
struct Row {
    ask: String,
    host: Option<OneOrMany>,
    http: Option<Vec<String>>,
    answer: String,
}

#[derive(Clone, Deserialize)]
#[serde(untagged)]
enum OneOrMany {
    One(String),
    Many(Vec<String>),
}

/// Apache's answer, where it differs.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Difference {
    #[serde(rename = "why")]
    _why: String,
    #[serde(default)]
    ask: String,
    #[serde(default)]
    host: Vec<String>,
    #[serde(default)]
    http: String,
    answer: String,
}

/// One row of the table, with one of its hosts and one of its versions.
#[derive(Clone)]
pub struct Question {
    ask: String,
    host: Option<String>,
    http: String,
    /// The expected answer.
    pub answer: String,
}

fn table() -> Table {
    let table = fs::read_to_string(root().join("tests/service.toml")).expect("the table");
    toml::from_str(&table).expect("a table of cases")
}

/// The same with Apache's answers.
pub fn questions_for_apache() -> Vec<(String, Question)> {
    let (mut all, differences) = (questions(), table().apache);
    for difference in &differences {
        let questions = all.iter_mut().map(|(_, question)| question);
        for question in questions.filter(|question| difference.concerns(question)) {
            question.answer.clone_from(&difference.answer);
        }
    }
    all
}

impl Difference {
    fn concerns(&self, question: &Question) -> bool {
        let any_or = |wanted: &str, found: &str| wanted.is_empty() || wanted == found;
        any_or(&self.ask, &question.ask)
            && any_or(&self.http, &question.http)
            && (self.host.is_empty()
                || (question.host.as_ref()).is_some_and(|host| self.host.contains(host)))
    }
}

/// Every question of the table, with the name of its group.
pub fn questions() -> Vec<(String, Question)> {
    let table = table();
    let mut all = Vec::new();
    for group in table.group {
        let questions = group.cases.iter().flat_map(of_row);
        all.extend(questions.map(|question| (group.of.clone(), question)));
    }
    all
}

fn of_row(row: &Row) -> Vec<Question> {
    let hosts = match row.host.clone() {
        None => vec![None],
        Some(OneOrMany::One(host)) => vec![Some(host)],
        Some(OneOrMany::Many(hosts)) => hosts.into_iter().map(Some).collect(),
    };
    let versions = row
        .http
        .clone()
        .unwrap_or_else(|| vec!["1.1".into(), "1.0".into()]);
    let question = |host: &Option<String>, http: &String| Question {
        ask: row.ask.clone(),
        host: host.clone(),
        http: http.clone(),
        answer: row.answer.clone(),
    };
    let all = hosts
        .iter()
        .flat_map(|host| versions.iter().map(move |http| question(host, http)));
    // HTTP/1.1 without a Host is no request (RFC 9112 §3.2).
    all.filter(|question| question.host.is_some() || question.http == "1.0")
        .collect()
}

impl Question {
    /// Returns the name of the test.
    pub fn name(&self) -> String {
        let host = self
            .host
            .as_ref()
            .map_or("no Host".into(), |host| format!("Host: {host}"));
        format!("{} HTTP/{}, {host} -> {}", self.ask, self.http, self.answer)
    }

    /// Sends the request, and returns what is wrong with the answer.
    pub fn check(&self, address: SocketAddr) -> Result<(), Failed> {
        let host = self
            .host
            .as_ref()
            .map_or(String::new(), |host| format!("Host: {host}\r\n"));
        let request = format!(
            "{} HTTP/{}\r\n{host}Connection: close\r\n\r\n",
            self.ask, self.http
        );
        let reply = wire::ask(address, text::unescape(&request));
        let faults = self.faults(&reply);
        if faults.is_empty() {
            return Ok(());
        }
        Err(format!("{}\n{reply:?}", faults.join("\n")).into())
    }

    fn faults(&self, reply: &Reply) -> Vec<String> {
        let mut faults = Vec::new();
        let mut expect = |fact: bool, fault: String| {
            if !fact {
                faults.push(fault);
            }
        };
        let (status, what) = self
            .answer
            .split_once(' ')
            .unwrap_or((&self.answer, "status"));
        expect(
            reply.status.to_string() == status,
            format!("the status is {}", reply.status),
        );
        let body = String::from_utf8_lossy(&reply.body).into_owned();
        let kind = reply.header("content-type").unwrap_or_default();
        let plain = "text/plain; charset=utf-8";
        if self.ask.starts_with("HEAD ") {
            expect(body.is_empty(), "HEAD has a body".into());
            expect(
                reply.header("content-length") != Some("0"),
                "HEAD hides the length".into(),
            );
            return faults;
        }
        match what {
            "time" => {
                expect(kind == plain, format!("the type is {kind}"));
                expect(is_now(&body), format!("{body:?} is not the time"));
            }
            "health" => {
                expect(body == "OK", format!("the body is {body:?}"));
                let caching = reply.header("cache-control");
                expect(
                    caching == Some("no-store"),
                    format!("caching is {caching:?}"),
                );
            }
            "status" => {
                expect(
                    kind == plain || body.is_empty(),
                    format!("the type is {kind}"),
                );
                expect(
                    body.starts_with(status) || is_from_the_parser(reply),
                    format!("the body is {body:?}"),
                );
                expect(!body.ends_with('\n'), "the body ends in a newline".into());
            }
            name => {
                expect(kind == kind_of(name), format!("the type is {kind}"));
                let file = fs::read(root().join("static").join(name)).expect("a file of the site");
                expect(reply.body == file, "the body is not the file".into());
            }
        }
        faults
    }
}

fn kind_of(name: &str) -> &'static str {
    match name.rsplit_once('.').expect("an extension").1 {
        "txt" => "text/plain; charset=utf-8",
        "html" => "text/html; charset=utf-8",
        "svg" => "image/svg+xml",
        other => panic!("what type is .{other}?"),
    }
}

/// actix answers a request that it can't parse with a bare 400 or 431; nginx passes this on.
fn is_from_the_parser(reply: &Reply) -> bool {
    reply.body.is_empty() && matches!(reply.status, 400 | 431)
}

/// Whether it has the format of `ctime`: `Sun Nov  1 05:29:04 2026`.
fn is_now(text: &str) -> bool {
    let Ok(time) = NaiveDateTime::parse_from_str(text, "%a %b %e %T %Y") else {
        return false;
    };
    let as_ctime = time.format("%a %b %e %T %Y").to_string() == text;
    as_ctime && (Utc::now().naive_utc() - time).abs() < TimeDelta::minutes(2)
}
