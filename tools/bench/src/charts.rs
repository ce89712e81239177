//! The charts: processor time of answers and files, memory, growth, builds.

use std::collections::BTreeSet;

use crate::{
    chart::{self, Panel},
    growth,
    requests::{FILES, LOGS, STATIC},
    results::{Results, median},
};

/// Draws the charts of the results, by name.
pub fn charts(results: &Results) -> Vec<(&'static str, String)> {
    let middle = |cell: &str, figure| median(results.values(cell, figure));
    // Servers from the least to the most processor time.
    let names: BTreeSet<_> = results
        .of("requests")
        .filter_map(|(name, _)| name.split('/').next())
        .collect();
    let mut names: Vec<_> = names.into_iter().collect();
    let cost =
        |name: &str| middle(&format!("requests/{name}/logs on"), "cpu_us").unwrap_or_default();
    names.sort_by(|a, b| cost(a).total_cmp(&cost(b)));
    let rows = |of: &dyn Fn(&str) -> Vec<Option<f64>>| -> Vec<_> {
        names
            .iter()
            .map(|name| ((*name).to_owned(), of(name)))
            .collect()
    };
    let requests = rows(&|name| {
        LOGS.iter()
            .map(|(logs, _)| middle(&format!("requests/{name}/{logs}"), "cpu_us"))
            .collect()
    });
    let memory = rows(&|name| {
        let rest = middle(&format!("rest/{name}/logs on"), "rest_bytes");
        let load = middle(&format!("requests/{name}/logs on"), "load_bytes");
        [rest, load].map(|bytes| bytes.map(|it| it / 1e6)).to_vec()
    });
    let files: Vec<_> = FILES
        .iter()
        .map(|(file, ..)| {
            let costs = STATIC
                .iter()
                .map(|server| middle(&format!("static/{server}/{file}, logs on"), "cpu_us"));
            ((*file).to_owned(), costs.collect())
        })
        .collect();
    let builds: Vec<_> = results
        .of("builds")
        .map(|(name, _)| {
            (
                name.to_owned(),
                vec![middle(&format!("builds/{name}"), "seconds")],
            )
        })
        .collect();
    vec![
        (
            "requests",
            chart::bars(
                "CPU time of an answer of the service, µs",
                &["logs on", "logs off"],
                &requests,
            ),
        ),
        (
            "memory",
            chart::bars(
                "Memory of all containers, MB",
                &["at rest", "after a load"],
                &memory,
            ),
        ),
        (
            "static",
            chart::bars("CPU time of a file, µs (logs on)", STATIC, &files),
        ),
        (
            "growth",
            chart::lines(
                "CPU time of an answer, as a multiple of the lowest",
                &["stack", "app"],
                &panels(results),
            ),
        ),
        (
            "builds",
            chart::bars("A build of the app's image, s", &[], &builds),
        ),
    ]
}

fn panels(results: &Results) -> Vec<Panel> {
    let mut panels: Vec<Panel> = Vec::new();
    for (line, _) in growth::LINES {
        let points = growth::line(results, line);
        let lowest = points
            .iter()
            .map(|(_, cost)| *cost)
            .fold(f64::INFINITY, f64::min);
        let (title, _) = line.split_once(", ").unwrap_or((line, ""));
        if points.is_empty() {
            continue;
        }
        let values = points.iter().map(|(_, cost)| cost / lowest).collect();
        match panels.iter_mut().find(|panel| panel.title == title) {
            Some(panel) => panel.lines.push(values),
            None => panels.push(Panel {
                title: title.to_owned(),
                steps: points.iter().map(|(x, _)| chart::short(*x)).collect(),
                lines: vec![values],
            }),
        }
    }
    panels
}
