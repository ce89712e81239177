//! Puts a load on a server: wrk, in a container with its own processor.

use serde::Deserialize;

use crate::{
    engine::{Engine, docker},
    part::Outcome,
    results::Figures,
    servers::Running,
};

/// What wrk requests, and how.
#[derive(Clone)]
pub struct Load {
    pub path: String,
    pub connections: u32,
    pub seconds: u32,
    /// A header such as `Accept-Encoding: gzip`, or none.
    pub header: Option<&'static str>,
    /// Arguments of `load.lua`.
    pub arguments: Vec<String>,
}

impl Load {
    /// `GET path` over 32 connections, each with the next request right after an answer.
    pub fn of(path: &str, seconds: u32) -> Self {
        Self {
            path: path.to_owned(),
            connections: 32,
            seconds,
            header: None,
            arguments: Vec::new(),
        }
    }
}

/// The output of `load.lua`; times are microseconds.
#[derive(Deserialize)]
struct Answered {
    requests: f64,
    duration: f64,
    connect: u64,
    read: u64,
    write: u64,
    timeout: u64,
    status: u64,
    p50: f64,
    p99: f64,
    p999: f64,
}

impl Answered {
    fn parse(said: &str) -> Outcome<Self> {
        let line = said.lines().find(|line| line.starts_with('{'));
        line.and_then(|line| serde_json::from_str(line).ok())
            .ok_or_else(|| format!("wrk printed no result: {said}"))
    }

    /// # Errors
    /// If a request was lost or refused, since the figures would mean something else.
    fn complete(self) -> Outcome<Self> {
        let Self {
            connect,
            read,
            write,
            timeout,
            status,
            ..
        } = self;
        if connect + read + write + timeout + status == 0 && self.requests > 0.0 {
            return Ok(self);
        }
        Err(format!(
            "Of the requests, {} were answered, and some failed: {connect} connection errors, {read} read errors, \
             {write} write errors, {timeout} timeouts, {status} answers of 400 or above",
            self.requests
        ))
    }
}

/// Puts a load on a server, and returns the figures.
///
/// # Errors
/// If a request failed.
pub fn put(engine: &Engine, on: &Running, load: &Load) -> Outcome<Figures> {
    let before = engine.usage(&on.containers)?;
    let said = wrk(engine, on, load)?;
    // Lines that are still to be logged are part of the cost.
    std::thread::sleep(std::time::Duration::from_millis(100));
    let after = engine.usage(&on.containers)?;
    let answered = Answered::parse(&said)?.complete()?;
    Ok(Figures::from([
        ("cpu_us", (after.cpu - before.cpu) / answered.requests),
        ("requests", answered.requests),
        ("rate", answered.requests / answered.duration * 1e6),
        ("p50_us", answered.p50),
        ("p99_us", answered.p99),
        ("p999_us", answered.p999),
        ("load_bytes", after.memory),
    ]))
}

fn wrk(engine: &Engine, on: &Running, load: &Load) -> Outcome<String> {
    let connections = format!("-c{}", load.connections);
    let seconds = format!("-d{}s", load.seconds);
    let url = format!("http://{}{}", on.address, load.path);
    let header = load.header.map_or(vec![], |header| vec!["-H", header]);
    let arguments: Vec<&str> = load.arguments.iter().map(String::as_str).collect();
    let wrk = ["exec", &engine.load, "wrk", "-t1", &connections, &seconds];
    let rest = ["--latency", "-s", "/bench/load.lua", &url, "--"];
    docker(&[&wrk[..], &header, &rest, &arguments].concat())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(status: u32) -> String {
        format!(
            "Running 1s test\n{{\"requests\":10,\"duration\":5,\"connect\":0,\"read\":0,\"write\":0,\
             \"timeout\":0,\"status\":{status},\"p50\":1,\"p99\":2,\"p999\":3}}\n"
        )
    }

    #[test]
    fn an_answer_of_400_or_above_fails_the_measurement() {
        assert!(Answered::parse(&said(0)).unwrap().complete().is_ok());
        let error = Answered::parse(&said(7)).unwrap().complete();
        assert!(error.err().unwrap().contains("7 answers of 400 or above"));
    }

    #[test]
    fn unexpected_output_is_shown() {
        let error = Answered::parse("unable to connect").err().unwrap();
        assert!(error.contains("unable to connect"), "{error}");
    }
}
