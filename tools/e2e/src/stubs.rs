//! nginx without the app, as Compose runs it, and stubs in the app's place, which a test controls.

use std::{
    fs::{self, Permissions},
    io::{BufRead, BufReader, Read, Write},
    net::{SocketAddr, TcpStream},
    os::unix::fs::PermissionsExt,
    process::{ChildStdin, Command, Stdio},
    sync::{
        Arc, Mutex,
        atomic::{AtomicU32, Ordering},
    },
    thread,
};

use tempfile::TempDir;

use crate::load;
use harness::{
    container::{self, Container},
    root,
    solo::{Running, wait_for},
    stack::docker,
    wire,
};

/// Creates a folder that any user of a container may read.
pub fn folder() -> TempDir {
    let folder = TempDir::new().unwrap();
    fs::set_permissions(folder.path(), Permissions::from_mode(0o755)).unwrap();
    folder
}

/// Starts nginx as Compose does. Returns once it answers, even with an error.
pub fn start_nginx(options: &[&str]) -> (Container, SocketAddr) {
    let as_compose = [
        "--read-only",
        "--tmpfs=/tmp",
        "--cap-drop=ALL",
        "--publish=127.0.0.1::8080",
        "--cpus=1",
    ];
    let nginx = Container::run(
        &[&as_compose, options].concat(),
        &container::nginx_image(),
        &[],
    );
    let address = nginx.address(8080);
    wait_for(|| answers(address).then_some(()));
    (nginx, address)
}

fn answers(address: SocketAddr) -> bool {
    let Ok(mut socket) = TcpStream::connect(address) else {
        return false;
    };
    let _ = socket.write_all(b"GET / HTTP/1.0\r\n\r\n");
    matches!(socket.read(&mut [0; 64]), Ok(length) if length > 0)
}

/// The output of a stub.
#[derive(Default)]
struct Said {
    requests: Vec<String>,
    /// The number of commands that it has acknowledged.
    told: usize,
}

/// A replica, see tools/fixture/src/bin/stub_replica.rs; removed on drop.
pub struct StubReplica {
    /// Its address.
    pub address: String,
    _process: Running,
    container: String,
    stdin: Mutex<ChildStdin>,
    said: Arc<Mutex<Said>>,
}

impl StubReplica {
    /// `kind` is empty, `absent` or `deaf`.
    pub fn start(kind: &str) -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let container = format!("berth-test-{}-stub-{count}", std::process::id());
        let mut command = Command::new("docker");
        command
            .args(["run", "--rm", "--interactive", "--network=bridge"])
            .args([
                "--name",
                &container,
                &load::image("stub_replica", "1"),
                kind,
            ])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped());
        let mut process = Running::start(&mut command);
        let mut lines = BufReader::new(process.0.stdout.take().expect("a pipe")).lines();
        let here = lines.next().expect("a line").expect("UTF-8");
        assert_eq!(here, "here", "what is wrong stands above");
        let said = Arc::<Mutex<Said>>::default();
        let sink = Arc::clone(&said);
        thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                let mut said = sink.lock().unwrap();
                match line.as_str() {
                    "told" => said.told += 1,
                    _ => said.requests.push(line),
                }
            }
        });
        let address = docker(&[
            "inspect",
            "--format={{.NetworkSettings.Networks.bridge.IPAddress}}",
            &container,
        ]);
        Self {
            address: address.trim().into(),
            stdin: Mutex::new(process.0.stdin.take().expect("a pipe")),
            _process: process,
            container,
            said,
        }
    }

    /// Sets the answer to the next requests. Returns once the stub has acknowledged it.
    pub fn tell(&self, act: &str) {
        let mut stdin = self.stdin.lock().unwrap();
        let before = self.said.lock().unwrap().told;
        writeln!(stdin, "{act}").expect("it listens");
        wait_for(|| (self.said.lock().unwrap().told > before).then_some(()));
    }

    /// Returns the number of its requests that begin with this text.
    pub fn had(&self, request: &str) -> usize {
        self.tell("");
        let said = self.said.lock().unwrap();
        let requests = said.requests.iter();
        requests.filter(|it| it.starts_with(request)).count()
    }
}

impl Drop for StubReplica {
    fn drop(&mut self) {
        let mut remove = Command::new("docker");
        remove.args(["rm", "--force", &self.container]);
        let _ = remove.stdout(Stdio::null()).stderr(Stdio::null()).status();
    }
}

/// nginx with stubs behind it. The stubs' DNS server lists them.
pub struct Staged {
    /// The stubs, in the order of their numbers.
    pub stubs: Vec<StubReplica>,
    /// nginx.
    pub nginx: Container,
    /// The address of its published port.
    pub address: SocketAddr,
    dns: StubReplica,
    _conf: TempDir,
}

impl Staged {
    /// Starts a stub of each of these kinds, and nginx in front of `known`, numbers of stubs. `times` replaces some
    /// directives of nginx/conf.d/upstream.conf with shorter times.
    pub fn start(kinds: &[&str], known: &[usize], times: &[(&str, &str)]) -> Self {
        Self::with(kinds, known, times, &[])
    }

    /// The same with a RESPONSE_TIMEOUT of 2 s, for stubs that never answer.
    pub fn impatient(kinds: &[&str], known: &[usize]) -> Self {
        Self::with(kinds, known, &[], &["--env=RESPONSE_TIMEOUT=2"])
    }

    fn with(kinds: &[&str], known: &[usize], times: &[(&str, &str)], options: &[&str]) -> Self {
        let stubs: Vec<_> = kinds.iter().map(|kind| StubReplica::start(kind)).collect();
        let dns = StubReplica::start("absent");
        dns.tell(&names(&stubs, &[known]));
        let mut upstream = fs::read_to_string(root().join("nginx/conf.d/upstream.conf")).unwrap();
        for (from, to) in times {
            upstream = upstream.replace(from, to);
        }
        let conf = folder();
        let file = conf.path().join("upstream.conf");
        fs::write(&file, upstream).unwrap();
        let (dns_option, volume) = (
            format!("--dns={}", dns.address),
            format!(
                "--volume={}:/etc/nginx/conf.d/upstream.conf:ro",
                file.display()
            ),
        );
        let own = ["--network=bridge", &dns_option, &volume];
        let (nginx, address) = start_nginx(&[&own, options].concat());
        wait_for(|| (wire::get(address, "/begin", "localhost").status == 200).then_some(()));
        Self {
            stubs,
            nginx,
            address,
            dns,
            _conf: conf,
        }
    }

    /// Makes the DNS server list these stubs. Several lists are returned in turn.
    pub fn know(&self, lists: &[&[usize]]) {
        self.dns.tell(&names(&self.stubs, lists));
    }

    /// Sends the same command to all stubs.
    pub fn tell(&self, act: &str) {
        self.stubs.iter().for_each(|stub| stub.tell(act));
    }

    /// Returns the number of all stubs' requests that begin with this text.
    pub fn had(&self, request: &str) -> usize {
        self.stubs.iter().map(|stub| stub.had(request)).sum()
    }

    /// Sends a request to nginx; see [`ask`].
    pub fn ask(&self, method: &str, target: &str, header: &str) -> wire::Reply {
        ask(self.address, method, target, header)
    }

    /// `GET` without a header.
    pub fn get(&self, target: &str) -> wire::Reply {
        self.ask("GET", target, "")
    }

    /// Returns nginx's standard error.
    pub fn errors(&self) -> String {
        let log = Command::new("docker")
            .args(["logs", &self.nginx.name])
            .output()
            .unwrap();
        String::from_utf8_lossy(&log.stderr).into_owned()
    }
}

/// Returns the command for the DNS server.
fn names(stubs: &[StubReplica], lists: &[&[usize]]) -> String {
    let addresses = |list: &&[usize]| {
        let list = list.iter().map(|&it| stubs[it].address.as_str());
        list.collect::<Vec<_>>().join(",")
    };
    let lists: Vec<_> = lists.iter().map(addresses).collect();
    format!("dns {}", lists.join(" "))
}

/// Sends a request, with a body unless it is a GET. `header` is a whole line or empty.
pub fn ask(address: SocketAddr, method: &str, target: &str, header: &str) -> wire::Reply {
    let body = if method == "GET" { "" } else { "body" };
    let length = body.len();
    wire::ask(
        address,
        format!(
            "{method} {target} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {length}\r\n{header}\r\n{body}"
        ),
    )
}
