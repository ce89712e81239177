//! A stack of counting replicas under load: every request is reconciled with its answer and with the replicas' counts.
//!
//! ```ignore
//! let stack = Counted::start(&[("REPLICAS", "2")]);
//! let report = stack.under_load(&Options::default(), || { stack.scale(8); });
//! report.assert_nothing_lost();
//! ```

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::{self, Display},
    fs,
    io::{BufRead, BufReader, Read},
    ops::Deref,
    os::unix::fs::PermissionsExt,
    path::Path,
    process::{ChildStdout, Command, Stdio},
    sync::atomic::{AtomicU64, Ordering},
    time::{Duration, SystemTime},
};

use tempfile::TempDir;

use crate::programs::program;
use harness::{
    Stack,
    container::nginx_image,
    root,
    solo::Running,
    stack::{docker, run},
};

pub use loadgen::{
    options::Options,
    outcome::{Answered, CUT, Held, Loss, Outcome, SOCKET, STREAM},
};

/// The number of losses that a report lists.
const SHOWN: usize = 20;
/// The range of numbers of one load. No two loads request the same number.
const BLOCK: u64 = 1_000_000_000;

/// The id of an image with one of the programs. An id, not a name: another checkout's tests make images as well.
pub fn image(name: &str, version: &str) -> String {
    let program = program(name);
    let context = program.parent().expect("a folder").display().to_string();
    // The engine's own builder: only that one sees the engine's images.
    let builder = docker(&["context", "inspect", "--format", "{{.Name}}"]);
    let id = run(Command::new("docker")
        .args([
            "build",
            "--quiet",
            "--file",
            "tools/e2e/fixtures/load/Dockerfile",
            "--target",
            name,
        ])
        .args([
            "--tag",
            &format!("berth-test-{}:{version}", name.replace('_', "-")),
        ])
        .args(["--build-arg", &format!("VERSION={version}"), &context])
        .current_dir(root())
        .env("BUILDX_BUILDER", builder.trim())
        .env("BUILDX_NO_DEFAULT_ATTESTATIONS", "1"));
    id.trim().to_owned()
}

/// The origin of the load.
#[derive(Clone, Copy, Debug)]
pub enum From {
    /// A container in the stack's network.
    Network,
    /// This machine, through the published port.
    Host,
}

/// A stack whose replicas count what they process.
pub struct Counted {
    stack: Stack,
    counts: TempDir,
}

impl Deref for Counted {
    type Target = Stack;

    fn deref(&self) -> &Stack {
        &self.stack
    }
}

impl Counted {
    /// Starts nginx and replicas of version 1 with `variables`, and waits until all are healthy.
    pub fn start(variables: &[(&str, &str)]) -> Self {
        Self::start_from(
            "docker-compose.yml:tools/e2e/fixtures/load/compose.yml",
            variables,
        )
    }

    /// The same with other Compose files, which use the variables of `fixtures/load/compose.yml`.
    pub fn start_from(files: &str, variables: &[(&str, &str)]) -> Self {
        Self::behind("nginx", files, variables)
    }

    /// The same with another reverse proxy.
    pub fn behind(proxy: &'static str, files: &str, variables: &[(&str, &str)]) -> Self {
        let counts = counting_folder();
        let image = image("counting", "1");
        let folder = counts.path().display().to_string();
        let own = [
            ("COMPOSE_FILE", files),
            ("APP_IMAGE", &image),
            ("NGINX_UNDER_TEST", &nginx_image()),
            ("COUNTS", &folder),
        ];
        let stack = Stack::behind(proxy, &[&own, variables].concat());
        Self { stack, counts }
    }

    /// Scales with `docker compose`; returns when all replicas are healthy. nginx is left alone: under load its own health
    /// check may be late.
    pub fn scale(&self, replicas: usize) {
        let scale = format!("app={replicas}");
        let up = [
            "up",
            "--detach",
            "--no-build",
            "--pull",
            "never",
            "--wait",
            "--scale",
        ];
        self.compose(&[&up[..], &[&scale, "app"]].concat());
    }

    /// Runs `actions` while there is a load, and reconciles.
    pub fn under_load(&self, from: From, options: &Options, actions: impl FnOnce()) -> Report {
        let load = self.begin(from, options);
        actions();
        load.finish()
    }

    /// Begins a load, with a target and a first number of its own.
    pub fn begin(&self, from: From, options: &Options) -> Load<'_> {
        static BLOCKS: AtomicU64 = AtomicU64::new(0);
        let block = BLOCKS.fetch_add(1, Ordering::Relaxed);
        let mut options = Options {
            first: block * BLOCK,
            ..options.clone()
        };
        let container = format!("{}-load-{block}", self.project);
        let command = match from {
            From::Host => {
                options.target = format!("http://{}", self.address);
                Command::new(program("loadgen"))
            }
            From::Network => {
                options.target = format!("http://{}:8080", self.proxy);
                let network = format!("{}_default", self.project);
                let mut command = Command::new("docker");
                command
                    .args(["run", "--rm", "--name", &container, "--network", &network])
                    .arg(image("loadgen", "1"));
                command
            }
        };
        Load {
            stack: self,
            process: Process::start(command, &options, container),
            options,
        }
    }

    /// What nginx and the replicas that exist say of errors and of their ends, the last lines of each.
    pub fn evidence(&self) -> String {
        let is_telling = |line: &&String| {
            let is_access = line.contains(" berth::access ");
            !is_access
                && ["[error]", "[crit]", "[alert]", "WARN", "::process::"]
                    .iter()
                    .any(|what| line.contains(what))
        };
        let last = |service| {
            let log = self.log(service);
            let lines: Vec<_> = log.iter().filter(is_telling).map(String::as_str).collect();
            lines[lines.len().saturating_sub(SHOWN)..].join("\n")
        };
        format!("nginx:\n{}\nreplicas:\n{}", last(self.proxy), last("app"))
    }

    /// Returns how often each number was processed, by all replicas, including dead ones.
    pub fn counts(&self) -> BTreeMap<u64, u32> {
        counts(self.counts.path())
    }
}

/// Creates a folder for the counts of replicas, which run as another user.
pub fn counting_folder() -> TempDir {
    let folder = tempfile::tempdir().expect("a folder for what was processed");
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o1777))
        .expect("the permissions can be set");
    folder
}

/// Returns how often each number was processed, by all replicas that count in the folder.
pub fn counts(folder: &Path) -> BTreeMap<u64, u32> {
    let mut counts = BTreeMap::new();
    for file in fs::read_dir(folder).expect("the folder can be read") {
        let text = fs::read_to_string(file.expect("a file").path()).expect("numbers");
        for line in text.lines() {
            let number = line
                .parse()
                .unwrap_or_else(|_| panic!("no number: {line:?}"));
            *counts.entry(number).or_default() += 1;
        }
    }
    counts
}

/// A running load; stopped on drop.
pub struct Load<'a> {
    stack: &'a Counted,
    process: Process,
    options: Options,
}

impl Load<'_> {
    /// Stops it, waits for requests in flight, and reconciles.
    pub fn finish(self) -> Report {
        self.process.stop();
        self.ended()
    }

    /// Waits for a load that stops by itself after `seconds` or `requests`.
    pub fn ended(self) -> Report {
        let outcome = self.process.outcome();
        Report::new(&self.options, outcome, &self.stack.counts())
    }
}

/// The program itself, in a container or not.
pub struct Process {
    running: Running,
    stdout: BufReader<ChildStdout>,
    container: String,
}

impl Process {
    /// On this machine, wherever `options` point to.
    pub fn on_host(options: &Options) -> Self {
        Self::start(Command::new(program("loadgen")), options, String::new())
    }

    /// Returns when it has begun.
    fn start(mut command: Command, options: &Options, container: String) -> Self {
        command
            .args(options.arguments())
            .stdin(Stdio::null())
            .stdout(Stdio::piped());
        let mut running = Running::start(&mut command);
        let mut stdout = BufReader::new(running.0.stdout.take().expect("a pipe"));
        let mut line = String::new();
        stdout.read_line(&mut line).expect("UTF-8");
        assert!(
            line.starts_with("asking "),
            "the load did not begin; what it said stands above"
        );
        Self {
            running,
            stdout,
            container,
        }
    }

    /// `docker run` passes the signal on.
    pub fn stop(&self) {
        self.running.signal("TERM");
    }

    /// Returns its final output.
    pub fn outcome(mut self) -> Outcome {
        let mut text = String::new();
        self.stdout.read_to_string(&mut text).expect("UTF-8");
        let status = self.running.0.wait().expect("a child");
        assert!(status.success(), "the load failed: {status}");
        serde_json::from_str(&text).expect("the load prints its outcome")
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if !self.container.is_empty() {
            let mut remove = Command::new("docker");
            remove.args(["rm", "--force", &self.container]);
            let _ = remove.stdout(Stdio::null()).stderr(Stdio::null()).status();
        }
    }
}

/// The outcome of every request, with all faults.
pub struct Report {
    /// The load generator's outcome.
    pub outcome: Outcome,
    /// Descriptions of numbers whose answers contradict the counts.
    pub faults: Vec<String>,
    /// Losses that could not have been prevented.
    pub forgiven: usize,
}

impl Report {
    /// Reconciles the answers with `counts`, how often each number was processed.
    pub fn new(options: &Options, outcome: Outcome, counts: &BTreeMap<u64, u32>) -> Self {
        let mut faults = Vec::new();
        if outcome.answered + outcome.losses.len() as u64 != outcome.total {
            faults.push("the load has lost sight of a request".to_owned());
        }
        let numbers = outcome.first..outcome.first + outcome.total;
        let losses = outcome.losses.iter();
        let lost: BTreeSet<_> = losses.map(|loss| loss.number).collect();
        for number in numbers.clone() {
            let count = counts.get(&number).copied().unwrap_or(0);
            let is_counted = options.method(number) != "GET" || options.status != 200;
            match (is_counted, lost.contains(&number), count) {
                (true, false, 1) | (true, true, 0 | 1) | (false, _, 0) => {}
                (_, is_lost, count) => {
                    let answer = if is_lost { "lost" } else { "answered" };
                    faults.push(format!(
                        "{number} was {answered}, and processed {count} times",
                        answered = answer
                    ));
                }
            }
        }
        for number in counts
            .range(numbers.end..options.first + BLOCK)
            .map(|(number, _)| number)
        {
            faults.push(format!("{number} was processed, but never requested"));
        }
        Self {
            outcome,
            faults,
            forgiven: 0,
        }
    }

    /// The lost requests, and what was lost of streams and WebSockets.
    pub fn losses(&self) -> impl Iterator<Item = &Loss> {
        let Outcome {
            losses,
            streams,
            sockets,
            ..
        } = &self.outcome;
        losses.iter().chain(&streams.losses).chain(&sockets.losses)
    }

    /// Returns the number of losses.
    pub fn lost(&self) -> usize {
        self.losses().count()
    }

    /// Forgives the losses that `can_be` accepts. Its arguments are when each was sent and when it was lost.
    pub fn forgive(&mut self, can_be: impl Fn(&Loss, SystemTime, SystemTime) -> bool) {
        let time = |ms: f64| SystemTime::UNIX_EPOCH + Duration::from_secs_f64(ms / 1000.0);
        let sent = |loss: &Loss| self.outcome.started + loss.at;
        let forgiven = |loss: &&Loss| can_be(loss, time(sent(loss)), time(sent(loss) + loss.after));
        self.forgiven = self.losses().filter(forgiven).count();
    }

    /// Returns whether no request was lost that could have been saved, and none processed twice.
    pub fn is_flawless(&self) -> bool {
        self.lost() == self.forgiven && self.faults.is_empty() && self.was_offered()
    }

    /// Checks that the load did not stall, since a stalled load proves nothing.
    pub fn was_offered(&self) -> bool {
        self.outcome.total > 0 && self.outcome.unoffered * 10 <= self.outcome.total
    }

    /// Panics with all details of the losses.
    pub fn assert_nothing_lost(&self) {
        assert!(self.is_flawless(), "{self}");
    }
}

impl Display for Report {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Outcome {
            total,
            gets,
            posts,
            puts,
            unoffered,
            lag,
            streams,
            sockets,
            ..
        } = &self.outcome;
        let (get, post) = (&self.outcome.get_times, &self.outcome.post_times);
        writeln!(
            out,
            "{total} requests ({gets} GET, {posts} POST, {puts} PUT), {} lost, {} otherwise wrong, {unoffered} not offered; \
             streams: {streams}; WebSockets: {sockets}; \
             ms at p50/p99/p99.9/most: GET {}/{}/{}/{}, POST {}/{}/{}/{}, the load's own delay {lag}",
            self.outcome.losses.len(),
            self.faults.len(),
            get.p50,
            get.p99,
            get.p99_9,
            get.max,
            post.p50,
            post.p99,
            post.p99_9,
            post.max,
        )?;
        if !self.was_offered() {
            writeln!(
                out,
                "  too few could be offered to prove anything: the machine is too slow, or the stack stalled"
            )?;
        }
        for loss in self.losses().take(SHOWN) {
            writeln!(
                out,
                "  {} {}: {} after {} ms, at {} ms, by {}, on a {} connection",
                loss.method,
                loss.number,
                loss.what,
                loss.after,
                loss.at,
                loss.replica.as_deref().unwrap_or("unknown"),
                if loss.reused { "used" } else { "new" },
            )?;
        }
        for fault in self.faults.iter().take(SHOWN) {
            writeln!(out, "  {fault}")?;
        }
        let more = self.lost().saturating_sub(SHOWN) + self.faults.len().saturating_sub(SHOWN);
        if more > 0 {
            writeln!(out, "  and {more} more")?;
        }
        Ok(())
    }
}
