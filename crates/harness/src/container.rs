//! A container of one of the images, as `docker run` makes it.

use std::{
    env,
    net::SocketAddr,
    process::{Command, Stdio},
    sync::atomic::{AtomicU32, Ordering},
};

use serde_json::Value;
use tempfile::TempDir;

use crate::{
    solo::{Outcome, wait_for},
    stack::{docker, run},
};

/// The image of nginx that is tested: the shipped one, or the one that `NGINX_UNDER_TEST` names.
pub fn nginx_image() -> String {
    env::var("NGINX_UNDER_TEST").unwrap_or_else(|_| "berth-nginx".into())
}

/// The image of the bundle that is tested: the shipped one, or the one that `BUNDLE_UNDER_TEST` names.
pub fn bundle_image() -> String {
    env::var("BUNDLE_UNDER_TEST").unwrap_or_else(|_| "berth-bundle".into())
}

/// Returns the output of `docker image inspect`.
pub fn image(name: &str) -> Value {
    let mut inspect = Command::new("docker");
    let output = inspect.args(["image", "inspect", name]).output();
    let output = output.expect("Docker is needed: there is no `docker` command");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success(),
        "the image {name} is needed; `make up` makes it: {said}"
    );
    let mut list: Vec<Value> = serde_json::from_slice(&output.stdout).unwrap();
    list.remove(0)
}

/// A container; removed on drop.
pub struct Container {
    /// Its name.
    pub name: String,
}

impl Container {
    /// `docker run` in the background.
    pub fn run(options: &[&str], image: &str, command: &[&str]) -> Self {
        Self::make(&["run", "--detach"], options, image, command)
    }

    /// A container that never runs.
    pub fn create(image: &str) -> Self {
        Self::make(&["create"], &[], image, &[])
    }

    fn make(verb: &[&str], options: &[&str], image: &str, command: &[&str]) -> Self {
        self::image(image);
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let this = Self {
            name: format!("berth-test-{}-container-{count}", std::process::id()),
        };
        docker(&[verb, &["--name", &this.name], options, &[image], command].concat());
        this
    }

    /// Returns the address of its published port.
    pub fn address(&self, port: u16) -> SocketAddr {
        let address = docker(&["port", &self.name, &port.to_string()]);
        address.trim().parse().expect("one address")
    }

    /// Returns whether a command in it succeeds.
    pub fn answers(&self, command: &[&str]) -> bool {
        let arguments = [&["exec", &self.name], command].concat();
        let output = Command::new("docker").args(arguments).output();
        output.unwrap().status.success()
    }

    /// Waits until the app's own health check succeeds.
    pub fn wait_until_ready(&self) {
        wait_for(|| self.answers(&["/app", "healthcheck"]).then_some(()));
    }

    /// Runs `docker stop` with a grace period of 10 seconds, and returns the exit code.
    pub fn stop(&self) -> i32 {
        docker(&["stop", "--time", "10", &self.name]);
        self.exit_code().expect("it has stopped")
    }

    /// Returns the exit code; `None` while it runs.
    pub fn exit_code(&self) -> Option<i32> {
        let state = docker(&[
            "inspect",
            "--format",
            "{{.State.Status}} {{.State.ExitCode}}",
            &self.name,
        ]);
        state.trim().strip_prefix("exited ")?.parse().ok()
    }

    /// Returns its log so far.
    pub fn log(&self) -> Outcome {
        let log = Command::new("docker").args(["logs", &self.name]).output();
        let log = log.expect("docker runs");
        Outcome {
            code: log.status.code(),
            stdout: String::from_utf8(log.stdout).expect("UTF-8"),
            stderr: String::from_utf8(log.stderr).expect("UTF-8"),
        }
    }

    /// Copies a folder of the container to this machine.
    pub fn unpack(&self, folder: &str) -> TempDir {
        let target = tempfile::tempdir().unwrap();
        let tar = match folder {
            "/" => format!("docker export {}", self.name),
            _ => format!("docker cp {}:{folder}/. -", self.name),
        };
        let unpack = format!(
            "{tar} | tar --extract --preserve-permissions --directory {}",
            target.path().display()
        );
        run(Command::new("bash").args(["-o", "pipefail", "-c", &unpack]));
        target
    }
}

impl Drop for Container {
    fn drop(&mut self) {
        let mut remove = Command::new("docker");
        remove.args(["rm", "--force", "--volumes", &self.name]);
        let _ = remove.stdout(Stdio::null()).stderr(Stdio::null()).status();
    }
}
