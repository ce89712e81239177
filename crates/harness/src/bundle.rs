//! nginx and the app in one container: the image `berth-bundle`, with the limits of the strictest platform.
//!
//! The image must exist: `make test` builds it first.

use std::{net::SocketAddr, ops::Deref};

use crate::{
    container::{Container, bundle_image},
    solo::wait_for,
    stack::docker,
};

/// An unknown user, and a read-only file system except for /tmp.
pub const BARE: &[&str] = &[
    "--user=12345:0",
    "--read-only",
    "--tmpfs=/tmp",
    "--cap-drop=ALL",
    "--security-opt=no-new-privileges",
];

/// A running bundle; removed on drop.
pub struct Bundle {
    container: Container,
    /// The address of its published port.
    pub address: SocketAddr,
}

impl Deref for Bundle {
    type Target = Container;

    fn deref(&self) -> &Container {
        &self.container
    }
}

impl Bundle {
    /// Starts it with more `options` of `docker run`, and waits until it is ready.
    pub fn start(options: &[&str]) -> Self {
        Self::start_as(&bundle_image(), 8080, options)
    }

    /// The same with an image that is based on it. Publishes this port of the container.
    pub fn start_as(image: &str, port: u16, options: &[&str]) -> Self {
        let publish = format!("--publish=127.0.0.1::{port}");
        let container = Container::run(&[BARE, &[&publish], options].concat(), image, &[]);
        container.wait_until_ready();
        let address = container.address(port);
        Self { container, address }
    }

    /// Its own address: Docker's proxy at the published port accepts connections even if no process listens behind it.
    pub fn inner(&self) -> SocketAddr {
        let format = "--format={{.NetworkSettings.IPAddress}}:8080";
        let address = docker(&["inspect", format, &self.name]);
        address.trim().parse().expect("an address")
    }

    /// Sends it a signal by its name, such as `TERM`.
    pub fn signal(&self, name: &str) {
        docker(&["kill", "--signal", name, &self.name]);
    }

    /// Runs a command in a shell in the container.
    pub fn shell(&self, script: &str) -> String {
        docker(&["exec", &self.name, "sh", "-c", script])
    }

    /// Waits for the first line with this text in the log of the app or of the bundle's supervisor.
    pub fn log_line(&self, part: &str) -> String {
        wait_for(|| self.app_log().into_iter().find(|line| line.contains(part)))
    }

    /// Waits for it to end, and returns the exit code.
    pub fn ended(&self) -> i32 {
        wait_for(|| self.exit_code())
    }

    /// Returns the log of the app and of the bundle's supervisor.
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
