//! All servers that are measured, and how their containers run. Berth's parts run as in docker-compose.yml.

use std::{env, fs, net::SocketAddr, process::Command};

use serde_json::Value;

use crate::{
    engine::{self, Engine, SERVER_CPU, command, retry},
    http,
    part::{Outcome, ROOT},
};

/// The replicas that docker-compose.yml starts.
pub const REPLICAS: usize = 2;
/// Gunicorn as its documentation recommends: threads, which allow kept-alive connections, and 2 × processors + 1 processes.
/// <https://docs.gunicorn.org/en/stable/design.html#how-many-workers>
pub const GUNICORN: &[&str] = &[
    "gunicorn",
    "--bind=0.0.0.0:8080",
    "--worker-class=gthread",
    "--workers=3",
    "--threads=16",
    "--keep-alive=100",
    "--worker-tmp-dir=/dev/shm",
    "wsgi",
];
/// The limits of servers that are not Berth's: those of Berth's nginx.
const OTHERS: &[&str] = &["--cpus=1", "--memory=256m", "--pids-limit=64"];

/// A running server.
pub struct Running {
    pub name: String,
    pub containers: Vec<String>,
    /// The address that gets the requests.
    pub address: SocketAddr,
    pub network: Option<String>,
}

/// The options that servers are started with.
pub struct Servers<'a> {
    engine: &'a Engine,
    app: Vec<String>,
    nginx: Vec<String>,
    bundle: Vec<String>,
    /// The app's without the environment: alone on a platform, the app has none.
    solo: Vec<String>,
    /// The mounts of the site, which all servers share.
    site: Vec<String>,
}

impl<'a> Servers<'a> {
    /// Reads the options from the Compose files, and unpacks the site.
    ///
    /// # Errors
    /// If Compose fails, or the site can't be unpacked.
    pub fn new(engine: &'a Engine) -> Outcome<Self> {
        let stack = compose("docker-compose.yml")?;
        let bundle = compose("deploy/compose/bundle.yml")?;
        let site = engine.folder.path().join("srv");
        if !site.exists() {
            engine::unpack("berth-bench-tools", "/srv", &site)?;
        }
        let folders = ["site", "site.br", "site.gzip", "bare"].map(|name| {
            let from = site.join(name);
            format!("--volume={}:/srv/{name}:ro", from.display())
        });
        Ok(Self {
            engine,
            app: [options(&stack["app"]), environment(&stack["app"])].concat(),
            nginx: [options(&stack["nginx"]), environment(&stack["nginx"])].concat(),
            bundle: [options(&bundle["bundle"]), environment(&bundle["bundle"])].concat(),
            solo: options(&stack["app"]),
            site: folders.to_vec(),
        })
    }

    /// Raises Berth's memory limits, for measurements of memory.
    pub fn roomy(mut self) -> Self {
        for options in [&mut self.app, &mut self.nginx, &mut self.solo] {
            options.push("--memory=1g".into());
        }
        self
    }

    /// Starts a server by name, with or without an access log, and waits until it answers.
    ///
    /// # Errors
    /// If it does not answer.
    pub fn start(&self, name: &str, logs: bool) -> Outcome<Running> {
        let tools = "berth-bench-tools";
        let nginx = ["nginx", "-g", "daemon off;"];
        let level: &[&str] = if logs { &[] } else { &["--env=RUST_LOG=off"] };
        let json = ["--env=LOG_FORMAT=json"];
        let haproxy = ["haproxy", "-f", "/etc/server.conf"];
        let caddy = [
            "caddy",
            "run",
            "--adapter=caddyfile",
            "--config=/etc/server.conf",
        ];
        match name {
            "return" => {
                let conf = self.server("return.conf", &["access_log "], "access_log off;", logs)?;
                self.alone(
                    name,
                    tools,
                    &[&[conf.as_str()], OTHERS].concat(),
                    &with_file(&nginx),
                )
            }
            "nginx-bare" => {
                let conf = self.server("bare.conf", &["access_log "], "access_log off;", logs)?;
                let options = [&[conf.as_str()], OTHERS, &texts(&self.site)].concat();
                self.alone(name, tools, &options, &with_file(&nginx))
            }
            "minimal_actix" => self.alone(name, tools, OTHERS, &["/minimal_actix"]),
            "app" => self.alone(name, "berth-app", &self.solo(level), &[]),
            "app-json" => self.alone(name, "berth-app", &self.solo(&json), &[]),
            "gunicorn" => self.alone(name, "berth-bench-python", OTHERS, &gunicorn(logs)),
            "bundle" => {
                let quiet = self.quiet_nginx(logs)?;
                let options = [
                    &texts(&self.bundle)[..],
                    &texts(&self.site),
                    level,
                    &texts(&quiet),
                ];
                self.alone(name, "berth-bundle", &options.concat(), &[])
            }
            "stack" => self.stack(REPLICAS, level, logs),
            "stack-json" => self.stack(REPLICAS, &json, logs),
            "haproxy" => {
                let lines = ["log stdout ", "log global", "option httplog"];
                let conf = self.server("haproxy.cfg", &lines, "", logs)?;
                self.behind(name, &conf, &haproxy, level)
            }
            "haproxy-full" => {
                let lines = [
                    "log stdout ",
                    "log global",
                    "log-format ",
                    "http-request capture ",
                ];
                let conf = self.server("haproxy-full.cfg", &lines, "", logs)?;
                self.behind(name, &conf, &haproxy, level)
            }
            "caddy" => {
                let conf = self.server("Caddyfile", &["log"], "", logs)?;
                self.behind(name, &conf, &caddy, level)
            }
            "nginx-short" => {
                let conf = self.nginx_proxy(logs)?;
                self.behind(name, &conf, &with_file(&nginx), level)
            }
            "nginx-gunicorn" => {
                let conf = self.nginx_proxy(logs)?;
                let network = self.engine.network()?;
                let place = [format!("--network={network}"), "--network-alias=app".into()];
                let options = [&texts(&place)[..], &[SERVER_CPU], OTHERS].concat();
                let app = engine::run(&options, "berth-bench-python", &gunicorn(logs))?;
                let options = [&[&*place[0], SERVER_CPU, &conf], OTHERS].concat();
                let proxy = engine::run(&options, tools, &with_file(&nginx))?;
                ready(name, vec![proxy, app], Some(network))
            }
            _ => Err(format!("There is no server {name}.")),
        }
    }

    /// Starts Berth's nginx in front of some replicas with more `options`.
    ///
    /// # Errors
    /// If it does not answer.
    pub fn stack(&self, replicas: usize, options: &[&str], logs: bool) -> Outcome<Running> {
        let (network, mut containers) = self.replicas(replicas, options)?;
        let place = [
            format!("--network={network}"),
            "--network-alias=nginx".into(),
        ];
        let quiet = self.quiet_nginx(logs)?;
        let parts = [&place[..], &self.nginx, &self.site, &quiet].concat();
        let nginx = [&[SERVER_CPU], &texts(&parts)[..]].concat();
        containers.insert(0, engine::run(&nginx, "berth-nginx", &[])?);
        let json = options.iter().any(|it| it.contains("json"));
        let name = if json { "stack-json" } else { "stack" };
        ready(name, containers, Some(network))
    }

    /// Starts a replica in a network.
    ///
    /// # Errors
    /// The engine's error.
    pub fn replica(&self, network: &str, options: &[&str]) -> Outcome<String> {
        let network = format!("--network={network}");
        let place = [SERVER_CPU, &network, "--network-alias=app"];
        let shipped = [texts(&self.app), texts(&self.site)].concat();
        engine::run(&[&place, &shipped[..], options].concat(), "berth-app", &[])
    }

    fn replicas(&self, number: usize, options: &[&str]) -> Outcome<(String, Vec<String>)> {
        let network = self.engine.network()?;
        let replicas = (0..number).map(|_| self.replica(&network, options));
        let replicas = replicas.collect::<Outcome<_>>()?;
        Ok((network, replicas))
    }

    /// Returns the mount of nginx-proxy.conf.
    fn nginx_proxy(&self, logs: bool) -> Outcome<String> {
        self.server(
            "nginx-proxy.conf",
            &["access_log "],
            "access_log off;",
            logs,
        )
    }

    /// Starts another reverse proxy in front of the same replicas.
    fn behind(&self, name: &str, conf: &str, command: &[&str], level: &[&str]) -> Outcome<Running> {
        let (network, mut containers) = self.replicas(REPLICAS, level)?;
        let place = format!("--network={network}");
        let options = [&[&place, SERVER_CPU, conf], OTHERS].concat();
        containers.insert(0, engine::run(&options, "berth-bench-tools", command)?);
        ready(name, containers, Some(network))
    }

    fn alone(&self, name: &str, image: &str, options: &[&str], words: &[&str]) -> Outcome<Running> {
        let container = engine::run(&[&[SERVER_CPU], options].concat(), image, words)?;
        ready(name, vec![container], None)
    }

    fn solo<'b>(&'b self, options: &[&'b str]) -> Vec<&'b str> {
        [&texts(&self.solo)[..], &texts(&self.site), options].concat()
    }

    /// Returns the option that mounts the configuration of another server.
    fn server(&self, file: &str, lines: &[&str], instead: &str, logs: bool) -> Outcome<String> {
        let lines = if logs { &[] } else { lines };
        self.mount(
            &format!("tools/bench/servers/{file}"),
            lines,
            instead,
            "/etc/server.conf",
        )
    }

    /// Returns the option that turns the access log of Berth's nginx off.
    fn quiet_nginx(&self, logs: bool) -> Outcome<Vec<String>> {
        if logs {
            return Ok(Vec::new());
        }
        let file = "conf.d/logging.conf";
        let (from, to) = (format!("nginx/{file}"), format!("/etc/nginx/{file}"));
        let mount = self.mount(&from, &["access_log "], "access_log off;", &to)?;
        Ok(vec![mount])
    }

    /// Returns the option that mounts a file of the project. Lines with one of these beginnings are replaced.
    fn mount(&self, file: &str, lines: &[&str], instead: &str, to: &str) -> Outcome<String> {
        let text = fs::read_to_string(format!("{ROOT}/{file}"));
        let text = text.and_then(|text| {
            let text = replaced(&text, lines, instead).map_err(std::io::Error::other)?;
            let kind = if lines.is_empty() { "on" } else { "off" };
            let name = format!("{}.{kind}", file.replace('/', "-"));
            let copy = self.engine.folder.path().join(name);
            fs::write(&copy, text)?;
            Ok(format!("--volume={}:{to}:ro", copy.display()))
        });
        text.map_err(|error| format!("{file}: {error}"))
    }
}

/// Replaces the lines with one of these beginnings. Each beginning must occur.
fn replaced(text: &str, lines: &[&str], instead: &str) -> Outcome<String> {
    let begins = |line: &str, with: &&str| match with.ends_with(' ') {
        true => line.trim_start().starts_with(with),
        false => line.trim() == *with,
    };
    for wanted in lines {
        if !text.lines().any(|line| begins(line, wanted)) {
            return Err(format!(
                "it has no line {wanted:?} to replace, so its log can't be turned off"
            ));
        }
    }
    let kept = text
        .lines()
        .map(|line| match lines.iter().any(|it| begins(line, it)) {
            true => instead,
            false => line,
        });
    Ok(kept.flat_map(|line| [line, "\n"]).collect())
}

fn gunicorn(logs: bool) -> Vec<&'static str> {
    let log: &[&str] = if logs { &["--access-logfile=-"] } else { &[] };
    [GUNICORN, log].concat()
}

fn with_file<'b>(nginx: &[&'b str]) -> Vec<&'b str> {
    [nginx, &["-c", "/etc/server.conf"]].concat()
}

fn texts(options: &[String]) -> Vec<&str> {
    options.iter().map(String::as_str).collect()
}

/// Waits until the first container answers with 200.
fn ready(name: &str, containers: Vec<String>, network: Option<String>) -> Outcome<Running> {
    let address = engine::address(&containers[0])?;
    // A server with files alone has no page at `/`.
    let target = if name == "nginx-bare" { "/4k.txt" } else { "/" };
    retry(|| match http::get(address, target, &[]) {
        Ok(answer) if answer.status == 200 => Ok(()),
        Ok(answer) => Err(format!("{name} answers {}", answer.status)),
        Err(error) => Err(format!("{name} does not answer: {error}")),
    })?;
    Ok(Running {
        name: name.to_owned(),
        containers,
        address,
        network,
    })
}

/// Returns the services of a Compose file, without the user's settings.
fn compose(file: &str) -> Outcome<Value> {
    let kept = |name: &str| matches!(name, "PATH" | "HOME") || name.starts_with("DOCKER_");
    let mut config = Command::new("docker");
    config.args(["compose", "--env-file=/dev/null", "--file", file]);
    config.args(["config", "--format=json"]).env_clear();
    config.envs(env::vars().filter(|(name, _)| kept(name)));
    let config: Value =
        serde_json::from_str(&command(&mut config)?).map_err(|error| format!("{file}: {error}"))?;
    Ok(config["services"].clone())
}

/// Returns a service's limits and rights as options of `docker run`.
fn options(service: &Value) -> Vec<String> {
    let limits = &service["deploy"]["resources"]["limits"];
    let limit = |option, name: &str| match &limits[name] {
        Value::Null => None,
        value => Some(format!("--{option}={}", value.to_string().replace('"', ""))),
    };
    let list = |option, name: &str| {
        let values = service[name].as_array().cloned().unwrap_or_default();
        let values = values
            .into_iter()
            .filter_map(|it| it.as_str().map(str::to_owned));
        values.map(move |value| format!("--{option}={value}"))
    };
    let read_only = service["read_only"] == true;
    [
        limit("cpus", "cpus"),
        limit("memory", "memory"),
        limit("pids-limit", "pids"),
    ]
    .into_iter()
    .flatten()
    .chain(list("tmpfs", "tmpfs"))
    .chain(list("cap-drop", "cap_drop"))
    .chain(list("security-opt", "security_opt"))
    .chain(read_only.then(|| "--read-only".to_owned()))
    .collect()
}

/// Returns a service's environment as options of `docker run`.
fn environment(service: &Value) -> Vec<String> {
    let set = service["environment"].as_object().into_iter().flatten();
    set.filter_map(|(name, value)| Some(format!("--env={name}={}", value.as_str()?)))
        .collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_log_s_line_is_replaced_and_must_exist() {
        let text = "a;\n    access_log /dev/stdout;\nb;\n";
        let quiet = replaced(text, &["access_log "], "access_log off;").unwrap();
        assert_eq!(quiet, "a;\naccess_log off;\nb;\n");
        let error = replaced("a;\n", &["access_log "], "").unwrap_err();
        assert!(error.contains("access_log"), "{error}");
    }

    #[test]
    fn compose_limits_become_docker_options() {
        let service = json!({
            "deploy": {"resources": {"limits": {"cpus": 1.0, "memory": "134217728", "pids": 64}}},
            "tmpfs": ["/tmp:size=128m"],
            "environment": {"SERVED_BY": "on", "TZ": null},
        });
        let expected = [
            "--cpus=1.0",
            "--memory=134217728",
            "--pids-limit=64",
            "--tmpfs=/tmp:size=128m",
        ];
        assert_eq!(options(&service), expected);
        assert_eq!(environment(&service), ["--env=SERVED_BY=on"]);
    }
}
