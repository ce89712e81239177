//! Checks an image's metadata for what would fail on a platform.

use std::process::Command;

use serde_json::Value;

use crate::{contract::Contract, rules::Finding};

/// Checks an image of the local engine.
///
/// # Errors
/// Why the image could not be checked.
pub fn findings(name: &str, contract: &Contract) -> Result<Vec<Finding>, String> {
    let output = Command::new("docker")
        .args(["image", "inspect", name])
        .output();
    let output = output.map_err(|error| format!("docker can't be run ({error})"))?;
    if !output.status.success() {
        return Err(
            "it does not exist here; `make push IMAGE=…` builds it, and IMAGE=berth-app checks the image of `make up`".into(),
        );
    }
    let images: Vec<Value> =
        serde_json::from_slice(&output.stdout).map_err(|error| error.to_string())?;
    Ok(faults(&images[0], contract)
        .into_iter()
        .map(|(fault, remedy)| Finding {
            place: format!("the image {name}"),
            fault,
            remedy,
        })
        .collect())
}

/// Returns each fault with its remedy.
pub fn faults(image: &Value, contract: &Contract) -> Vec<(String, String)> {
    let config = &image["Config"];
    let platform = &contract.name;
    let mut faults = Vec::new();
    let mut fault = |fault: String, remedy: &str| faults.push((fault, remedy.to_owned()));
    let architecture = image["Architecture"].as_str().unwrap_or_default();
    if architecture != contract.container.architecture {
        fault(
            format!(
                "it is for {architecture}, and {platform} runs {}",
                contract.container.architecture
            ),
            "`make push` builds for that architecture; a plain build on an ARM machine does not.",
        );
    }
    let user = config["User"].as_str().unwrap_or_default();
    if user
        .split(':')
        .next()
        .and_then(|id| id.parse::<u32>().ok())
        .is_none_or(|id| id == 0)
    {
        fault(
            format!("its user is {user:?}: root, or a name that {platform} may not know"),
            "Give USER a number above 0 in the Dockerfile, as in `USER 65532:0`.",
        );
    }
    if !config["ExposedPorts"].is_null() {
        fault(
            "it has an EXPOSE".to_owned(),
            "Remove it from the Dockerfile: some platforms publish that port, and the others set PORT.",
        );
    }
    for part in ["Entrypoint", "Cmd"] {
        let command = &config[part];
        if command
            .as_array()
            .is_none_or(|words| words.is_empty() || words[0] == "/bin/sh")
        {
            fault(
                format!("its {} is {command}", part.to_uppercase()),
                "Write ENTRYPOINT and CMD as lists, as in [\"/app\"] and [\"serve\"]: the image has no shell, and a shell \
                 would not forward signals.",
            );
        }
    }
    let signal = config["StopSignal"].as_str().unwrap_or("SIGTERM");
    if !["SIGTERM", "SIGINT", "SIGQUIT"].contains(&signal) {
        fault(
            format!("its stop signal is {signal}"),
            "Write `STOPSIGNAL SIGTERM` into the Dockerfile: the app ignores other signals.",
        );
    }
    faults
}
