//! The tests of your service, in one program: each module is a subject. Put tests of your own beside them.

mod configuration;
mod scaling;
mod service;

use std::process::Command;

use harness::{skip, stack::works};

/// The variables that your service needs. All others have their defaults.
const VARIABLES: &[(&str, &str)] = &[("TZ", "UTC")];

/// The app's binary, with [`VARIABLES`] as its whole environment.
fn app() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_app"));
    command
        .current_dir(harness::root())
        .env_clear()
        .envs(VARIABLES.iter().copied());
    command
}

/// Returns whether Docker and Compose are available. If not, prints that `what` was not tested, and why.
fn has_docker(what: &str) -> bool {
    let why = match (works(&["version"]), works(&["compose", "version"])) {
        (true, true) => return true,
        (true, false) => "Docker has no Compose plugin",
        (false, _) => "no Docker engine answers",
    };
    skip(format!("{what}: {why}"));
    false
}
