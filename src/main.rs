//! The command line: `berth [serve]`, `berth bundle`, `berth healthcheck`, `berth config`, `berth front-files`.

use std::{
    env,
    fmt::Display,
    io::{Write, stdout},
    path::Path,
    process::ExitCode,
};

use berth::{
    bundle,
    config::{Config, EX_CONFIG, Warning},
    front_files, healthcheck,
    logging::{self, Log},
    server, site, time, turns,
};

const USAGE: &str = "\
usage: berth [COMMAND]

  serve        serve the site (the default)
  bundle       the same with nginx in front, in the image berth-bundle
  healthcheck  ask the server of this configuration whether it is ready; exits 0 or 1
  config       show the configuration in force and where each value came from
  front-files FOLDER
               write what nginx needs to answer as this does where it can't ask

Environment variables configure it; README.md lists them.";

/// The exit code for a command line that can't be understood: `EX_USAGE` of `sysexits.h`.
const EX_USAGE: u8 = 64;

#[actix_web::main]
async fn main() -> ExitCode {
    let arguments: Vec<String> = env::args_os()
        .skip(1)
        .map(|argument| argument.to_string_lossy().into_owned())
        .collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let outcome = match arguments[..] {
        [] | ["serve"] => serve().await,
        ["bundle"] => bundle().await,
        ["healthcheck"] => ask(),
        ["config"] => configured().and_then(print),
        ["front-files", folder] => front_files::write(Path::new(folder))
            .map_err(|error| Fault(1, format!("can't write to {folder}: {error}"))),
        ["-h" | "--help" | "help"] => print(format_args!("{USAGE}\n")),
        ["-V" | "--version"] => print(concat!("berth ", env!("CARGO_PKG_VERSION"), "\n")),
        _ => Err(Fault(
            EX_USAGE,
            format!("unknown command: {}\n{USAGE}", arguments.join(" ")),
        )),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(Fault(code, message)) => {
            eprintln!("berth: {message}");
            ExitCode::from(code)
        }
    }
}

/// What ends the process: an exit code, and a message that says what to do.
struct Fault(u8, String);

/// Unlike `print!`, survives a standard output that takes nothing more.
fn print(text: impl Display) -> Result<(), Fault> {
    let printed = write!(stdout(), "{text}").and_then(|()| stdout().flush());
    printed.map_err(|error| Fault(1, format!("can't write to standard output: {error}")))
}

fn load() -> Result<(Config, Vec<Warning>), Fault> {
    Config::load(env::vars_os()).map_err(|mistakes| Fault(EX_CONFIG, mistakes.to_string()))
}

fn configured() -> Result<Config, Fault> {
    let (config, warnings) = load()?;
    for warning in warnings {
        eprintln!("berth: warning: {warning}");
    }
    Ok(config)
}

fn log(config: &Config) -> Result<Log, Fault> {
    logging::start(config).map_err(|error| {
        Fault(
            1,
            format!("no thread for the log: {error}; is the limit of processes too low?"),
        )
    })
}

async fn serve() -> Result<(), Fault> {
    let config = configured()?;
    turns::take(&config);
    let _log = log(&config)?;
    for file in site::hidden_files(&config) {
        log::warn!("the file {file} of the site can't be had: a health path has the same name");
    }
    let workers = usize::from(config.web_concurrency.clone());
    let server =
        server::build(config, time::routes).map_err(|error| Fault(1, error.to_string()))?;
    log::info!(
        "listening on {} (worker threads: {workers})",
        server.address()
    );
    server
        .run()
        .await
        .map_err(|error| Fault(1, format!("the server failed: {error}")))
}

/// Warnings are the app's to give, which reads the same variables.
async fn bundle() -> Result<(), Fault> {
    let (config, _) = load()?;
    let _log = log(&config)?;
    let ended = bundle::run(&config).await;
    ended.map_err(|failure| Fault(failure.code(), failure.to_string()))
}

/// Container engines know 0 and 1 alone from a health check, so a configuration that can't be used is 1 here.
fn ask() -> Result<(), Fault> {
    let config = configured().map_err(|Fault(_, message)| Fault(1, message))?;
    healthcheck::ask(&config.bind).map_err(|error| Fault(1, error))
}
