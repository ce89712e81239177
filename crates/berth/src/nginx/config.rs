//! nginx's generated includes: the parts of its configuration that depend on the settings or on the machine.
//!
//! nginx/ holds the rest of the configuration, and includes these files from [`FOLDER`].

use std::{
    collections::BTreeSet,
    fmt::{self, Display},
    fs, io,
    net::SocketAddr,
    path::Path,
    thread::available_parallelism,
    time::Duration,
};

use crate::{
    http::{forwarded::TrustedProxies, host::AllowedHosts, origins::CorsOrigins},
    settings::{reader::EX_CONFIG, values::Address},
};

/// Where nginx looks for the includes.
pub const FOLDER: &str = "/tmp/berth";
/// The address to listen on, within `server`. The supervisor adds [`DRAIN`] to it.
pub const LISTEN: &str = "listen.conf";
/// The line that turns the server into one that drains.
pub const DRAIN: &str = "include /etc/nginx/drain.conf;\n";

/// Clients that may wait to be accepted; the kernel's own limit (`net.core.somaxconn`) may be lower.
const BACKLOG: u32 = 4096;
/// The replicas, by their name in the container's DNS.
const REPLICAS: &str = "app:8080";
/// nginx asks the DNS again after this time: one second after the answer's lifetime of `valid=1s`.
pub const RESOLVE_INTERVAL: Duration = Duration::from_secs(2);

/// The app's own limit comes before these, so that its response says what happened.
const OF_REPLICA: [&str; 2] = ["proxy_read_timeout", "proxy_send_timeout"];
/// A request that can't be sent is sent to other replicas for so long, which is less than nginx waits for a response: one that
/// was sent, and got no response in time, may still be running.
const RETRY_TIME: Duration = Duration::from_secs(10);
/// A proxy waits so much longer for a response than the app does.
pub(crate) const RESPONSE_MARGIN: Duration = Duration::from_secs(2);

/// The values that nginx needs.
#[derive(Clone, Debug)]
pub struct Options {
    /// Where nginx listens: a TCP address.
    pub bind: Address,
    /// The app's Unix socket in the bundle; without it, nginx looks up the replicas' addresses in the DNS.
    pub app: Option<Address>,
    /// Hosts to answer for.
    pub allowed_hosts: AllowedHosts,
    /// Origins that may read every response.
    pub cors_origins: CorsOrigins,
    /// Proxies whose forwarding headers count.
    pub trusted_proxies: TrustedProxies,
    /// The header in which a trusted proxy names the client's address.
    pub client_header: String,
    /// The header in which a trusted proxy gives the request's id.
    pub request_id_header: Option<String>,
    /// The path below which the files appear; empty for `/`.
    pub static_prefix: String,
    /// How long an idle connection is kept.
    pub keep_alive: Duration,
    /// How long a client may take for a head, and for each further part of a body.
    pub client_timeout: Duration,
    /// How long a response may take to begin and for each further part of it, and a client to take it.
    pub response_timeout: Duration,
    /// How long a WebSocket may be silent.
    pub websocket_timeout: Duration,
    /// How long a replica goes on serving after SIGTERM.
    pub drain_time: Duration,
    /// Bytes that the body of a request may have.
    pub max_body: u64,
    /// Requests in flight at the same time.
    pub max_requests: usize,
    /// Answers everything but probes with 503.
    pub maintenance: bool,
}

/// Why the includes can't be written.
#[derive(Debug)]
pub enum Error {
    /// Not a TCP address with a port.
    Bind(Address),
    /// The system refused.
    Write(io::Error),
}

impl Error {
    /// The exit code for it.
    pub fn code(&self) -> u8 {
        match self {
            Self::Bind(_) => EX_CONFIG,
            Self::Write(_) => 1,
        }
    }
}

impl std::error::Error for Error {}

impl Display for Error {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bind(bind) => write!(
                out,
                "BIND={bind}: nginx listens on TCP, on a port from 1; set it to an address such as [::]:8080"
            ),
            Self::Write(error) => write!(
                out,
                "can't write to {FOLDER}: {error}; give the container a /tmp that it may write"
            ),
        }
    }
}

/// What the includes depend on beside the settings.
struct Machine {
    has_ipv6: bool,
    cpus: usize,
    resolv_conf: String,
}

impl Machine {
    fn detect() -> Self {
        Self {
            has_ipv6: has_ipv6(),
            // Knows the CPU quota of the container's cgroup.
            cpus: available_parallelism().map_or(1, Into::into),
            resolv_conf: fs::read_to_string("/etc/resolv.conf").unwrap_or_default(),
        }
    }
}

/// Whether the kernel has IPv6.
pub fn has_ipv6() -> bool {
    Path::new("/proc/net/if_inet6").exists()
}

/// Writes the includes into [`FOLDER`].
///
/// # Errors
/// If nginx can't listen on `bind`, or a file can't be written.
pub fn write(options: &Options) -> Result<(), Error> {
    let files = render(options, &Machine::detect())?;
    write_files(&files).map_err(Error::Write)
}

/// Writes `(name, text)` pairs into [`FOLDER`].
pub(crate) fn write_files(files: &[(&str, String)]) -> io::Result<()> {
    let folder = Path::new(FOLDER);
    fs::create_dir_all(folder)?;
    files
        .iter()
        .try_for_each(|(name, text)| fs::write(folder.join(name), text))
}

/// The address, if nginx or httpd can listen there: TCP, and no port 0, for which the system would choose one.
///
/// # Errors
/// If it can't.
pub fn tcp_address(bind: &Address) -> Result<SocketAddr, Error> {
    match bind {
        Address::Tcp(address) if address.port() != 0 => Ok(*address),
        _ => Err(Error::Bind(bind.clone())),
    }
}

fn render(options: &Options, machine: &Machine) -> Result<Vec<(&'static str, String)>, Error> {
    let bind = tcp_address(&options.bind)?;
    let networks = networks(&options.trusted_proxies);
    let each = |line: fn(&str) -> String| networks.iter().map(|it| line(it)).collect::<String>();
    let resolver = match options.app {
        Some(_) => String::new(),
        None => resolver(&machine.resolv_conf),
    };
    Ok(vec![
        (
            "workers.conf",
            format!("worker_processes {};\n", machine.cpus),
        ),
        (LISTEN, listen(bind, machine.has_ipv6)),
        ("allowed_hosts.conf", allowed_hosts(&options.allowed_hosts)),
        ("cors_origins.conf", cors_origins(&options.cors_origins)),
        ("cors_vary.conf", cors_vary(&options.cors_origins)),
        ("static_prefix.conf", static_prefix(&options.static_prefix)),
        ("limits.conf", limits(options)),
        (
            "websocket.conf",
            each_timeout(&OF_REPLICA, options.websocket_timeout),
        ),
        (
            "max_requests.conf",
            format!("limit_conn requests {};\n", options.max_requests),
        ),
        (
            "maintenance.conf",
            format!("default {};\n", u8::from(options.maintenance)),
        ),
        (
            "real_ip.conf",
            format!("real_ip_header {};\n", options.client_header)
                + &each(|network| format!("set_real_ip_from {network};\n")),
        ),
        ("client_header.conf", client_header(&options.client_header)),
        (
            "trusted_proxies.conf",
            each(|network| format!("{network} 1;\n")),
        ),
        (
            "request_id.conf",
            request_id(options.request_id_header.as_deref()),
        ),
        ("resolver.conf", resolver),
        ("replicas.conf", replicas(options)),
    ])
}

/// The networks in order, each once: nginx warns of one that is named twice.
pub(crate) fn networks(trusted_proxies: &TrustedProxies) -> BTreeSet<String> {
    trusted_proxies.networks().iter().map(network).collect()
}

fn network(network: &ipnet::IpNet) -> String {
    if network.prefix_len() == network.max_prefix_len() {
        network.addr().to_string()
    } else {
        network.to_string()
    }
}

/// `[::]` is IPv4 too, and IPv4 alone where the kernel has no IPv6.
fn listen(bind: SocketAddr, has_ipv6: bool) -> String {
    let line = |address: &str| format!("listen {address} backlog={BACKLOG};\n");
    let all = bind.is_ipv6() && bind.ip().is_unspecified();
    match (all, has_ipv6) {
        (false, _) => line(&bind.to_string()),
        (true, false) => line(&bind.port().to_string()),
        (true, true) => line(&bind.port().to_string()) + &line(&bind.to_string()),
    }
}

/// One pattern a host, for a map whose source is a host without port. Under `*`, an address in brackets is left to the app,
/// which knows valid ones from invalid ones.
fn allowed_hosts(hosts: &AllowedHosts) -> String {
    let line = |pattern: &str| {
        if pattern == "*" {
            return "\"~^[^[]\" 1;\n".to_owned();
        }
        let (subdomains, name) = match pattern.strip_prefix('.') {
            Some(name) => (r"(?:.*\.)?", name),
            None => ("", pattern),
        };
        format!("\"~*^{subdomains}{}$\" 1;\n", escaped(name))
    };
    hosts.patterns().map(line).collect()
}

/// For a map whose source is `Origin`: the origin that may read a response, or `*`.
fn cors_origins(origins: &CorsOrigins) -> String {
    if *origins == CorsOrigins::Any {
        return "default *;\n".to_owned();
    }
    // A pattern, as nginx ignores case otherwise.
    let line = |origin: &str| format!("\"~^{}$\" \"{origin}\";\n", escaped(origin));
    origins.listed().map(line).collect::<String>() + "default \"\";\n"
}

/// What is added to `Vary`.
fn cors_vary(origins: &CorsOrigins) -> String {
    let varies = matches!(origins, CorsOrigins::Listed(_));
    format!("default \"{}\";\n", if varies { ", Origin" } else { "" })
}

/// A host or an origin within a pattern.
fn escaped(text: &str) -> String {
    let special = |c| matches!(c, '.' | '[' | ']' | '+');
    let escape = |c| [special(c).then_some('\\'), Some(c)];
    text.chars().flat_map(escape).flatten().collect()
}

/// A pattern for a map whose source is the target as sent, and its decoded path.
fn static_prefix(prefix: &str) -> String {
    format!("\"~^{prefix}/\\S* {prefix}(?<below_prefix>/.+)$\" $below_prefix;\n")
}

/// A line for each of these directives.
fn each_timeout(names: &[&str], time: Duration) -> String {
    let line = |name: &&str| format!("{name} {}s;\n", time.as_secs());
    names.iter().map(line).collect()
}

fn limits(options: &Options) -> String {
    let of_client = [
        "client_header_timeout",
        "client_body_timeout",
        "lingering_time",
    ];
    format!("client_max_body_size {};\n", options.max_body)
        + &each_timeout(&of_client, options.client_timeout)
        + &each_timeout(&["send_timeout"], options.response_timeout)
        + &each_timeout(&OF_REPLICA, options.response_timeout + RESPONSE_MARGIN)
        + &each_timeout(
            &["proxy_next_upstream_timeout"],
            RETRY_TIME.min(options.response_timeout),
        )
        + &format!("keepalive_timeout {}ms;\n", options.keep_alive.as_millis())
}

/// The replicas get the client's address in it, whatever the peer sent. X-Forwarded-For has a line of its own.
fn client_header(name: &str) -> String {
    if name.eq_ignore_ascii_case("X-Forwarded-For") {
        return String::new();
    }
    format!("proxy_set_header {name} $remote_addr;\n")
}

fn request_id(header: Option<&str>) -> String {
    match header {
        Some(header) => {
            let variable = header.to_ascii_lowercase().replace('-', "_");
            format!("default $http_{variable};\n")
        }
        None => "default \"\";\n".to_owned(),
    }
}

/// The DNS servers of the container; without one, the machine's own (resolv.conf(5)). nginx forgets an address after a
/// second, whatever its lifetime.
fn resolver(resolv_conf: &str) -> String {
    let servers = resolv_conf.lines().filter_map(|line| {
        let mut words = line.split_ascii_whitespace();
        let server = words.next().filter(|it| *it == "nameserver");
        server.and_then(|_| words.next())
    });
    let mut list: String = servers
        .map(|server| match server.contains(':') {
            true => format!(" [{server}]"),
            false => format!(" {server}"),
        })
        .collect();
    if list.is_empty() {
        list.push_str(" 127.0.0.1");
    }
    format!("resolver{list} valid=1s;\n")
}

/// The servers of the upstream. Each request in flight has a connection, which is kept for the next one: otherwise a burst
/// would open most of them anew.
fn replicas(options: &Options) -> String {
    let servers = match &options.app {
        Some(socket) => format!("server {socket};\n"),
        // One failure takes a replica out of turn. The second line has the same replicas once more, for when all of them are
        // out of turn.
        None => {
            let fail_timeout = fail_timeout(options.drain_time).as_secs();
            format!(
                "server {REPLICAS} resolve fail_timeout={fail_timeout}s;\n\
                 server {REPLICAS} resolve backup max_fails=0;\n"
            )
        }
    };
    servers + &format!("keepalive {};\n", options.max_requests)
}

/// How long one failure takes a replica out of turn: for its drain in whole seconds, and until nginx asks the DNS again.
pub fn fail_timeout(drain_time: Duration) -> Duration {
    let drain_time = Duration::from_secs((drain_time + Duration::from_millis(999)).as_secs());
    drain_time + RESOLVE_INTERVAL
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    fn machine() -> Machine {
        Machine {
            has_ipv6: true,
            cpus: 2,
            resolv_conf:
                "search example\nnameserver 127.0.0.11\nnameserver  fd00::53\noptions ndots:0\n"
                    .to_owned(),
        }
    }

    /// Apache's tests begin with them, too.
    pub fn defaults() -> Options {
        Options {
            bind: "[::]:8080".parse().unwrap(),
            app: None,
            allowed_hosts: AllowedHosts::default(),
            cors_origins: CorsOrigins::default(),
            trusted_proxies: TrustedProxies::default(),
            client_header: "X-Forwarded-For".to_owned(),
            request_id_header: Some("X-Request-Id".to_owned()),
            static_prefix: String::new(),
            keep_alive: Duration::from_secs(100),
            client_timeout: Duration::from_secs(10),
            response_timeout: Duration::from_secs(60),
            websocket_timeout: Duration::from_secs(3600),
            drain_time: Duration::from_millis(2500),
            max_body: 10 << 20,
            max_requests: 512,
            maintenance: false,
        }
    }

    /// Each file's name and text, in one text.
    fn rendered(options: &Options, machine: &Machine) -> String {
        let files = render(options, machine).unwrap();
        files
            .iter()
            .map(|(name, text)| format!("# {name}\n{text}"))
            .collect()
    }

    #[test]
    fn defaults_are_rendered() {
        let expected = r#"# workers.conf
worker_processes 2;
# listen.conf
listen 8080 backlog=4096;
listen [::]:8080 backlog=4096;
# allowed_hosts.conf
"~*^127\.0\.0\.1$" 1;
"~*^localhost$" 1;
"~*^\[::1\]$" 1;
# cors_origins.conf
default "";
# cors_vary.conf
default "";
# static_prefix.conf
"~^/\S* (?<below_prefix>/.+)$" $below_prefix;
# limits.conf
client_max_body_size 10485760;
client_header_timeout 10s;
client_body_timeout 10s;
lingering_time 10s;
send_timeout 60s;
proxy_read_timeout 62s;
proxy_send_timeout 62s;
proxy_next_upstream_timeout 10s;
keepalive_timeout 100000ms;
# websocket.conf
proxy_read_timeout 3600s;
proxy_send_timeout 3600s;
# max_requests.conf
limit_conn requests 512;
# maintenance.conf
default 0;
# real_ip.conf
real_ip_header X-Forwarded-For;
# client_header.conf
# trusted_proxies.conf
# request_id.conf
default $http_x_request_id;
# resolver.conf
resolver 127.0.0.11 [fd00::53] valid=1s;
# replicas.conf
server app:8080 resolve fail_timeout=5s;
server app:8080 resolve backup max_fails=0;
keepalive 512;
"#;
        assert_eq!(rendered(&defaults(), &machine()), expected);
    }

    #[test]
    fn every_value_is_rendered() {
        let options = Options {
            bind: "127.0.0.1:99".parse().unwrap(),
            app: Some("unix:/tmp/berth.sock".parse().unwrap()),
            cors_origins: "https://a.example,http://[::1]:3000".parse().unwrap(),
            allowed_hosts: "*, .Example.com., a.b, [fd00::1]".parse().unwrap(),
            trusted_proxies: "10.1.0.0/16,private,10.0.0.0/8,::1/128".parse().unwrap(),
            client_header: "X-Real-IP".to_owned(),
            request_id_header: None,
            static_prefix: "/static/files".to_owned(),
            keep_alive: Duration::from_micros(1500),
            client_timeout: Duration::from_secs(7),
            response_timeout: Duration::from_secs(5),
            websocket_timeout: Duration::from_secs(9),
            drain_time: Duration::ZERO,
            max_body: 512,
            max_requests: 3,
            maintenance: true,
        };
        let machine = Machine {
            has_ipv6: false,
            ..machine()
        };
        let expected = r#"# workers.conf
worker_processes 2;
# listen.conf
listen 127.0.0.1:99 backlog=4096;
# allowed_hosts.conf
"~^[^[]" 1;
"~*^(?:.*\.)?example\.com$" 1;
"~*^a\.b$" 1;
"~*^\[fd00::1\]$" 1;
# cors_origins.conf
"~^https://a\.example$" "https://a.example";
"~^http://\[::1\]:3000$" "http://[::1]:3000";
default "";
# cors_vary.conf
default ", Origin";
# static_prefix.conf
"~^/static/files/\S* /static/files(?<below_prefix>/.+)$" $below_prefix;
# limits.conf
client_max_body_size 512;
client_header_timeout 7s;
client_body_timeout 7s;
lingering_time 7s;
send_timeout 5s;
proxy_read_timeout 7s;
proxy_send_timeout 7s;
proxy_next_upstream_timeout 5s;
keepalive_timeout 1ms;
# websocket.conf
proxy_read_timeout 9s;
proxy_send_timeout 9s;
# max_requests.conf
limit_conn requests 3;
# maintenance.conf
default 1;
# real_ip.conf
real_ip_header X-Real-IP;
set_real_ip_from 10.0.0.0/8;
set_real_ip_from 10.1.0.0/16;
set_real_ip_from 100.64.0.0/10;
set_real_ip_from 127.0.0.0/8;
set_real_ip_from 169.254.0.0/16;
set_real_ip_from 172.16.0.0/12;
set_real_ip_from 192.168.0.0/16;
set_real_ip_from ::1;
set_real_ip_from fc00::/7;
set_real_ip_from fe80::/10;
# client_header.conf
proxy_set_header X-Real-IP $remote_addr;
# trusted_proxies.conf
10.0.0.0/8 1;
10.1.0.0/16 1;
100.64.0.0/10 1;
127.0.0.0/8 1;
169.254.0.0/16 1;
172.16.0.0/12 1;
192.168.0.0/16 1;
::1 1;
fc00::/7 1;
fe80::/10 1;
# request_id.conf
default "";
# resolver.conf
# replicas.conf
server unix:/tmp/berth.sock;
keepalive 3;
"#;
        assert_eq!(rendered(&options, &machine), expected);
    }

    #[test]
    fn a_request_that_is_slow_is_not_sent_to_another_replica() {
        let seconds = |limits: &str, name: &str| -> u64 {
            let time = limits.lines().find_map(|line| line.strip_prefix(name));
            let time = time.and_then(|it| it.trim().strip_suffix("s;"));
            time.expect("the directive").parse().expect("seconds")
        };
        for response_timeout in [1, 9, 10, 60, 86_400] {
            let limits = limits(&Options {
                response_timeout: Duration::from_secs(response_timeout),
                ..defaults()
            });
            let retries = seconds(&limits, "proxy_next_upstream_timeout ");
            assert!(
                retries < seconds(&limits, "proxy_read_timeout "),
                "{limits}"
            );
        }
    }

    #[test]
    fn all_addresses_are_ipv4_alone_without_ipv6() {
        let bind = "[::]:8080".parse().unwrap();
        assert_eq!(listen(bind, false), "listen 8080 backlog=4096;\n");
    }

    #[test]
    fn a_part_of_a_second_counts_as_one() {
        for (millis, fail_timeout) in [(0, "2s"), (1, "3s"), (1000, "3s"), (1500, "4s")] {
            let options = Options {
                drain_time: Duration::from_millis(millis),
                ..defaults()
            };
            let expected = format!("fail_timeout={fail_timeout};");
            assert!(replicas(&options).contains(&expected), "{millis} ms");
        }
    }

    #[test]
    fn any_origin_needs_no_vary() {
        let any = CorsOrigins::Any;
        assert_eq!(cors_origins(&any), "default *;\n");
        assert_eq!(cors_vary(&any), "default \"\";\n");
    }

    #[test]
    fn a_socket_is_no_address_for_nginx() {
        let options = Options {
            bind: "unix:/tmp/x.sock".parse().unwrap(),
            ..defaults()
        };
        let error = render(&options, &machine()).unwrap_err();
        assert_eq!(error.code(), EX_CONFIG);
    }

    #[test]
    fn without_a_name_server_the_machine_itself_is_asked() {
        assert_eq!(
            resolver("options edns0\n"),
            "resolver 127.0.0.1 valid=1s;\n"
        );
    }
}
