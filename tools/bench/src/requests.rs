//! Requests: what one costs each contestant, for the service and for files, and how long it takes when there are many.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs::{self, File},
    io,
    process::Command,
};

use crate::{
    Outcome, Part,
    contestants::{Contestants, Running},
    engine::Engine,
    http,
    load::{self, Load},
    results::{Figures, Results},
};

/// What is asked for the service's own answer.
const DYNAMIC: &[&str] = &[
    "return",
    "barest",
    "app",
    "app-json",
    "stack",
    "stack-json",
    "nginx-short",
    "haproxy",
    "caddy",
    "gunicorn",
    "nginx-gunicorn",
    "bundle",
];
/// Who serves files.
pub const STATIC: &[&str] = &["nginx-bare", "stack", "app"];
/// Those of which the log's format does not matter when nothing is logged.
const IN_JSON: &[&str] = &["app-json", "stack-json"];

/// Files, and with which header they are asked for.
pub const FILES: &[(&str, &str, Option<&str>)] = &[
    ("4 KB", "/4k.txt", None),
    ("4 KB gzip", "/4k.txt", Some("Accept-Encoding: gzip")),
    ("100 KB", "/100k.txt", None),
    ("100 KB gzip", "/100k.txt", Some("Accept-Encoding: gzip")),
];
/// How many clients think: as many as ask everywhere else, and so many that their number hardly limits how many wait.
pub const THINKERS: [u32; 2] = [32, 256];
pub const LOGS: &[(&str, bool)] = &[("logs on", true), ("logs off", false)];

/// How often each cell is measured, and for how many seconds.
#[derive(Clone, Copy)]
struct Extent {
    rounds: usize,
    seconds: u32,
}

const FULL: Extent = Extent {
    rounds: 4,
    seconds: 2,
};
const FULL_STATIC: Extent = Extent {
    rounds: 3,
    seconds: 1,
};
const CHECK: Extent = Extent {
    rounds: 3,
    seconds: 1,
};

/// One measurement, to be made in each round.
struct Cell<'a> {
    name: String,
    on: &'a Running,
    load: Load,
}

/// Everyone's answer to `GET /`.
///
/// # Errors
/// If one can't be started, or a request is lost.
pub fn dynamic(engine: &Engine, part: &Part, results: &mut Results) -> Outcome<()> {
    let wanted = |name: &&str| part.has("requests", name);
    let names: Vec<_> = DYNAMIC.iter().copied().filter(wanted).collect();
    answers(engine, &names, FULL, results)
}

/// What the bars on requests need, in less time.
///
/// # Errors
/// As [`dynamic`].
pub fn check(engine: &Engine, results: &mut Results) -> Outcome<()> {
    // No bar asks for Gunicorn without a front, nor for a short nginx.
    let names: Vec<_> = DYNAMIC
        .iter()
        .copied()
        .filter(|it| !["gunicorn", "nginx-short"].contains(it))
        .collect();
    answers(engine, &names, CHECK, results)?;
    engine.clear();
    answer_files(engine, STATIC, CHECK, results)?;
    engine.clear();
    think_times(engine, CHECK, results)
}

fn answers(engine: &Engine, names: &[&str], extent: Extent, results: &mut Results) -> Outcome<()> {
    let running = start(engine, names, results, "requests")?;
    same_length(&running, "/", None)?;
    let cells = running.iter().map(|(logs, on)| Cell {
        name: format!("requests/{}/{logs}", on.name),
        on,
        load: Load::of("/", extent.seconds),
    });
    rounds(engine, &cells.collect::<Vec<_>>(), extent, results)?;
    let berths = ["app", "app-json", "stack", "stack-json", "bundle"];
    for (logs, on) in &running {
        if *logs == "logs on" && berths.contains(&on.name.as_str()) {
            results.add(&format!("log/{}", on.name), &logged(engine, on)?);
        }
    }
    Ok(())
}

/// Lines of the log for each request of a load. Berth's parts drop some rather than wait until the engine takes them.
fn logged(engine: &Engine, on: &Running) -> Outcome<Figures> {
    let failed = |error: io::Error| format!("The log of {} can't be read: {error}", on.name);
    let file = |container: &String| engine.folder.path().join(format!("{container}.log"));
    let mut readers = Vec::new();
    for container in &on.containers {
        let out = File::create(file(container)).map_err(failed)?;
        let mut reader = Command::new("docker");
        reader.args(["attach", "--no-stdin", "--sig-proxy=false", container]);
        reader.stderr(out.try_clone().map_err(failed)?).stdout(out);
        readers.push(reader.spawn().map_err(failed)?);
    }
    let requests = load::put(engine, on, &Load::of("/", 2))?["requests"];
    for mut reader in readers {
        reader.kill().and_then(|()| reader.wait()).map_err(failed)?;
    }
    let mut lines = 0;
    for container in &on.containers {
        let log = fs::read(file(container)).map_err(failed)?;
        lines += log.iter().filter(|byte| **byte == b'\n').count();
    }
    Ok(Figures::from([("lines", lines as f64 / requests)]))
}

/// Files of two sizes, plain and compressed.
///
/// # Errors
/// As [`dynamic`], or if one answers with other bytes than the others.
pub fn files(engine: &Engine, part: &Part, results: &mut Results) -> Outcome<()> {
    let wanted = |name: &&str| part.has("static", name);
    let names: Vec<_> = STATIC.iter().copied().filter(wanted).collect();
    answer_files(engine, &names, FULL_STATIC, results)
}

fn answer_files(
    engine: &Engine,
    names: &[&str],
    extent: Extent,
    results: &mut Results,
) -> Outcome<()> {
    let running = start(engine, names, results, "static")?;
    let mut cells = Vec::new();
    for &(file, path, header) in FILES {
        same_length(&running, path, header)?;
        cells.extend(running.iter().map(|(logs, on)| Cell {
            name: format!("static/{}/{file}, {logs}", on.name),
            on,
            load: Load {
                header,
                ..Load::of(path, extent.seconds)
            },
        }));
    }
    rounds(engine, &cells, extent, results)
}

/// How long an answer of the stack takes when clients think between their requests, so that 70 % of its highest rate is
/// asked for.
///
/// # Errors
/// As [`dynamic`].
pub fn think(engine: &Engine, part: &Part, results: &mut Results) -> Outcome<()> {
    match part.has("think", "stack") {
        true => think_times(engine, CHECK, results),
        false => Ok(()),
    }
}

fn think_times(engine: &Engine, extent: Extent, results: &mut Results) -> Outcome<()> {
    const SHARE: f64 = 0.7;
    let running = start(engine, &["stack"], results, "think")?;
    let all = Load::of("/", extent.seconds);
    for round in 1..=extent.rounds {
        for (logs, on) in &running {
            let highest = load::put(engine, on, &all)?["rate"];
            for clients in THINKERS {
                let cell = format!("think/stack/{clients} clients, {logs}");
                engine.progress(&format!("{cell}: round {round} of {}", extent.rounds));
                let think = |milliseconds: f64, seconds| Load {
                    connections: clients,
                    seconds,
                    arguments: vec!["think".into(), milliseconds.to_string()],
                    ..all.clone()
                };
                // A client asks again after it has thought, and after it was answered, which a trial shows.
                let pause = f64::from(clients) / (SHARE * highest) * 1e3;
                let trial = load::put(engine, on, &think(pause, 1))?["rate"];
                let answer = f64::from(clients) / trial * 1e3 - pause;
                let asked = think((pause - answer).max(0.0), extent.seconds + 1);
                let mut figures = load::put(engine, on, &asked)?;
                figures.insert("share", figures["rate"] / highest);
                results.add(&cell, &figures);
            }
        }
    }
    Ok(())
}

/// Starts contestants, each with a log and without, and notes what they take at rest.
fn start(
    engine: &Engine,
    names: &[&str],
    results: &mut Results,
    group: &str,
) -> Outcome<Vec<(&'static str, Running)>> {
    let mut running = Vec::new();
    if names.is_empty() {
        return Ok(running);
    }
    engine.progress(&format!("{group}: starting {}", names.join(", ")));
    let contestants = Contestants::new(engine)?;
    for name in names {
        for &(logs, are_on) in LOGS {
            if are_on || !IN_JSON.contains(name) {
                running.push((logs, contestants.start(name, are_on)?));
            }
        }
    }
    for (logs, on) in &running {
        let rest = engine.usage(&on.containers)?.memory;
        let figures = Figures::from([("rest_bytes", rest)]);
        results.add(&format!("rest/{}/{logs}", on.name), &figures);
    }
    Ok(running)
}

/// # Errors
/// If they do not answer a request with as many bytes: then they would not be comparable.
fn same_length(
    running: &[(&str, Running)],
    path: &str,
    header: Option<&'static str>,
) -> Outcome<()> {
    let mut lengths = BTreeMap::new();
    for (_, on) in running {
        let answer = http::ask(on.address, path, header.as_slice());
        let answer = answer.map_err(|error| format!("{}: {path}: {error}", on.name))?;
        let coding = answer
            .header("content-encoding")
            .unwrap_or("plain")
            .to_owned();
        lengths.insert((coding, answer.body.len()), &on.name);
    }
    match lengths.len() {
        0 | 1 => Ok(()),
        _ => Err(format!("{path}: not the same answer from all: {lengths:?}")),
    }
}

/// Measures all cells in turn, as often as there are rounds. Who has not been asked before is asked for a second first.
fn rounds(engine: &Engine, cells: &[Cell], extent: Extent, results: &mut Results) -> Outcome<()> {
    let mut warm = BTreeSet::new();
    for cell in cells {
        if warm.insert(&cell.on.containers) {
            let load = Load {
                seconds: 1,
                ..cell.load.clone()
            };
            measure(engine, cell, &load)?;
        }
    }
    for round in 1..=extent.rounds {
        for (number, cell) in cells.iter().enumerate() {
            engine.progress(&format!(
                "{}: round {round} of {}, {} of {}",
                cell.name,
                extent.rounds,
                number + 1,
                cells.len()
            ));
            let figures = measure(engine, cell, &cell.load)?;
            results.add(&cell.name, &figures);
        }
    }
    Ok(())
}

fn measure(engine: &Engine, cell: &Cell, load: &Load) -> Outcome<Figures> {
    load::put(engine, cell.on, load).map_err(|error| format!("{}: {error}", cell.name))
}
