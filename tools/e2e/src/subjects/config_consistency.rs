//! Numbers and names in several files that depend on each other.

use std::{collections::BTreeSet, fs, process::Command, time::Duration};

use crate::mutants;
use app::settings::VARIABLES;
use berth::{
    http::health_paths,
    middleware::{compression, request_validation},
    nginx::{self, error_page_files},
    process::shutdown,
    settings::relations::NGINX_IDLE_TIMEOUT,
};
use harness::root;
use regex::Regex;

/// A file of the project.
fn text(path: &str) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// Returns the last word of an nginx directive; panics unless it occurs exactly once.
fn directive<'a>(nginx: &'a str, name: &str) -> &'a str {
    let mut found = nginx.lines().filter_map(|line| {
        let rest = line.trim().strip_prefix(name)?.strip_prefix(' ')?;
        rest.strip_suffix(';')?.split(' ').next_back()
    });
    let value = found.next().unwrap_or_else(|| panic!("no {name}"));
    assert_eq!(found.next(), None, "a second {name}");
    value
}

/// A size as nginx writes it.
fn bytes(size: &str) -> usize {
    let (number, unit) = size.split_at(size.len() - 1);
    let number: usize = number.parse().expect("a number and a unit");
    match unit {
        "k" => number * 1024,
        "m" => number * 1024 * 1024,
        _ => panic!("{size}: k or m was expected"),
    }
}

/// The default of a variable that is a number.
fn default(variable: &str) -> f64 {
    let variable = VARIABLES.iter().find(|it| it.name == variable);
    variable.unwrap().default.parse().unwrap()
}

fn nginx_and_the_app_alone_have_the_same_limits() {
    let limits = text("nginx/conf.d/limits.conf");
    let line = bytes(directive(&limits, "large_client_header_buffers"));
    assert_eq!(line, request_validation::MAX_LINE, "bytes of a line");
    let headers = directive(&limits, "max_headers");
    assert_eq!(
        headers,
        request_validation::MAX_HEADERS.to_string(),
        "header lines"
    );
}

fn nginx_has_room_for_ten_thousand_idle_clients_beside_the_requests() {
    let nginx = text("nginx/nginx.conf");
    let number = |name| directive(&nginx, name).parse::<f64>().unwrap();
    let connections = number("worker_connections");
    // A request that is passed on takes two.
    assert!(connections >= 10_000.0 + 2.0 * default("MAX_REQUESTS"));
    // Each connection is a file, and each of these requests may have one.
    assert!(number("worker_rlimit_nofile") >= connections + default("MAX_REQUESTS"));
}

fn the_app_alone_has_room_for_ten_thousand_idle_clients_beside_the_requests() {
    assert!(default("MAX_CONNECTIONS") >= 10_000.0 + default("MAX_REQUESTS"));
}

/// A time of nginx/conf.d/upstream.conf, in seconds.
fn upstream_seconds(name: &str) -> f64 {
    let upstream = text("nginx/conf.d/upstream.conf");
    let time = directive(&upstream, name).strip_suffix('s');
    time.and_then(|it| it.parse().ok()).expect("seconds")
}

fn nginx_lets_an_idle_connection_go_before_the_app_does() {
    let idle = upstream_seconds("keepalive_timeout");
    assert_eq!(idle, NGINX_IDLE_TIMEOUT.as_secs_f64());
    assert!(idle < default("KEEP_ALIVE"), "nginx keeps it for {idle} s");
}

/// Seconds until nginx has asked the resolver again.
fn resolve_interval() -> f64 {
    nginx::config::RESOLVE_INTERVAL.as_secs_f64()
}

fn nginx_knows_new_replicas_before_an_old_one_stops_listening() {
    assert!(default("DRAIN_SECONDS") > resolve_interval());
}

/// For how long nginx takes a replica out of turn; it counts whole seconds, and so up to one more.
fn out_of_turn() -> f64 {
    let drain = Duration::from_secs_f64(default("DRAIN_SECONDS"));
    nginx::config::fail_timeout(drain).as_secs_f64()
}

fn a_replica_that_has_stopped_is_forgotten_before_its_turn_comes_again() {
    assert!(out_of_turn() > default("DRAIN_SECONDS") + resolve_interval());
}

fn a_replica_that_failed_is_back_before_those_that_drain_stop_listening() {
    let latest =
        default("DRAIN_SECONDS") + default("SHUTDOWN_SECONDS") - shutdown::RESERVE.as_secs_f64();
    assert!(out_of_turn() + 1.0 < latest);
}

fn a_stop_fits_into_the_shortest_grace_of_a_platform() {
    assert!(default("DRAIN_SECONDS") + default("SHUTDOWN_SECONDS") < 8.0);
}

/// The paths that a pattern of nginx's has as alternatives, without their slash.
fn paths_of(alternatives: &Regex, nginx: &str) -> BTreeSet<String> {
    let [list] = alternatives
        .captures(nginx)
        .expect("the pattern")
        .extract()
        .1;
    list.split('|').map(|path| format!("/{path}")).collect()
}

fn nginx_knows_the_health_paths() {
    let paths = health_paths::LIVE.into_iter().chain([health_paths::READY]);
    let owned: BTreeSet<_> = paths.map(str::to_owned).collect();

    let site = text("nginx/conf.d/static_files.conf");
    let alternatives = Regex::new(r#""~\^11 /\(\?:([^)]*)\)\(\?:\\\?\|\$\)" "";"#).unwrap();
    assert_eq!(paths_of(&alternatives, &site), owned, "no files");

    let logging = text("nginx/conf.d/logging.conf");
    let alternatives = Regex::new(r#"/\(\?:([^)]*)\)\[ \?\]" 1;"#).unwrap();
    assert_eq!(paths_of(&alternatives, &logging), owned, "not logged");

    // The images' health checks use the app's own code.
    let dockerfile = text("Dockerfile");
    let probes = dockerfile
        .lines()
        .filter(|line| line.starts_with("HEALTHCHECK "))
        .collect::<Vec<_>>();
    assert_eq!(probes.len(), 3, "app, nginx and bundle, apache: {probes:?}");
    for probe in probes {
        assert!(
            probe.ends_with(r#" CMD ["/app", "healthcheck"]"#),
            "{probe}"
        );
    }
}

fn base_images_are_named_in_the_dockerfile_alone() {
    let dockerfile = text("Dockerfile");
    let named = Regex::new(r"(?m)^ARG \w+_IMAGE=(\S+)$").unwrap();
    let named: Vec<&str> = named
        .captures_iter(&dockerfile)
        .map(|line| line.extract::<1>().1[0])
        // It stands for none.
        .filter(|image| *image != "scratch")
        .collect();
    assert!(named.len() >= 2, "base images: {named:?}");
    for image in named {
        let (_, version) = image.split_once(':').expect("a version");
        assert!(
            version.starts_with(|first: char| first.is_ascii_digit()),
            "{image} is not pinned"
        );
        let mut grep = Command::new("grep");
        grep.args([
            "-rlF",
            "--exclude-dir=target",
            "--exclude-dir=.git",
            image,
            ".",
        ]);
        let found = String::from_utf8(grep.output().unwrap().stdout).unwrap();
        assert_eq!(found, "./Dockerfile\n", "files that name {image}");
    }
    let from = Regex::new(r"(?m)^FROM (\S+)(?: AS (\S+))?").unwrap();
    let stages: Vec<_> = from.captures_iter(&dockerfile).collect();
    for stage in &stages {
        let image = &stage[1];
        let is_stage = stages
            .iter()
            .any(|it| it.get(2).is_some_and(|it| it.as_str() == image));
        assert!(
            image == "scratch" || image.starts_with("${") || is_stage,
            "FROM {image}: name it in an ARG"
        );
    }
}

fn every_place_names_the_same_rust() {
    let toolchain: toml::Table = text("rust-toolchain.toml").parse().unwrap();
    let channel = toolchain["toolchain"]["channel"].as_str().unwrap();
    let image = format!("ARG RUST_IMAGE=rust:{channel}-");
    assert!(
        text("Dockerfile").contains(&image),
        "the Dockerfile has no {image}…"
    );
    for file in ["Cargo.toml", "tools/Cargo.toml"] {
        let manifest: toml::Table = text(file).parse().unwrap();
        let oldest = manifest["workspace"]["package"]["rust-version"]
            .as_str()
            .unwrap();
        assert!(
            channel.starts_with(&format!("{oldest}.")),
            "rust-version is {oldest} in {file}, the toolchain {channel}"
        );
    }
}

fn nginx_and_the_app_alone_call_files_the_same() {
    let types = text("nginx/mime.types");
    let lines = types
        .lines()
        .filter_map(|line| line.trim().strip_suffix(';'));
    let mut count = 0;
    for line in lines {
        let mut words = line.split_whitespace();
        let kind = words.next().unwrap();
        for extension in words {
            count += 1;
            let app = actix_files::file_extension_to_mime(extension);
            assert_eq!(app.to_string(), kind, ".{extension}");
        }
    }
    assert!(count > 40, "{count} extensions were found");
}

fn files_and_responses_of_the_same_types_are_compressed() {
    let compress = text("tools/assets/src/compress.rs");
    let list = Regex::new(r"const COMPRESSIBLE: [^=]*= &\[([^\]]*)\]").unwrap();
    let [list] = list.captures(&compress).expect("the list").extract().1;
    let extensions = list.split(',').map(|it| it.trim().trim_matches('"'));
    for extension in extensions.filter(|it| !it.is_empty()) {
        let kind = actix_files::file_extension_to_mime(extension);
        assert!(
            compression::is_compressible(kind.as_ref()),
            ".{extension}: {kind}"
        );
    }
}

fn each_mutant_can_be_made() {
    for mutant in mutants::table() {
        assert_ne!(mutant.mutated(&root()), text(&mutant.file), "{mutant:?}");
    }
}

fn what_keeps_requests_from_being_lost_is_among_the_mutants() {
    let table = mutants::table();
    for file in ["nginx/conf.d/upstream.conf", "nginx/conf.d/reload.conf"] {
        let text = text(file);
        let directives = text.lines().map(str::trim);
        for line in directives.filter(|it| it.ends_with(';')) {
            let removed = |it: &mutants::Mutant| it.file == file && it.remove.contains(line);
            assert!(
                table.iter().any(removed),
                "{file}: no mutant is without {line}"
            );
        }
    }
}

fn nginx_has_a_page_for_each_error_of_its_own() {
    let folder = tempfile::tempdir().unwrap();
    error_page_files::write(folder.path()).unwrap();
    let statuses = Regex::new(r"error_page ((?:\d{3} )+)(?:=(\d{3}) )?/\.\./error_page;").unwrap();
    let mut count = 0;
    for file in ["nginx/conf.d/server.conf", "nginx/error_pages.conf"] {
        for line in statuses.captures_iter(&text(file)) {
            let becomes = line.get(2).unwrap_or(line.get(1).unwrap()).as_str();
            for status in becomes.split_whitespace() {
                for kind in ["html", "txt"] {
                    let file = folder.path().join(format!("error_pages/{status}.{kind}"));
                    assert!(file.is_file(), "no {}", file.display());
                    count += 1;
                }
            }
        }
    }
    assert!(count >= 12, "{count} were found in nginx/");
}

harness::trials![
    nginx_has_a_page_for_each_error_of_its_own,
    nginx_and_the_app_alone_have_the_same_limits,
    nginx_has_room_for_ten_thousand_idle_clients_beside_the_requests,
    the_app_alone_has_room_for_ten_thousand_idle_clients_beside_the_requests,
    nginx_lets_an_idle_connection_go_before_the_app_does,
    nginx_knows_new_replicas_before_an_old_one_stops_listening,
    a_replica_that_has_stopped_is_forgotten_before_its_turn_comes_again,
    a_replica_that_failed_is_back_before_those_that_drain_stop_listening,
    a_stop_fits_into_the_shortest_grace_of_a_platform,
    nginx_knows_the_health_paths,
    base_images_are_named_in_the_dockerfile_alone,
    every_place_names_the_same_rust,
    nginx_and_the_app_alone_call_files_the_same,
    files_and_responses_of_the_same_types_are_compressed,
    each_mutant_can_be_made,
    what_keeps_requests_from_being_lost_is_among_the_mutants,
];
