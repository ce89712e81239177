//! What a request costs when there is more of something: replicas, connections, files, bytes.

use std::{
    thread,
    time::{Duration, Instant},
};

use crate::{
    Outcome, Part,
    contestants::{Contestants, REPLICAS, Running},
    engine::{Engine, docker, patiently},
    footprint::Idle,
    http,
    load::{self, Load},
    results::{Figures, Results, median},
};

const ROUNDS: usize = 3;
const SECONDS: u32 = 1;
/// All lines by the names of their cells, and whether their cost is to stay what it is: bytes have to be sent.
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
    /// Connections that are open beside those of the load.
    idle: u32,
}

/// # Errors
/// If one can't be started, or a request is lost.
pub fn measure(engine: &Engine, part: &Part, results: &mut Results) -> Outcome<()> {
    let mut running = Vec::new();
    for server in ["stack", "app"] {
        if part.has("growth", server) {
            running.push(Contestants::new(engine)?.roomy().start(server, true)?);
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
    let contestants = Contestants::new(engine)?;
    let stacks = [1, 2, 4, 8, 16].map(|replicas| {
        contestants
            .stack(replicas, &[], true)
            .map(|on| (replicas, on))
    });
    let stacks: Vec<_> = stacks.into_iter().collect::<Outcome<_>>()?;
    let points = stacks.iter().map(|(replicas, on)| Point {
        name: format!("growth/replicas, stack/{replicas}"),
        on,
        load: Load::of("/", SECONDS),
        idle: 0,
    });
    rounds(engine, &points.collect::<Vec<_>>(), results)
}

/// Measures all points in turn, or one that needs idle connections as often while they are held. The first round warms up.
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

/// How soon a replica that is added gets a request.
fn added(engine: &Engine, results: &mut Results) -> Outcome<()> {
    let contestants = Contestants::new(engine)?;
    let on = contestants.stack(REPLICAS, &[], true)?;
    let network = on.network.as_deref().unwrap_or_default();
    for round in 1..=ROUNDS {
        engine.progress(&format!("growth: a replica is added, {round} of {ROUNDS}"));
        let replica = contestants.replica(network, &[])?;
        let start = Instant::now();
        let host = docker(&["inspect", "--format={{.Config.Hostname}}", &replica])?;
        patiently(|| {
            let answer = http::ask(on.address, "/", &[]).map_err(|error| error.to_string())?;
            match answer.header("x-served-by") == Some(host.trim()) {
                true => Ok(()),
                false => Err("The replica that was added got no request".to_owned()),
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

/// The points of a line as they were measured: how many of it, and the CPU time per request in microseconds.
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
