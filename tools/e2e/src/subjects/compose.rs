//! docker-compose.yml as users run it: hardened containers, limits, scaling, settings that reach both services.

use std::{collections::BTreeSet, process::Command};

use app::settings::VARIABLES;
use serde_json::{Value, json};

use harness::{
    Solo, Stack,
    container::image,
    solo::wait_for,
    stack::{self, docker, run},
    wire::get,
};

/// Enough requests to reach every replica.
const ROUND: usize = 20;

/// Fails with the remedy where a stack can't be started.
fn need_images() {
    for name in ["berth-app", "berth-nginx"] {
        image(name);
    }
}

/// docker-compose.yml as Compose understands it with these variables.
fn model(variables: &[(&str, &str)]) -> Value {
    let mut command = stack::compose(&["config", "--format", "json"]);
    serde_json::from_str(&run(command.envs(variables.iter().copied()))).unwrap()
}

/// Returns the output of `docker inspect` for a container.
fn inspect(id: &str) -> Value {
    serde_json::from_str(&docker(&["inspect", "--format", "{{json .}}", id])).unwrap()
}

/// The id and the start of every container of a service; a restart changes it.
fn lives(stack: &Stack, service: &str) -> BTreeSet<(String, String)> {
    let started = |id: &String| inspect(id)["State"]["StartedAt"].to_string();
    let containers = stack.containers(service);
    containers
        .into_iter()
        .map(|id| (id.clone(), started(&id)))
        .collect()
}

/// The names of the app's replicas: their short ids.
fn replicas(stack: &Stack) -> BTreeSet<String> {
    stack
        .containers("app")
        .iter()
        .map(|id| id[..12].to_owned())
        .collect()
}

/// The replicas that answer a round of requests through the published port. No request may fail, whatever happens.
fn answering(stack: &Stack) -> BTreeSet<String> {
    let ask = |_| {
        let answer = get(stack.address, "/", "localhost");
        assert_eq!(answer.status, 200, "{answer:?}");
        let replica = answer.header("X-Served-By");
        replica.expect("SERVED_BY is on").to_owned()
    };
    (0..ROUND).map(ask).collect()
}

/// Waits until exactly these replicas answer a round of requests.
fn wait_until_answering(stack: &Stack, wanted: &BTreeSet<String>) {
    wait_for(|| (answering(stack) == *wanted).then_some(()));
    assert_eq!(&answering(stack), wanted, "who answers changes again");
}

/// Runs `docker compose up` as users do; `variables` are set for this once.
fn up(stack: &Stack, variables: &[(&str, &str)], arguments: &[&str]) {
    let start = ["up", "--detach", "--no-build", "--pull=never", "--wait"];
    stack.compose_with(variables, &[&start, arguments].concat());
}

fn the_model_is_as_promised() {
    need_images();
    let services = model(&[])["services"].clone();
    let names: Vec<&String> = services.as_object().unwrap().keys().collect();
    assert_eq!(names, ["app", "nginx"], "no other service by default");
    for (name, service) in services.as_object().unwrap() {
        for (key, value) in [
            ("read_only", json!(true)),
            ("cap_drop", json!(["ALL"])),
            ("security_opt", json!(["no-new-privileges:true"])),
            ("restart", json!("unless-stopped")),
            ("container_name", Value::Null),
            ("cap_add", Value::Null),
            ("privileged", Value::Null),
            ("volumes", Value::Null),
        ] {
            assert_eq!(service[key], value, "{key} of {name}");
        }
        let limits = &service["deploy"]["resources"]["limits"];
        for limit in ["cpus", "memory", "pids"] {
            assert_ne!(limits[limit], Value::Null, "{name} has no limit of {limit}");
        }
    }
    assert_eq!(services["app"]["deploy"]["replicas"], 2);
    assert_eq!(
        services["app"]["ports"],
        Value::Null,
        "only nginx is to be reached"
    );
    for (publish, address, port) in [
        (None, Value::Null, json!("8000")),
        (Some("80"), Value::Null, json!("80")),
        (Some("127.0.0.1:9000"), json!("127.0.0.1"), json!("9000")),
        (Some("127.0.0.1:"), json!("127.0.0.1"), Value::Null),
    ] {
        let set = publish.map(|value| ("PUBLISH", value));
        let ports = model(set.as_slice())["services"]["nginx"]["ports"].clone();
        assert_eq!(ports.as_array().unwrap().len(), 1, "{ports}");
        assert_eq!(ports[0]["target"], 8080, "PUBLISH is {publish:?}");
        assert_eq!(ports[0]["host_ip"], address, "PUBLISH is {publish:?}");
        assert_eq!(ports[0]["published"], port, "PUBLISH is {publish:?}");
    }
}

fn a_stack_is_hardened_and_scales() {
    need_images();
    let stack = Stack::start(&[]);
    every_container_is_hardened(&stack);
    the_root_is_read_only(&stack);
    a_stop_has_time_to_drain(&stack);
    a_second_up_restarts_nothing(&stack);
    scaling_needs_no_restart(&stack);
    a_killed_replica_is_not_missed(&stack);
}

fn every_container_is_hardened(stack: &Stack) {
    let all = stack.compose(&["ps", "--all", "--quiet"]);
    assert_eq!(all.lines().count(), 3, "nginx and two replicas");
    for id in all.lines() {
        let container = inspect(id);
        let service = &container["Config"]["Labels"]["com.docker.compose.service"];
        let host = &container["HostConfig"];
        for (key, value) in [
            ("ReadonlyRootfs", json!(true)),
            ("Privileged", json!(false)),
            ("CapDrop", json!(["ALL"])),
            ("CapAdd", Value::Null),
            ("SecurityOpt", json!(["no-new-privileges:true"])),
            ("NanoCpus", json!(1_000_000_000)),
            ("PidsLimit", json!(64)),
        ] {
            assert_eq!(host[key], value, "{key} of {service}");
        }
        let (memory, folders, published) = if service == "nginx" {
            (256, json!(["/tmp"]), json!(["8080/tcp"]))
        } else {
            (128, json!([]), json!([]))
        };
        let keys = |map: &Value| {
            json!(
                map.as_object()
                    .into_iter()
                    .flat_map(|it| it.keys())
                    .collect::<Vec<_>>()
            )
        };
        assert_eq!(host["Memory"], json!(memory << 20), "memory of {service}");
        assert_eq!(
            keys(&host["Tmpfs"]),
            folders,
            "writable folders of {service}"
        );
        assert_eq!(keys(&host["PortBindings"]), published, "ports of {service}");
        assert_eq!(container["Mounts"], json!([]), "mounts of {service}");
        assert_eq!(host["RestartPolicy"]["Name"], "unless-stopped", "{service}");
        let log = json!({"Type": "json-file", "Config": {"max-size": "10m", "max-file": "3"}});
        assert_eq!(host["LogConfig"], log, "log of {service}");
        assert_eq!(
            container["State"]["Health"]["Status"], "healthy",
            "{service}"
        );
    }
}

fn the_root_is_read_only(stack: &Stack) {
    let nginx = &stack.containers("nginx")[0];
    for path in ["/x", "/srv/site/x", "/etc/nginx/x", "/var/x"] {
        // As root, so that the cause is not the user's lack of rights.
        let mut touch = Command::new("docker");
        let output = touch
            .args(["exec", "--user=0", nginx, "touch", path])
            .output()
            .unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(
            said.contains("Read-only file system"),
            "touch {path}: {said}"
        );
    }
    docker(&["exec", nginx, "touch", "/tmp/x"]);
}

fn a_stop_has_time_to_drain(stack: &Stack) {
    let default = |name: &str| -> f64 {
        let variable = VARIABLES.iter().find(|variable| variable.name == name);
        variable.unwrap().default.parse().unwrap()
    };
    let needed = default("DRAIN_SECONDS") + default("SHUTDOWN_SECONDS") + 2.0;
    for service in ["app", "nginx"] {
        let container = inspect(&stack.containers(service)[0]);
        let grace = container["Config"]["StopTimeout"].as_f64().unwrap();
        assert!(
            grace > needed,
            "{service} has {grace} s to stop, a drain takes up to {needed} s"
        );
    }
}

fn a_second_up_restarts_nothing(stack: &Stack) {
    let before = (lives(stack, "nginx"), lives(stack, "app"));
    up(stack, &[], &[]);
    up(stack, &[], &[]);
    assert_eq!(
        (lives(stack, "nginx"), lives(stack, "app")),
        before,
        "restarted"
    );
}

fn scaling_needs_no_restart(stack: &Stack) {
    let nginx = lives(stack, "nginx");
    for (variables, arguments, wanted) in [
        (&[][..], &["--scale=app=5"][..], 5),
        (&[], &["--scale=app=1"], 1),
        (&[("REPLICAS", "5")], &[], 5),
        (&[], &[], 2),
    ] {
        let what = format!("{variables:?} {arguments:?}");
        up(stack, variables, arguments);
        let there = replicas(stack);
        assert_eq!(there.len(), wanted, "replicas after {what}");
        wait_until_answering(stack, &there);
        assert_eq!(
            lives(stack, "nginx"),
            nginx,
            "nginx was restarted by {what}"
        );
    }
}

fn a_killed_replica_is_not_missed(stack: &Stack) {
    let before = replicas(stack);
    let killed = before.first().unwrap();
    docker(&["kill", killed]);
    let rest = before.iter().filter(|it| *it != killed).cloned().collect();
    wait_until_answering(stack, &rest);
    // Compose starts it again, and nginx finds it.
    up(stack, &[], &[]);
    assert_eq!(replicas(stack), before);
    wait_until_answering(stack, &before);
}

fn settings_reach_every_service() {
    need_images();
    let stack = Stack::start(&[
        ("REPLICAS", "1"),
        ("APP_CPUS", "0.5"),
        ("APP_MEMORY", "64M"),
        ("APP_PIDS", "32"),
        ("NGINX_CPUS", "0.75"),
        ("NGINX_MEMORY", "96M"),
        ("NGINX_PIDS", "48"),
        ("STOP_GRACE", "17s"),
        ("STATIC_PREFIX", "/static"),
        ("ALLOWED_HOSTS", ".example.com,[::1]"),
    ]);
    limits_are_as_set(&stack);
    files_are_below_the_prefix(&stack);
    one_list_of_hosts_governs_both(&stack);
}

fn limits_are_as_set(stack: &Stack) {
    for (service, cpus, memory, pids) in [("app", 0.5, 64, 32), ("nginx", 0.75, 96, 48)] {
        let containers = stack.containers(service);
        assert_eq!(containers.len(), 1, "containers of {service}");
        let host = inspect(&containers[0])["HostConfig"].clone();
        assert_eq!(
            host["NanoCpus"].as_f64(),
            Some(cpus * 1e9),
            "CPUs of {service}"
        );
        assert_eq!(host["Memory"], json!(memory << 20), "memory of {service}");
        assert_eq!(host["PidsLimit"], json!(pids), "processes of {service}");
    }
    let app = inspect(&stack.containers("app")[0]);
    assert_eq!(app["Config"]["StopTimeout"], 17, "STOP_GRACE");
}

fn files_are_below_the_prefix(stack: &Stack) {
    let app = Solo::start(&[
        ("STATIC_PREFIX", "/static"),
        ("ALLOWED_HOSTS", ".example.com"),
    ]);
    for (mode, address) in [("nginx", stack.address), ("the app alone", app.address)] {
        for (path, status) in [
            ("/static/robots.txt", 200),
            ("/robots.txt", 404),
            ("/", 200),
        ] {
            let answer = get(address, path, "example.com");
            assert_eq!(answer.status, status, "{path} by {mode}: {answer:?}");
        }
    }
}

fn one_list_of_hosts_governs_both(stack: &Stack) {
    for (host, status) in [
        ("example.com", 200),
        ("www.example.com", 200),
        ("a.b.example.com:99", 200),
        ("EXAMPLE.com.", 200),
        ("[::1]", 200),
        ("notexample.com", 404),
        ("example.com.org", 404),
        ("localhost", 404),
        ("127.0.0.1", 404),
    ] {
        // The app's own, and nginx's.
        for path in ["/", "/static/robots.txt"] {
            let answer = get(stack.address, path, host);
            assert_eq!(answer.status, status, "{path} of {host}: {answer:?}");
        }
    }
}

fn the_replicas_trust_their_nginx_in_any_network() {
    need_images();
    let files = "docker-compose.yml:tools/e2e/fixtures/public_network.yml";
    let stack = Stack::start(&[("COMPOSE_FILE", files), ("LOG_FORMAT", "json")]);
    let reply = get(stack.address, "/", "localhost");
    let id = reply.header("x-request-id").expect("an id");
    let client = |service| {
        let line = wait_for(|| stack.log(service).into_iter().find(|it| it.contains(id)));
        let line: Value = serde_json::from_str(&line).expect("JSON");
        line["client"].clone()
    };
    assert_eq!(client("app"), client("nginx"));
}

harness::trials![
    the_replicas_trust_their_nginx_in_any_network,
    the_model_is_as_promised,
    a_stack_is_hardened_and_scales,
    settings_reach_every_service,
];
