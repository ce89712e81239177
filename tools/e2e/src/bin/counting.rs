//! A service that counts the requests that it has processed, for the proofs of the stack.
//!
//! - `GET /number/{n}` answers `n`.
//! - `POST /number/{n}` reads the body to its end, counts `n` as processed, and answers `n`.
//! - `GET` or `POST /status/{code}/{n}` does the same as the POST, and answers with that status.
//! - `POST /hoard` takes memory until there is none.
//! - `GET /panic` panics.
//!
//! `?wait=MILLISECONDS` delays any answer, `?work=MICROSECONDS` makes a GET use that much processor time. Counting appends a line
//! to the file with this replica's name in the folder `COUNT_DIR`, so the count survives a kill of the replica. Each answer has
//! the `VERSION` (default 1) in `X-Version`. The service listens after `START_DELAY` seconds (default 0).

use std::{
    env,
    fs::{File, OpenOptions},
    io::Write,
    path::Path,
    process::ExitCode,
    sync::LazyLock,
    time::Duration,
};

use actix_web::{
    App, Error, HttpResponse, get,
    http::{StatusCode, header::ContentType},
    post, routes,
    rt::time::sleep,
    web::{self, Payload, Query},
};
use app::settings::Settings;
use berth::{
    log::{line::REPLICA, start::Log},
    middleware::{
        access_log::AccessLog, body_limit::BodyLimit, client_ip::ClientIp,
        concurrency_limit::ConcurrencyLimit, drain::Drain, fallback, layers::Layers,
    },
    nginx::{config, log_relay, supervisor},
    process::{
        probe, sched_batch,
        server::{Options as ServerOptions, Server},
        shutdown::Shutdown,
    },
    settings::values::Address,
};
use futures_util::StreamExt;
use rustix::time::{ClockId, clock_gettime};
use serde::Deserialize;

/// Opened once: one appending write is never split or overwritten.
static COUNTS: LazyLock<File> = LazyLock::new(|| {
    let folder = env::var("COUNT_DIR").expect("COUNT_DIR names the folder to count in");
    let file = Path::new(&folder).join(&*REPLICA);
    let opened = OpenOptions::new().create(true).append(true).open(&file);
    opened.unwrap_or_else(|error| panic!("{} can't be written to: {error}", file.display()))
});

static VERSION: LazyLock<String> =
    LazyLock::new(|| env::var("VERSION").unwrap_or_else(|_| "1".into()));

#[actix_web::main]
async fn main() -> ExitCode {
    let asked = env::args().nth(1);
    let done = match asked.as_deref() {
        None | Some("serve") => serve().await,
        Some("bundle") => in_bundle().await,
        // A child of the bundle: it passes nginx's log on.
        Some(log_relay::COMMAND) => log_relay::run().map_err(|error| error.to_string()),
        Some("healthcheck") => settings().and_then(|settings| probe::healthcheck(&settings.bind)),
        Some(other) => Err(format!(
            "unknown command {other}: there are serve, bundle and healthcheck"
        )),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("counting: {message}");
            ExitCode::FAILURE
        }
    }
}

fn settings() -> Result<Settings, String> {
    let loaded = Settings::load(env::vars_os()).map_err(|mistakes| mistakes.to_string());
    loaded.map(|(settings, _)| settings)
}

fn log(settings: &Settings) -> Result<Log, String> {
    let log = Log::start(settings.log_format, &settings.rust_log.to_string());
    log.map_err(|error| error.to_string())
}

async fn serve() -> Result<(), String> {
    let settings = settings()?;
    if settings.nginx_address.0.is_some() || matches!(settings.bind, Address::Unix(_)) {
        sched_batch::use_sched_batch();
    }
    let log = log(&settings)?;
    LazyLock::force(&COUNTS);
    let delay = env::var("START_DELAY").unwrap_or_default();
    if !delay.is_empty() {
        let seconds = delay
            .parse()
            .map_err(|_| format!("START_DELAY={delay}: not a number of seconds"))?;
        log::info!("starting to listen in {seconds} s");
        sleep(Duration::from_secs_f64(seconds)).await;
    }
    let server = bind(settings, AccessLog::new(&log))?;
    log::info!("listening on {}", server.address());
    server.run().await.map_err(|error| error.to_string())
}

/// The sample's server, with other routes.
fn bind(settings: Settings, access_log: Option<AccessLog>) -> Result<Server, String> {
    let drain = Drain::default();
    let layers = Layers {
        keep_alive: settings.keep_alive.into(),
        drain: drain.clone(),
        client_ip: ClientIp {
            trusted_proxies: settings.trusted_proxies,
            header: settings.client_header.name().clone(),
        },
        request_id_header: settings.request_id_header.0.map(|it| it.name().clone()),
        access_log,
        served_by: settings.served_by.0,
        body_limit: BodyLimit {
            max: settings.max_body.bytes(),
            timeout: settings.client_timeout.seconds(),
        },
        maintenance: settings.maintenance.0,
        allowed_hosts: settings.allowed_hosts,
        static_dir: settings.static_dir.0,
        static_prefix: settings.static_prefix.as_str().to_owned(),
        concurrency_limit: ConcurrencyLimit::new(settings.max_requests.count()),
    };
    let options = ServerOptions {
        bind: settings.bind,
        workers: settings.web_concurrency.into(),
        max_connections: settings.max_connections.count(),
        keep_alive: settings.keep_alive.into(),
        client_timeout: settings.client_timeout.seconds(),
        shutdown: Shutdown {
            drain_time: settings.drain_seconds.into(),
            shutdown_time: settings.shutdown_seconds.into(),
            nginx: settings.nginx_address.0,
        },
    };
    let app = move || {
        App::new()
            .configure(routes)
            .service(fallback::catch_all())
            .wrap(layers.clone())
    };
    Server::bind(options, drain, app).map_err(|error| error.to_string())
}

async fn in_bundle() -> Result<(), String> {
    let settings = settings()?;
    let _log = log(&settings)?;
    let options = supervisor::Options {
        shutdown_time: settings.shutdown_seconds.into(),
        nginx: nginx_options(settings),
    };
    let ended = supervisor::run(&options).await;
    ended.map_err(|failure| failure.to_string())
}

/// As the sample hands them to nginx.
fn nginx_options(settings: Settings) -> config::Options {
    config::Options {
        bind: settings.bind,
        app: supervisor::SOCKET.parse().ok(),
        allowed_hosts: settings.allowed_hosts,
        trusted_proxies: settings.trusted_proxies,
        client_header: settings.client_header.to_string(),
        request_id_header: settings.request_id_header.0.map(|it| it.to_string()),
        static_prefix: settings.static_prefix.as_str().to_owned(),
        keep_alive: settings.keep_alive.into(),
        client_timeout: settings.client_timeout.seconds(),
        drain_time: settings.drain_seconds.into(),
        max_body: settings.max_body.bytes(),
        max_requests: settings.max_requests.count(),
        maintenance: settings.maintenance.0,
    }
}

fn routes(app: &mut web::ServiceConfig) {
    app.service(get_number)
        .service(post_number)
        .service(any_status)
        .service(hoard)
        .service(panic);
}

#[derive(Deserialize)]
struct Options {
    /// Milliseconds.
    #[serde(default)]
    wait: u64,
    /// Microseconds of a processor's time.
    #[serde(default)]
    work: u64,
}

#[get("/number/{n}")]
async fn get_number(n: web::Path<u64>, options: Query<Options>) -> HttpResponse {
    sleep(Duration::from_millis(options.wait)).await;
    let until = processor_time() + Duration::from_micros(options.work);
    while processor_time() < until {}
    answer(StatusCode::OK, *n)
}

/// The processor time of this thread.
fn processor_time() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::try_from(time).expect("it is never negative")
}

#[post("/number/{n}")]
async fn post_number(
    n: web::Path<u64>,
    options: Query<Options>,
    body: Payload,
) -> Result<HttpResponse, Error> {
    process(StatusCode::OK, *n, &options, body).await
}

#[routes]
#[get("/status/{code}/{n}")]
#[post("/status/{code}/{n}")]
async fn any_status(
    path: web::Path<(u16, u64)>,
    options: Query<Options>,
    body: Payload,
) -> Result<HttpResponse, Error> {
    let (code, n) = *path;
    let status = StatusCode::from_u16(code).map_err(actix_web::error::ErrorBadRequest)?;
    process(status, n, &options, body).await
}

/// Reads the body, counts the number and answers. An incomplete body is an error, and not counted.
async fn process(
    status: StatusCode,
    n: u64,
    options: &Options,
    mut body: Payload,
) -> Result<HttpResponse, Error> {
    while let Some(piece) = body.next().await {
        piece?;
    }
    sleep(Duration::from_millis(options.wait)).await;
    (&*COUNTS).write_all(format!("{n}\n").as_bytes())?;
    Ok(answer(status, n))
}

#[post("/hoard")]
async fn hoard() -> HttpResponse {
    let mut hoard = Vec::new();
    loop {
        // Written to, since reserved memory alone takes no space.
        hoard.push(vec![1_u8; 1 << 20]);
        sleep(Duration::from_millis(10)).await;
    }
}

#[get("/panic")]
async fn panic() -> HttpResponse {
    panic!("as it was asked to");
}

fn answer(status: StatusCode, n: u64) -> HttpResponse {
    HttpResponse::build(status)
        .content_type(ContentType::plaintext())
        .insert_header(("X-Version", VERSION.as_str()))
        .body(n.to_string())
}
