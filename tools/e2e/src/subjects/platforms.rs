//! The image as each platform runs it: `deploy/*/contract.toml` says how, and Docker's own means do it.
//!
//! The test is the router: it has the router's address, and sends what the router would. Only Linux lets it reach a
//! container's own address.

use std::{
    io::{Read, Write},
    net::{Ipv4Addr, SocketAddr, TcpStream},
    process::{Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use libtest_mimic::Failed;
use serde_json::Value;

use crate::run::Batch;
use harness::{
    container::Container,
    modes::why_not,
    root, skip,
    solo::{wait_at_most, wait_for},
    stack::docker,
    wire,
};
use platform_check::{
    contract::{Contract, Probe, Router, platforms},
    image,
    rules::{self, CLIENT},
};

const IMAGE: &str = "berth-app";
/// The addresses of clients that bypass the router (RFC 5737); each platform has eight addresses of it.
const UNTRUSTED_CLIENTS: [u8; 3] = [203, 0, 113];
/// The address that a client claims to have.
const SOMEBODY_ELSE: &str = "192.0.2.66";
/// The headers that clients send to spoof an address; a router passes on those that it does not know.
const FORGED: [&str; 12] = [
    "CF-Connecting-IP",
    "Do-Connecting-IP",
    "Fly-Client-IP",
    "Forwarded",
    "True-Client-IP",
    "X-Client-IP",
    "X-Forwarded-For",
    "X-Forwarded-Proto",
    "X-Real-IP",
    "X-Railway-Request-Id",
    "X-Request-Id",
    "Traceparent",
];

/// The cases mostly wait, and the platforms' CPUs are shared.
pub fn batches() -> Vec<Batch> {
    let missing = why_not(&[IMAGE, "berth-nginx"]);
    let names = platforms(&root().join("deploy"));
    let trials = names.into_iter().enumerate().map(|(number, name)| {
        let test = format!("{name}: the image keeps the contract");
        match &missing {
            Some(why) => skip::skipped(test, why.clone()),
            None => skip::trial(test, move || keeps(&name, number as u8)),
        }
    });
    vec![Batch::of(trials.collect())]
}

fn keeps(name: &str, number: u8) -> Result<(), Failed> {
    let folder = root().join("deploy").join(name);
    let contract = Contract::read(&folder)?;
    let documents = contract.documents(&folder)?;
    let faults = image::faults(&harness::container::image(IMAGE), &contract);
    if !faults.is_empty() {
        return Err(format!("{faults:?}").into());
    }

    let router: Ipv4Addr = contract.router.address.parse()?;
    let [a, b, c] = UNTRUSTED_CLIENTS;
    let untrusted = Ipv4Addr::new(a, b, c, 8 * number + 1);
    let [inside, outside] = [router, untrusted].map(Network::with);
    let container = run(&contract, &rules::of_files(&contract, &documents), &inside);
    outside.join(&container);
    let port = contract.container.port;
    let [address, back_door] =
        [&inside, &outside].map(|it| SocketAddr::new(it.address_of(&container), port));

    // It listens in time where the router looks.
    let start = Duration::from_secs(contract.container.start_seconds);
    wait_at_most(start, || {
        assert_eq!(
            container.exit_code(),
            None,
            "it ended: {}",
            container.log().stderr
        );
        TcpStream::connect(address).ok()
    });
    probe(&contract, &container, address)?;
    asks(&contract.router, &container, address, "")?;
    asks(&contract.router, &container, address, SOMEBODY_ELSE)?;
    is_no_router(&contract.router, &container, back_door, untrusted)?;
    stops(&contract, &container, address)
}

/// A Docker network in which this machine has the given address; removed on drop.
struct Network(String);

impl Network {
    fn with(address: Ipv4Addr) -> Self {
        let this = Self(format!("berth-test-{}-{address}", std::process::id()));
        let first = Ipv4Addr::from_bits(address.to_bits() & !7);
        let [subnet, gateway] = [
            format!("--subnet={first}/29"),
            format!("--gateway={address}"),
        ];
        docker(&["network", "create", &subnet, &gateway, &this.0]);
        this
    }

    fn join(&self, container: &Container) {
        docker(&["network", "connect", &self.0, &container.name]);
    }

    fn address_of(&self, container: &Container) -> std::net::IpAddr {
        let format = format!(
            "--format={{{{(index .NetworkSettings.Networks \"{}\").IPAddress}}}}",
            self.0
        );
        docker(&["inspect", &format, &container.name])
            .trim()
            .parse()
            .expect("an address")
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        let mut remove = Command::new("docker");
        remove.args(["network", "rm", "--force", &self.0]);
        let _ = remove.stdout(Stdio::null()).stderr(Stdio::null()).status();
    }
}

fn run(
    contract: &Contract,
    of_files: &std::collections::BTreeMap<String, String>,
    network: &Network,
) -> Container {
    let it = &contract.container;
    let mut options = vec![
        format!("--network={}", network.0),
        format!("--memory={}", it.memory),
        // No swap beside it.
        format!("--memory-swap={}", it.memory),
        format!("--cpus={}", it.cpus),
        format!("--init={}", it.init),
        format!("--read-only={}", it.read_only),
    ];
    if !it.user.is_empty() {
        options.push(format!("--user={}", it.user));
    }
    if it.cap_drop {
        options.extend([
            "--cap-drop=ALL".to_owned(),
            "--security-opt=no-new-privileges".to_owned(),
        ]);
    }
    options.extend(it.tmpfs.iter().map(|folder| format!("--tmpfs={folder}")));
    let variables = it.variables.iter().chain(of_files);
    options.extend(variables.map(|(name, value)| format!("--env={name}={value}")));
    let options: Vec<_> = options.iter().map(String::as_str).collect();
    Container::run(&options, IMAGE, &[])
}

fn probe(contract: &Contract, container: &Container, address: SocketAddr) -> Result<(), Failed> {
    match &contract.probe {
        None => Ok(()),
        Some(Probe::Command { command }) => {
            let command: Vec<_> = command.iter().map(String::as_str).collect();
            wait_for(|| container.answers(&command).then_some(()));
            Ok(())
        }
        Some(Probe::Http {
            path,
            host,
            user_agent,
            version,
            accepts,
            seconds,
            headers,
        }) => {
            let mut request = format!(
                "GET {path} HTTP/{version}\r\nHost: {host}\r\nUser-Agent: {user_agent}\r\n"
            );
            for (name, value) in headers {
                request += &format!("{name}: {value}\r\n");
            }
            let asked = Instant::now();
            let reply = wire::ask(address, request + "Connection: close\r\n\r\n");
            let took = asked.elapsed();
            if took > Duration::from_secs(*seconds) {
                return Err(
                    format!("the platform gives up after {seconds} s; it took {took:?}").into(),
                );
            }
            match accepts.iter().any(|it| it.has(reply.status)) {
                true => Ok(()),
                false => Err(format!("the probe got {reply:?}").into()),
            }
        }
    }
}

/// Returns the headers that the router sends for a client that claims to be `claimed`, if that is not empty.
fn request(router: &Router, claimed: &str, id: &str) -> String {
    let sent = |name: &str| match name.to_ascii_lowercase().as_str() {
        _ if claimed.is_empty() => String::new(),
        "forwarded" => format!("for={claimed};proto=http"),
        "x-forwarded-proto" => "http".into(),
        name if name.contains("request-id") || name.contains("trace") => "forged".into(),
        _ => claimed.into(),
    };
    let mut request = format!("GET / HTTP/{}\r\nHost: {}\r\n", router.version, router.host);
    let others = FORGED
        .iter()
        .filter(|name| router.header(name, "", "", "").is_none());
    for name in router
        .headers
        .keys()
        .map(String::as_str)
        .chain(others.copied())
    {
        let sent = sent(name);
        let value = router.header(name, CLIENT, &sent, id).unwrap_or(sent);
        if !value.is_empty() {
            request += &format!("{name}: {value}\r\n");
        }
    }
    request + "\r\n"
}

/// The line of the log for this answer.
fn logged(container: &Container, reply: &wire::Reply) -> Value {
    let id = reply.header("X-Request-Id").expect("an id").to_owned();
    let is_it =
        |line: &Value| line["logger"] == "berth::access" && line["request_id"] == id.as_str();
    wait_for(|| {
        let log = container.log().stderr;
        log.lines()
            .filter_map(|line| serde_json::from_str(line).ok())
            .find(is_it)
    })
}

/// The router's request is answered, and the log has the client's address, whatever the client claims.
fn asks(
    router: &Router,
    container: &Container,
    address: SocketAddr,
    claimed: &str,
) -> Result<(), Failed> {
    let id = "f0a1b2c3d4e5";
    let request = request(router, claimed, id);
    let reply = wire::ask(address, &request);
    if reply.status != 200 {
        return Err(format!("{request:?} got {reply:?}").into());
    }
    let line = logged(container, &reply);
    if line["client"] != CLIENT || line["scheme"] != "https" {
        return Err(format!("{request:?} was logged as {line}").into());
    }
    let sent = if claimed.is_empty() { "" } else { "forged" };
    match router.header(&router.request_id, CLIENT, sent, id) {
        Some(given) if line["request_id"] != given.as_str() => {
            Err(format!("the id {given} is not in {line}").into())
        }
        None if line["request_id"] == "forged" => {
            Err(format!("a client has chosen the id in {line}").into())
        }
        _ => Ok(()),
    }
}

/// A peer that is not the router, but sends the router's headers, is logged with its own address.
fn is_no_router(
    router: &Router,
    container: &Container,
    address: SocketAddr,
    untrusted: Ipv4Addr,
) -> Result<(), Failed> {
    let request = request(router, SOMEBODY_ELSE, "forged");
    let line = logged(container, &wire::ask(address, &request));
    let id = line["request_id"].as_str().unwrap_or_default();
    if line["client"] != untrusted.to_string() || line["scheme"] != "http" || id.len() != 32 {
        return Err(format!(
            "{request:?} of an untrusted client at {untrusted} was logged as {line}"
        )
        .into());
    }
    Ok(())
}

/// On the platform's signal under load, no request is lost, and the app exits within the grace period.
fn stops(contract: &Contract, container: &Container, address: SocketAddr) -> Result<(), Failed> {
    let over = Arc::new(AtomicBool::new(false));
    let clients: Vec<_> = (0..4)
        .map(|_| {
            let (over, request) = (Arc::clone(&over), request(&contract.router, "", "1"));
            // Where each request has a connection of its own, the router does not ask for another.
            let keeps = contract.router.idle_seconds > 0.0 && contract.router.version != "1.0";
            thread::spawn(move || load(address, &request, keeps, &over))
        })
        .collect();
    thread::sleep(Duration::from_millis(500));
    let stop = &contract.stop;
    for _ in 0..stop.times {
        signal(container, &stop.signal, &stop.to);
        // Meanwhile the router has not heard of it.
        thread::sleep(Duration::from_millis(750));
    }
    over.store(true, Ordering::Relaxed);
    let mut answered = 0;
    for client in clients {
        answered += client.join().expect("the load")?;
    }
    if answered < 20 {
        return Err(format!("only {answered} requests were made: that proves nothing").into());
    }
    let code = wait_at_most(Duration::from_secs_f64(stop.grace_seconds), || {
        container.exit_code()
    });
    let killed = docker(&["inspect", "--format={{.State.OOMKilled}}", &container.name]);
    match (code, killed.trim()) {
        (0, "false") => Ok(()),
        (code, killed) => Err(format!(
            "exit code {code}, out of memory: {killed}; it said {}",
            container.log().stderr
        )
        .into()),
    }
}

fn signal(container: &Container, signal: &str, to: &str) {
    if to == "all" {
        // The image has no `kill`; another one's can see its processes.
        let pid = format!("--pid=container:{}", container.name);
        let kill = format!(
            "kill -s {0} -1; kill -s {0} 1",
            signal.trim_start_matches("SIG")
        );
        docker(&[
            "run",
            "--rm",
            &pid,
            "--user=0",
            "--entrypoint=sh",
            "berth-nginx",
            "-c",
            &kill,
        ]);
    } else {
        docker(&["kill", "--signal", signal, &container.name]);
    }
}

/// Asks one request after the other until told to stop, and returns how many were answered with 200, which all must be.
fn load(address: SocketAddr, request: &str, keeps: bool, over: &AtomicBool) -> Result<u32, String> {
    let mut answered = 0;
    let mut connection = None;
    while !over.load(Ordering::Relaxed) {
        let lost = |error: std::io::Error| format!("after {answered} answers: {error}");
        let mut socket = match connection.take() {
            Some(socket) => socket,
            None => TcpStream::connect(address).map_err(lost)?,
        };
        socket.set_read_timeout(Some(wire::TIMEOUT)).map_err(lost)?;
        socket.write_all(request.as_bytes()).map_err(lost)?;
        let answer = whole(&mut socket).map_err(lost)?;
        if !answer.contains(" 200 OK\r\n") {
            return Err(format!("after {answered} answers: {answer:?}"));
        }
        answered += 1;
        let is_last = answer
            .to_ascii_lowercase()
            .contains("\r\nconnection: close\r\n");
        connection = (keeps && !is_last).then_some(socket);
        thread::sleep(Duration::from_millis(10));
    }
    Ok(answered)
}

/// An answer, whose length its head tells.
fn whole(socket: &mut TcpStream) -> std::io::Result<String> {
    let mut bytes = Vec::new();
    loop {
        let text = String::from_utf8_lossy(&bytes);
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head.to_ascii_lowercase();
            let length = length
                .lines()
                .find_map(|line| line.strip_prefix("content-length: ")?.parse().ok());
            if body.len() >= length.unwrap_or(0) {
                return Ok(text.into_owned());
            }
        }
        let mut more = [0; 4096];
        match socket.read(&mut more)? {
            0 => return Err(std::io::ErrorKind::UnexpectedEof.into()),
            length => bytes.extend_from_slice(&more[..length]),
        }
    }
}
