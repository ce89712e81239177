//! What a platform does to a container, and where its own files say what: `deploy/<platform>/contract.toml`.

use std::{collections::BTreeMap, fs, path::Path};

use serde::Deserialize;

use super::document::{Document, Pattern};

/// One platform.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Contract {
    /// As people call it.
    pub name: String,
    /// The public name that variables of its own tell, or empty.
    pub host: String,
    /// Whether the sample's name for the app may stay, since nobody else can have it, too.
    #[serde(default)]
    pub name_stays: bool,
    pub file: Vec<File>,
    pub container: Container,
    /// None where it only looks whether the port is open.
    pub probe: Option<Probe>,
    pub router: Router,
    pub stop: Stop,
}

/// A file of the platform's own, and where it says what.
#[derive(Debug, Deserialize)]
pub struct File {
    /// Its path within the platform's folder.
    pub name: String,
    /// The file name of the official schema.
    pub schema: Option<String>,
    /// The key below which the schema's part of the file stands.
    pub schema_at: Option<Pattern>,
    /// Every key that may be there.
    pub keys: Vec<Pattern>,
    #[serde(flatten)]
    pub says: BTreeMap<Fact, Vec<Pattern>>,
}

/// What a file can say that the app or the contract depends on.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Ord, PartialEq, PartialOrd)]
#[serde(rename_all = "lowercase")]
pub enum Fact {
    /// Where the router looks for the app.
    Port,
    /// The variables of the app.
    Variables,
    /// A path that is asked for health.
    Probe,
    /// Seconds from the signal to the kill.
    Grace,
    /// The signal to stop.
    Signal,
    /// The image to run.
    Image,
    /// Its tag, where that stands by itself.
    Tag,
    /// The most memory.
    Memory,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Container {
    pub port: u16,
    pub variables: BTreeMap<String, String>,
    pub user: String,
    pub read_only: bool,
    pub tmpfs: Vec<String>,
    pub memory: String,
    pub cpus: f64,
    pub cap_drop: bool,
    pub init: bool,
    pub architecture: String,
    pub start_seconds: u64,
}

/// A request by HTTP, or a command inside of the container.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
pub enum Probe {
    Command {
        command: Vec<String>,
    },
    Http {
        path: String,
        host: String,
        user_agent: String,
        version: String,
        accepts: Vec<Status>,
        seconds: u64,
        headers: BTreeMap<String, String>,
    },
}

/// A status, or a range such as "200-399".
#[derive(Debug, Deserialize)]
#[serde(untagged)]
pub enum Status {
    One(u16),
    Range(String),
}

impl Status {
    pub fn has(&self, status: u16) -> bool {
        match self {
            Self::One(one) => *one == status,
            Self::Range(range) => {
                let ends = range.split_once('-').expect("a range such as 200-399");
                let end = |text: &str| text.parse::<u16>().expect("a status");
                (end(ends.0)..=end(ends.1)).contains(&status)
            }
        }
    }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Router {
    pub address: String,
    pub version: String,
    pub host: String,
    pub headers: BTreeMap<String, String>,
    pub request_id: String,
    pub idle_seconds: f64,
}

impl Router {
    /// A header as the router sends it, for this client, who sent `sent` in it; none if it sends none.
    pub fn header(&self, name: &str, client: &str, sent: &str, id: &str) -> Option<String> {
        let template = self
            .headers
            .iter()
            .find(|it| it.0.eq_ignore_ascii_case(name))?
            .1;
        let list = if sent.is_empty() {
            String::new()
        } else {
            format!("{sent}, ")
        };
        let kept = if sent.is_empty() { id } else { sent };
        let header = template
            .replace("{client}", client)
            .replace("{sent|id}", kept)
            .replace("{sent}", &list)
            .replace("{id}", id)
            .replace("{time}", "1795588144123");
        Some(header)
    }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Stop {
    pub signal: String,
    pub times: u32,
    /// "first" process of the container, or "all".
    pub to: String,
    pub grace_seconds: f64,
}

impl Contract {
    /// The one in that folder.
    ///
    /// # Errors
    /// What is wrong with it, and where.
    pub fn read(folder: &Path) -> Result<Self, String> {
        let path = folder.join("contract.toml");
        let text =
            fs::read_to_string(&path).map_err(|error| format!("{}: {error}", path.display()))?;
        toml::from_str(&text).map_err(|error| format!("{}: {error}", path.display()))
    }

    /// The platform's files, parsed.
    ///
    /// # Errors
    /// The first that is not there or can't be parsed.
    pub fn documents(&self, folder: &Path) -> Result<Vec<Document>, String> {
        let names = self.file.iter().map(|file| &file.name);
        names.map(|name| Document::read(folder, name)).collect()
    }
}

/// The folders with a contract, by name.
pub fn platforms(deploy: &Path) -> Vec<String> {
    let folders = fs::read_dir(deploy).into_iter().flatten().flatten();
    let platforms = folders.filter(|it| it.path().join("contract.toml").is_file());
    let mut names: Vec<_> = platforms
        .map(|it| it.file_name().to_string_lossy().into_owned())
        .collect();
    names.sort();
    names
}
