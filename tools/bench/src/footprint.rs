//! Measures one replica: its image, its memory at rest, after a load and with idle connections, and its start.

use std::{
    fs,
    io::{BufRead, BufReader},
    net::{SocketAddr, TcpListener},
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use crate::{
    engine::{self, Engine, docker},
    http,
    load::{self, Load},
    part::{Outcome, Part},
    results::{Figures, Results},
    servers::{GUNICORN, Running, Servers},
};

/// Time from a start or the end of a load until memory is read.
const SETTLE_TIME: Duration = Duration::from_secs(3);
const IDLE: u32 = 10_000;

/// The option for a container without a network namespace of its own.
const HOST: &str = "--network=host";

/// Measures the footprint of the app and of Gunicorn.
///
/// # Errors
/// If one can't be started, or a request is lost.
pub fn measure(engine: &Engine, part: &Part, results: &mut Results) -> Outcome<()> {
    let servers = [("app", "berth-app"), ("gunicorn", "berth-bench-python")];
    for (name, image) in servers {
        if !part.has("footprint", name) {
            continue;
        }
        let cell = format!("footprint/{name}");
        engine.progress(&format!("{cell}: image and memory"));
        let size = docker(&["image", "inspect", "--format={{.Size}}", image])?;
        let size = size
            .trim()
            .parse()
            .map_err(|_| format!("The size of {image} is {size}"))?;
        results.add(&cell, &Figures::from([("image_bytes", size)]));
        for _ in 0..3 {
            results.add(&cell, &memory(engine, name)?);
            engine.clear();
        }
        engine.progress(&format!("{cell}: the first answer"));
        for _ in 0..7 {
            let beyond = [("run_ms", docker_run(name, image)? - empty_run()?)];
            results.add(&cell, &Figures::from(beyond));
            engine.clear();
        }
    }
    if part.has("footprint", "app") {
        engine::unpack("berth-app", "/app", &engine.folder.path().join("app"))?;
        for _ in 0..20 {
            let first = [("exec_ms", exec(engine)?)];
            results.add("footprint/app", &Figures::from(first));
        }
    }
    Ok(())
}

/// Measures memory at rest, after a load, and with idle connections. Gunicorn can't hold that many.
fn memory(engine: &Engine, name: &str) -> Outcome<Figures> {
    let on = Servers::new(engine)?.roomy().start(name, true)?;
    thread::sleep(SETTLE_TIME);
    let rest = engine.usage(&on.containers)?.memory;
    load::put(engine, &on, &Load::of("/", 2))?;
    thread::sleep(SETTLE_TIME);
    let after = engine.usage(&on.containers)?.memory;
    let mut figures = Figures::from([("rest_bytes", rest), ("after_ratio", after / rest)]);
    if name == "app" {
        let idle = Idle::hold(engine, &on, IDLE)?;
        figures.insert("idle_bytes", engine.usage(&on.containers)?.memory);
        idle.end()?;
    }
    Ok(figures)
}

/// Idle connections: each has sent one request and stays open.
pub struct Idle(Child);

impl Idle {
    /// Opens the connections from the load's container.
    ///
    /// # Errors
    /// If a request was not answered.
    pub fn hold(engine: &Engine, on: &Running, connections: u32) -> Outcome<Self> {
        let (ip, port) = (on.address.ip().to_string(), on.address.port().to_string());
        let failed =
            |error: String| format!("{}: {connections} idle connections: {error}", on.name);
        let mut this = Command::new("docker")
            .args(["exec", "--interactive", &engine.load])
            .args([
                "python3",
                "/bench/idle.py",
                &ip,
                &port,
                &connections.to_string(),
            ])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(|error| failed(error.to_string()))?;
        let mut said = String::new();
        let read = this
            .stdout
            .take()
            .map(|out| BufReader::new(out).read_line(&mut said));
        match (read, said.trim()) {
            (Some(Ok(_)), "ready") => Ok(Self(this)),
            _ => Err(failed(
                "a request was not answered; the message above says which".into(),
            )),
        }
    }

    /// Closes the connections.
    ///
    /// # Errors
    /// If the program that held them can't be waited for.
    pub fn end(mut self) -> Outcome<()> {
        drop(self.0.stdin.take());
        self.0
            .wait()
            .map(drop)
            .map_err(|error| format!("idle.py: {error}"))
    }
}

/// Returns the milliseconds from the start of the program to its first answer.
fn exec(engine: &Engine) -> Outcome<f64> {
    let folder = engine.folder.path();
    let site = folder.join("static");
    fs::create_dir_all(&site).map_err(|error| format!("{}: {error}", site.display()))?;
    let address = free()?;
    let start = Instant::now();
    let mut program = Command::new(folder.join("app"))
        .env_clear()
        .env("BIND", address.to_string())
        .env("STATIC_DIR", &site)
        .env("DRAIN_SECONDS", "0")
        .stderr(Stdio::null())
        .spawn()
        .map_err(|error| format!("/app of berth-app does not run here: {error}"))?;
    let first = first_answer(address, start);
    let ended = program.kill().and_then(|()| program.wait());
    ended.map_err(|error| format!("/app of berth-app: {error}"))?;
    first
}

/// Returns the milliseconds from `docker run` to the first answer.
fn docker_run(name: &str, image: &str) -> Outcome<f64> {
    let address = free()?;
    let (env, bind) = (format!("--env=BIND={address}"), format!("--bind={address}"));
    let command: Vec<_> = match name {
        "app" => Vec::new(),
        _ => GUNICORN
            .iter()
            .map(|&it| if it.starts_with("--bind") { &bind } else { it })
            .collect(),
    };
    let start = Instant::now();
    thread::scope(|scope| {
        let run = scope.spawn(|| engine::run(&[HOST, &env], image, &command));
        let first = first_answer(address, start);
        let ran = run.join().map_err(|_| "`docker run` can't be waited for")?;
        ran.and(first)
    })
}

/// Returns the milliseconds that the engine takes to start an empty program.
fn empty_run() -> Outcome<f64> {
    let start = Instant::now();
    engine::run(&[HOST], "berth-bench-empty", &[])?;
    Ok(start.elapsed().as_secs_f64() * 1e3)
}

fn first_answer(address: SocketAddr, since: Instant) -> Outcome<f64> {
    let end = since + Duration::from_secs(30);
    loop {
        match http::get(address, "/", &[]) {
            Ok(answer) if answer.status == 200 => return Ok(since.elapsed().as_secs_f64() * 1e3),
            _ if Instant::now() > end => return Err(format!("{address} gave no answer in 30 s")),
            _ => thread::sleep(Duration::from_micros(200)),
        }
    }
}

/// Returns an unused address.
fn free() -> Outcome<SocketAddr> {
    TcpListener::bind("127.0.0.1:0")
        .and_then(|listener| listener.local_addr())
        .map_err(|error| format!("No free port: {error}"))
}
