//! nginx and its replicas: docker-compose.yml as users run it, under a project name and on a port of its own.
//!
//! The images must exist: `make test` builds them first.

use std::{
    env,
    net::SocketAddr,
    process::{Command, Stdio},
    sync::atomic::{AtomicU32, Ordering},
};

use crate::root;

/// A running stack; removed on drop.
pub struct Stack {
    /// Its Compose project.
    pub project: String,
    /// The address of nginx's published port.
    pub address: SocketAddr,
    /// The reverse proxy's service.
    pub proxy: &'static str,
    variables: Vec<(String, String)>,
}

impl Stack {
    /// Starts nginx and two replicas with `variables`, and waits until all are healthy.
    pub fn start(variables: &[(&str, &str)]) -> Self {
        Self::behind("nginx", variables)
    }

    /// The same with another reverse proxy.
    pub fn behind(proxy: &'static str, variables: &[(&str, &str)]) -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let variables = [("PUBLISH", "127.0.0.1:")].iter().chain(variables);
        let mut stack = Self {
            project: format!("berth-test-{}-{count}", std::process::id()),
            address: ([0, 0, 0, 0], 0).into(),
            proxy,
            variables: variables
                .map(|&(name, value)| (name.into(), value.into()))
                .collect(),
        };
        stack.compose(&["up", "--detach", "--no-build", "--pull", "never", "--wait"]);
        stack.address = stack
            .compose(&["port", proxy, "8080"])
            .trim()
            .parse()
            .expect("an address");
        stack
    }

    /// Runs `docker compose …` in this project and returns its output; panics with the output if it fails.
    pub fn compose(&self, arguments: &[&str]) -> String {
        self.compose_with(&[], arguments)
    }

    /// The same, with `variables` for this call alone.
    pub fn compose_with(&self, variables: &[(&str, &str)], arguments: &[&str]) -> String {
        let mut command = self.command("docker");
        run(command
            .arg("compose")
            .args(arguments)
            .envs(variables.iter().copied()))
    }

    /// Returns a command for this project. `program` is a name or a path in the repository.
    pub fn command(&self, program: &str) -> Command {
        let mut command = bare(program);
        command
            .env("COMPOSE_PROJECT_NAME", &self.project)
            .envs(self.variables.iter().map(|(name, value)| (name, value)));
        command
    }

    /// The container ids of a service.
    pub fn containers(&self, service: &str) -> Vec<String> {
        self.compose(&["ps", "--quiet", service])
            .lines()
            .map(str::to_owned)
            .collect()
    }

    /// The address of nginx itself: Docker's proxy at the published port has a timeout of its own.
    pub fn nginx_address(&self) -> SocketAddr {
        let [container] = &self.containers(self.proxy)[..] else {
            panic!("not one {}", self.proxy)
        };
        let format = "{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}:8080";
        let address = docker(&["inspect", "--format", format, container]);
        address.trim().parse().expect("an address")
    }

    /// The log of a service, as its containers wrote it.
    pub fn log(&self, service: &str) -> Vec<String> {
        let log = self.compose(&["logs", "--no-log-prefix", "--no-color", service]);
        log.lines().map(str::to_owned).collect()
    }
}

impl Drop for Stack {
    fn drop(&mut self) {
        let mut down = compose(&["--project-name", &self.project, "down"]);
        let _ = down
            .args(["--volumes", "--timeout", "1"])
            .stderr(Stdio::null())
            .status();
    }
}

/// `docker compose …` in this project's folder, without the settings of the user's environment.
pub fn compose(arguments: &[&str]) -> Command {
    let mut command = bare("docker");
    command.arg("compose").args(arguments);
    command
}

fn bare(program: &str) -> Command {
    let needed = |name: &str| name == "PATH" || name == "HOME" || name.starts_with("DOCKER_");
    let mut command = Command::new(program);
    command
        .current_dir(root())
        .env_clear()
        .envs(env::vars().filter(|(name, _)| needed(name)))
        .env("COMPOSE_DISABLE_ENV_FILE", "1");
    command
}

/// Runs a command to its end and returns its output; panics with the output if it fails.
pub fn run(command: &mut Command) -> String {
    let output = command
        .stdin(Stdio::null())
        .output()
        .expect("the command runs");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert!(
        output.status.success(),
        "{command:?} failed:\n{}{}",
        text(&output.stdout),
        text(&output.stderr)
    );
    text(&output.stdout)
}

/// `docker …`, as [`run`].
pub fn docker(arguments: &[&str]) -> String {
    run(Command::new("docker").args(arguments))
}

/// Whether `docker …` succeeds; its output is discarded.
pub fn works(arguments: &[&str]) -> bool {
    let mut docker = Command::new("docker");
    docker
        .args(arguments)
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    docker.status().is_ok_and(|status| status.success())
}
