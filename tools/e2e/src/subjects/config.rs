//! Configuration: accepted and refused values, the output of `app config`, and the manuals.

use std::{
    collections::{BTreeMap, BTreeSet},
    ffi::OsStr,
    fs,
    net::{Ipv4Addr, Ipv6Addr, TcpListener},
    os::unix::ffi::OsStrExt,
};

use app::settings::{Settings, VARIABLES};
use regex::Regex;

use harness::{
    Solo, root,
    solo::{Outcome, app_command, outcome},
    wire,
};

/// The report of a configuration that `serve` refuses.
///
/// The address is in use: if the app tried to listen, the exit code would differ.
fn report(variables: &[(&str, impl AsRef<OsStr>)]) -> String {
    let taken = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let mut command = app_command(&[("BIND", &taken.local_addr().unwrap().to_string())]);
    command.envs(variables.iter().map(|(name, value)| (name, value)));
    let Outcome {
        code,
        stdout,
        stderr,
    } = outcome(&mut command);
    assert_eq!(code, Some(78), "the exit code; it said:\n{stderr}");
    assert_eq!(stdout, "", "stdout is for what succeeds");
    assert!(!stderr.contains("listening on"), "{stderr}");
    stderr
}

const HEADLINE: &str =
    "app: the configuration can't be used; change these environment variables:\n";

/// Variable, value, what the report says about it.
pub const MISTAKES: &[(&str, &str, &str)] = &[
    ("BIND", "localhost", "write one such as 127.0.0.1:8080"),
    ("BIND", "localhost:80", "write one such as 127.0.0.1:8080"),
    ("BIND", "127.0.0.1", "write one such as 127.0.0.1:8080"),
    ("BIND", "::1:80", "[::]:8080 for every address"),
    ("BIND", "127.0.0.1:65536", "or unix:/path"),
    ("BIND", "unix:rel", "write unix:/path"),
    ("BIND", "unix:", "write unix:/path"),
    ("PORT", "tcp://10.0.0.1:80", "links between containers"),
    ("PORT", "0", "a number from 1 to 65535"),
    ("PORT", "99999", "a number from 1 to 65535"),
    ("PORT", "abc", "a number from 1 to 65535"),
    ("PORT", "80 ", "a number from 1 to 65535"),
    ("ALLOWED_HOSTS", "", "leave it unset"),
    ("ALLOWED_HOSTS", " , ", "leave it unset"),
    ("ALLOWED_HOSTS", "http://x", "write \"x\""),
    ("ALLOWED_HOSTS", "good.example,x:80", "write \"x\""),
    ("ALLOWED_HOSTS", "[::::]", "not an IPv6 address in brackets"),
    ("CORS_ORIGINS", "a.example", "write \"https://app.example\""),
    (
        "CORS_ORIGINS",
        "https://a.example/x",
        "write \"https://a.example\"",
    ),
    ("CORS_ORIGINS", "*,https://a.example", "write * alone"),
    ("WEB_CONCURRENCY", "0", "from 1 to 512, or to auto"),
    ("WEB_CONCURRENCY", "513", "from 1 to 512, or to auto"),
    ("WEB_CONCURRENCY", "2.5", "from 1 to 512, or to auto"),
    ("STATIC_DIR", "/nope", "No such file or directory"),
    ("STATIC_DIR", "/nope", "the folder of the site's files"),
    ("STATIC_DIR", "Cargo.toml", "Not a directory"),
    ("STATIC_PREFIX", "static", "such as /static"),
    ("STATIC_PREFIX", "/a b", "such as /static"),
    ("STATIC_PREFIX", "/../a", "such as /static"),
    ("STATIC_PREFIX", "/a//b", "such as /static"),
    ("STATIC_PREFIX", "/a//", "such as /static"),
    ("STATIC_PREFIX", "//", "such as /static"),
    ("TRUSTED_PROXIES", "nonsense", "write \"192.0.2.1\""),
    ("TRUSTED_PROXIES", "10.0.0.0/33", "\"10.0.0.0/8\""),
    ("TRUSTED_PROXIES", "public", "\"private\""),
    ("TRUSTED_PROXIES", "10.1.2.3/8", "write \"10.0.0.0/8\""),
    ("TRUSTED_PROXIES", "999.1.1.1", "write \"192.0.2.1\""),
    ("CLIENT_HEADER", "X-Real-IP:", "such as X-Real-IP"),
    (
        "REQUEST_ID_HEADER",
        "x_request_id",
        "letters, digits and hyphens",
    ),
    ("COMPRESSION", "gzip", "neither on nor off"),
    ("KEEP_ALIVE", "-1", "seconds from 0 to 86400"),
    ("KEEP_ALIVE", "NaN", "seconds from 0 to 86400"),
    ("KEEP_ALIVE", "inf", "seconds from 0 to 86400"),
    ("KEEP_ALIVE", "86401", "seconds from 0 to 86400"),
    ("KEEP_ALIVE", "99999", "seconds from 0 to 86400"),
    (
        "CLIENT_TIMEOUT",
        "0",
        "a number; set it to one from 1 to 86400",
    ),
    ("CLIENT_TIMEOUT", "2.5", "from 1 to 86400"),
    ("RESPONSE_TIMEOUT", "0", "from 1 to 86400"),
    ("RESPONSE_TIMEOUT", "2.5", "from 1 to 86400"),
    ("WEBSOCKET_TIMEOUT", "0", "from 1 to 604800"),
    ("MAX_BODY", "0", "such as 64k, 10m or 1g"),
    ("MAX_BODY", "10mb", "such as 64k, 10m or 1g"),
    ("MAX_BODY", "1000000000", "such as 64k, 10m or 1g"),
    ("MAX_BODY", "+1", "such as 64k, 10m or 1g"),
    ("MAX_REQUESTS", "65536", "from 1 to 65535"),
    ("MAX_REQUESTS", "+5", "from 1 to 65535"),
    ("MAX_CONNECTIONS", "-1", "from 1 to 1000000"),
    ("DRAIN_SECONDS", "soon", "such as 5 or 2.5"),
    ("NGINX_ADDRESS", "nginx", "write one such as nginx:8080"),
    ("NGINX_ADDRESS", "nginx:0", "write one such as nginx:8080"),
    (
        "NGINX_ADDRESS",
        "http://nginx:8080",
        "write one such as nginx:8080",
    ),
    (
        "NGINX_ADDRESS",
        "[nginx]:8080",
        "write one such as nginx:8080",
    ),
    ("SHUTDOWN_SECONDS", "5s", "such as 5 or 2.5"),
    ("LOG_FORMAT", "xml", "text or json"),
    ("LOG_FORMAT", "JSON", "text or json"),
    ("RUST_LOG", "berth=loud", "off, error, warn, info"),
    ("MAINTENANCE", "yes", "set it to one of them"),
    ("SERVED_BY", "maybe", "neither on nor off"),
    ("TZ", "Mars/Base", "such as Europe/Berlin"),
    ("TZ", "europe/berlin", "such as Europe/Berlin"),
];

fn each_mistake_is_refused_by_variable_value_and_remedy() {
    for &(name, value, remedy) in MISTAKES {
        let report = report(&[(name, value)]);
        let lines = report
            .strip_prefix(HEADLINE)
            .expect(&report)
            .trim_end()
            .lines();
        let [line] = lines.collect::<Vec<_>>()[..] else {
            panic!("not one mistake: {report}")
        };
        let said = line.strip_prefix(&format!("  {name}={value:?}: "));
        let said = said.unwrap_or_else(|| panic!("not about {name}={value:?}: {report}"));
        assert!(said.contains(remedy), "{name}={value:?}: {said}");
    }
}

fn all_mistakes_are_reported_at_once() {
    let mistakes: BTreeMap<_, _> = MISTAKES
        .iter()
        .map(|&(name, value, _)| (name, value))
        .collect();
    let mistakes: Vec<_> = mistakes.into_iter().collect();
    let report = report(&mistakes);
    for variable in VARIABLES {
        let name = variable.name;
        assert_eq!(
            report.matches(&format!("\n  {name}=\"")).count(),
            1,
            "{name} in {report}"
        );
    }
    assert_eq!(report.lines().count(), 1 + VARIABLES.len(), "{report}");
}

fn a_connection_must_not_be_closed_while_the_proxy_may_use_it() {
    let nginx = ("NGINX_ADDRESS", "nginx:8080");
    for seconds in ["0.5", "20"] {
        let report = report(&[nginx, ("KEEP_ALIVE", seconds)]);
        let mistake =
            format!("\n  KEEP_ALIVE=\"{seconds}\": too short: the nginx of NGINX_ADDRESS uses");
        assert!(report.contains(&mistake), "{report}");
    }
    for seconds in ["0", "21"] {
        let good =
            Settings::load([nginx, ("KEEP_ALIVE", seconds)].map(|(a, b)| (a.into(), b.into())));
        assert!(good.is_ok(), "KEEP_ALIVE={seconds}");
    }
}

fn invalid_utf8_is_a_mistake_in_berths_variables_alone() {
    let bytes = OsStr::from_bytes(b"8\xff");
    let report = report(&[("PORT", bytes), ("OTHER", bytes)]);
    let line = "  PORT=\"8\\xFF\": not UTF-8; set it to plain text\n";
    assert_eq!(report, format!("{HEADLINE}{line}"));

    let mut config = app_command(&[]);
    config
        .arg("config")
        .env("OTHER", bytes)
        .env(OsStr::from_bytes(b"POR\xff"), "1");
    let Outcome { code, stderr, .. } = outcome(&mut config);
    assert!(code == Some(0) && stderr.is_empty(), "{}", stderr);
}

fn a_default_that_does_not_hold_here_is_reported_as_not_set() {
    let elsewhere = tempfile::tempdir().unwrap();
    let Outcome { code, stderr, .. } = outcome(app_command(&[]).current_dir(&elsewhere));
    assert_eq!(code, Some(78));
    let said = stderr.strip_prefix(HEADLINE).expect("a report");
    assert!(
        said.starts_with("  STATIC_DIR (not set): static can't be read"),
        "{said}"
    );
}

/// The output of `app config`: for each variable its value and its source.
fn shown(variables: &[(&str, &str)]) -> BTreeMap<String, (String, String)> {
    let Outcome {
        code,
        stdout,
        stderr,
    } = outcome(app_command(variables).arg("config"));
    assert!(code == Some(0), "{variables:?}: {}", stderr);
    assert_eq!(stderr, "", "{variables:?}");
    let mut lines = stdout.lines();
    let header: Vec<_> = lines.next().unwrap().split_whitespace().collect();
    assert_eq!(header, ["variable", "value", "from"]);
    let row = |line: &str| {
        let (name, rest) = line.split_once(' ').expect("a row");
        let (value, from) = rest.rsplit_once(' ').expect("a row");
        (name.to_owned(), (value.trim().to_owned(), from.to_owned()))
    };
    lines.map(row).collect()
}

fn assert_shown(variables: &[(&str, &str)], name: &str, value: &str, from: &str) {
    assert_eq!(
        shown(variables)[name],
        (value.to_owned(), from.to_owned()),
        "{name} with {variables:?}"
    );
}

fn config_shows_the_defaults() {
    let shown = shown(&[]);
    assert_eq!(shown.len(), VARIABLES.len());
    for variable in VARIABLES {
        let (value, from) = &shown[variable.name];
        match variable.name {
            "WEB_CONCURRENCY" => assert!(value.parse::<usize>().unwrap() >= 1),
            "STATIC_DIR" => assert_eq!(*value, root().join("static").display().to_string()),
            _ => assert_eq!(value, variable.default, "{}", variable.name),
        }
        assert_eq!(from, "default", "{}", variable.name);
    }
}

/// Variable, value, how it is shown.
pub const GOOD: &[(&str, &str, &str)] = &[
    ("BIND", "127.0.0.1:0", "127.0.0.1:0"),
    ("BIND", "[::1]:81", "[::1]:81"),
    ("BIND", "unix:/tmp/berth.sock", "unix:/tmp/berth.sock"),
    ("PORT", "1", "1"),
    ("PORT", "65535", "65535"),
    ("ALLOWED_HOSTS", "*", "*"),
    (
        "ALLOWED_HOSTS",
        " .example.com , [::1]",
        ".example.com,[::1]",
    ),
    ("CORS_ORIGINS", "*", "*"),
    (
        "CORS_ORIGINS",
        "https://A.example, http://[::1]:3000",
        "https://a.example,http://[::1]:3000",
    ),
    ("WEB_CONCURRENCY", "512", "512"),
    ("STATIC_DIR", "/", "/"),
    ("STATIC_PREFIX", "/static/", "/static"),
    ("STATIC_PREFIX", "/a/b-c_9", "/a/b-c_9"),
    (
        "TRUSTED_PROXIES",
        "192.0.2.1, 2001:db8::/32",
        "192.0.2.1,2001:db8::/32",
    ),
    ("CLIENT_HEADER", "Fly-Client-IP", "Fly-Client-IP"),
    ("REQUEST_ID_HEADER", "traceparent", "traceparent"),
    ("REQUEST_ID_HEADER", "none", "none"),
    ("COMPRESSION", "off", "off"),
    ("KEEP_ALIVE", "0", "0"),
    ("CLIENT_TIMEOUT", "86400", "86400"),
    ("RESPONSE_TIMEOUT", "86400", "86400"),
    ("WEBSOCKET_TIMEOUT", "604800", "604800"),
    ("MAX_BODY", "1", "1"),
    ("MAX_BODY", "999999999G", "999999999g"),
    ("MAX_REQUESTS", "65535", "65535"),
    ("MAX_CONNECTIONS", "1", "1"),
    ("MAINTENANCE", "on", "on"),
    ("DRAIN_SECONDS", "0.1", "0.1"),
    ("DRAIN_SECONDS", ".5", "0.5"),
    ("NGINX_ADDRESS", "[::1]:8080", "[::1]:8080"),
    ("SHUTDOWN_SECONDS", "86400", "86400"),
    ("LOG_FORMAT", "json", "json"),
    ("RUST_LOG", "warn,berth=debug", "warn,berth=debug"),
    ("SERVED_BY", "on", "on"),
    ("TZ", "Europe/Berlin", "Europe/Berlin"),
    ("TZ", ":Asia/Shanghai", ":Asia/Shanghai"),
    ("TZ", "EST5EDT", "EST5EDT"),
    (
        "TZ",
        "CET-1CEST,M3.5.0,M10.5.0/3",
        "CET-1CEST,M3.5.0,M10.5.0/3",
    ),
];

fn every_variable_is_read() {
    for &(name, value, as_shown) in GOOD {
        assert_shown(&[(name, value)], name, as_shown, "environment");
    }
    let tried: BTreeSet<_> = GOOD.iter().map(|(name, ..)| *name).collect();
    assert_eq!(tried, app_variables(), "every variable is tried");
}

fn empty_is_not_set() {
    for variable in VARIABLES.iter().filter(|it| it.name != "ALLOWED_HOSTS") {
        let (_, from) = &shown(&[(variable.name, "")])[variable.name];
        assert_eq!(from, "default", "{}", variable.name);
    }
}

fn port_replaces_the_port_and_binds_every_address_unless_bind_is_set() {
    let port = ("PORT", "8123");
    assert_shown(&[port], "BIND", "[::]:8123", "PORT");
    let bind = ("BIND", "127.0.0.1:80");
    assert_shown(&[port, bind], "BIND", "127.0.0.1:8123", "PORT");
    let bind = ("BIND", "[::1]:80");
    assert_shown(&[port, bind], "BIND", "[::1]:8123", "PORT");
    // A Unix socket has no port.
    let bind = ("BIND", "unix:/tmp/berth.sock");
    assert_shown(&[port, bind], "BIND", bind.1, "environment");
}

fn every_ipv6_address_is_every_ipv4_address_too() {
    let app = Solo::start(&[("BIND", "[::]:0")]);
    let port = app.address.port();
    let status = |ip: std::net::IpAddr| wire::get((ip, port).into(), "/up", "localhost").status;
    assert_eq!(status(Ipv4Addr::LOCALHOST.into()), 200);
    if TcpListener::bind((Ipv6Addr::LOCALHOST, 0)).is_err() {
        harness::skip("this machine has no IPv6");
        return;
    }
    assert_eq!(status(Ipv6Addr::LOCALHOST.into()), 200);
}

/// Variables with their values, or values with where they came from.
type Pairs = &'static [(&'static str, &'static str)];

/// The rows of `app config` for the hosts: value, and where it came from.
fn hosts_shown(variables: &[(&str, &str)]) -> (Vec<(String, String)>, String) {
    let Outcome { stdout, stderr, .. } = outcome(app_command(variables).arg("config"));
    let rows = stdout.lines().filter_map(|line| {
        let rest = line.strip_prefix("ALLOWED_HOSTS ")?.trim();
        let (value, from) = rest.split_once(' ').expect("a value, and from where");
        Some((value.to_owned(), from.trim().to_owned()))
    });
    (rows.collect(), stderr)
}

fn what_a_platform_calls_the_service_is_allowed_and_shown_with_where_it_came_from() {
    const DEFAULT: (&str, &str) = ("127.0.0.1,localhost,[::1]", "default");
    #[rustfmt::skip] // a table
    let cases: &[(Pairs, Pairs)] = &[
        (&[("RENDER_EXTERNAL_HOSTNAME", "a.onrender.com")],
            &[DEFAULT, ("a.onrender.com", "RENDER_EXTERNAL_HOSTNAME (Render)")]),
        (&[("FLY_APP_NAME", "a")], &[DEFAULT, ("a.fly.dev", "FLY_APP_NAME (Fly.io)")]),
        (&[("RAILWAY_PUBLIC_DOMAIN", "a.up.railway.app"), ("RAILWAY_PRIVATE_DOMAIN", "a.railway.internal"), ("ALLOWED_HOSTS", "b.example")],
            &[("b.example", "environment"), ("a.up.railway.app", "RAILWAY_PUBLIC_DOMAIN (Railway)"),
                ("a.railway.internal", "RAILWAY_PRIVATE_DOMAIN (Railway)")]),
        (&[("KOYEB_PUBLIC_DOMAIN", "a.koyeb.app")], &[DEFAULT, ("a.koyeb.app", "KOYEB_PUBLIC_DOMAIN (Koyeb)")]),
        (&[("HEROKU_APP_DEFAULT_DOMAIN_NAME", "a.herokuapp.com")],
            &[DEFAULT, ("a.herokuapp.com", "HEROKU_APP_DEFAULT_DOMAIN_NAME (Heroku)")]),
        (&[("CONTAINER_APP_NAME", "a"), ("CONTAINER_APP_ENV_DNS_SUFFIX", "b.azurecontainerapps.io"), ("CONTAINER_APP_HOSTNAME", "a--1.b.azurecontainerapps.io")],
            &[DEFAULT, ("a.b.azurecontainerapps.io", "CONTAINER_APP_NAME, CONTAINER_APP_ENV_DNS_SUFFIX (Azure Container Apps)"),
                ("a--1.b.azurecontainerapps.io", "CONTAINER_APP_HOSTNAME (Azure Container Apps)")]),
        // A list, URLs, and what is known already.
        (&[("COOLIFY_FQDN", "https://a.example, b.example"), ("COOLIFY_URL", "http://a.example:80/")],
            &[DEFAULT, ("a.example", "COOLIFY_FQDN (Coolify)"), ("b.example", "COOLIFY_FQDN (Coolify)")]),
        (&[("RENDER_EXTERNAL_HOSTNAME", "A.Example"), ("ALLOWED_HOSTS", ".example")], &[(".example", "environment")]),
        // A part of what it needs, or none.
        (&[("CONTAINER_APP_NAME", "a"), ("FLY_APP_NAME", "")], &[DEFAULT]),
    ];
    for (variables, rows) in cases {
        let (shown, stderr) = hosts_shown(variables);
        assert_eq!(stderr, "", "{variables:?}");
        let shown: Vec<_> = shown
            .iter()
            .map(|(value, from)| (value.as_str(), from.as_str()))
            .collect();
        assert_eq!(shown, *rows, "{variables:?}");
    }
}

fn a_platforms_host_is_answered_for_and_no_other() {
    let app = Solo::start(&[("FLY_APP_NAME", "clock")]);
    for (host, status) in [
        ("clock.fly.dev", 200),
        ("localhost", 200),
        ("other.fly.dev", 404),
    ] {
        assert_eq!(wire::get(app.address, "/", host).status, status, "{host}");
    }
}

fn a_platforms_host_that_is_none_is_warned_of() {
    for value in ["*", ".example.com", "a b", "http://"] {
        let (shown, stderr) = hosts_shown(&[("RAILWAY_PUBLIC_DOMAIN", value)]);
        assert_eq!(shown.len(), 1, "{value}: {shown:?}");
        assert!(
            stderr.contains("by RAILWAY_PUBLIC_DOMAIN (Railway), is no host"),
            "{value}: {stderr}"
        );
        assert!(
            stderr.contains("name the public host in ALLOWED_HOSTS"),
            "{stderr}"
        );
    }
}

/// Returns the warnings of `app config` if a variable of that name is set.
fn warnings(name: &str) -> String {
    let Outcome { code, stderr, .. } = outcome(app_command(&[(name, "1")]).arg("config"));
    assert!(code == Some(0), "{name}");
    stderr
}

fn misspellings_are_warned_of() {
    let slips = [
        ("ALOWED_HOSTS", "ALLOWED_HOSTS"),
        ("ALLOWED_HOST", "ALLOWED_HOSTS"),
        ("allowed_hosts", "ALLOWED_HOSTS"),
        ("BNID", "BIND"),
        ("port", "PORT"),
        ("PORTS", "PORT"),
        ("KEEPALIVE", "KEEP_ALIVE"),
        ("KEEP-ALIVE", "KEEP_ALIVE"),
        ("TRUSTED_PROXY", "TRUSTED_PROXIES"),
        ("STATICDIR", "STATIC_DIR"),
        ("DRAIN_SECS", "DRAIN_SECONDS"),
        ("WEB_CONCURENCY", "WEB_CONCURRENCY"),
        ("RUSTLOG", "RUST_LOG"),
        ("Tz", "TZ"),
    ];
    for (name, meant) in slips {
        let warning =
            format!("app: warning: {name} is set, and means nothing here: did you mean {meant}?\n");
        assert_eq!(warnings(name), warning);
    }
    let app = Solo::start(&[("ALOWED_HOSTS", "x")]);
    app.log_line(|line| line.contains("did you mean ALLOWED_HOSTS?"));
}

fn unrelated_variables_are_ignored() {
    let neighbours = "_ APP_PORT COLUMNS CONTAINER_PORT CPU_LIMIT DATABASE_URL DEBUG DYNO EDITOR HOME HOST HOSTNAME \
                      HTTP_PROXY K_SERVICE KUBERNETES_PORT LANG LANGUAGE LC_ALL LOGNAME MAIL NO_PROXY OLDPWD PAGER PATH \
                      PGPORT PUBLISH PWD REDIS_PORT REPLICAS RUST_BACKTRACE SHELL SHLVL SSL_CERT_DIR STOP_GRACE TERM TMP \
                      TMPDIR TZDIR USER XDG_DATA_DIRS";
    for name in neighbours.split_whitespace() {
        assert_eq!(warnings(name), "", "{name}");
    }
}

fn the_command_line_is_explained() {
    for option in ["--help", "-h", "help"] {
        let Outcome { code, stdout, .. } = outcome(app_command(&[]).arg(option));
        assert!(code == Some(0), "{option}");
        for word in [
            "usage: app",
            "\n  serve ",
            "\n  healthcheck ",
            "\n  config ",
        ] {
            assert!(stdout.contains(word), "{option}: {word}");
        }
    }
    for option in ["--version", "-V"] {
        let Outcome { code, stdout, .. } = outcome(app_command(&[]).arg(option));
        assert!(code == Some(0), "{option}");
        let version = format!("app {}\n", env!("CARGO_PKG_VERSION"));
        assert_eq!(stdout, version);
    }
}

fn an_unknown_command_is_a_mistake_of_usage() {
    for arguments in [&["sevre"][..], &["--port", "80"], &["serve", "8080"], &[""]] {
        let Outcome { code, stderr, .. } = outcome(app_command(&[]).args(arguments));
        assert_eq!(code, Some(64), "{arguments:?}");
        let said = format!("app: unknown command: {}\nusage: app", arguments.join(" "));
        assert!(stderr.starts_with(&said), "{}", stderr);
    }
}

// The manuals.

fn app_variables() -> BTreeSet<&'static str> {
    VARIABLES.iter().map(|variable| variable.name).collect()
}

fn read(file: &str) -> String {
    fs::read_to_string(root().join(file)).expect(file)
}

/// docker-compose.yml without its comments.
fn compose_file() -> String {
    let comment = Regex::new(r"(?m)^ *#.*\n").unwrap();
    comment
        .replace_all(&read("docker-compose.yml"), "")
        .into_owned()
}

/// Returns the variables that docker-compose.yml reads as `${NAME:-default}`.
fn interpolated() -> BTreeMap<String, String> {
    let pattern = Regex::new(r"\$\{([A-Z_]+):-([^}]*)\}").unwrap();
    let file = compose_file();
    assert_eq!(
        pattern.find_iter(&file).count(),
        file.matches('$').count(),
        "every one has a default"
    );
    let found = pattern.captures_iter(&file);
    found
        .map(|found| (found[1].to_owned(), found[2].to_owned()))
        .collect()
}

/// The base images, which docker-compose.yml passes to the build if they are set.
fn build_arguments() -> BTreeSet<String> {
    let pattern = Regex::new(r"args: \[([A-Z_, ]+)\]").unwrap();
    let file = compose_file();
    let lists = pattern.captures_iter(&file);
    lists
        .flat_map(|list| list[1].split(", ").map(str::to_owned).collect::<Vec<_>>())
        .collect()
}

/// The environment of a service in docker-compose.yml: `NAME` for what is passed on, `NAME=value` for what is set.
fn environment_of(service: &str) -> Vec<String> {
    let pattern = format!(r"(?m)^  {service}:\n(?:    .*\n)*?    environment:\n((?:      .*\n)+)");
    let file = compose_file();
    let found = Regex::new(&pattern).unwrap().captures(&file);
    let entries = found.expect(service)[1].to_owned();
    entries
        .lines()
        .map(|line| line.trim().trim_start_matches("- ").to_owned())
        .collect()
}

/// A table's rows: the names of the first column, and the code of the second.
fn rows(table: &str) -> Vec<(Vec<String>, Vec<String>)> {
    let code = Regex::new("`([^`]*)`").unwrap();
    let codes = |cell: &str| {
        let found = code.captures_iter(cell);
        found.map(|found| found[1].to_owned()).collect()
    };
    let rows = table.lines().take_while(|line| !line.is_empty());
    let cells = rows.map(|row| row.split('|').collect::<Vec<_>>());
    let cells = cells.filter(|cells| cells[1].contains('`'));
    cells
        .map(|cells| (codes(cells[1]), codes(cells[2])))
        .collect()
}

/// The README's tables of variables: the app's, then Compose's.
fn tables() -> [Vec<(Vec<String>, Vec<String>)>; 2] {
    let readme = read("README.md");
    let tables = readme.split("| variable | default | meaning |\n").skip(1);
    let tables: Vec<_> = tables.map(rows).collect();
    tables.try_into().expect("two tables of variables")
}

fn the_readme_lists_every_variable_with_its_default() {
    let [listed, _] = tables();
    let listed: BTreeMap<_, _> = listed
        .into_iter()
        .map(|(names, default)| (names.join(" "), default.join(" ")))
        .collect();
    let expected: BTreeMap<_, _> = VARIABLES
        .iter()
        .map(|variable| (variable.name.to_owned(), variable.default.to_owned()))
        .collect();
    assert_eq!(listed, expected);
}

fn the_readme_lists_what_compose_reads_besides() {
    let [_, listed] = tables();
    let images = build_arguments();
    let listed: BTreeMap<_, _> = listed
        .into_iter()
        .flat_map(|(names, defaults)| {
            names
                .into_iter()
                .zip(defaults.into_iter().chain(["".into()]))
        })
        .filter(|(name, _)| !images.contains(name))
        .collect();
    let mut read = interpolated();
    read.retain(|name, _| !app_variables().contains(name.as_str()));
    assert_eq!(listed, read);
    assert!(
        images
            .iter()
            .all(|image| self::read("README.md").contains(&format!("`{image}`")))
    );
}

/// The variables that Compose does not pass to the app.
const NOT_HANDED: [(&str, &str); 6] = [
    ("BIND", "nginx looks for the replicas there"),
    ("PORT", "nginx looks for the replicas there"),
    (
        "CLIENT_HEADER",
        "nginx says who the client is, in X-Forwarded-For",
    ),
    ("REQUEST_ID_HEADER", "nginx gives the id, in X-Request-Id"),
    ("STATIC_DIR", "the files are baked in, for nginx too"),
    ("MAINTENANCE", "nginx answers in the app's place"),
];

fn compose_hands_the_app_every_variable_that_is_not_for_nginx_or_the_image() {
    let handed = environment_of("app");
    let handed: BTreeSet<_> = handed
        .iter()
        .map(|entry| entry.split('=').next().unwrap())
        .chain(NOT_HANDED.iter().map(|(name, _why)| *name))
        .collect();
    assert_eq!(handed, app_variables());
    assert_eq!(
        environment_of("app").len(),
        app_variables().len() - NOT_HANDED.len()
    );
}

/// nginx reads its settings by the app's own code; it would ignore a variable that the app does not know.
fn compose_hands_nginx_only_variables_of_the_app() {
    for entry in environment_of("nginx") {
        let name = entry.split('=').next().unwrap();
        assert!(app_variables().contains(name), "{entry}");
    }
}

fn env_example_lists_all_that_compose_reads_with_its_default() {
    let file = read(".env.example");
    let setting = Regex::new("^#([A-Z_]+)=(.*)$").unwrap();
    let mut listed = BTreeMap::new();
    for line in file.lines() {
        if let Some(found) = setting.captures(line) {
            let twice = listed.insert(found[1].to_owned(), found[2].to_owned());
            assert!(twice.is_none(), "twice: {line}");
        } else {
            let prose = line.is_empty() || line.starts_with("# ");
            assert!(prose, "neither a comment nor a setting: {line:?}");
        }
    }

    let mut read: BTreeMap<_, _> = interpolated();
    for name in [environment_of("app"), environment_of("nginx")].concat() {
        if let Some(variable) = VARIABLES.iter().find(|variable| variable.name == name) {
            read.insert(name, variable.default.to_owned());
        }
    }
    for image in build_arguments() {
        // Their defaults are the Dockerfile's.
        assert!(listed.remove(&image).is_some(), "{image}");
    }
    assert_eq!(listed, read);
}

harness::trials![
    each_mistake_is_refused_by_variable_value_and_remedy,
    all_mistakes_are_reported_at_once,
    a_connection_must_not_be_closed_while_the_proxy_may_use_it,
    invalid_utf8_is_a_mistake_in_berths_variables_alone,
    a_default_that_does_not_hold_here_is_reported_as_not_set,
    config_shows_the_defaults,
    every_variable_is_read,
    empty_is_not_set,
    port_replaces_the_port_and_binds_every_address_unless_bind_is_set,
    every_ipv6_address_is_every_ipv4_address_too,
    what_a_platform_calls_the_service_is_allowed_and_shown_with_where_it_came_from,
    a_platforms_host_is_answered_for_and_no_other,
    a_platforms_host_that_is_none_is_warned_of,
    misspellings_are_warned_of,
    unrelated_variables_are_ignored,
    the_command_line_is_explained,
    an_unknown_command_is_a_mistake_of_usage,
    the_readme_lists_every_variable_with_its_default,
    the_readme_lists_what_compose_reads_besides,
    compose_hands_the_app_every_variable_that_is_not_for_nginx_or_the_image,
    compose_hands_nginx_only_variables_of_the_app,
    env_example_lists_all_that_compose_reads_with_its_default,
];
