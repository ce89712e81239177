//! Measures what a request costs each server, for the service and for files, and its latency.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs::{self, File},
    io,
    process::Command,
};

use crate::{
    engine::Engine,
    http,
    load::{self, Load},
    part::{Outcome, Part},
    results::{Figures, Results},
    servers::{Running, Servers},
};

/// The servers that answer `GET /`.
const DYNAMIC: &[&str] = &[
    "return",
    "minimal_actix",
    "app",
    "app-json",
    "stack",
    "stack-json",
    "nginx-short",
    "haproxy",
    "haproxy-full",
    "caddy",
    "gunicorn",
    "nginx-gunicorn",
    "bundle",
];
/// The servers that serve files.
pub const STATIC: &[&str] = &["nginx-bare", "stack", "app"];
/// Servers that differ in the log's format alone. They are measured with logs only.
const IN_JSON: &[&str] = &["app-json", "stack-json"];

/// Files: name, path, and the request's header.
pub const FILES: &[(&str, &str, Option<&str>)] = &[
    ("4 KB", "/4k.txt", None),
    ("4 KB gzip", "/4k.txt", Some("Accept-Encoding: gzip")),
    ("100 KB", "/100k.txt", None),
    ("100 KB gzip", "/100k.txt", Some("Accept-Encoding: gzip")),
];
/// Numbers of clients with a think time: as many as everywhere else, and so many that their number hardly limits the queue.
pub const THINKERS: [u32; 2] = [32, 256];
pub const LOGS: &[(&str, bool)] = &[("logs on", true), ("logs off", false)];

/// How often each cell is measured, and for how long.
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

/// A measurement that is made in each round.
struct Cell<'a> {
    name: String,
    on: &'a Running,
    load: Load,
}

/// Measures all servers' answer to `GET /`.
///
/// # Errors
/// If a server can't be started, or a request is lost.
pub fn dynamic(engine: &Engine, part: &Part, results: &mut Results) -> Outcome<()> {
    let wanted = |name: &&str| part.has("requests", name);
    let names: Vec<_> = DYNAMIC.iter().copied().filter(wanted).collect();
    answers(engine, &names, FULL, results)
}

/// Measures what the thresholds on requests need, in less time.
///
/// # Errors
/// As [`dynamic`].
pub fn check(engine: &Engine, results: &mut Results) -> Outcome<()> {
    // No threshold needs Gunicorn without nginx, or the short nginx.
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
    check_same_length(&running, "/", None)?;
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

/// Returns the log lines per request of a load. Berth's parts drop lines rather than block when the engine reads too slowly.
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

/// Measures files of two sizes, plain and compressed.
///
/// # Errors
/// As [`dynamic`], or if the servers' answers differ.
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
        check_same_length(&running, path, header)?;
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

/// Measures the latency of the stack at 70 % of its highest rate, by clients with a think time.
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
                // A client's cycle is its think time and the answer's time. A trial shows the latter.
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

/// Starts servers, each with logs and without, and measures their memory at rest.
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
    let servers = Servers::new(engine)?;
    for name in names {
        for &(logs, are_on) in LOGS {
            if are_on || !IN_JSON.contains(name) {
                running.push((logs, servers.start(name, are_on)?));
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

/// Checks that all servers answer with the same number of bytes.
///
/// # Errors
/// If they do not, since they would not be comparable.
fn check_same_length(
    running: &[(&str, Running)],
    path: &str,
    header: Option<&'static str>,
) -> Outcome<()> {
    let mut lengths = BTreeMap::new();
    for (_, on) in running {
        let answer = http::get(on.address, path, header.as_slice());
        let answer = answer.map_err(|error| format!("{}: {path}: {error}", on.name))?;
        let coding = answer
            .header("content-encoding")
            .unwrap_or("plain")
            .to_owned();
        lengths.insert((coding, answer.body.len()), &on.name);
    }
    match lengths.len() {
        0 | 1 => Ok(()),
        _ => Err(format!("{path}: the answers differ: {lengths:?}")),
    }
}

/// Measures all cells in turn, in each round. Each server is warmed up for a second first.
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
