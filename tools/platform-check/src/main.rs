//! `make check PLATFORM=fly`: checks a platform's files, its variables and the image for what would make the first deploy fail.
//! Each finding names the remedy.

use std::{
    env,
    path::{Path, PathBuf},
    process::ExitCode,
};

use clap::Parser;

use platform_check::{
    ROOT,
    contract::{self, Contract},
    image,
    rules::{self, Finding},
};

/// Checks a platform's files, its variables and the image for what would make the first deploy fail
#[derive(Parser)]
#[command(after_help = "The environment variable IMAGE names another image than the files do.")]
struct Arguments {
    /// The name of a folder in deploy/
    platform: Option<String>,
}

fn main() -> ExitCode {
    let platform = Arguments::parse().platform;
    let deploy = Path::new(ROOT).join("deploy");
    let known = contract::platforms(&deploy);
    let outcome = match platform {
        Some(platform) if known.contains(&platform) => check(&deploy, &platform),
        Some(unknown) => Err(format!(
            "There is no deploy/{unknown}. PLATFORM is one of: {}",
            known.join(", ")
        )),
        None => Err(format!(
            "Which platform? make check PLATFORM=…, one of: {}",
            known.join(", ")
        )),
    };
    outcome.unwrap_or_else(|error| {
        eprintln!("platform-check: {error}");
        ExitCode::from(2)
    })
}

fn check(deploy: &Path, platform: &str) -> Result<ExitCode, String> {
    let folder: PathBuf = deploy.join(platform);
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
            println!("checked: the image {name}");
            findings.extend(found);
        }
        Err(why) => println!("not checked: the image {name}: {why}"),
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
            "deploy/{platform} ({files}): nothing found that would fail on {}",
            contract.name
        ),
        number => println!("deploy/{platform} ({files}): {number} to correct"),
    }
    Ok(ExitCode::from(u8::from(!findings.is_empty())))
}
