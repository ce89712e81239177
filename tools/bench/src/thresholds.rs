//! The thresholds: what Berth promises about its cost, as ratios of figures of the same run.

use std::{fmt, slice};

use crate::{
    growth,
    part::Outcome,
    requests::{FILES, LOGS, THINKERS},
    results::{Results, median, spread},
};

/// A promise: the sum of a figure over some cells is at most `at_most` times the sum over other cells.
pub struct Threshold {
    /// The name in the table.
    pub what: String,
    figure: &'static str,
    over: Vec<String>,
    /// Empty if the figure itself is limited.
    under: Vec<String>,
    at_most: f64,
    /// The unit's name, and its size in the unit of the figure.
    unit: (&'static str, f64),
}

impl fmt::Display for Threshold {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{} ≤ {}", self.what, self.limit())
    }
}

impl Threshold {
    /// Returns the limit with its unit.
    pub fn limit(&self) -> String {
        format!("{}{}", self.at_most, self.unit.0)
    }

    /// Compares the results with the limit.
    ///
    /// # Errors
    /// If a cell is missing, or belongs to another run.
    pub fn judge(&self, results: &Results) -> Outcome<Judged> {
        let (over, run) = sum(&self.over, self.figure, results)?;
        let values: Vec<f64> = if self.under.is_empty() {
            over.iter().map(|value| value / self.unit.1).collect()
        } else {
            let (under, other) = sum(&self.under, self.figure, results)?;
            if run != other {
                return Err(format!(
                    "{} and {} belong to two runs",
                    self.over[0], self.under[0]
                ));
            }
            over.iter()
                .zip(under)
                .map(|(over, under)| over / under)
                .collect()
        };
        let middle = median(&values).ok_or_else(|| format!("{} has no rounds", self.over[0]))?;
        let spread = spread(&values);
        Ok(Judged {
            median: middle,
            spread,
            verdict: Verdict::of(middle, spread, self.at_most),
            unit: self.unit.0,
        })
    }
}

/// Returns the sum of a figure over some cells for each round, and their run.
fn sum<'a>(cells: &[String], figure: &str, results: &'a Results) -> Outcome<(Vec<f64>, &'a str)> {
    let mut sum: Option<(Vec<f64>, &str)> = None;
    for name in cells {
        let missing = || format!("{name} was not measured");
        let cell = results.cells.get(name).ok_or_else(missing)?;
        let values = cell.figures.get(figure).ok_or_else(missing)?;
        sum = Some(match sum {
            None => (values.clone(), &cell.run),
            Some((_, run)) if run != cell.run => {
                return Err(format!("{} and {name} belong to two runs", cells[0]));
            }
            Some((sum, run)) => {
                let sums = sum.iter().zip(values).map(|(sum, value)| sum + value);
                (sums.collect(), run)
            }
        });
    }
    sum.ok_or_else(|| "A threshold has no cells.".to_owned())
}

/// The verdict on a threshold, with the median of the rounds and their spread.
pub struct Judged {
    pub median: f64,
    pub spread: f64,
    pub verdict: Verdict,
    unit: &'static str,
}

impl fmt::Display for Judged {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { median, spread, .. } = self;
        write!(out, "{median:.2}{} ± {spread:.2}", self.unit)
    }
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Verdict {
    Holds,
    /// Over the limit, but by no more than the spread.
    Within,
    Misses,
}

impl Verdict {
    fn of(median: f64, spread: f64, at_most: f64) -> Self {
        if median <= at_most {
            Self::Holds
        } else if median - spread <= at_most {
            Self::Within
        } else {
            Self::Misses
        }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::Holds => "holds",
            Self::Within => "within the spread",
            Self::Misses => "misses",
        })
    }
}

/// Judges all thresholds.
///
/// # Errors
/// If a cell is missing, or belongs to another run.
pub fn judge_all(thresholds: &[Threshold], results: &Results) -> Outcome<Vec<Judged>> {
    thresholds
        .iter()
        .map(|threshold| threshold.judge(results))
        .collect()
}

fn ratio(what: &str, over: &[String], under: &[String], at_most: f64) -> Threshold {
    Threshold {
        what: what.to_owned(),
        figure: "cpu_us",
        over: over.to_vec(),
        under: under.to_vec(),
        at_most,
        unit: (" ×", 1.0),
    }
}

fn absolute(
    what: &str,
    cell: &str,
    figure: &'static str,
    at_most: f64,
    unit: (&'static str, f64),
) -> Threshold {
    Threshold {
        figure,
        unit,
        ..ratio(what, &[cell.to_owned()], &[], at_most)
    }
}

/// The thresholds on requests: processor time per request, and the latency at 70 % of the highest rate.
pub fn requests() -> Vec<Threshold> {
    let mut thresholds = Vec::new();
    for &(logs, are_on) in LOGS {
        let of = |name: &str| format!("requests/{name}/{logs}");
        let mut threshold = |over: &str, under: &[&str], named: &str, at_most| {
            let under: Vec<_> = under.iter().map(|it| of(it)).collect();
            let what = format!("{over} / {named}, {logs}");
            thresholds.push(ratio(&what, &[of(over)], &under, at_most));
        };
        threshold("stack", &["return", "app"], "floor", 1.25);
        threshold("stack", &["haproxy"], "haproxy", 1.0);
        threshold("stack", &["haproxy-full"], "haproxy-full", 1.0);
        threshold("stack", &["caddy"], "caddy", 0.4);
        threshold("stack", &["nginx-gunicorn"], "nginx-gunicorn", 0.15);
        threshold(
            "app",
            &["minimal_actix"],
            "minimal_actix",
            if are_on { 1.15 } else { 1.25 },
        );
        threshold("bundle", &["stack"], "stack", 0.95);
        for (server, at_most) in [("stack", 1.05), ("app", 1.5)] {
            for (file, ..) in FILES {
                let of = |name: &str| format!("static/{name}/{file}, {logs}");
                let what = format!("{server} / nginx-bare, {file}, {logs}");
                thresholds.push(ratio(&what, &[of(server)], &[of("nginx-bare")], at_most));
            }
        }
        for clients in THINKERS {
            let cell = format!("think/stack/{clients} clients, {logs}");
            let what = format!("p99 at 70 % of the highest rate, {clients} clients, {logs}");
            thresholds.push(absolute(&what, &cell, "p99_us", 5.0, (" ms", 1e3)));
        }
    }
    for server in ["app", "stack"] {
        let of = |name: &str, logs| format!("requests/{name}/logs {logs}");
        let (on, off) = (of(server, "on"), of(server, "off"));
        let json = of(&format!("{server}-json"), "on");
        let pairs = [
            ("logs on / off", &on, off),
            ("JSON / text", &json, on.clone()),
        ];
        for (what, over, under) in pairs {
            let what = format!("{server}: {what}");
            thresholds.push(ratio(&what, slice::from_ref(over), &[under], 1.15));
        }
    }
    thresholds
}

/// All other thresholds. A line of the growth measurements may rise by 1.3 from its lowest point to its highest.
pub fn others(results: &Results) -> Vec<Threshold> {
    const PLAIN: (&str, f64) = ("", 1.0);
    const MB: (&str, f64) = (" MB", 1e6);
    const MS: (&str, f64) = (" ms", 1.0);
    let app =
        |what: &str, figure, at_most, unit| absolute(what, "footprint/app", figure, at_most, unit);
    let mut thresholds = vec![
        app("image", "image_bytes", 8.0, MB),
        app("memory at rest", "rest_bytes", 4.0, MB),
        app(
            "memory with 10,000 idle connections",
            "idle_bytes",
            60.0,
            MB,
        ),
        app("memory after a load / before", "after_ratio", 1.2, PLAIN),
        app("first answer after exec", "exec_ms", 30.0, MS),
        app(
            "first answer after `docker run`, beyond an empty program",
            "run_ms",
            500.0,
            MS,
        ),
        absolute(
            "first request of an added replica",
            "growth/added/first request",
            "seconds",
            2.0,
            (" s", 1.0),
        ),
    ];
    for (line, _) in growth::LINES.iter().filter(|(_, is_flat)| *is_flat) {
        let mut points = growth::line(results, line);
        points.sort_by(|a, b| a.1.total_cmp(&b.1));
        if let [lowest, .., highest] = &points[..] {
            let of = |(x, _): &(u32, f64)| format!("growth/{line}/{x}");
            let what = format!("{line}: {} / {}", highest.0, lowest.0);
            thresholds.push(ratio(&what, &[of(highest)], &[of(lowest)], 1.3));
        }
    }
    let build = |name: &str| format!("builds/{name}");
    thresholds.push(Threshold {
        figure: "seconds",
        ..ratio(
            "a build after an edit of the source / cold",
            &[build("source")],
            &[build("cold")],
            0.35,
        )
    });
    thresholds
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::results::Figures;

    fn results(rounds: &[(&str, f64)]) -> Results {
        let mut results = Results::default();
        results.begin(json!({"started": "now"}));
        for &(cell, value) in rounds {
            results.add(cell, &Figures::from([("cpu_us", value)]));
        }
        results
    }

    fn threshold() -> Threshold {
        ratio("a / floor", &["a".into()], &["b".into(), "c".into()], 1.0)
    }

    #[test]
    fn a_ratio_is_computed_for_each_round() {
        let rounds = [
            ("a", 4.0),
            ("a", 9.0),
            ("a", 6.0),
            ("b", 1.0),
            ("b", 2.0),
            ("b", 1.0),
        ];
        let floor = [("c", 3.0), ("c", 1.0), ("c", 2.0)];
        let judged = threshold()
            .judge(&results(&[&rounds[..], &floor].concat()))
            .unwrap();
        assert_eq!((judged.median, judged.spread), (2.0, 1.0));
    }

    #[test]
    fn a_threshold_is_missed_only_by_more_than_the_spread() {
        assert_eq!(Verdict::of(1.0, 0.0, 1.0), Verdict::Holds);
        assert_eq!(Verdict::of(1.1, 0.2, 1.0), Verdict::Within);
        assert_eq!(Verdict::of(1.3, 0.2, 1.0), Verdict::Misses);
    }

    #[test]
    fn a_missing_cell_is_named() {
        let error = threshold().judge(&results(&[("a", 1.0), ("b", 1.0)])).err();
        assert_eq!(error.unwrap(), "c was not measured");
    }

    #[test]
    fn cells_of_two_runs_are_not_compared() {
        let mut results = results(&[("a", 1.0), ("b", 1.0)]);
        results.begin(json!({"started": "later"}));
        results.add("c", &Figures::from([("cpu_us", 1.0)]));
        let error = threshold().judge(&results).err().unwrap();
        assert!(error.contains("two runs"), "{error}");
    }
}
