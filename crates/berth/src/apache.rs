//! `app apache`: writes httpd's includes, and becomes httpd. httpd is then the container's first process, and gets its
//! signals. deploy/compose/apache/httpd.conf is the rest of its configuration.
//!
//! httpd looks up a name once. A child, `app watch-replicas`, asks the DNS for the replicas every two seconds, and has httpd
//! reload when they change.

use std::{
    collections::BTreeSet,
    env,
    fmt::{self, Display},
    fs, io,
    net::{IpAddr, SocketAddr, ToSocketAddrs},
    os::unix::process::CommandExt,
    path::Path,
    process::Command,
    thread,
    time::Duration,
};

use rustix::process::{Signal, getppid, kill_process};

use crate::nginx::config::{self, FOLDER, Options, RESPONSE_MARGIN, has_ipv6};

/// The command of the binary that watches the replicas.
pub const WATCH_COMMAND: &str = "watch-replicas";

const HTTPD: &str = "/usr/local/apache2/bin/httpd";
const HTTPD_CONF: &str = "/etc/berth/httpd.conf";
/// httpd's own options that check, print or signal something, and serve nothing.
const ONE_SHOT: [&str; 9] = ["-k", "-t", "-S", "-M", "-v", "-V", "-l", "-L", "-h"];

/// The replicas, by their name in the container's DNS.
const REPLICAS: (&str, u16) = ("app", 8080);
const REPLICAS_CONF: &str = "replicas.conf";
const WATCH_INTERVAL: Duration = Duration::from_secs(2);

/// Why httpd does not run.
#[derive(Debug)]
pub enum Error {
    /// The includes can't be written.
    Config(config::Error),
    /// A process can't be started.
    Start(&'static str, io::Error),
}

impl Error {
    /// The exit code for it.
    pub fn code(&self) -> u8 {
        match self {
            Self::Config(error) => error.code(),
            Self::Start(..) => 1,
        }
    }
}

impl std::error::Error for Error {}

impl Display for Error {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Config(config::Error::Bind(bind)) => write!(
                out,
                "BIND={bind}: httpd listens on TCP, on a port from 1; set it to an address such as [::]:8080"
            ),
            Self::Config(error) => error.fmt(out),
            Self::Start(what, error) => {
                write!(
                    out,
                    "can't run {what}: {error}; is this the image berth-apache?"
                )
            }
        }
    }
}

/// Writes the includes, then replaces this process by httpd with `arguments`. Returns only if that fails. With `-t` or
/// another of httpd's options that serve nothing, the replicas are not watched.
pub fn exec(options: &Options, arguments: &[&str]) -> Error {
    match prepare(options, arguments) {
        Ok(mut httpd) => Error::Start("httpd", httpd.exec()),
        Err(error) => error,
    }
}

fn prepare(options: &Options, arguments: &[&str]) -> Result<Command, Error> {
    let mut files = render(options, has_ipv6()).map_err(Error::Config)?;
    files.push((REPLICAS_CONF, balancer_members(&resolve())));
    config::write_files(&files).map_err(|error| Error::Config(config::Error::Write(error)))?;
    let mut httpd = Command::new(HTTPD);
    httpd.args(["-f", HTTPD_CONF]);
    if !arguments.iter().any(|it| ONE_SHOT.contains(it)) {
        let start = env::current_exe().and_then(|binary| {
            let mut watch = Command::new(binary);
            watch.arg(WATCH_COMMAND).process_group(0).spawn()
        });
        start.map_err(|error| Error::Start("the watch for replicas", error))?;
        httpd.args(["-D", "FOREGROUND"]);
    }
    httpd.args(arguments);
    Ok(httpd)
}

fn render(options: &Options, has_ipv6: bool) -> Result<Vec<(&'static str, String)>, config::Error> {
    let bind = config::tcp_address(&options.bind)?;
    Ok(vec![
        ("listen.conf", listen(bind, has_ipv6)),
        ("limits.conf", limits(options)),
        ("trusted_proxies.conf", trusted_proxies(options)),
    ])
}

/// `[::]` is IPv4 too, and IPv4 alone where the kernel has no IPv6.
fn listen(bind: SocketAddr, has_ipv6: bool) -> String {
    match bind.is_ipv6() && bind.ip().is_unspecified() && !has_ipv6 {
        true => format!("Listen 0.0.0.0:{}\n", bind.port()),
        false => format!("Listen {bind}\n"),
    }
}

fn limits(options: &Options) -> String {
    let timeout = options.client_timeout.as_secs();
    let response_timeout = options.response_timeout;
    let keep_alive = options.keep_alive;
    let on_off = if keep_alive.is_zero() { "Off" } else { "On" };
    [
        format!("Define max_body {}", options.max_body),
        format!("RequestReadTimeout handshake=0 header={timeout} body={timeout},MinRate=500"),
        format!("Timeout {}", response_timeout.as_secs()),
        format!(
            "Define replica_timeout {}",
            (response_timeout + RESPONSE_MARGIN).as_secs()
        ),
        format!("KeepAlive {on_off}"),
        format!("KeepAliveTimeout {}ms\n", keep_alive.as_millis()),
    ]
    .join("\n")
}

/// Without a trusted proxy there is no `RemoteIPHeader`: httpd would believe every peer.
fn trusted_proxies(options: &Options) -> String {
    let mut lines = Vec::new();
    for network in config::networks(&options.trusted_proxies) {
        // httpd takes no network of all addresses, but both its halves.
        match network.as_str() {
            "0.0.0.0/0" => lines.extend(["0.0.0.0/1", "128.0.0.0/1"].map(trust)),
            "::/0" => lines.extend(["::/1", "8000::/1"].map(trust)),
            network => lines.push(trust(network)),
        }
    }
    if !lines.is_empty() {
        lines.insert(0, format!("RemoteIPHeader {}\n", options.client_header));
    }
    // No header is called ":".
    let id_header = options.request_id_header.as_deref().unwrap_or(":");
    lines.push(format!("Define request_id_header {id_header}\n"));
    lines.push(format!("Define client_header {}\n", options.client_header));
    lines.concat()
}

fn trust(network: &str) -> String {
    format!(
        "RemoteIPInternalProxy {network}\n\
         SetEnvIfExpr \"%{{CONN_REMOTE_ADDR}} -ipmatch '{network}'\" is_trusted\n"
    )
}

/// A line a replica, ready or not: httpd finds out which ones are ready.
fn balancer_members(replicas: &BTreeSet<IpAddr>) -> String {
    let line = |ip: &IpAddr| {
        let address = SocketAddr::new(*ip, REPLICAS.1);
        format!("BalancerMember http://{address} ${{member}}\n")
    };
    replicas.iter().map(line).collect()
}

/// The replicas' addresses; none if the DNS does not answer.
fn resolve() -> BTreeSet<IpAddr> {
    let addresses = REPLICAS.to_socket_addrs();
    addresses.map_or_else(
        |_| BTreeSet::new(),
        |found| found.map(|it| it.ip()).collect(),
    )
}

/// Reloads httpd, the parent of this process, when the replicas change. Returns when httpd has ended.
///
/// # Errors
/// If the include can't be written.
pub fn watch_replicas() -> io::Result<()> {
    let httpd = getppid();
    let path = Path::new(FOLDER).join(REPLICAS_CONF);
    let mut written = fs::read_to_string(&path)?;
    loop {
        thread::sleep(WATCH_INTERVAL);
        let Some(httpd) = httpd.filter(|_| getppid() == httpd) else {
            return Ok(());
        };
        let members = balancer_members(&resolve());
        // Without an answer of the DNS, the known replicas may still be there.
        if !members.is_empty() && members != written {
            // httpd may be reading it.
            let new = path.with_extension("new");
            fs::write(&new, &members)?;
            fs::rename(new, &path)?;
            written = members;
            // A graceful reload.
            let _ = kill_process(httpd, Signal::USR1);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nginx::config::tests::defaults;

    fn rendered(options: &Options, has_ipv6: bool) -> String {
        let files = render(options, has_ipv6).unwrap();
        files
            .iter()
            .map(|(name, text)| format!("# {name}\n{text}"))
            .collect()
    }

    #[test]
    fn defaults_are_rendered() {
        let expected = "\
# listen.conf
Listen [::]:8080
# limits.conf
Define max_body 10485760
RequestReadTimeout handshake=0 header=10 body=10,MinRate=500
Timeout 60
Define replica_timeout 62
KeepAlive On
KeepAliveTimeout 100000ms
# trusted_proxies.conf
Define request_id_header X-Request-Id
Define client_header X-Forwarded-For
";
        assert_eq!(rendered(&defaults(), true), expected);
    }

    #[test]
    fn every_value_is_rendered() {
        let options = Options {
            trusted_proxies: "::/0,0.0.0.0/0,192.0.2.1".parse().unwrap(),
            client_header: "X-Real-IP".to_owned(),
            request_id_header: None,
            keep_alive: Duration::ZERO,
            client_timeout: Duration::from_secs(7),
            response_timeout: Duration::from_secs(5),
            websocket_timeout: Duration::from_secs(9),
            max_body: 512,
            ..defaults()
        };
        let expected = "\
# listen.conf
Listen 0.0.0.0:8080
# limits.conf
Define max_body 512
RequestReadTimeout handshake=0 header=7 body=7,MinRate=500
Timeout 5
Define replica_timeout 7
KeepAlive Off
KeepAliveTimeout 0ms
# trusted_proxies.conf
RemoteIPHeader X-Real-IP
RemoteIPInternalProxy 0.0.0.0/1
SetEnvIfExpr \"%{CONN_REMOTE_ADDR} -ipmatch '0.0.0.0/1'\" is_trusted
RemoteIPInternalProxy 128.0.0.0/1
SetEnvIfExpr \"%{CONN_REMOTE_ADDR} -ipmatch '128.0.0.0/1'\" is_trusted
RemoteIPInternalProxy 192.0.2.1
SetEnvIfExpr \"%{CONN_REMOTE_ADDR} -ipmatch '192.0.2.1'\" is_trusted
RemoteIPInternalProxy ::/1
SetEnvIfExpr \"%{CONN_REMOTE_ADDR} -ipmatch '::/1'\" is_trusted
RemoteIPInternalProxy 8000::/1
SetEnvIfExpr \"%{CONN_REMOTE_ADDR} -ipmatch '8000::/1'\" is_trusted
Define request_id_header :
Define client_header X-Real-IP
";
        assert_eq!(rendered(&options, false), expected);
    }

    #[test]
    fn a_replica_is_a_line() {
        let replicas = ["fd00::2", "192.0.2.7"].map(|it| it.parse().unwrap());
        assert_eq!(
            balancer_members(&replicas.into()),
            "BalancerMember http://192.0.2.7:8080 ${member}\n\
             BalancerMember http://[fd00::2]:8080 ${member}\n"
        );
    }
}
