//! `make bench`: measures Berth and other servers side by side on this machine, and writes `bench/results.md`, charts and
//! `bench/results.json`. `make bench-check` measures what the bars on requests need, and holds them.
//!
//! usage: bench [ONLY]     a group's name, or a part of a contestant's
//!        bench --check
//!
//! 1. [`engine`] runs containers and reads what they have used; [`http`] asks what runs in them.
//! 2. [`contestants`] says who is measured, and starts them; [`load`] asks them.
//! 3. [`requests`], [`footprint`], [`growth`] and [`builds`] are the groups.
//! 4. [`results`] holds what was measured, [`bars`] judges it; [`report`] shows it, with [`charts`] that [`chart`]
//!    draws.

mod bars;
mod builds;
mod chart;
mod charts;
mod contestants;
mod engine;
mod footprint;
mod growth;
mod http;
mod load;
mod machine;
mod report;
mod requests;
mod results;

use std::{env, path::Path, process::ExitCode, time::Instant};

use bars::Verdict;
use engine::Engine;
use results::Results;

/// What ends the program is a message, which says what to do.
type Outcome<T> = Result<T, String>;

const ROOT: &str = env!("CARGO_MANIFEST_DIR");

/// Which part is measured.
pub struct Part {
    only: Option<String>,
}

impl Part {
    /// Whether this contestant of this group is part of it.
    fn has(&self, group: &str, contestant: &str) -> bool {
        self.only
            .as_ref()
            .is_none_or(|only| only == group || contestant.contains(only.as_str()))
    }
}

/// A group: its name, and what measures it and writes down the results.
type Group = (
    &'static str,
    fn(&Engine, &Part, &mut Results) -> Outcome<()>,
);

const GROUPS: &[Group] = &[
    ("requests", requests::dynamic),
    ("static", requests::files),
    ("think", requests::think),
    ("footprint", footprint::measure),
    ("growth", growth::measure),
    ("builds", builds::measure),
];

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).filter(|it| !it.is_empty()).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let outcome = match arguments[..] {
        [] => measure(None),
        ["--check"] => check(),
        [only] if !only.starts_with('-') => measure(Some(only.to_owned())),
        _ => Err("usage: bench [ONLY] | bench --check".to_owned()),
    };
    outcome.unwrap_or_else(|error| {
        eprintln!("berth: {error}");
        ExitCode::from(2)
    })
}

/// Measures a part or all, group by group: what fails costs the others nothing.
fn measure(only: Option<String>) -> Outcome<ExitCode> {
    let start = Instant::now();
    let engine = Engine::start()?;
    let folder = Path::new(ROOT).join("bench");
    let mut results = Results::read(&folder)?;
    results.begin(machine::describe(&engine)?);
    let part = Part { only };
    let mut failed = Vec::new();
    for (name, group) in GROUPS {
        if let Err(error) = group(&engine, &part, &mut results) {
            engine.progress(&format!("{name}: {error}"));
            failed.push(format!("{name}: {error}"));
        }
        engine.clear();
        results.write(&folder)?;
        report::write(&folder, &results)?;
    }
    engine.progress(&format!(
        "{} s; see bench/results.md",
        start.elapsed().as_secs()
    ));
    if !failed.is_empty() {
        return Err(failed.join("\n"));
    }
    if !results.has_news() {
        return Err("ONLY names no group, and no part of a contestant's name.".into());
    }
    Ok(ExitCode::SUCCESS)
}

/// Measures what the bars on requests need, in less time, and prints how they stand.
fn check() -> Outcome<ExitCode> {
    let engine = Engine::start()?;
    let mut results = Results::default();
    results.begin(machine::describe(&engine)?);
    requests::check(&engine, &mut results)?;
    let bars = bars::requests();
    let judged = bars::judge_all(&bars, &results)?;
    for (bar, judged) in bars.iter().zip(&judged) {
        println!("{:<18} {bar}: {judged}", judged.verdict.to_string());
    }
    let missed = judged.iter().filter(|it| it.verdict == Verdict::Misses);
    let missed = missed.count();
    println!(
        "{} bars, {missed} missed by more than the spread",
        bars.len()
    );
    Ok(ExitCode::from(u8::from(missed > 0)))
}
