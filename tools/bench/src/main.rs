//! `make bench`: measures Berth and other servers side by side on this machine, and writes `results.md` and its charts.
//! `make bench-check` measures what the thresholds on requests need, and fails if one is missed.
//!
//! 1. [`engine`] runs containers and reads what they have used; [`http`] sends single requests.
//! 2. [`servers`] knows all servers and starts them; [`load`] puts a load on them.
//! 3. [`requests`], [`footprint`], [`growth`] and [`builds`] are the groups of measurements.
//! 4. [`results`] keeps what was measured, [`thresholds`] judges it; [`report`] writes the page, with [`charts`] that
//!    [`chart`] draws.

mod builds;
mod chart;
mod charts;
mod engine;
mod footprint;
mod growth;
mod http;
mod load;
mod machine;
mod part;
mod report;
mod requests;
mod results;
mod servers;
mod thresholds;

use std::{path::Path, process::ExitCode, time::Instant};

use clap::Parser;

use engine::Engine;
use part::{Outcome, Part, ROOT};
use results::Results;
use thresholds::Verdict;

/// Measures Berth and other servers side by side on this machine
#[derive(Parser)]
struct Arguments {
    /// A group's name, or a part of a server's name: measures only this
    only: Option<String>,
    /// Measures what the thresholds on requests need, in less time, and fails if one is missed
    #[arg(long, conflicts_with = "only")]
    check: bool,
}

/// A group of measurements: its name, and the function that measures it and adds the results.
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
    let Arguments { only, check } = Arguments::parse();
    let outcome = match check {
        true => check_thresholds(),
        // `make` passes an empty argument on if ONLY is not set.
        false => measure(only.filter(|only| !only.is_empty())),
    };
    outcome.unwrap_or_else(|error| {
        eprintln!("bench: {error}");
        ExitCode::from(2)
    })
}

/// Measures a part or everything, group by group. A group that fails does not stop the others.
fn measure(only: Option<String>) -> Outcome<ExitCode> {
    let start = Instant::now();
    let engine = Engine::start()?;
    let folder = Path::new(ROOT).join("tools/bench");
    let mut results = Results::read()?;
    results.begin(machine::describe(&engine)?);
    let part = Part { only };
    let mut failed = Vec::new();
    for (name, group) in GROUPS {
        if let Err(error) = group(&engine, &part, &mut results) {
            engine.progress(&format!("{name}: {error}"));
            failed.push(format!("{name}: {error}"));
        }
        engine.clear();
        results.write()?;
        report::write(&folder, &results)?;
    }
    engine.progress(&format!(
        "{} s; see tools/bench/results.md",
        start.elapsed().as_secs()
    ));
    if !failed.is_empty() {
        return Err(failed.join("\n"));
    }
    if !results.has_news() {
        return Err("ONLY is neither a group's name nor a part of a server's name.".into());
    }
    Ok(ExitCode::SUCCESS)
}

/// Measures what the thresholds on requests need, in less time, and prints the verdicts.
fn check_thresholds() -> Outcome<ExitCode> {
    let engine = Engine::start()?;
    let mut results = Results::default();
    results.begin(machine::describe(&engine)?);
    requests::check(&engine, &mut results)?;
    let thresholds = thresholds::requests();
    let judged = thresholds::judge_all(&thresholds, &results)?;
    for (threshold, judged) in thresholds.iter().zip(&judged) {
        println!("{:<18} {threshold}: {judged}", judged.verdict.to_string());
    }
    let missed = judged.iter().filter(|it| it.verdict == Verdict::Misses);
    let missed = missed.count();
    println!(
        "{} thresholds, {missed} missed by more than the spread",
        thresholds.len()
    );
    Ok(ExitCode::from(u8::from(missed > 0)))
}
