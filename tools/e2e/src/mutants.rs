//! The table of tools/e2e/cases/mutants.toml: changes to the project, and the test that each must fail.

use std::{fs, path::Path};

use serde::Deserialize;

use harness::root;

/// A change that a case must notice.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Mutant {
    /// The file, from the top of the repository.
    pub file: String,
    /// The text to remove. It occurs exactly once in the file.
    pub remove: String,
    /// Its replacement.
    #[serde(default)]
    pub with: String,
    /// The subject, and a part of the names of the cases that fail. Without a name, any case of the subject.
    pub test: String,
    /// What users would lose without this text.
    pub loses: String,
    /// Why the text stays although no test fails without it.
    pub spared: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Table {
    mutant: Vec<Mutant>,
}

/// Returns all mutants.
pub fn table() -> Vec<Mutant> {
    let path = root().join("tools/e2e/cases/mutants.toml");
    let text = fs::read_to_string(path).expect("the table of mutants can be read");
    toml::from_str::<Table>(&text)
        .unwrap_or_else(|error| panic!("tools/e2e/cases/mutants.toml: {error}"))
        .mutant
}

impl Mutant {
    /// Returns a name of one line.
    pub fn name(&self) -> String {
        let removed = self.remove.split_whitespace().collect::<Vec<_>>().join(" ");
        let short: String = removed.chars().take(60).collect();
        format!("{}: {short}", self.file)
    }

    /// Returns the file with the change. Panics if the text does not occur exactly once.
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
