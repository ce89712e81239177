//! The app alone: the real binary on a free port of this machine.

use std::{
    io::{BufRead, BufReader},
    net::SocketAddr,
    process::{Child, Command, ExitStatus, Stdio},
    sync::{Arc, Mutex},
    thread,
    time::{Duration, Instant},
};

use super::{root, wire::PATIENCE};

/// A running app; it ends when this is dropped.
pub struct Solo {
    pub address: SocketAddr,
    child: Child,
    log: Arc<Mutex<Vec<String>>>,
}

/// The binary, with nothing of this process's environment but what `variables` say.
pub fn berth(variables: &[(&str, &str)]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_berth"));
    command
        .current_dir(root())
        .env_clear()
        .envs(variables.iter().copied())
        .stdin(Stdio::null());
    command
}

impl Solo {
    /// Starts it with `variables` and waits until it says that it listens.
    pub fn start(variables: &[(&str, &str)]) -> Self {
        let mut child = berth(&[("BIND", "127.0.0.1:0")])
            .envs(variables.iter().copied())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the binary starts");
        let log = Arc::new(Mutex::new(Vec::new()));
        let lines = BufReader::new(child.stderr.take().unwrap()).split(b'\n');
        let sink = Arc::clone(&log);
        thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                sink.lock()
                    .unwrap()
                    .push(String::from_utf8(line).expect("a log of UTF-8"));
            }
        });
        let address = wait_for(|| {
            assert!(
                child.try_wait().unwrap().is_none(),
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
            child,
            log,
        }
    }

    /// The process's id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Every log line so far.
    pub fn log(&self) -> Vec<String> {
        self.log.lock().unwrap().clone()
    }

    /// The first log line that `wanted` accepts, once it is there.
    pub fn log_line(&self, wanted: impl Fn(&str) -> bool) -> String {
        wait_for(|| self.log().into_iter().find(|line| wanted(line)))
    }

    /// Sends a signal by its name, such as `TERM`.
    pub fn signal(&self, name: &str) {
        let sent = Command::new("kill")
            .args(["-s", name, &self.pid().to_string()])
            .status();
        assert!(sent.expect("kill runs").success());
    }

    /// Waits for the process to end by itself.
    pub fn ended(&mut self) -> ExitStatus {
        wait_for(|| self.child.try_wait().unwrap())
    }
}

impl Drop for Solo {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Asks again and again until there is an answer; panics after [`PATIENCE`].
pub fn wait_for<T>(mut ask: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(answer) = ask() {
            return answer;
        }
        assert!(Instant::now() < deadline, "not within {PATIENCE:?}");
        thread::sleep(Duration::from_millis(10));
    }
}
