//! The platforms' files: each is checked for allowed keys, against the others, and against its contract.

use std::{collections::BTreeSet, env, fs, path::PathBuf, process::Command};

use app::settings::{Settings, VARIABLES};
use berth::http::host::Authority;
use serde_json::{Value, json};

use crate::programs::built;
use harness::root;
use platform_check::{
    contract::{Contract, Fact, platforms},
    document::{self, Document, Place},
    image, rules,
};

/// A platform's name, contract and files.
type Platform = (String, Contract, Vec<Document>);

fn all() -> Vec<Platform> {
    let deploy = root().join("deploy");
    let read = |name: String| {
        let contract =
            Contract::read(&deploy.join(&name)).unwrap_or_else(|error| panic!("{error}"));
        let documents = contract.documents(&deploy.join(&name));
        (
            name,
            contract,
            documents.unwrap_or_else(|error| panic!("{error}")),
        )
    };
    platforms(&deploy).into_iter().map(read).collect()
}

fn text(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

fn no_file_has_a_mistake_that_fails_a_first_deploy() {
    let found: Vec<_> = all()
        .iter()
        .flat_map(|(name, contract, documents)| {
            let findings = rules::findings(contract, documents);
            findings
                .into_iter()
                .map(move |it| format!("{name}: {it:?}"))
        })
        .collect();
    assert!(found.is_empty(), "{}", found.join("\n"));
}

/// The folder of the official schemas, which are not part of this project. May be missing.
fn schemas() -> PathBuf {
    let named = env::var_os("PLATFORM_SCHEMAS").map(PathBuf::from);
    named.unwrap_or_else(|| root().join("../shared/reference/schemas"))
}

/// A service and an operation of Amazon's, whose own library knows what may be asked of it.
const BOTOCORE: &str = "
import json, sys, botocore.session, botocore.validate
service, operation, file = sys.argv[1:]
model = botocore.session.get_session().get_service_model(service).operation_model(operation)
report = botocore.validate.ParamValidator().validate(json.load(open(file)), model.input_shape)
sys.exit(report.generate_report() or 0)
";

/// Returns the validator of a schema; none if the schema is missing.
fn validator(schema: &str, file: &str) -> Option<Command> {
    let tools = root().join("target/tools");
    let (program, arguments) = match schema.strip_prefix("botocore:") {
        Some(operation) => {
            let (service, operation) = operation.split_once('.').expect("service.Operation");
            (
                "python",
                ["-c", BOTOCORE, service, operation, file]
                    .map(str::to_owned)
                    .to_vec(),
            )
        }
        None => {
            let schema = schemas().join(schema);
            schema.is_file().then_some(())?;
            let schema = schema.display().to_string();
            (
                "check-jsonschema",
                vec!["--schemafile".to_owned(), schema, file.to_owned()],
            )
        }
    };
    let program = tools.join("python/bin").join(program);
    program.is_file().then(|| {
        let mut command = Command::new(program);
        command
            .args(arguments)
            .env("PYTHONPATH", tools.join("botocore"));
        command
    })
}

fn files_pass_the_official_schemas() {
    let folder = tempfile::tempdir().unwrap();
    let passes = |schema: &str, part: &Value| {
        let file = folder.path().join("part.json");
        fs::write(&file, part.to_string()).unwrap();
        let told = validator(schema, file.to_str().unwrap())?
            .output()
            .expect("the validator runs");
        Some((
            told.status.success(),
            String::from_utf8_lossy(&[told.stdout, told.stderr].concat()).into_owned(),
        ))
    };
    for (name, contract, documents) in all() {
        for (file, document) in contract.file.iter().zip(&documents) {
            let Some(schema) = &file.schema else { continue };
            let part = match &file.schema_at {
                Some(place) => document.find(place)[0].1,
                None => &document.content,
            };
            let Some((good, said)) = passes(schema, part) else {
                harness::skip(format!(
                    "{name}/{} was not held to the schema {schema}: that is not in {}, or `tools/lint.sh tools` was not run",
                    file.name,
                    schemas().display()
                ));
                continue;
            };
            assert!(good, "{name}/{}: {said}", file.name);
            // The check fails for a wrong file.
            assert!(
                !passes(schema, &json!([])).unwrap().0,
                "{schema} takes anything"
            );
        }
    }
}

/// Returns a wrong value of the same type.
fn wrong(fact: Fact, value: &Value) -> Option<Value> {
    Some(match (fact, value) {
        (Fact::Port, Value::String(_)) => json!("8081"),
        (Fact::Port, _) => json!(8081),
        (Fact::Probe, _) => json!("/healthz"),
        (Fact::Grace, Value::String(text)) => {
            json!(text.replace(|it: char| it.is_ascii_digit(), "1"))
        }
        (Fact::Grace, _) => json!(1),
        (Fact::Signal, _) => json!("SIGKILL"),
        (Fact::Image, _) => json!("registry.example.com/berth:latest"),
        (Fact::Memory, Value::String(text)) => {
            json!(text.replacen(|it: char| it.is_ascii_digit(), "7", 1))
        }
        (Fact::Memory, _) => json!(7),
        (Fact::Tag, _) => json!("latest"),
        (Fact::Variables, _) => return None,
    })
}

/// Returns the findings with another value at that place.
fn findings_after(
    (_, contract, documents): &Platform,
    file: usize,
    place: &Place,
    other: Value,
) -> Vec<rules::Finding> {
    let mut documents = documents.clone();
    *documents[file].at(place) = other;
    rules::findings(contract, &documents)
}

fn a_wrong_port_path_grace_signal_or_image_is_noticed_where_it_stands() {
    let mut facts = BTreeSet::new();
    for platform in &all() {
        let (name, contract, documents) = platform;
        for (number, file) in contract.file.iter().enumerate() {
            for (fact, patterns) in &file.says {
                let places = patterns
                    .iter()
                    .flat_map(|pattern| documents[number].find(pattern));
                for (place, value) in places {
                    let Some(other) = wrong(*fact, value) else {
                        continue;
                    };
                    let found = findings_after(platform, number, &place, other.clone());
                    let named = found
                        .iter()
                        .any(|it| it.place == format!("{}: {place}", file.name));
                    assert!(
                        named,
                        "{name}: {place} = {other} was not noticed: {found:?}"
                    );
                    assert!(found.iter().all(|it| !it.remedy.is_empty()), "{found:?}");
                    facts.insert(*fact);
                }
            }
        }
    }
    assert!(facts.len() >= 6, "only these were tried: {facts:?}");
}

fn a_misspelt_key_is_noticed_and_the_right_one_named() {
    for platform in &all() {
        let (name, contract, documents) = platform;
        for number in 0..documents.len() {
            let mut documents = documents.clone();
            let top = documents[number].content.as_object_mut().expect("a map");
            let key = top.keys().next().expect("not empty").clone();
            let value = top.remove(&key).unwrap();
            top.insert(format!("{key}z"), value);
            let found = rules::findings(contract, &documents);
            let noticed = found.iter().any(|it| {
                it.fault == "this key is unknown" && it.remedy.contains(&format!("mean {key}"))
            });
            assert!(
                noticed,
                "{name}: {key}z in {}: {found:?}",
                documents[number].name
            );
        }
    }
}

fn each_variable_that_a_file_sets_is_needed() {
    // What is left out is noticed; a value without which the app runs just as well has no place in the file.
    for platform in &all() {
        let (name, contract, documents) = platform;
        for (number, file) in contract.file.iter().enumerate() {
            for pattern in file.says.get(&Fact::Variables).into_iter().flatten() {
                for (place, value) in documents[number].find(pattern) {
                    for variable in document::variables(value).into_keys() {
                        let mut value = value.clone();
                        remove(&mut value, &variable);
                        let found = findings_after(platform, number, &place, value);
                        // Berth's own; but the image has the same port by itself.
                        let is_needed =
                            variable != "PORT" && VARIABLES.iter().any(|it| it.name == variable);
                        assert!(
                            !found.is_empty() || !is_needed,
                            "{name}: without {variable} {} is found as good",
                            file.name
                        );
                    }
                }
            }
        }
    }
}

fn each_variable_that_would_have_a_deploy_fail_is_noticed_with_what_to_do() {
    let (_, contract, documents) = all().into_iter().find(|(name, ..)| name == "fly").unwrap();
    #[rustfmt::skip] // a table
    let cases = [
        ("BIND", "127.0.0.1:8080", "which no router can reach", "Remove BIND"),
        ("BIND", "unix:/tmp/socket", "ignores PORT", "Remove BIND"),
        ("PORT", "9000", "listen on port 9000, but Fly.io uses 8080", "Set PORT to 8080"),
        ("PORT", "http", "PORT=\"http\": not a port", "Correct"),
        ("KEEP_ALIVE", "60", "but the app for 60 s", "Set KEEP_ALIVE to more than 60"),
        ("DRAIN_SECONDS", "60", "67 s to stop, but is killed after 30 s", "Lower DRAIN_SECONDS"),
        ("TRUSTED_PROXIES", "203.0.113.1", "is not trusted", "Set TRUSTED_PROXIES to private"),
        ("CLIENT_HEADER", "X-Forwarded-For", "no client address on this platform", "Fly-Client-IP"),
        ("REQUEST_ID_HEADER", "X-Request-Id", "a client could choose them", "REQUEST_ID_HEADER to none"),
        ("LOG_FORMAT", "text", "the log is text", "Set LOG_FORMAT to json"),
        ("LOG_FORMATT", "json", "did you mean LOG_FORMAT?", "Correct"),
        ("FLY_APP_NAME", "another", "berth-example.fly.dev is not allowed", "Set ALLOWED_HOSTS to berth-example.fly.dev"),
    ];
    for (variable, value, fault, remedy) in cases {
        let mut documents = documents.clone();
        documents[0].content["env"][variable] = json!(value);
        let found = rules::findings(&contract, &documents);
        let [it] = &found[..] else {
            panic!("{variable}={value}: {found:?}")
        };
        assert_eq!(it.place, "fly.toml: the variables");
        assert!(it.fault.contains(fault), "{variable}={value}: {it:?}");
        assert!(it.remedy.contains(remedy), "{variable}={value}: {it:?}");
    }
}

/// Removes a variable, in each way to write it.
fn remove(variables: &mut Value, name: &str) {
    let is_named = |entry: &Value| match entry {
        Value::String(pair) => pair.split('=').next() == Some(name),
        entry => entry
            .get("name")
            .or(entry.get("key"))
            .is_some_and(|it| it == name),
    };
    match variables {
        Value::Array(list) => list.retain(|entry| !is_named(entry)),
        Value::Object(map) if map.contains_key("value") => map.clear(),
        Value::Object(map) => drop(map.remove(name)),
        _ => {}
    }
}

fn a_platforms_own_variables_tell_its_name_for_the_app() {
    let dir = root().join("static").display().to_string();
    for (name, contract, _) in all() {
        let own = contract.container.variables.clone().into_iter();
        let own = own.chain([("STATIC_DIR".to_owned(), dir.clone())]);
        let (config, warnings) =
            Settings::load(own.map(|(name, value)| (name.into(), value.into()))).unwrap();
        assert_eq!(warnings, [], "{name}");
        if contract.host.is_empty() {
            continue;
        }
        let host = Authority::parse(&contract.host).unwrap();
        assert!(
            config.allowed_hosts.allows(&host),
            "{name}: {} by {:?}",
            contract.host,
            contract.container.variables
        );
    }
}

/// Each value of what a platform does: its section, its key, and the source behind it.
fn sourced(contract: &str) -> Vec<(&str, &str, &str)> {
    let mut section = "container";
    let (_, values) = contract.split_once("\n[container]\n").expect("[container]");
    let mut found = Vec::new();
    for line in values.lines().filter(|line| !line.starts_with('#')) {
        if let Some(name) = line.strip_prefix('[') {
            section = name.trim_end_matches(']');
        } else if let Some((key, value)) = line.split_once(" = ") {
            let source = value
                .split_once(" # ")
                .map_or("", |(_, source)| source.trim());
            found.push((section, key, source));
        }
    }
    found
}

/// A platform's row of deploy/README.md.
fn row(name: &str) -> String {
    let table = text("deploy/README.md");
    let link = format!("]({name}/README.md)");
    let row = table.lines().find(|line| line.contains(&link));
    row.unwrap_or_else(|| panic!("{name} has no row in deploy/README.md"))
        .to_owned()
}

fn every_value_of_a_contract_has_its_source_behind_it() {
    for (name, ..) in all() {
        let contract = text(&format!("deploy/{name}/contract.toml"));
        for (section, key, source) in sourced(&contract) {
            assert!(
                source.len() >= 8,
                "{name}: no source behind {key} of [{section}]"
            );
        }
    }
}

fn contracts_do_not_get_into_each_others_way() {
    let mut taken = BTreeSet::new();
    for (name, contract, _) in all() {
        let address: std::net::Ipv4Addr = contract.router.address.parse().expect(&name);
        assert!(
            taken.insert(address.to_bits() & !7),
            "{name}: another contract's router is next to {address}"
        );
        // Docker assigns these itself.
        let [a, b, ..] = address.octets();
        assert!(
            !(a == 172 && (16..32).contains(&b) || a == 192),
            "{name}: {address}"
        );
        assert_eq!(contract.container.architecture, "amd64", "{name}");
        assert!(
            ["first", "all"].contains(&contract.stop.to.as_str()),
            "{name}"
        );
    }
}

fn each_platform_has_a_page_and_a_row_in_the_table() {
    for (name, contract, documents) in all() {
        let page = text(&format!("deploy/{name}/README.md"));
        assert!(page.lines().count() <= 60, "{name}: more than a page");
        for part in [&format!("make check PLATFORM={name}"), "make push IMAGE="] {
            assert!(page.contains(part), "{name}: no {part} in its README");
        }
        let row = row(&name);
        assert!(row.contains(&contract.name), "{row}");
        for document in documents {
            assert!(
                row.contains(&format!("]({name}/{})", document.name)),
                "{} in {row}",
                document.name
            );
        }
    }
}

fn the_table_says_which_values_are_not_documented() {
    for (name, ..) in all() {
        let contract = text(&format!("deploy/{name}/contract.toml"));
        let mut guesses: Vec<(&str, Vec<&str>)> = Vec::new();
        for (section, key, source) in sourced(&contract) {
            if !source.contains("not documented") && !source.contains("general knowledge") {
                continue;
            }
            match guesses.iter_mut().find(|(known, _)| *known == section) {
                Some((_, keys)) => keys.push(key),
                None => guesses.push((section, vec![key])),
            }
        }
        let sections = guesses
            .iter()
            .map(|(section, keys)| format!("{section}: {}", keys.join(", ")));
        let guesses = sections.collect::<Vec<_>>().join("; ");
        let row = row(&name);
        assert!(
            row.ends_with(&format!("| {guesses} |")),
            "{name}: {guesses} in {row}"
        );
    }
}

fn no_image_exposes_a_port() {
    // Dokku would publish it.
    assert!(
        !text("Dockerfile")
            .lines()
            .any(|line| line.starts_with("EXPOSE"))
    );
}

fn herokus_app_json_is_not_dokkus() {
    let [heroku, dokku] = ["heroku", "dokku"].map(|name| text(&format!("deploy/{name}/app.json")));
    assert!(
        !heroku.contains("healthchecks"),
        "Heroku's schema has no such key"
    );
    assert!(
        dokku.contains("healthchecks"),
        "Dokku asks for health by it"
    );
}

/// Returns the output of `make check` and its exit code.
fn check(arguments: &[&str], image: &str) -> (Option<i32>, String) {
    let told = Command::new(built("platform-check"))
        .args(arguments)
        .current_dir(root())
        .env("IMAGE", image)
        .output()
        .expect("cargo runs");
    let said = String::from_utf8([told.stdout, told.stderr].concat()).expect("UTF-8");
    (told.status.code(), said)
}

fn an_app_with_names_of_its_own_has_nothing_of_the_sample() {
    // As the READMEs ask for: another image, domain, account and name, but for a name that their commands have.
    let own = [
        ("clock.example.com", "time.mine.org"),
        ("registry.example.com", "registry.mine.org"),
        ("example-project", "mine"),
        ("example-berth", "mine"),
        ("berthexample", "mine"),
        ("123456789012", "210987654321"),
        ("SUBSCRIPTION", "00000000-0000-0000-0000-000000000000"),
        ("192.0.2.1", "203.0.113.1"),
    ];
    for (name, contract, documents) in all() {
        let replace = |text: &str| {
            let text = match contract.name_stays {
                false => text.replace("berth-example", "mine"),
                true => text.to_owned(),
            };
            own.iter()
                .fold(text, |text, (sample, mine)| text.replace(sample, mine))
        };
        let documents: Vec<_> = documents
            .into_iter()
            .map(|mut document| {
                let text = replace(&document.content.to_string());
                document.content = serde_json::from_str(&text).unwrap();
                document
            })
            .collect();
        let left = rules::samples(&contract, &documents);
        assert!(left.is_empty(), "{name}: {left:?}");
        let found = rules::findings(&contract, &documents);
        assert!(found.is_empty(), "{name}: {found:?}");
    }
}

fn make_check_names_what_is_to_be_replaced_and_what_it_did_not_look_at() {
    let (code, said) = check(&["fly"], "berth-test-no-such-image");
    assert_eq!(code, Some(1), "{said}");
    assert!(
        said.contains("fly.toml: app: \"berth-example\" is the sample's\n    Write your own name"),
        "{said}"
    );
    assert!(
        said.contains("not checked: the image berth-test-no-such-image: "),
        "{said}"
    );
    let (_, said) = check(&["fly"], "berth-app");
    let looked = |line: &str| line == "checked: the image berth-app";
    assert!(said.lines().any(looked), "{said}");
    for arguments in [&["nowhere"][..], &[]] {
        let (code, said) = check(arguments, "");
        assert_eq!(code, Some(2), "{said}");
        assert!(
            said.contains("azure-container-apps"),
            "it names those that there are: {said}"
        );
    }
}

fn an_image_that_a_platform_would_stumble_over_is_noticed() {
    let (_, contract, _) = all()
        .into_iter()
        .find(|(name, ..)| name == "heroku")
        .unwrap();
    let good = json!({"Architecture": "amd64", "Config": {"User": "65532:0", "ExposedPorts": null,
        "Entrypoint": ["/app"], "Cmd": ["serve"], "StopSignal": "SIGTERM"}});
    assert!(image::faults(&good, &contract).is_empty());
    for (place, value, says) in [
        ("/Architecture", json!("arm64"), "make push"),
        ("/Config/User", json!("root"), "USER"),
        ("/Config/User", json!(""), "USER"),
        ("/Config/User", json!("0:0"), "USER"),
        ("/Config/ExposedPorts", json!({"8080/tcp": {}}), "EXPOSE"),
        ("/Config/Cmd", Value::Null, "CMD"),
        (
            "/Config/Entrypoint",
            json!(["/bin/sh", "-c", "/app"]),
            "ENTRYPOINT",
        ),
        ("/Config/StopSignal", json!("SIGHUP"), "STOPSIGNAL"),
    ] {
        let mut bad = good.clone();
        *bad.pointer_mut(place).unwrap() = value;
        let faults = image::faults(&bad, &contract);
        let [(fault, remedy)] = &faults[..] else {
            panic!("{place}: {faults:?}")
        };
        assert!(
            format!("{fault} {remedy}").contains(says),
            "{place}: {faults:?}"
        );
    }
}

harness::trials![
    no_file_has_a_mistake_that_fails_a_first_deploy,
    files_pass_the_official_schemas,
    a_wrong_port_path_grace_signal_or_image_is_noticed_where_it_stands,
    a_misspelt_key_is_noticed_and_the_right_one_named,
    each_variable_that_a_file_sets_is_needed,
    each_variable_that_would_have_a_deploy_fail_is_noticed_with_what_to_do,
    a_platforms_own_variables_tell_its_name_for_the_app,
    every_value_of_a_contract_has_its_source_behind_it,
    contracts_do_not_get_into_each_others_way,
    each_platform_has_a_page_and_a_row_in_the_table,
    the_table_says_which_values_are_not_documented,
    no_image_exposes_a_port,
    herokus_app_json_is_not_dokkus,
    an_app_with_names_of_its_own_has_nothing_of_the_sample,
    make_check_names_what_is_to_be_replaced_and_what_it_did_not_look_at,
    an_image_that_a_platform_would_stumble_over_is_noticed,
];
