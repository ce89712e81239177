//! The command line: `app [serve]`, `app nginx`, `app apache`, `app bundle`, `app healthcheck`, `app config`,
//! `app error-page-files`.

use std::{
    env,
    fmt::Display,
    io::{Write, stdout},
    path::Path,
    process::ExitCode,
};

use app::settings::Settings;
use berth::{
    apache,
    log::start::Log,
    middleware::access_log::AccessLog,
    nginx::{deferred_listen, error_page_files, exec, log_relay, supervisor},
    process::{probe, sched_batch, startup_checks},
    settings::reader::{EX_CONFIG, Warning},
};

const USAGE: &str = "\
usage: app [COMMAND]

  serve        serve the site (the default)
  nginx [ARGUMENT…]
               become the nginx in front of the app, in the image berth-nginx; -t checks its configuration
  apache [ARGUMENT…]
               the same with Apache httpd, in the image berth-apache
  bundle       serve the site with nginx in front, in the image berth-bundle
  healthcheck  ask the server of this configuration whether it is ready; exits 0 or 1
  config       show the settings in force and where each value came from
  error-page-files FOLDER
               write the pages and headers that nginx sends where it does not ask the app

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
        ["nginx", ref rest @ ..] => nginx(rest),
        ["apache", ref rest @ ..] => apache(rest),
        ["bundle"] => bundle().await,
        // Children of the two: they pass nginx's log on, let nginx listen, and tell httpd of replicas that come and go.
        [log_relay::COMMAND] => log_relay::run()
            .map_err(|error| ExitError(1, format!("can't pass the log on: {error}"))),
        [deferred_listen::COMMAND] => deferred_listen::run()
            .map_err(|error| ExitError(1, format!("can't let nginx listen: {error}"))),
        [apache::WATCH_COMMAND] => apache::watch_replicas()
            .map_err(|error| ExitError(1, format!("can't write the replicas: {error}"))),
        ["healthcheck"] => healthcheck(),
        ["config"] => settings().and_then(print),
        ["error-page-files", folder] => error_page_files::write(Path::new(folder))
            .map_err(|error| ExitError(1, format!("can't write to {folder}: {error}"))),
        ["-h" | "--help" | "help"] => print(format_args!("{USAGE}\n")),
        ["-V" | "--version"] => print(concat!("app ", env!("CARGO_PKG_VERSION"), "\n")),
        _ => Err(ExitError(
            EX_USAGE,
            format!("unknown command: {}\n{USAGE}", arguments.join(" ")),
        )),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(ExitError(code, message)) => {
            eprintln!("app: {message}");
            ExitCode::from(code)
        }
    }
}

/// What ends the process: an exit code, and a message that says what to do.
struct ExitError(u8, String);

/// Unlike `print!`, survives a standard output that takes nothing more.
fn print(text: impl Display) -> Result<(), ExitError> {
    let printed = write!(stdout(), "{text}").and_then(|()| stdout().flush());
    printed.map_err(|error| ExitError(1, format!("can't write to standard output: {error}")))
}

fn load() -> Result<(Settings, Vec<Warning>), ExitError> {
    Settings::load(env::vars_os()).map_err(|mistakes| ExitError(EX_CONFIG, mistakes.to_string()))
}

fn settings() -> Result<Settings, ExitError> {
    let (settings, warnings) = load()?;
    for warning in warnings {
        eprintln!("app: warning: {warning}");
    }
    Ok(settings)
}

fn log(settings: &Settings) -> Result<Log, ExitError> {
    Log::start(settings.log_format, &settings.rust_log.to_string()).map_err(|error| {
        ExitError(
            1,
            format!("no thread for the log: {error}; is the limit of processes too low?"),
        )
    })
}

async fn serve() -> Result<(), ExitError> {
    let settings = settings()?;
    if settings.is_behind_nginx() {
        sched_batch::use_sched_batch();
    }
    let log = log(&settings)?;
    let prefix = settings.static_prefix.as_str();
    for file in startup_checks::hidden_files(&settings.static_dir.0, prefix) {
        log::warn!("the static file {file} can't be reached: a health path has the same name");
    }
    let workers = usize::from(settings.web_concurrency.clone());
    let server = app::build(settings, AccessLog::new(&log), app::routes)
        .map_err(|error| ExitError(1, error.to_string()))?;
    log::info!(
        "listening on {} (worker threads: {workers})",
        server.address()
    );
    server
        .run()
        .await
        .map_err(|error| ExitError(1, format!("the server failed: {error}")))
}

/// Returns only if nginx can't be started.
fn nginx(arguments: &[&str]) -> Result<(), ExitError> {
    let options = settings()?.into_nginx_options(None);
    let error = exec::exec(&options, arguments);
    Err(ExitError(error.code(), error.to_string()))
}

/// Returns only if httpd can't be started.
fn apache(arguments: &[&str]) -> Result<(), ExitError> {
    let options = settings()?.into_nginx_options(None);
    let error = apache::exec(&options, arguments);
    Err(ExitError(error.code(), error.to_string()))
}

/// The app reads the same variables, and gives the warnings.
async fn bundle() -> Result<(), ExitError> {
    let (settings, _) = load()?;
    let _log = log(&settings)?;
    let options = supervisor::Options {
        shutdown_time: settings.shutdown_seconds.into(),
        nginx: settings.into_nginx_options(supervisor::SOCKET.parse().ok()),
    };
    let ended = supervisor::run(&options).await;
    ended.map_err(|failure| ExitError(failure.code(), failure.to_string()))
}

/// Container engines know only 0 and 1 from a health check, so settings that can't be used are 1 here.
fn healthcheck() -> Result<(), ExitError> {
    let settings = settings().map_err(|ExitError(_, message)| ExitError(1, message))?;
    probe::healthcheck(&settings.bind).map_err(|error| ExitError(1, error))
}
