//! What a replica takes that nobody asks anything, or that has been asked a lot; and how soon it answers.

use std::{
    fs,
    io::{BufRead, BufReader},
    net::{SocketAddr, TcpListener},
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use crate::{
    Outcome, Part,
    contestants::{Contestants, GUNICORN, Running},
    engine::{self, Engine, docker},
    http,
    load::{self, Load},
    results::{Figures, Results},
};

/// After a load, or a start, memory has this long to come to rest.
const REST: Duration = Duration::from_secs(3);
const IDLE: u32 = 10_000;

/// A container's address when it has the machine's own network.
const HOST: &str = "--network=host";

/// # Errors
/// If one can't be started, or a request is lost.
pub fn measure(engine: &Engine, part: &Part, results: &mut Results) -> Outcome<()> {
    let contestants = [("app", "berth-app"), ("gunicorn", "berth-bench-python")];
    for (name, image) in contestants {
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
        engine::unpack("berth-app", "/berth", &engine.folder.path().join("berth"))?;
        for _ in 0..20 {
            let first = [("exec_ms", exec(engine)?)];
            results.add("footprint/app", &Figures::from(first));
        }
    }
    Ok(())
}

/// At rest, after a load, and with idle connections, which Gunicorn does not hold in that number.
fn memory(engine: &Engine, name: &str) -> Outcome<Figures> {
    let on = Contestants::new(engine)?.roomy().start(name, true)?;
    thread::sleep(REST);
    let rest = engine.usage(&on.containers)?.memory;
    load::put(engine, &on, &Load::of("/", 2))?;
    thread::sleep(REST);
    let after = engine.usage(&on.containers)?.memory;
    let mut figures = Figures::from([("rest_bytes", rest), ("after_ratio", after / rest)]);
    if name == "app" {
        let idle = Idle::hold(engine, &on, IDLE)?;
        figures.insert("idle_bytes", engine.usage(&on.containers)?.memory);
        idle.end()?;
    }
    Ok(figures)
}

/// Connections that stay open, and ask nothing more.
pub struct Idle(Child);

impl Idle {
    /// Opens them, from the container of the load.
    ///
    /// # Errors
    /// If one was not answered.
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
                "they were not all answered; what is above says which".into(),
            )),
        }
    }

    /// Closes them.
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

/// Milliseconds from the start of the program to its first answer.
fn exec(engine: &Engine) -> Outcome<f64> {
    let folder = engine.folder.path();
    let site = folder.join("static");
    fs::create_dir_all(&site).map_err(|error| format!("{}: {error}", site.display()))?;
    let address = free()?;
    let start = Instant::now();
    let mut program = Command::new(folder.join("berth"))
        .env_clear()
        .env("BIND", address.to_string())
        .env("STATIC_DIR", &site)
        .env("DRAIN_SECONDS", "0")
        .stderr(Stdio::null())
        .spawn()
        .map_err(|error| format!("/berth of berth-app does not run here: {error}"))?;
    let first = first_answer(address, start);
    let ended = program.kill().and_then(|()| program.wait());
    ended.map_err(|error| format!("/berth of berth-app: {error}"))?;
    first
}

/// Milliseconds from `docker run` to the first answer.
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

/// Milliseconds that the engine takes to start a program with nothing in it.
fn empty_run() -> Outcome<f64> {
    let start = Instant::now();
    engine::run(&[HOST], "berth-bench-empty", &[])?;
    Ok(start.elapsed().as_secs_f64() * 1e3)
}

fn first_answer(address: SocketAddr, since: Instant) -> Outcome<f64> {
    let end = since + Duration::from_secs(30);
    loop {
        match http::ask(address, "/", &[]) {
            Ok(answer) if answer.status == 200 => return Ok(since.elapsed().as_secs_f64() * 1e3),
            _ if Instant::now() > end => return Err(format!("{address} gave no answer in 30 s")),
            _ => thread::sleep(Duration::from_micros(200)),
        }
    }
}

/// An address on which nobody listens.
fn free() -> Outcome<SocketAddr> {
    TcpListener::bind("127.0.0.1:0")
        .and_then(|listener| listener.local_addr())
        .map_err(|error| format!("No free port: {error}"))
}
