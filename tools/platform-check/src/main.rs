//! `make check PLATFORM=fly`: looks over a platform's files, the variables that they set and the image, for what would
//! have the first deploy fail. Each finding says what to do. IMAGE names another image than the files do.
//!
//! usage: check [PLATFORM]

#[path = "platform/mod.rs"]
mod platform;

use std::{
    env,
    path::{Path, PathBuf},
    process::ExitCode,
};

use platform::{
    contract::{self, Contract},
    image,
    rules::{self, Finding},
};

const DEPLOY: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/deploy");

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let known = contract::platforms(Path::new(DEPLOY));
    let outcome = match &arguments[..] {
        [platform] if known.contains(platform) => check(platform),
        [unknown] => Err(format!(
            "There is no deploy/{unknown}. PLATFORM is one of: {}",
            known.join(", ")
        )),
        _ => Err(format!(
            "Which platform? make check PLATFORM=…, one of: {}",
            known.join(", ")
        )),
    };
    outcome.unwrap_or_else(|error| {
        eprintln!("berth: {error}");
        ExitCode::from(2)
    })
}

fn check(platform: &str) -> Result<ExitCode, String> {
    let folder: PathBuf = [DEPLOY, platform].iter().collect();
    let contract = Contract::read(&folder)?;
    let documents = contract.documents(&folder)?;
    let mut findings = rules::findings(&contract, &documents);
    findings.extend(rules::samples(&contract, &documents));
    let named = env::var("IMAGE")
        .ok()
        .or_else(|| rules::image(&contract, &documents));
    let name = named.as_deref().unwrap_or("berth-app");
    match image::findings(name, &contract) {
        Ok(found) => {
            println!("looked at: the image {name}");
            findings.extend(found);
        }
        Err(why) => println!("not looked at: the image {name}: {why}"),
    }
    for Finding {
        place,
        fault,
        remedy,
    } in &findings
    {
        println!("{place}: {fault}\n    {remedy}");
    }
    let files: Vec<_> = documents.iter().map(|it| it.name.as_str()).collect();
    let files = files.join(", ");
    match findings.len() {
        0 => println!(
            "deploy/{platform} ({files}): nothing found that {} would stumble over",
            contract.name
        ),
        number => println!("deploy/{platform} ({files}): {number} to mend"),
    }
    Ok(ExitCode::from(u8::from(!findings.is_empty())))
}
