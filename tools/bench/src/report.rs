//! Writes `results.md`, with the results in tables, and the charts.

use std::{collections::BTreeMap, fmt::Write, fs, path::Path};

use serde_json::Value;

use crate::{
    chart::number,
    charts::charts,
    part::Outcome,
    results::{Results, median, spread},
    servers::GUNICORN,
    thresholds,
};

/// The columns in order: the figure, the heading, and the heading's unit in the figure's unit.
const COLUMNS: &[(&str, &str, f64)] = &[
    ("cpu_us", "CPU µs per request", 1.0),
    ("rate", "requests/s", 1.0),
    ("p50_us", "p50 ms", 1e3),
    ("p99_us", "p99 ms", 1e3),
    ("p999_us", "p99.9 ms", 1e3),
    ("share", "of the highest rate", 1.0),
    ("lines", "lines per request", 1.0),
    ("load_bytes", "memory after the load, MB", 1e6),
    ("image_bytes", "image, MB", 1e6),
    ("rest_bytes", "memory at rest, MB", 1e6),
    ("idle_bytes", "with 10,000 idle connections, MB", 1e6),
    ("after_ratio", "memory after a load / before", 1.0),
    ("exec_ms", "first answer after exec, ms", 1.0),
    (
        "run_ms",
        "first answer after `docker run`, beyond an empty program, ms",
        1.0,
    ),
    ("seconds", "s", 1.0),
];

/// The groups in the order of the page: name, title, explanation, chart.
const GROUPS: &[(&str, &str, &str, &str)] = &[
    (
        "requests",
        "The service's answer",
        "`GET /` over 32 kept-alive connections, each with the next request right after an answer.",
        "requests",
    ),
    (
        "log",
        "Lines of the log",
        "Berth's app and nginx each write a line for each request, and drop lines rather than block. Missing lines were dropped. \
         Measured with a second reader attached, which the engine has to serve too.",
        "",
    ),
    (
        "rest",
        "Memory at rest",
        "All containers of a server together, before the first request.",
        "memory",
    ),
    (
        "static",
        "Files",
        "The same for a file, plain and precompressed.",
        "static",
    ),
    (
        "think",
        "Time at 70 % of the highest rate",
        "Clients wait for exponentially distributed think times between their requests. The mean gives 70 % of the highest rate, which is measured just before. At most all clients are in the queue: 32 as everywhere else, or 256, which is close to no limit.",
        "",
    ),
    (
        "footprint",
        "Footprint",
        "One replica. A starting replica is polled without a pause.",
        "",
    ),
    (
        "growth",
        "Growth",
        "Of the *connections*, 32 are busy, and the others are idle after one request. *Files* are requested one after the other. *added* is the time from `docker run` to a replica's first request.",
        "growth",
    ),
    (
        "builds",
        "Builds",
        "*cold*: every crate is compiled; the base images exist. *source*, *static*, *dependency*: after an edit of `src/routes/time.rs`, `static/clock.html` or `Cargo.toml`, which invalidates the layer of the crates as a changed version does.",
        "builds",
    ),
];

/// Writes the page and its charts.
///
/// # Errors
/// If a file can't be written.
pub fn write(folder: &Path, results: &Results) -> Outcome<()> {
    let write = |name: &str, text: String| {
        let file = folder.join(name);
        fs::write(&file, text).map_err(|error| format!("{}: {error}", file.display()))
    };
    for (name, chart) in charts(results) {
        write(&format!("{name}.svg"), chart)?;
    }
    write("results.md", page(results))
}

fn page(results: &Results) -> String {
    let mut page = String::from(
        "# What was measured\n\nWritten by `make bench`; [README.md](README.md) says how to read it. A figure is the median of the \
         rounds, ± half of the range. CPU is user and system time of all processes in all containers of a server.\n\n## The thresholds\n\nA ratio compares CPU time per request, round by round, within one run.\n\n\
         | what | threshold | measured | verdict |\n| --- | --- | --- | --- |\n",
    );
    let mut verdicts: BTreeMap<_, u32> = BTreeMap::new();
    for threshold in thresholds::requests()
        .iter()
        .chain(&thresholds::others(results))
    {
        let (measured, verdict) = match threshold.judge(results) {
            Ok(judged) => (judged.to_string(), judged.verdict.to_string()),
            Err(why) => (why, "not measured".to_owned()),
        };
        let (what, limit) = (&threshold.what, threshold.limit());
        let _ = writeln!(page, "| {what} | ≤ {limit} | {measured} | {verdict} |");
        *verdicts.entry(verdict).or_default() += 1;
    }
    let sums = verdicts
        .iter()
        .map(|(verdict, number)| format!("{number} {verdict}"));
    let _ = write!(
        page,
        "\nTogether: {}.\n",
        sums.collect::<Vec<_>>().join(", ")
    );
    for (group, title, about, chart) in GROUPS {
        if results.of(group).next().is_none() {
            continue;
        }
        let _ = write!(page, "\n## {title}\n\n{about}\n\n");
        if !chart.is_empty() {
            let _ = write!(page, "![{title}]({chart}.svg)\n\n");
        }
        table(&mut page, group, results);
    }
    page.push_str("\n## The machine, and the versions\n");
    for (started, run) in &results.runs {
        let _ = write!(page, "\n### The run of {started}\n\n");
        describe(&mut page, run, "");
    }
    let _ = write!(
        page,
        "\n## How\n\n\
         * Servers run on processor 0, the load (wrk, one thread) on processor 1. Each round measures all cells of a group in turn, \
         after a second of load on each.\n\
         * An error or an answer of 400 or above ends its group, since the figures would mean something else.\n\
         * Logs on: a line for each request, to standard output or error, with `--log-driver none`: the engine reads the lines \
         and keeps none. When the engine reads too slowly, Berth's app and nginx drop lines; the others block.\n\
         * Berth's parts have the limits and the environment of docker-compose.yml; the app alone has no environment. The other \
         servers have nginx's limits, and the configuration in [servers/](servers).\n\
         * Gunicorn: `{}`.\n\
         * wrk corrects its percentiles for coordinated omission.\n",
        GUNICORN.join(" ")
    );
    page
}

fn table(page: &mut String, group: &str, results: &Results) {
    let columns: Vec<_> = COLUMNS
        .iter()
        .filter(|(figure, ..)| {
            results
                .of(group)
                .any(|(_, cell)| cell.figures.contains_key(*figure))
        })
        .collect();
    let heads: String = columns
        .iter()
        .map(|(_, head, _)| format!(" {head} |"))
        .collect();
    let _ = writeln!(page, "| what |{heads} run of |");
    let _ = writeln!(page, "| --- |{} --- |", " ---: |".repeat(columns.len()));
    let mut cells: Vec<_> = results.of(group).collect();
    cells.sort_by_key(|(name, _)| order(name));
    for (name, cell) in cells {
        let _ = write!(page, "| {} |", name.replace('/', ": "));
        for (figure, _, unit) in &columns {
            let values = cell.figures.get(*figure).map_or(&[][..], Vec::as_slice);
            let values: Vec<_> = values.iter().map(|value| value / unit).collect();
            let shown = median(&values).map(number).unwrap_or_default();
            let _ = match values.len() {
                0 | 1 => write!(page, " {shown} |"),
                _ => write!(page, " {shown} ± {} |", number(spread(&values))),
            };
        }
        let _ = writeln!(page, " {} |", cell.run);
    }
}

/// Sorts by words, and numbers by size.
fn order(name: &str) -> (String, u64) {
    let (words, last) = name.rsplit_once('/').unwrap_or((name, ""));
    match last.parse() {
        Ok(number) => (words.to_owned(), number),
        Err(_) => (name.to_owned(), 0),
    }
}

fn describe(page: &mut String, of: &Value, indent: &str) {
    for (name, value) in of.as_object().into_iter().flatten() {
        match value {
            Value::Object(_) => {
                let _ = writeln!(page, "{indent}* {name}:");
                describe(page, value, &format!("{indent}  "));
            }
            Value::String(text) => {
                let _ = writeln!(page, "{indent}* {name}: {}", text.replace('\n', ", "));
            }
            other => {
                let _ = writeln!(page, "{indent}* {name}: {other}");
            }
        }
    }
}
