//! The app alone: the real binary on a free port of this machine.

use std::{
    env,
    io::{BufRead, BufReader, Read},
    net::SocketAddr,
    path::PathBuf,
    process::{Child, Command, ExitStatus, Stdio},
    sync::{Arc, Mutex, OnceLock},
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use crate::{root, wire::TIMEOUT};

/// A `BIND` with a port that the system chooses.
pub const FREE: &str = "127.0.0.1:0";

/// A running app; killed on drop.
pub struct Solo {
    /// The address that it listens on.
    pub address: SocketAddr,
    process: Running,
    log: Arc<Mutex<Vec<String>>>,
    reader: Option<JoinHandle<()>>,
}

/// Returns the path of the app's binary: `APP_BINARY`, or the one beside this program or in `target/debug`.
pub fn binary() -> PathBuf {
    static BINARY: OnceLock<PathBuf> = OnceLock::new();
    let find = || {
        if let Some(path) = env::var_os("APP_BINARY") {
            return path.into();
        }
        let program = env::current_exe().expect("the path of this program");
        let beside = program.ancestors().skip(1).take(2);
        let mut places = beside.map(|folder| folder.join("app"));
        let beside = places.find(|path| path.is_file());
        let binary = beside.unwrap_or_else(|| root().join("target/debug/app"));
        let path = binary.display();
        assert!(
            binary.is_file(),
            "{path} is not there: run `cargo build` first, or set APP_BINARY"
        );
        binary
    };
    BINARY.get_or_init(find).clone()
}

/// A command of the app's binary, with `variables` as its whole environment.
pub fn app_command(variables: &[(&str, &str)]) -> Command {
    let mut command = Command::new(binary());
    command
        .current_dir(root())
        .env_clear()
        .envs(variables.iter().copied())
        .stdin(Stdio::null());
    command
}

impl Solo {
    /// Starts it with `variables`, and waits for the log line with its address.
    pub fn start(variables: &[(&str, &str)]) -> Self {
        let mut command = app_command(&[]);
        Self::run(command.env("BIND", FREE).envs(variables.iter().copied()))
    }

    /// The same with another program that logs its address.
    pub fn run(command: &mut Command) -> Self {
        let mut process = Running::start(command.stderr(Stdio::piped()));
        let log = Arc::new(Mutex::new(Vec::new()));
        let lines = BufReader::new(process.0.stderr.take().unwrap()).split(b'\n');
        let sink = Arc::clone(&log);
        let reader = thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                sink.lock()
                    .unwrap()
                    .push(String::from_utf8(line).expect("a log of UTF-8"));
            }
        });
        let address = wait_for(|| {
            assert!(
                process.0.try_wait().unwrap().is_none(),
                "it ended: {:?}",
                log.lock().unwrap()
            );
            log.lock().unwrap().iter().find_map(|line| {
                let (_, rest) = line.split_once("listening on ")?;
                rest.split(' ').next()?.parse().ok()
            })
        });
        Self {
            address,
            process,
            log,
            reader: Some(reader),
        }
    }

    /// Every log line so far.
    pub fn log(&self) -> Vec<String> {
        self.log.lock().unwrap().clone()
    }

    /// Waits for the first log line that `wanted` accepts.
    pub fn log_line(&self, wanted: impl Fn(&str) -> bool) -> String {
        wait_for(|| self.log().into_iter().find(|line| wanted(line)))
    }

    /// Its process.
    pub fn id(&self) -> u32 {
        self.process.0.id()
    }

    /// Sends a signal by its name, such as `TERM`.
    pub fn signal(&self, name: &str) {
        self.process.signal(name);
    }

    /// Waits for the process and its log to end.
    pub fn ended(&mut self) -> ExitStatus {
        let status = self.process.ended();
        if let Some(reader) = self.reader.take() {
            reader.join().expect("a log of UTF-8");
        }
        status
    }
}

/// A process; killed on drop.
pub struct Running(pub Child);

impl Running {
    /// Starts the command; panics if it can't be started.
    pub fn start(command: &mut Command) -> Self {
        Self(command.spawn().expect("the command starts"))
    }

    /// Sends a signal by its name, such as `TERM`.
    pub fn signal(&self, name: &str) {
        let mut kill = Command::new("kill");
        let sent = kill.args(["-s", name, &self.0.id().to_string()]).status();
        assert!(sent.expect("kill runs").success());
    }

    /// Waits for the process to end.
    pub fn ended(&mut self) -> ExitStatus {
        wait_for(|| self.0.try_wait().unwrap())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The result of a command.
pub struct Outcome {
    /// Its exit code; none if it had to be killed.
    pub code: Option<i32>,
    /// Its standard output.
    pub stdout: String,
    /// Its standard error.
    pub stderr: String,
}

/// Runs a command that should end by itself. Kills it if it does not.
pub fn outcome(command: &mut Command) -> Outcome {
    let mut process = Running::start(command.stdout(Stdio::piped()).stderr(Stdio::piped()));
    let mut pipes = (
        process.0.stdout.take().unwrap(),
        process.0.stderr.take().unwrap(),
    );
    let deadline = Instant::now() + TIMEOUT;
    let mut status = None;
    while status.is_none() && Instant::now() < deadline {
        thread::sleep(Duration::from_millis(10));
        status = process.0.try_wait().unwrap();
    }
    drop(process);
    let (mut stdout, mut stderr) = (String::new(), String::new());
    pipes.0.read_to_string(&mut stdout).expect("UTF-8");
    pipes.1.read_to_string(&mut stderr).expect("UTF-8");
    Outcome {
        code: status.and_then(|status| status.code()),
        stdout,
        stderr,
    }
}

/// Calls `ask` until it returns a value; panics after [`TIMEOUT`].
pub fn wait_for<T>(ask: impl FnMut() -> Option<T>) -> T {
    wait_at_most(TIMEOUT, ask)
}

/// The same with another timeout.
pub fn wait_at_most<T>(timeout: Duration, mut ask: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + timeout;
    loop {
        if let Some(answer) = ask() {
            return answer;
        }
        assert!(Instant::now() < deadline, "not within {timeout:?}");
        thread::sleep(Duration::from_millis(10));
    }
}
