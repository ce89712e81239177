//! What an image says of itself that a platform would stumble over.

use std::process::Command;

use serde_json::Value;

use super::{contract::Contract, rules::Finding};

/// # Errors
/// Why the image was not looked at.
pub fn findings(name: &str, contract: &Contract) -> Result<Vec<Finding>, String> {
    let output = Command::new("docker")
        .args(["image", "inspect", name])
        .output();
    let output = output.map_err(|error| format!("docker can't be run ({error})"))?;
    if !output.status.success() {
        return Err(
            "it is not here; `make push IMAGE=…` makes it, and IMAGE=berth-app has what `make up` built looked at".into(),
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

/// What is wrong, and what to do.
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
            "`make push` builds for that; on an ARM machine a plain build does not.",
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
            "Take it out of the Dockerfile: some platforms publish that port, and PORT tells the others.",
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
                "Write ENTRYPOINT and CMD as lists, as in [\"/berth\"] and [\"serve\"]: the image has no shell, and signals \
                 would not get past one.",
            );
        }
    }
    let signal = config["StopSignal"].as_str().unwrap_or("SIGTERM");
    if !["SIGTERM", "SIGINT", "SIGQUIT"].contains(&signal) {
        fault(
            format!("it asks to be stopped by {signal}"),
            "Write `STOPSIGNAL SIGTERM` into the Dockerfile: the app would not notice another one.",
        );
    }
    faults
}
