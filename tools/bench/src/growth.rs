//! Measures how the cost of a request grows with the number of replicas, connections, files and bytes.

use std::{
    thread,
    time::{Duration, Instant},
};

use crate::{
    engine::{Engine, docker, retry},
    footprint::Idle,
    http,
    load::{self, Load},
    part::{Outcome, Part},
    results::{Figures, Results, median},
    servers::{REPLICAS, Running, Servers},
};

const ROUNDS: usize = 3;
const SECONDS: u32 = 1;
/// All lines by the names of their cells, and whether a threshold limits their growth. Sending more bytes always costs more.
pub const LINES: &[(&str, bool)] = &[
    ("replicas, stack", true),
    ("connections, stack", true),
    ("connections, app", true),
    ("files, stack", true),
    ("files, app", true),
    ("bytes, stack", false),
    ("bytes, app", false),
];

/// One point of a line.
struct Point<'a> {
    name: String,
    on: &'a Running,
    load: Load,
    /// Idle connections besides those of the load.
    idle: u32,
}

/// Measures all lines.
///
/// # Errors
/// If a server can't be started, or a request is lost.
pub fn measure(engine: &Engine, part: &Part, results: &mut Results) -> Outcome<()> {
    let mut running = Vec::new();
    for server in ["stack", "app"] {
        if part.has("growth", server) {
            running.push(Servers::new(engine)?.roomy().start(server, true)?);
        }
    }
    let mut points = Vec::new();
    for on in &running {
        let mut point = |line: &str, x: u32, idle, load| {
            let name = format!("growth/{line}, {}/{x}", on.name);
            points.push(Point {
                name,
                on,
                load,
                idle,
            });
        };
        let all = Load::of("/", SECONDS);
        for connections in [32, 100, 1000, 10_000] {
            point(
                "connections",
                connections,
                connections - all.connections,
                all.clone(),
            );
        }
        for files in [1, 10, 100, 1000, 10_000] {
            let arguments = vec!["files".into(), files.to_string()];
            point(
                "files",
                files,
                0,
                Load {
                    arguments,
                    ..all.clone()
                },
            );
        }
        for bytes in [100, 1000, 10_000, 100_000, 1_000_000, 10_000_000] {
            let kind = if bytes < 1_000_000 { "txt" } else { "bin" };
            point(
                "bytes",
                bytes,
                0,
                Load::of(&format!("/size/{bytes}.{kind}"), SECONDS),
            );
        }
    }
    rounds(engine, &points, results)?;
    engine.clear();
    if part.has("growth", "stack") {
        replicas(engine, results)?;
        engine.clear();
        added(engine, results)?;
    }
    Ok(())
}

fn replicas(engine: &Engine, results: &mut Results) -> Outcome<()> {
    engine.progress("growth: starting 1 to 16 replicas");
    let servers = Servers::new(engine)?;
    let stacks = [1, 2, 4, 8, 16]
        .map(|replicas| servers.stack(replicas, &[], true).map(|on| (replicas, on)));
    let stacks: Vec<_> = stacks.into_iter().collect::<Outcome<_>>()?;
    let points = stacks.iter().map(|(replicas, on)| Point {
        name: format!("growth/replicas, stack/{replicas}"),
        on,
        load: Load::of("/", SECONDS),
        idle: 0,
    });
    rounds(engine, &points.collect::<Vec<_>>(), results)
}

/// Measures all points in turn, in each round. A point with idle connections has all its rounds at once. The first round is a
/// warm-up.
fn rounds(engine: &Engine, points: &[Point], results: &mut Results) -> Outcome<()> {
    for point in points.iter().filter(|point| point.idle > 0) {
        let idle = Idle::hold(engine, point.on, point.idle)?;
        for round in 0..=ROUNDS {
            measure_once(engine, point, round, results)?;
        }
        idle.end()?;
    }
    for round in 0..=ROUNDS {
        for point in points.iter().filter(|point| point.idle == 0) {
            measure_once(engine, point, round, results)?;
        }
    }
    Ok(())
}

fn measure_once(
    engine: &Engine,
    point: &Point,
    round: usize,
    results: &mut Results,
) -> Outcome<()> {
    engine.progress(&format!("{}: round {round} of {ROUNDS}", point.name));
    let figures = load::put(engine, point.on, &point.load);
    let figures = figures.map_err(|error| format!("{}: {error}", point.name))?;
    if round > 0 {
        results.add(&point.name, &figures);
    }
    Ok(())
}

/// Measures the time until an added replica gets its first request.
fn added(engine: &Engine, results: &mut Results) -> Outcome<()> {
    let servers = Servers::new(engine)?;
    let on = servers.stack(REPLICAS, &[], true)?;
    let network = on.network.as_deref().unwrap_or_default();
    for round in 1..=ROUNDS {
        engine.progress(&format!("growth: a replica is added, {round} of {ROUNDS}"));
        let replica = servers.replica(network, &[])?;
        let start = Instant::now();
        let host = docker(&["inspect", "--format={{.Config.Hostname}}", &replica])?;
        retry(|| {
            let answer = http::get(on.address, "/", &[]).map_err(|error| error.to_string())?;
            match answer.header("x-served-by") == Some(host.trim()) {
                true => Ok(()),
                false => Err("The added replica got no request".to_owned()),
            }
        })?;
        let first = start.elapsed().as_secs_f64();
        results.add(
            "growth/added/first request",
            &Figures::from([("seconds", first)]),
        );
        thread::sleep(Duration::from_secs(1));
    }
    Ok(())
}

/// Returns the points of a line: the quantity, and the CPU time per request in microseconds.
pub fn line(results: &Results, line: &str) -> Vec<(u32, f64)> {
    let group = format!("growth/{line}");
    let points = results.of(&group).filter_map(|(x, cell)| {
        let cost = median(cell.figures.get("cpu_us")?)?;
        Some((x.parse().ok()?, cost))
    });
    let mut points: Vec<_> = points.collect();
    points.sort_by_key(|(x, _)| *x);
    points
}
