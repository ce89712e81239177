//! Docker's engine: starts containers, reads what they have used, and removes them however the benchmark ends.

use std::{
    fs,
    net::{IpAddr, SocketAddr},
    os::unix::process::CommandExt,
    path::Path,
    process::{self, Command, Stdio},
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicBool, AtomicI32, AtomicU32, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use crate::part::{Outcome, ROOT};

/// The label of all containers and networks of the benchmark. It is the same for all runs: two at once would disturb each
/// other.
const LABEL: &str = "berth-bench";
/// The servers run on one processor, the load on another.
pub const SERVER_CPU: &str = "--cpuset-cpus=0";
const LOAD_CPU: &str = "--cpuset-cpus=1";
/// Locked while a container or network is created, so that an interruption finds all of them.
static CREATING: Mutex<()> = Mutex::new(());

/// The process id of the running command, which an interruption stops: a build, or the load. 0 for none.
static CHILD: AtomicI32 = AtomicI32::new(0);
/// Set by an interruption, when the process is about to end.
static INTERRUPTED: AtomicBool = AtomicBool::new(false);

/// What some containers have used.
#[derive(Clone, Copy, Default)]
pub struct Usage {
    /// Processor time since their start, in microseconds.
    pub cpu: f64,
    /// Memory in bytes, without the inactive file cache: what `docker stats` shows.
    pub memory: f64,
}

/// The engine, the load's container, and a folder with the files that containers mount.
pub struct Engine {
    pub load: String,
    pub folder: TempDir,
}

impl Engine {
    /// Starts the load's container.
    ///
    /// # Errors
    /// If the machine has one processor, or an image is missing.
    pub fn start() -> Outcome<Self> {
        let cpus = thread::available_parallelism().map_or(1, usize::from);
        if cpus < 2 {
            return Err(
                "The benchmark needs two processors, one for the load; this machine gives it one."
                    .into(),
            );
        }
        clear_when_interrupted();
        // Removes what a killed benchmark has left.
        clear(None);
        let mut this = Self {
            load: String::new(),
            folder: tempfile::tempdir().map_err(|error| format!("No temporary folder: {error}"))?,
        };
        this.start_load()?;
        Ok(this)
    }

    fn start_load(&mut self) -> Outcome<()> {
        let options = [LOAD_CPU, "--ulimit=nofile=12000", "--entrypoint=sleep"];
        self.load = run(&options, "berth-bench-tools", &["infinity"])?;
        Ok(())
    }

    /// Removes all containers but the load's, and their networks.
    pub fn clear(&self) {
        clear(Some(&self.load));
    }

    /// Prints the progress on standard error.
    pub fn progress(&self, what: &str) {
        eprintln!("-> {what}");
    }

    /// Creates a network for some containers, which the load can reach.
    ///
    /// # Errors
    /// If the engine refuses.
    pub fn network(&self) -> Outcome<String> {
        let _creating = CREATING.lock().unwrap_or_else(PoisonError::into_inner);
        let name = unique();
        docker(&["network", "create", "--label", LABEL, &name])?;
        docker(&["network", "connect", &name, &self.load])?;
        Ok(name)
    }

    /// Returns what these containers have used together. Reads their control groups, since the engine's figures are up to a
    /// second old.
    ///
    /// # Errors
    /// If one has ended.
    pub fn usage(&self, containers: &[String]) -> Outcome<Usage> {
        let names: Vec<_> = containers.iter().map(String::as_str).collect();
        let inspect = ["inspect", "--format={{.State.Pid}}"];
        let processes = docker(&[&inspect, &names[..]].concat())?;
        let mut sum = Usage::default();
        for (process, name) in processes.lines().zip(names) {
            let usage = Usage::of(process)
                .ok_or_else(|| format!("The control group of the container {name} can't be read: it has ended, or the engine is not on this machine."))?;
            sum.cpu += usage.cpu;
            sum.memory += usage.memory;
        }
        Ok(sum)
    }
}

impl Usage {
    /// Reads the control group of a process.
    fn of(process: &str) -> Option<Self> {
        let groups = fs::read_to_string(format!("/proc/{process}/cgroup")).ok()?;
        // The path of a group below a controller; cgroup v2 has no controllers in paths.
        let group = |controller: &str| {
            groups.lines().find_map(|line| {
                let (controllers, group) = line.split_once(':')?.1.split_once(':')?;
                let is_it = controllers.split(',').any(|it| it == controller);
                is_it.then(|| format!("/sys/fs/cgroup/{controller}{group}"))
            })
        };
        let read = |group: &str, file: &str| fs::read_to_string(format!("{group}/{file}")).ok();
        let number = |text: String| text.trim().parse::<f64>().ok();
        let (time, memory, files) = match (group("cpuacct"), group("memory")) {
            (Some(cpu), Some(memory)) => (
                number(read(&cpu, "cpuacct.usage")?)? / 1e3,
                number(read(&memory, "memory.usage_in_bytes")?)?,
                field(&read(&memory, "memory.stat")?, "total_inactive_file")?,
            ),
            _ => {
                let group = group("")?;
                (
                    field(&read(&group, "cpu.stat")?, "usage_usec")?,
                    number(read(&group, "memory.current")?)?,
                    field(&read(&group, "memory.stat")?, "inactive_file")?,
                )
            }
        };
        Some(Self {
            cpu: time,
            memory: memory - files,
        })
    }
}

/// Returns the number after a name, in a text with a pair in each line.
fn field(text: &str, name: &str) -> Option<f64> {
    let mut pairs = text.lines().filter_map(|line| line.split_once(' '));
    pairs.find(|(it, _)| *it == name)?.1.parse().ok()
}

impl Drop for Engine {
    fn drop(&mut self) {
        clear(None);
    }
}

/// Runs `docker` and returns its output.
///
/// # Errors
/// Its error output, if it fails.
pub fn docker(arguments: &[&str]) -> Outcome<String> {
    command(Command::new("docker").args(arguments))
}

/// Runs a command in the project's folder and returns its output.
///
/// # Errors
/// Its error output, if it fails.
pub fn command(command: &mut Command) -> Outcome<String> {
    let shown = format!("{command:?}").replace('"', "");
    // In its own process group, so that Ctrl-C reaches the benchmark alone, which then stops the command.
    command.current_dir(ROOT).process_group(0);
    let piped = command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let output = piped.stdin(Stdio::null()).spawn().and_then(|child| {
        CHILD.store(child.id().cast_signed(), Ordering::Relaxed);
        let output = child.wait_with_output();
        CHILD.store(0, Ordering::Relaxed);
        output
    });
    let output = output.map_err(|error| format!("{shown} can't be run: {error}"))?;
    wait_if_interrupted();
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    let last: Vec<_> = said.trim().lines().rev().take(15).collect();
    let last: Vec<_> = last.into_iter().rev().collect();
    Err(format!("{shown} failed: {}", last.join("\n")))
}

/// Starts a container without a log and without health checks, and returns its name.
///
/// # Errors
/// The engine's error.
pub fn run(options: &[&str], image: &str, arguments: &[&str]) -> Outcome<String> {
    let _creating = CREATING.lock().unwrap_or_else(PoisonError::into_inner);
    let name = unique();
    let own = ["run", "--detach", "--name", &name, "--label", LABEL];
    let quiet = ["--no-healthcheck", "--log-driver=none"];
    docker(&[&own[..], &quiet, options, &[image], arguments].concat())?;
    Ok(name)
}

/// Returns the address of a container, with port 8080.
///
/// # Errors
/// If it has ended.
pub fn address(container: &str) -> Outcome<SocketAddr> {
    let format = "--format={{range .NetworkSettings.Networks}}{{.IPAddress}} {{end}}";
    let addresses = docker(&["inspect", format, container])?;
    let first = addresses.split_whitespace().next();
    let ip: Option<IpAddr> = first.and_then(|ip| ip.parse().ok());
    ip.map(|ip| SocketAddr::new(ip, 8080))
        .ok_or_else(|| format!("The container {container} has ended at once; `docker logs` says why if it runs without the benchmark."))
}

/// Copies a folder or file of an image to this machine.
///
/// # Errors
/// The engine's error.
pub fn unpack(image: &str, from: &str, to: &Path) -> Outcome<()> {
    let name = {
        let _creating = CREATING.lock().unwrap_or_else(PoisonError::into_inner);
        let name = unique();
        docker(&["create", "--name", &name, "--label", LABEL, image, "true"])?;
        name
    };
    let (from, to) = (format!("{name}:{from}"), to.display().to_string());
    docker(&["cp", &from, &to])?;
    docker(&["rm", &name]).map(drop)
}

/// Retries until it succeeds.
///
/// # Errors
/// The last error, after 30 seconds.
pub fn retry<T>(attempt: impl Fn() -> Outcome<T>) -> Outcome<T> {
    let end = Instant::now() + Duration::from_secs(30);
    loop {
        match attempt() {
            Err(error) if Instant::now() > end => {
                return Err(format!("{error}, for 30 seconds"));
            }
            Err(_) => thread::sleep(Duration::from_millis(50)),
            done => return done,
        }
    }
}

/// Blocks after an interruption: errors are then due to removed containers.
fn wait_if_interrupted() {
    let measures = thread::current().name() == Some("main");
    while measures && INTERRUPTED.load(Ordering::Relaxed) {
        thread::park();
    }
}

fn unique() -> String {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    format!("berth-bench-{}-{count}", process::id())
}

/// Removes everything with the benchmark's label, except one container.
fn clear(but: Option<&str>) {
    let filter = format!("--filter=label={LABEL}");
    let list = |arguments: &[&str]| docker(arguments).unwrap_or_default();
    let containers = list(&["ps", "--all", "--format={{.Names}}", &filter]);
    let containers: Vec<_> = containers.lines().filter(|it| Some(*it) != but).collect();
    if !containers.is_empty() {
        let _ = docker(&[&["rm", "--force", "--volumes"], &containers[..]].concat());
    }
    let networks = list(&["network", "ls", "--format={{.Name}}", &filter]);
    for network in networks.lines() {
        if let Some(load) = but {
            let _ = docker(&["network", "disconnect", "--force", network, load]);
        }
        let _ = docker(&["network", "rm", network]);
    }
}

fn clear_when_interrupted() {
    use tokio::signal::unix::{SignalKind, signal};
    thread::spawn(|| {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build();
        let Ok(runtime) = runtime else { return };
        let told = runtime.block_on(async {
            let mut terminate = signal(SignalKind::terminate())?;
            let mut interrupt = signal(SignalKind::interrupt())?;
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
            std::io::Result::Ok(())
        });
        if told.is_ok() {
            let _creating = CREATING.lock().unwrap_or_else(PoisonError::into_inner);
            INTERRUPTED.store(true, Ordering::Relaxed);
            if let Some(child) = Pid::from_raw(CHILD.load(Ordering::Relaxed)) {
                let _ = kill_process(child, Signal::TERM);
            }
            eprintln!("bench: interrupted; removing the containers");
            clear(None);
            process::exit(130);
        }
    });
}
