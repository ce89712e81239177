//! The running program.

use std::process::{Child, Command, Stdio};

use loadgen::{options::Options, outcome::Outcome};
use rustix::process::{Pid, Signal, kill_process};

/// The running program.
pub struct Process(Child);

impl Process {
    pub fn start(options: &Options) -> Self {
        let mut program = Command::new(env!("CARGO_BIN_EXE_loadgen"));
        program.args(options.arguments()).stdout(Stdio::piped());
        Self(program.spawn().unwrap())
    }

    pub fn stop(&self) {
        let pid = Pid::from_raw(self.0.id().cast_signed()).unwrap();
        kill_process(pid, Signal::TERM).unwrap();
    }

    pub fn outcome(self) -> Outcome {
        let output = self.0.wait_with_output().unwrap();
        assert!(output.status.success(), "{output:?}");
        let text = String::from_utf8(output.stdout).unwrap();
        let [begun, outcome] = text.lines().collect::<Vec<_>>()[..] else {
            panic!("not two lines: {text}");
        };
        assert!(begun.starts_with("asking "), "{begun}");
        serde_json::from_str(outcome).unwrap()
    }
}
