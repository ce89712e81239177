//! The results: cells, each of one run, with a value for each round. `tools/target/bench/results.json` keeps them between
//! runs; it is not part of the repository.

use std::{collections::BTreeMap, fs, path::PathBuf};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::part::{Outcome, ROOT};

/// One round of a cell: figures by name; the name has the unit.
pub type Figures = BTreeMap<&'static str, f64>;

/// The results of one measurement, such as `requests/stack/logs on`.
#[derive(Default, Deserialize, Serialize)]
pub struct Cell {
    /// The start of the run that measured it. Only cells of one run are compared.
    pub run: String,
    /// Figures by name, each with a value for every round.
    pub figures: BTreeMap<String, Vec<f64>>,
}

/// All cells by name, and the machine of each run.
#[derive(Default, Deserialize, Serialize)]
pub struct Results {
    pub runs: BTreeMap<String, Value>,
    pub cells: BTreeMap<String, Cell>,
    /// The current run.
    #[serde(skip)]
    run: String,
}

impl Results {
    /// Reads the results of earlier runs, if there are any.
    ///
    /// # Errors
    /// If the file exists but can't be read.
    pub fn read() -> Outcome<Self> {
        let file = file();
        if !file.exists() {
            return Ok(Self::default());
        }
        let text = fs::read(&file).map_err(|error| error.to_string());
        text.and_then(|text| serde_json::from_slice(&text).map_err(|error| error.to_string()))
            .map_err(|error| format!("{}: {error}; remove it to start afresh", file.display()))
    }

    /// Writes all results for later runs.
    ///
    /// # Errors
    /// If the file can't be written.
    pub fn write(&self) -> Outcome<()> {
        let file = file();
        let text = serde_json::to_string_pretty(self).map_err(|error| error.to_string())?;
        file.parent()
            .map_or(Ok(()), fs::create_dir_all)
            .and_then(|()| fs::write(&file, text + "\n"))
            .map_err(|error| format!("{}: {error}", file.display()))
    }

    /// Begins a run. `machine` describes the machine; its `started` is the start.
    pub fn begin(&mut self, machine: Value) {
        self.run = machine["started"].as_str().unwrap_or_default().to_owned();
        self.runs.insert(self.run.clone(), machine);
    }

    /// Adds a round to a cell. Drops the values of an earlier run.
    pub fn add(&mut self, name: &str, figures: &Figures) {
        let cell = self.cells.entry(name.to_owned()).or_default();
        if cell.run != self.run {
            *cell = Cell {
                run: self.run.clone(),
                ..Cell::default()
            };
        }
        for (&name, &value) in figures {
            let values = cell.figures.entry(name.to_owned()).or_default();
            values.push(value);
        }
        let used = |run: &String| self.cells.values().any(|cell| cell.run == *run);
        self.runs.retain(|run, _| *run == self.run || used(run));
    }

    /// Returns whether the current run has measured anything.
    pub fn has_news(&self) -> bool {
        self.cells.values().any(|cell| cell.run == self.run)
    }

    /// Returns the values of a figure; none if there is no such cell.
    pub fn values(&self, cell: &str, figure: &str) -> &[f64] {
        let values = self.cells.get(cell).and_then(|it| it.figures.get(figure));
        values.map_or(&[], Vec::as_slice)
    }

    /// Returns the cells of a group, with their names within the group.
    pub fn of<'a>(&'a self, group: &'a str) -> impl Iterator<Item = (&'a str, &'a Cell)> {
        let cells = self.cells.iter();
        cells.filter_map(move |(name, cell)| {
            Some((name.strip_prefix(group)?.strip_prefix('/')?, cell))
        })
    }
}

fn file() -> PathBuf {
    [ROOT, "tools/target/bench/results.json"].iter().collect()
}

/// Returns the median; `None` if there are no values.
pub fn median(values: &[f64]) -> Option<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let middle = sorted.len() / 2;
    let upper = sorted.get(middle)?;
    Some(match sorted.len() % 2 {
        0 => f64::midpoint(sorted[middle - 1], *upper),
        _ => *upper,
    })
}

/// Returns half of the difference between the highest and the lowest value.
pub fn spread(values: &[f64]) -> f64 {
    let highest = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let lowest = values.iter().copied().fold(f64::INFINITY, f64::min);
    ((highest - lowest) / 2.0).max(0.0)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_median_of_even_and_odd_numbers_of_values() {
        assert_eq!(median(&[]), None);
        assert_eq!(median(&[3.0, 1.0, 2.0]), Some(2.0));
        assert_eq!(median(&[4.0, 1.0, 2.0, 3.0]), Some(2.5));
    }

    #[test]
    fn the_spread_is_half_of_the_range() {
        assert_eq!(spread(&[5.0, 1.0, 2.0]), 2.0);
        assert_eq!(spread(&[5.0]), 0.0);
        assert_eq!(spread(&[]), 0.0);
    }

    fn round(value: f64) -> Figures {
        Figures::from([("cpu_us", value)])
    }

    #[test]
    fn a_run_of_a_part_keeps_the_other_parts() {
        let mut results = Results::default();
        results.begin(json!({"started": "first"}));
        results.add("requests/app/logs on", &round(1.0));
        results.add("requests/stack/logs on", &round(2.0));
        results.begin(json!({"started": "second"}));
        results.add("requests/app/logs on", &round(3.0));
        results.add("requests/app/logs on", &round(4.0));
        assert_eq!(results.values("requests/app/logs on", "cpu_us"), [3.0, 4.0]);
        assert_eq!(results.values("requests/stack/logs on", "cpu_us"), [2.0]);
        assert_eq!(results.cells["requests/stack/logs on"].run, "first");
        assert_eq!(results.runs.len(), 2);
    }

    #[test]
    fn a_run_without_cells_is_dropped() {
        let mut results = Results::default();
        results.begin(json!({"started": "first"}));
        results.add("a/b", &round(1.0));
        results.begin(json!({"started": "second"}));
        results.add("a/b", &round(2.0));
        assert_eq!(results.runs.keys().collect::<Vec<_>>(), ["second"]);
    }
}
