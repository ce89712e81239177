//! Describes the machine, and the versions of everything that is measured.

use std::{fs, process::Command};

use chrono::Utc;
use serde_json::{Value, json};

use crate::{
    engine::{Engine, command, docker},
    part::Outcome,
};

/// Returns the start of the run, the machine, and the versions of all servers.
///
/// # Errors
/// If an image is missing.
pub fn describe(engine: &Engine) -> Outcome<Value> {
    let cpu = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let mut models = cpu.lines().filter(|line| line.starts_with("model name"));
    let model = models.next().and_then(|line| line.split_once(": "));
    let memory = fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let memory = memory
        .split_whitespace()
        .nth(1)
        .and_then(|kb| kb.parse().ok());
    let tool = |words: &[&str]| -> Outcome<String> {
        let said = docker(&[&["exec", &engine.load, "sh", "-c"], words].concat())?;
        Ok(said.trim().to_owned())
    };
    let of = |image: &str, words: &[&str]| -> Outcome<String> {
        let (program, rest) = words.split_first().unwrap_or((&"", &[]));
        let entry = format!("--entrypoint={program}");
        let said = docker(&[&["run", "--rm", "--network=none", &entry, image], rest].concat())?;
        Ok(said.trim().to_owned())
    };
    let git = |words: &[&str]| command(Command::new("git").args(words)).unwrap_or_default();
    let changed = !git(&["status", "--porcelain"]).is_empty();
    Ok(json!({
        "started": Utc::now().format("%Y-%m-%dT%H:%M:%SZ").to_string(),
        "revision": git(&["rev-parse", "--short", "HEAD"]).trim().to_owned()
            + if changed { ", with changes" } else { "" },
        "processor": model.map_or("unknown", |(_, model)| model),
        "processors": cpu.lines().filter(|line| line.starts_with("processor")).count(),
        "memory_gb": memory.map(|kb: f64| (kb / 1e6).round()),
        "kernel": fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default().trim(),
        "engine": docker(&["version", "--format={{.Server.Version}}"])?.trim(),
        "storage": docker(&["info", "--format={{.Driver}}, cgroup v{{.CgroupVersion}}"])?.trim(),
        "versions": {
            "Berth": of("berth-app", &["/app", "--version"])?,
            "Berth's nginx": of("berth-nginx", &["sh", "-c", "nginx -v 2>&1"])?,
            "nginx beside it": tool(&["nginx -v 2>&1"])?,
            "HAProxy": tool(&["haproxy -v | sed -n 1p"])?,
            "Caddy": tool(&["caddy version"])?,
            "Gunicorn": of("berth-bench-python", &["sh", "-c", "gunicorn --version; python3 --version"])?,
            "wrk": tool(&["wrk -v 2>&1 | sed -n 1p"])?,
        },
    }))
}
