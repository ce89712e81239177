//! `bench/results.md` and the charts: what was measured, in tables.

use std::{collections::BTreeMap, fmt::Write, fs, path::Path};

use serde_json::Value;

use crate::{
    Outcome, bars,
    chart::number,
    charts::charts,
    contestants::GUNICORN,
    results::{Results, median, spread},
};

/// Figures in the order of the columns: the name, the column's, and how many of the figure's own make one.
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

/// Groups in the order of the page, each with its title, what is to be known of it, and its chart.
const GROUPS: &[(&str, &str, &str, &str)] = &[
    (
        "requests",
        "The service's answer",
        "`GET /`, 32 connections that are kept, each asking again as soon as it is answered.",
        "requests",
    ),
    (
        "log",
        "Lines of the log",
        "Berth's app and nginx drop lines rather than wait. The app writes one for each request, and so does nginx; what is \
         missing was lost. With a second reader attached, which the engine serves too.",
        "",
    ),
    (
        "rest",
        "Memory at rest",
        "All containers of a contestant together, before the first request.",
        "memory",
    ),
    (
        "static",
        "Files",
        "The same, for a file; plain, and compressed beforehand.",
        "static",
    ),
    (
        "think",
        "Time at 70 % of the highest rate",
        "Clients that think before they ask, for exponentially distributed times. The mean is such that 70 % of the rate should be asked for that was the highest just before. A client that waits asks nothing, so that never more wait than there are clients: 32 as everywhere else, and 256, which comes near to not being limited.",
        "",
    ),
    (
        "footprint",
        "Footprint",
        "One replica. What starts is asked without a pause.",
        "",
    ),
    (
        "growth",
        "Growth",
        "Of *connections*, 32 ask, and the others have asked once. *Files* are asked for one after the other. An *added* replica's first request comes so long after `docker run` has started it.",
        "growth",
    ),
    (
        "builds",
        "Builds",
        "*cold*: every crate is compiled, on base images that are there. *source*, *static*, *dependency*: `src/time.rs`, `static/clock.html` or the manifest was edited since, which is what a changed version does to the layer of the crates.",
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
         rounds, ± half of what lies between the lowest and the highest. CPU is user and system time of all processes of all \
         containers of a contestant.\n\n## The bars\n\nA ratio is of CPU time per request, round by round, of cells of one run.\n\n\
         | what | bar | measured | verdict |\n| --- | --- | --- | --- |\n",
    );
    let mut verdicts: BTreeMap<_, u32> = BTreeMap::new();
    for bar in bars::requests().iter().chain(&bars::others(results)) {
        let (measured, verdict) = match bar.judge(results) {
            Ok(judged) => (judged.to_string(), judged.verdict.to_string()),
            Err(why) => (why, "not measured".to_owned()),
        };
        let (what, limit) = (&bar.what, bar.limit());
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
         * Servers have processor 0, the load (wrk, one thread) has processor 1. Rounds go through all cells of a group in turn, \
         after a second of load on each.\n\
         * A cell with an error or an answer of 400 or above ends its group: it measured something else.\n\
         * Logs on: a line for each request, to standard output or error, with `--log-driver none`: the engine reads the lines \
         and keeps none. Who can't write waits, but for Berth's app and nginx, which drop lines then.\n\
         * Berth's parts have the limits and the environment of docker-compose.yml; the app alone has no environment. The other \
         servers have nginx's limits, and the configuration in [servers/](servers).\n\
         * Gunicorn: `{}`.\n\
         * wrk adds to its percentiles what coordinated omission would leave out.\n",
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

/// By words, and where they are numbers, by their size.
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
