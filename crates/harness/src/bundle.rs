//! nginx and the app in one container: the image `berth-bundle`, with as little as a platform gives it.
//!
//! The image must be there: `make test` builds it first.

use std::{net::SocketAddr, ops::Deref};

use crate::{
    container::{Container, bundle_image},
    solo::wait_for,
    stack::docker,
};

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
    /// Where its port is published.
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

    /// The same of an image that was made from it, published from this port of the container.
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

    /// Has a shell in it run this.
    pub fn shell(&self, script: &str) -> String {
        docker(&["exec", &self.name, "sh", "-c", script])
    }

    /// The first line of the app's log or of this process's that has this in it, once it is there.
    pub fn log_line(&self, part: &str) -> String {
        wait_for(|| self.app_log().into_iter().find(|line| line.contains(part)))
    }

    /// The exit code, once it has ended by itself.
    pub fn ended(&self) -> i32 {
        wait_for(|| self.exit_code())
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
