//! Reads `deploy/<platform>/contract.toml`: what the platform does to a container, and where its own files say what.

use std::{collections::BTreeMap, fs, path::Path};

use serde::Deserialize;

use crate::document::{Document, Pattern};

/// One platform.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Contract {
    /// The usual name.
    pub name: String,
    /// The public host name, with the platform's variables; may be empty.
    pub host: String,
    /// Whether the sample's name for the app may stay, because the platform's names need not be unique.
    #[serde(default)]
    pub name_stays: bool,
    /// The platform's own files.
    pub file: Vec<File>,
    /// How the container runs.
    pub container: Container,
    /// The health probe; `None` where the platform only checks that the port is open.
    pub probe: Option<Probe>,
    /// The router in front of the app.
    pub router: Router,
    /// How the container is stopped.
    pub stop: Stop,
}

/// A file of the platform, and where it says what.
#[derive(Debug, Deserialize)]
pub struct File {
    /// Its path within the platform's folder.
    pub name: String,
    /// The file name of the official schema.
    pub schema: Option<String>,
    /// The key of the part that the schema describes.
    pub schema_at: Option<Pattern>,
    /// Every key that the file may have.
    pub keys: Vec<Pattern>,
    /// The places of each fact.
    #[serde(flatten)]
    pub says: BTreeMap<Fact, Vec<Pattern>>,
}

/// A fact in a file that the app or the contract depends on.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Ord, PartialEq, PartialOrd)]
#[serde(rename_all = "lowercase")]
pub enum Fact {
    /// The port to which the router sends requests.
    Port,
    /// The variables of the app.
    Variables,
    /// The path of the health probe.
    Probe,
    /// Seconds from the signal to the kill.
    Grace,
    /// The signal to stop.
    Signal,
    /// The image to run.
    Image,
    /// The image's tag, where it is a value of its own.
    Tag,
    /// The memory limit.
    Memory,
}

/// How the platform runs the container.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Container {
    /// The port to which the router sends requests.
    pub port: u16,
    /// The variables that the platform sets.
    pub variables: BTreeMap<String, String>,
    /// The user, as `docker run --user` takes it.
    pub user: String,
    /// Whether the root is read-only.
    pub read_only: bool,
    /// Folders in memory.
    pub tmpfs: Vec<String>,
    /// The memory limit, as `docker run --memory` takes it.
    pub memory: String,
    /// The limit of processors.
    pub cpus: f64,
    /// Whether all capabilities are dropped.
    pub cap_drop: bool,
    /// Whether an init process starts the app.
    pub init: bool,
    /// The processor architecture, in Docker's words.
    pub architecture: String,
    /// Seconds until the app must be ready.
    pub start_seconds: u64,
}

/// A health probe: an HTTP request, or a command inside the container.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
pub enum Probe {
    /// A command inside the container.
    Command {
        /// The command and its arguments.
        command: Vec<String>,
    },
    /// An HTTP request.
    Http {
        /// The path.
        path: String,
        /// The Host header.
        host: String,
        /// The User-Agent header.
        user_agent: String,
        /// The HTTP version.
        version: String,
        /// The statuses that count as healthy.
        accepts: Vec<Status>,
        /// The timeout in seconds.
        seconds: u64,
        /// Further headers.
        headers: BTreeMap<String, String>,
    },
}

/// A status, or a range such as "200-399".
#[derive(Debug, Deserialize)]
#[serde(untagged)]
pub enum Status {
    /// A status.
    One(u16),
    /// A range.
    Range(String),
}

impl Status {
    /// Returns whether the status is in the range.
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

/// The router in front of the app.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Router {
    /// The address that its connections come from.
    pub address: String,
    /// Its HTTP version towards the app.
    pub version: String,
    /// The Host header that it sends.
    pub host: String,
    /// The headers that it adds, with placeholders.
    pub headers: BTreeMap<String, String>,
    /// The header with the request's id; empty if there is none.
    pub request_id: String,
    /// Seconds that it keeps an idle connection.
    pub idle_seconds: f64,
}

impl Router {
    /// Returns a header as the router sends it for this client, which sent `sent` in it. `None` if the router adds no such
    /// header.
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

/// How the platform stops a container.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Stop {
    /// The signal.
    pub signal: String,
    /// How often it is sent.
    pub times: u32,
    /// "first" for the first process of the container, or "all".
    pub to: String,
    /// Seconds from the signal to the kill.
    pub grace_seconds: f64,
}

impl Contract {
    /// Reads the contract in a folder.
    ///
    /// # Errors
    /// If it can't be read or parsed.
    pub fn read(folder: &Path) -> Result<Self, String> {
        let path = folder.join("contract.toml");
        let text =
            fs::read_to_string(&path).map_err(|error| format!("{}: {error}", path.display()))?;
        toml::from_str(&text).map_err(|error| format!("{}: {error}", path.display()))
    }

    /// Reads the platform's files.
    ///
    /// # Errors
    /// If one is missing or can't be parsed.
    pub fn documents(&self, folder: &Path) -> Result<Vec<Document>, String> {
        let names = self.file.iter().map(|file| &file.name);
        names.map(|name| Document::read(folder, name)).collect()
    }
}

/// Returns the names of the folders with a contract.
pub fn platforms(deploy: &Path) -> Vec<String> {
    let folders = fs::read_dir(deploy).into_iter().flatten().flatten();
    let platforms = folders.filter(|it| it.path().join("contract.toml").is_file());
    let mut names: Vec<_> = platforms
        .map(|it| it.file_name().to_string_lossy().into_owned())
        .collect();
    names.sort();
    names
}
