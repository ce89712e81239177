//! The configuration: Compose and nginx accept it, and every variable of src/settings.rs is passed on and documented.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    process::Command,
};

use app::settings::VARIABLES;
use harness::{
    root,
    stack::{compose, run},
};
use regex::Regex;
use serde_json::Value;

use crate::has_docker;

/// Variables that docker-compose.yml does not pass to the app, and why.
const NOT_PASSED: &[(&str, &str)] = &[
    ("BIND", "nginx looks for the replicas on port 8080"),
    ("PORT", "nginx looks for the replicas on port 8080"),
    ("CLIENT_HEADER", "nginx names the client in X-Forwarded-For"),
    ("REQUEST_ID_HEADER", "nginx gives the id in X-Request-Id"),
    ("STATIC_DIR", "the files are in the images"),
    ("MAINTENANCE", "nginx answers instead of the app"),
];

#[test]
fn compose_accepts_its_file() {
    if has_docker("docker compose config") {
        run(&mut compose(&["config", "--quiet"]));
    }
}

#[test]
fn nginx_accepts_its_configuration() {
    if !has_docker("nginx -t") {
        return;
    }
    let model = run(&mut compose(&["config", "--format", "json"]));
    let model: Value = serde_json::from_str(&model).expect("JSON");
    let image = model["services"]["nginx"]["image"].as_str().expect("nginx");
    // With the restrictions of docker-compose.yml.
    let bare = ["--read-only", "--tmpfs=/tmp", "--cap-drop=ALL"];
    run(Command::new("docker")
        .args(["run", "--rm", "--network=none"])
        .args(bare)
        .args([image, "nginx", "-t"]));
}

#[test]
fn the_readme_lists_every_variable_with_its_default() {
    let readme = read("README.md");
    if !readme.contains("| variable | default | meaning |") {
        return; // Your own README need not have the table.
    }
    for variable in VARIABLES {
        let name = variable.name;
        let row = readme
            .lines()
            .find(|line| line.starts_with(&format!("| `{name}` |")));
        let row = row.unwrap_or_else(|| panic!("README.md has no row for {name}"));
        let default = row.split('|').nth(2).unwrap_or_default().trim();
        let wanted = match variable.default {
            "" => String::new(),
            value => format!("`{value}`"),
        };
        assert!(
            default == wanted || wanted.is_empty() && !default.contains('`'),
            "README.md: the default of {name} is {wanted}, not {default}"
        );
    }
}

#[test]
fn compose_passes_every_variable_to_the_app() {
    let passed: BTreeSet<_> = environment_of("app").into_keys().collect();
    for variable in VARIABLES {
        let name = variable.name;
        let reason = NOT_PASSED
            .iter()
            .find(|(not_passed, _)| *not_passed == name);
        assert!(
            passed.contains(name) || reason.is_some(),
            "{name} is missing below services: app: environment: in docker-compose.yml"
        );
        if let Some((_, why)) = reason {
            assert!(!passed.contains(name), "{name} is passed, although {why}");
        }
    }
}

#[test]
fn env_example_lists_every_variable_with_its_default() {
    let line = Regex::new("^#?([A-Z][A-Z0-9_]*)=(.*)$").unwrap();
    let mut listed = BTreeMap::new();
    for found in read(".env.example")
        .lines()
        .filter_map(|it| line.captures(it))
    {
        let twice = listed.insert(found[1].to_owned(), found[2].to_owned());
        assert!(twice.is_none(), ".env.example: {} stands twice", &found[1]);
    }
    let wanted = read_by_compose();
    for (name, default) in &wanted {
        let listed = listed.get(name);
        let listed = listed.unwrap_or_else(|| panic!(".env.example has no {name}"));
        if let Some(default) = default {
            assert_eq!(listed, default, ".env.example: the default of {name}");
        }
    }
    for name in listed.keys() {
        let is_read = wanted.contains_key(name);
        assert!(
            is_read,
            ".env.example has {name}, which docker-compose.yml never reads"
        );
    }
}

/// The variables that docker-compose.yml reads, each with its default, if it has one.
fn read_by_compose() -> BTreeMap<String, Option<String>> {
    let file = compose_file();
    let mut found = BTreeMap::new();
    let interpolated = Regex::new(r"\$\{?([A-Z][A-Z0-9_]*)(?::?-([^}]*)\})?").unwrap();
    for it in interpolated.captures_iter(&file) {
        let default = it.get(2).map(|default| default.as_str().to_owned());
        found.insert(it[1].to_owned(), default);
    }
    // Base images: their defaults are in the Dockerfile.
    let arguments = Regex::new(r"args: \[([A-Z_, ]+)\]").unwrap();
    for list in arguments.captures_iter(&file) {
        found.extend(list[1].split(", ").map(|name| (name.to_owned(), None)));
    }
    for (name, value) in ["app", "nginx"].into_iter().flat_map(environment_of) {
        let variable = VARIABLES.iter().find(|variable| variable.name == name);
        if value.is_none() {
            found.insert(name, variable.map(|variable| variable.default.to_owned()));
        }
    }
    found
}

/// The environment of a service in docker-compose.yml: each variable, and its value if the file sets one.
fn environment_of(service: &str) -> BTreeMap<String, Option<String>> {
    let block = format!(r"(?m)^  {service}:\n(?:    .*\n)*?    environment:\n((?:      .*\n)+)");
    let file = compose_file();
    let found = Regex::new(&block).unwrap().captures(&file);
    let entries = found.expect("the service has an environment")[1].to_owned();
    let entry = Regex::new(r"(?m)^ *(?:- )?([A-Z][A-Z0-9_]*)(?:(?:=|: ?)(.+))?:?$").unwrap();
    let entries = entry.captures_iter(&entries);
    entries
        .map(|it| {
            (
                it[1].to_owned(),
                it.get(2).map(|value| value.as_str().to_owned()),
            )
        })
        .collect()
}

/// docker-compose.yml without its comments.
fn compose_file() -> String {
    let comment = Regex::new(r"(?m)^ *#.*\n").unwrap();
    comment.replace_all(&read("docker-compose.yml"), "").into()
}

fn read(file: &str) -> String {
    fs::read_to_string(root().join(file)).expect(file)
}
