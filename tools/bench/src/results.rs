//! What was measured: cells, each of one run, with a value for each round. `bench/results.json` keeps them.

use std::{collections::BTreeMap, fs, path::Path};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::Outcome;

/// One round of a cell: figures by their names, which say the unit.
pub type Figures = BTreeMap<&'static str, f64>;

/// What was measured of one thing: `requests/stack/logs on`.
#[derive(Default, Deserialize, Serialize)]
pub struct Cell {
    /// The run that measured it, by its start: only cells of one run are compared.
    pub run: String,
    /// Figures by their names, each with a value for every round.
    pub figures: BTreeMap<String, Vec<f64>>,
}

/// All cells by their names, and what the machine was in each run.
#[derive(Default, Deserialize, Serialize)]
pub struct Results {
    pub runs: BTreeMap<String, Value>,
    pub cells: BTreeMap<String, Cell>,
    /// The run that goes on.
    #[serde(skip)]
    run: String,
}

impl Results {
    /// What earlier runs have measured.
    ///
    /// # Errors
    /// If the file can't be read.
    pub fn read(folder: &Path) -> Outcome<Self> {
        let file = folder.join("results.json");
        if !file.exists() {
            return Ok(Self::default());
        }
        let text = fs::read(&file).map_err(|error| error.to_string());
        text.and_then(|text| serde_json::from_slice(&text).map_err(|error| error.to_string()))
            .map_err(|error| format!("{}: {error}; remove it to begin anew", file.display()))
    }

    /// # Errors
    /// If the file can't be written.
    pub fn write(&self, folder: &Path) -> Outcome<()> {
        let file = folder.join("results.json");
        let text = serde_json::to_string_pretty(self).map_err(|error| error.to_string())?;
        fs::write(&file, text + "\n").map_err(|error| format!("{}: {error}", file.display()))
    }

    /// Begins a run on a machine that is described by this; `started` says when.
    pub fn begin(&mut self, machine: Value) {
        self.run = machine["started"].as_str().unwrap_or_default().to_owned();
        self.runs.insert(self.run.clone(), machine);
    }

    /// Adds a round to a cell; what an earlier run has measured of it is forgotten.
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

    /// Whether the run that goes on has measured anything.
    pub fn has_news(&self) -> bool {
        self.cells.values().any(|cell| cell.run == self.run)
    }

    /// The values of a figure, with none if there is no such cell.
    pub fn values(&self, cell: &str, figure: &str) -> &[f64] {
        let values = self.cells.get(cell).and_then(|it| it.figures.get(figure));
        values.map_or(&[], Vec::as_slice)
    }

    /// The cells of a group, each as what comes after its name.
    pub fn of<'a>(&'a self, group: &'a str) -> impl Iterator<Item = (&'a str, &'a Cell)> {
        let cells = self.cells.iter();
        cells.filter_map(move |(name, cell)| {
            Some((name.strip_prefix(group)?.strip_prefix('/')?, cell))
        })
    }
}

/// The middle value, or the mean of the two in the middle; none of no values.
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

/// Half of what lies between the lowest and the highest.
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
    fn the_median_is_in_the_middle() {
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
    fn a_run_of_which_nothing_is_left_is_forgotten() {
        let mut results = Results::default();
        results.begin(json!({"started": "first"}));
        results.add("a/b", &round(1.0));
        results.begin(json!({"started": "second"}));
        results.add("a/b", &round(2.0));
        assert_eq!(results.runs.keys().collect::<Vec<_>>(), ["second"]);
    }
}
