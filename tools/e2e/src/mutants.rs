//! The table of tools/e2e/cases/mutants.toml: what is taken out of a file, one at a time, and which test notices.

use std::{fs, path::Path};

use serde::Deserialize;

use harness::root;

/// A change that a case must notice.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Mutant {
    /// The file, from the top of the repository.
    pub file: String,
    /// Text that is in it exactly once.
    pub remove: String,
    /// What takes its place.
    #[serde(default)]
    pub with: String,
    /// A subject, a blank, and a part of the name of those that fail; without a name, any of that subject.
    pub test: String,
    /// What users would lose.
    pub loses: String,
    /// Why it stays although no test needs it.
    pub spared: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Table {
    mutant: Vec<Mutant>,
}

/// All of the table.
pub fn table() -> Vec<Mutant> {
    let path = root().join("tools/e2e/cases/mutants.toml");
    let text = fs::read_to_string(path).expect("it is there");
    toml::from_str::<Table>(&text)
        .unwrap_or_else(|error| panic!("tools/e2e/cases/mutants.toml: {error}"))
        .mutant
}

impl Mutant {
    /// In one line.
    pub fn name(&self) -> String {
        let removed = self.remove.split_whitespace().collect::<Vec<_>>().join(" ");
        let short: String = removed.chars().take(60).collect();
        format!("{}: {short}", self.file)
    }

    /// The file's text without it; panics with what to do if it can't be found.
    pub fn mutated(&self, top: &Path) -> String {
        let text = fs::read_to_string(top.join(&self.file)).expect(&self.file);
        let count = text.matches(&self.remove).count();
        assert_eq!(
            count, 1,
            "tools/e2e/cases/mutants.toml is stale: {} has {count} times, not once: {:?}",
            self.file, self.remove
        );
        text.replace(&self.remove, &self.with)
    }
}
