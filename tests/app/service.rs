//! The service's answers: every case of tests/service.toml, through the app alone and through nginx with two replicas.

use std::{fs, net::SocketAddr};

use chrono::{NaiveDateTime, TimeDelta, Utc};
use harness::{Solo, Stack, root, solo::FREE, text::unescape, wire};
use serde::Deserialize;

use crate::{VARIABLES, app, has_docker};

/// tests/service.toml; its first comment explains the fields.
#[derive(Deserialize)]
struct Table {
    group: Vec<Group>,
}

#[derive(Deserialize)]
struct Group {
    of: String,
    cases: Vec<Row>,
}

#[derive(Deserialize)]
struct Row {
    ask: String,
    host: Option<OneOrMany>,
    http: Option<Vec<String>>,
    answer: String,
    r#type: Option<String>,
    body: Option<String>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum OneOrMany {
    One(String),
    Many(Vec<String>),
}

#[test]
fn the_app_alone_answers_as_the_table_says() {
    let solo = Solo::run(app().env("BIND", FREE));
    try_all("the app alone", solo.address);
}

#[test]
fn nginx_with_two_replicas_answers_as_the_table_says() {
    if has_docker("tests/service.toml through nginx") {
        try_all("nginx with two replicas", Stack::start(VARIABLES).address);
    }
}

/// Runs every case, and fails with a list of all errors.
fn try_all(mode: &str, address: SocketAddr) {
    let table = fs::read_to_string(root().join("tests/service.toml")).expect("the table");
    let table: Table = toml::from_str(&table).expect("a table of cases");
    let (mut count, mut failures) = (0, Vec::new());
    for group in &table.group {
        for row in &group.cases {
            for (http, host) in row.variants() {
                count += 1;
                let faults = row.faults(address, &http, host);
                if !faults.is_empty() {
                    let host = host.map_or("no Host".into(), |host| format!("Host: {host}"));
                    let (ask, answer, faults) = (&row.ask, &row.answer, faults.join("; "));
                    let name = format!("{}: {ask} HTTP/{http}, {host} -> {answer}", group.of);
                    failures.push(format!("{name}\n    {faults}"));
                }
            }
        }
    }
    assert!(
        failures.is_empty(),
        "{} of {count} cases failed through {mode}:\n{}",
        failures.len(),
        failures.join("\n")
    );
    println!("PROVED: {count} cases of tests/service.toml through {mode}");
}

impl Row {
    /// Each HTTP version with each host, or with none.
    fn variants(&self) -> Vec<(String, Option<&str>)> {
        let hosts = match &self.host {
            None => vec![None],
            Some(OneOrMany::One(host)) => vec![Some(host.as_str())],
            Some(OneOrMany::Many(hosts)) => hosts.iter().map(|host| Some(host.as_str())).collect(),
        };
        let both = || vec!["1.1".into(), "1.0".into()];
        let versions = self.http.clone().unwrap_or_else(both);
        let all = hosts
            .into_iter()
            .flat_map(|host| versions.iter().map(move |http| (http.clone(), host)));
        // HTTP/1.1 needs a Host (RFC 9112 §3.2).
        all.filter(|(http, host)| host.is_some() || http == "1.0")
            .collect()
    }

    /// Sends the request, and returns what is wrong with the response.
    fn faults(&self, address: SocketAddr, http: &str, host: Option<&str>) -> Vec<String> {
        let host = host.map_or(String::new(), |host| format!("Host: {host}\r\n"));
        let request = format!(
            "{} HTTP/{http}\r\n{host}Connection: close\r\n\r\n",
            self.ask
        );
        let reply = wire::ask(address, unescape(&request));

        let mut faults = Vec::new();
        let mut expect = |fact: bool, fault: String| {
            if !fact {
                faults.push(fault);
            }
        };
        let answer = self.answer.split_once(' ');
        let (status, kind) = answer.unwrap_or((&self.answer, "status"));
        let body = reply.text();
        let content_type = reply.header("content-type").unwrap_or_default();
        let plain = "text/plain; charset=utf-8";
        let is = format!("the status is {}", reply.status);
        expect(reply.status.to_string() == status, is);
        if self.ask.starts_with("HEAD ") {
            expect(body.is_empty(), "HEAD has a body".into());
            let length = reply.header("content-length");
            expect(length != Some("0"), "HEAD hides the length".into());
            return faults;
        }
        let wrong_type = format!("the type is {content_type}");
        let wrong_body = format!("the body is {body:?}");
        if self.r#type.is_some() || self.body.is_some() {
            let r#type = self.r#type.as_deref().unwrap_or(content_type);
            expect(content_type == r#type, wrong_type);
            let text = self.body.as_deref().unwrap_or(&body);
            expect(body == text, wrong_body);
            return faults;
        }
        match kind {
            // The sample's.
            "time" => {
                expect(content_type == plain, wrong_type);
                expect(is_now(&body), format!("{body:?} is not the time"));
            }
            "health" => {
                expect(body == "OK", wrong_body);
                let caching = reply.header("cache-control");
                let is = format!("caching is {caching:?}");
                expect(caching == Some("no-store"), is);
            }
            "status" => {
                // The HTTP parsers answer an invalid request with a bare status.
                let by_parser = body.is_empty() && matches!(reply.status, 400 | 431);
                expect(content_type == plain || body.is_empty(), wrong_type);
                expect(body.starts_with(status) || by_parser, wrong_body);
                let ends = "the body ends in a newline".into();
                expect(!body.ends_with('\n'), ends);
            }
            name => {
                let file = fs::read(root().join("static").join(name)).expect("a file of the site");
                expect(content_type == type_of(name), wrong_type);
                expect(reply.body == file, "the body is not the file".into());
            }
        }
        faults
    }
}

fn type_of(file: &str) -> &'static str {
    match file.rsplit_once('.').expect("an extension").1 {
        "txt" => "text/plain; charset=utf-8",
        "html" => "text/html; charset=utf-8",
        "svg" => "image/svg+xml",
        other => panic!("name the type of .{other} in tests/app/service.rs"),
    }
}

/// As `ctime` prints it: `Sun Nov  1 05:29:04 2026`.
fn is_now(text: &str) -> bool {
    let format = "%a %b %e %T %Y";
    let Ok(time) = NaiveDateTime::parse_from_str(text, format) else {
        return false;
    };
    let distance = (Utc::now().naive_utc() - time).abs();
    time.format(format).to_string() == text && distance < TimeDelta::minutes(2)
}
