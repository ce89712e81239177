//! nginx and the app in one container: the image `berth-bundle`, with as little as a platform gives it.
//!
//! The image must be there: `make test` builds it first.

use std::{net::SocketAddr, ops::Deref};

use super::container::Container;

/// A user that the image does not know, and nothing writable but /tmp.
pub const BARE: &[&str] = &[
    "--user=12345:0",
    "--read-only",
    "--tmpfs=/tmp",
    "--cap-drop=ALL",
    "--security-opt=no-new-privileges",
];

/// A running bundle; it is gone when this is dropped.
pub struct Bundle {
    container: Container,
    pub address: SocketAddr,
}

impl Deref for Bundle {
    type Target = Container;

    fn deref(&self) -> &Container {
        &self.container
    }
}

impl Bundle {
    /// Starts it with `variables`, `NAME=value` each, and waits until it is ready.
    pub fn start(variables: &[&str]) -> Self {
        Self::start_on(8080, variables)
    }

    /// The same, published from this port of the container.
    pub fn start_on(port: u16, variables: &[&str]) -> Self {
        let variables: Vec<String> = variables.iter().map(|it| format!("--env={it}")).collect();
        let variables: Vec<&str> = variables.iter().map(String::as_str).collect();
        Self::run(port, &variables)
    }

    /// The same with any options of `docker run`.
    pub fn run(port: u16, options: &[&str]) -> Self {
        let publish = format!("--publish=127.0.0.1::{port}");
        let options = [BARE, &[&publish], options].concat();
        let container = Container::run(&options, "berth-bundle", &[]);
        container.wait_until_ready();
        let address = container.address(port);
        Self { container, address }
    }

    /// What the app has logged, and this first process of the container.
    pub fn app_log(&self) -> Vec<String> {
        lines(&self.log().stderr)
    }

    /// nginx's access log.
    pub fn nginx_log(&self) -> Vec<String> {
        lines(&self.log().stdout)
    }
}

/// A log's lines.
pub fn lines(text: &str) -> Vec<String> {
    text.lines().map(str::to_owned).collect()
}
