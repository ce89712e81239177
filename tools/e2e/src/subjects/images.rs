//! The images themselves, as `make up` makes them: what is in them, and how they run by hand.

use std::{
    collections::BTreeMap,
    fs,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    process::Command,
    time::SystemTime,
};

use chrono::{NaiveDateTime, TimeDelta, Utc};
use serde_json::{Value, json};

use crate::site;
use harness::{
    container::{Container, image, nginx_image},
    root,
    solo::wait_for,
    wire::get,
};

/// The strictest container: an unknown user, a read-only file system, no capabilities, no network.
const BARE: &[&str] = &[
    "--user=12345:0",
    "--read-only",
    "--cap-drop=ALL",
    "--security-opt=no-new-privileges",
    "--network=none",
];

/// Runs an image to its end; returns its exit code and its output.
fn run(image: &str, options: &[&str], command: &[&str]) -> (i32, String) {
    let container = Container::run(options, image, command);
    let code = wait_for(|| container.exit_code());
    let log = Command::new("docker")
        .args(["logs", &container.name])
        .output()
        .unwrap();
    (
        code,
        String::from_utf8([log.stdout, log.stderr].concat()).unwrap(),
    )
}

/// Every entry below a folder, as paths from there.
fn entries(top: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![top.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap().map(Result::unwrap) {
            if entry.file_type().unwrap().is_dir() {
                folders.push(entry.path());
            }
            found.push(entry.path().strip_prefix(top).unwrap().to_owned());
        }
    }
    found.sort();
    found
}

/// The files below a folder.
fn files(top: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let files = entries(top)
        .into_iter()
        .filter(|path| top.join(path).is_file());
    files
        .map(|path| (path.clone(), fs::read(top.join(path)).unwrap()))
        .collect()
}

/// When each entry below a folder was last changed.
fn times(top: &Path) -> BTreeMap<PathBuf, SystemTime> {
    let time = |path: &Path| fs::metadata(top.join(path)).unwrap().modified().unwrap();
    entries(top)
        .into_iter()
        .map(|path| (path.clone(), time(&path)))
        .collect()
}

fn the_app_is_small_and_says_how_it_runs() {
    let image = image("berth-app");
    let size = image["Size"].as_u64().unwrap();
    assert!(size <= 8_000_000, "it has {size} bytes");
    let config = &image["Config"];
    assert_eq!(config["Entrypoint"], json!(["/app"]));
    assert_eq!(config["Cmd"], json!(["serve"]));
    assert_eq!(
        config["Healthcheck"]["Test"],
        json!(["CMD", "/app", "healthcheck"])
    );
    assert_eq!(config["StopSignal"], "SIGTERM");
    assert_eq!(
        config["ExposedPorts"],
        Value::Null,
        "a platform would take it for the port"
    );
    assert_eq!(config["Volumes"], Value::Null, "no volume is needed");
    is_nobody_of_group_0(&config["User"]);
}

fn nginx_says_how_it_runs() {
    let config = &image(&nginx_image())["Config"];
    assert_eq!(config["Entrypoint"], json!(["/app"]));
    assert_eq!(config["Cmd"], json!(["nginx"]));
    assert_eq!(config["StopSignal"], "SIGQUIT", "a graceful stop");
    assert_eq!(
        config["Healthcheck"]["Test"][0], "CMD",
        "{}",
        config["Healthcheck"]
    );
    is_nobody_of_group_0(&config["User"]);
}

fn is_nobody_of_group_0(user: &Value) {
    let (user, group) = user.as_str().unwrap().split_once(':').expect("user:group");
    assert!(
        user.parse::<u32>().is_ok_and(|user| user > 0),
        "{user} is no number of a user without rights"
    );
    assert_eq!(group, "0");
}

fn the_app_holds_what_it_needs_and_no_more() {
    let unpacked = Container::create("berth-app").unpack("/");
    let top = unpacked.path();
    let meta = |path: &Path| fs::symlink_metadata(top.join(path)).unwrap();
    // The engine puts these into every container.
    let engines = ["dev", "proc", "sys", ".dockerenv"];
    let engines =
        engines
            .into_iter()
            .chain(["etc/hostname", "etc/hosts", "etc/mtab", "etc/resolv.conf"]);
    let contents: Vec<PathBuf> = entries(top)
        .into_iter()
        .filter(|path| !engines.clone().any(|it| path.starts_with(it)))
        .collect();

    let known = [
        "usr/share/zoneinfo",
        "srv/site",
        "srv/site.br",
        "srv/site.gzip",
    ];
    let known = known.map(Path::new);
    let others = contents.iter().filter(|path| {
        !known
            .iter()
            .any(|it| path.starts_with(it) || it.starts_with(path))
    });
    assert!(
        others.eq(["app", "etc", "etc/passwd", "srv/assets.txt"].map(Path::new)),
        "{contents:?}"
    );

    // No shell, no loader, no library: what runs is static.
    let executable = contents
        .iter()
        .filter(|path| meta(path).is_file() && meta(path).mode() & 0o111 != 0);
    assert_eq!(executable.collect::<Vec<_>>(), [Path::new("app")]);
    let privileged = contents
        .iter()
        .find(|path| meta(path).is_file() && meta(path).mode() & 0o6000 != 0);
    assert_eq!(privileged, None, "it changes who runs it");

    let zone = fs::read(top.join("usr/share/zoneinfo/Asia/Shanghai")).expect("tzdata");
    assert!(zone.starts_with(b"TZif"), "a compiled time zone");
    let passwd = fs::read_to_string(top.join("etc/passwd")).unwrap();
    assert_eq!(passwd, "app:x:65532:0::/:/nologin\n");
}

fn both_images_hold_the_same_site() {
    let in_app = Container::create("berth-app").unpack("/srv");
    let in_nginx = Container::create("berth-nginx").unpack("/srv");
    let made = tempfile::tempdir().unwrap();
    site::build(&root().join("static"), made.path());
    for folder in ["site", "site.br", "site.gzip"] {
        let [built, app, nginx] = [&made, &in_app, &in_nginx].map(|top| top.path().join(folder));
        // Compared as a whole, but shown by their names.
        assert_eq!(times(&app), times(&nginx), "the ETags would differ");
        assert!(files(&app) == files(&nginx), "{folder} differs");

        let (built, in_image) = (stamped(&built), stamped(&app));
        for (path, file) in &built {
            assert!(
                in_image.get(path) == Some(file),
                "{folder}/{path:?} is not as it is here; `make up` after an edit of static/"
            );
        }
        let kept = in_image.keys().filter(|path| !built.contains_key(*path));
        let others: Vec<_> = kept.filter(|path| !path.starts_with("assets")).collect();
        assert!(others.is_empty(), "{folder} also has {others:?}");
    }
}

/// The files below a folder, and when each was last changed.
fn stamped(top: &Path) -> BTreeMap<PathBuf, (SystemTime, Vec<u8>)> {
    let mut times = times(top);
    let files = files(top).into_iter();
    files
        .map(|(path, content)| {
            let time = times.remove(&path).unwrap();
            (path, (time, content))
        })
        .collect()
}

fn the_app_runs_as_any_user_without_privileges() {
    let app = Container::run(BARE, "berth-app", &[]);
    app.wait_until_ready();
    let (code, table) = run("berth-app", BARE, &["config"]);
    assert_eq!(code, 0, "{table}");
    for (variable, value) in [("BIND", "[::]:8080"), ("STATIC_DIR", "/srv/site")] {
        let row = table
            .lines()
            .find(|line| line.starts_with(variable))
            .unwrap_or_default();
        assert!(row.contains(value), "{variable} is not {value}:\n{table}");
    }
    assert_eq!(app.stop(), 0, "the exit code after SIGTERM");
}

/// Returns the answer to `GET /` of an app in `docker run` with these options, on its port.
fn front_page(options: &[&str], port: u16) -> String {
    let publish = format!("--publish=127.0.0.1::{port}");
    let app = Container::run(&[options, &[&publish]].concat(), "berth-app", &[]);
    app.wait_until_ready();
    let answer = get(app.address(port), "/", "localhost");
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.text()
}

fn the_app_knows_time_zones() {
    for (options, hours) in [(&["--env=TZ=Asia/Shanghai"][..], 8), (&[], 0)] {
        let told = front_page(options, 8080);
        let told = NaiveDateTime::parse_from_str(&told, "%a %b %e %T %Y").expect(&told);
        let ahead = told - Utc::now().naive_utc();
        let off = (ahead - TimeDelta::hours(hours)).abs();
        assert!(
            off < TimeDelta::minutes(2),
            "{options:?}: {ahead} ahead of UTC"
        );
    }
    let (code, said) = run("berth-app", &["--env=TZ=Mars/Base"], &[]);
    assert_eq!(code, 78, "{said}");
    assert!(said.contains(r#"TZ="Mars/Base": "#), "{said}");
}

fn the_app_takes_the_port_of_a_platform() {
    front_page(&["--env=PORT=5000"], 5000);
}

fn nginx_is_content_with_its_configuration() {
    let options = [BARE, &["--tmpfs=/tmp"]].concat();
    let (code, said) = run(&nginx_image(), &options, &["nginx", "-t"]);
    assert_eq!(code, 0, "{said}");
    assert!(!said.contains("[warn]"), "{said}");
}

fn nginx_serves_files_alone_and_stops_gracefully() {
    let options = [
        "--read-only",
        "--tmpfs=/tmp",
        "--cap-drop=ALL",
        "--publish=127.0.0.1::8080",
    ];
    let nginx = Container::run(&options, &nginx_image(), &[]);
    // Docker takes connections before nginx does.
    let ask = ["curl", "--silent", "http://127.0.0.1:8080/robots.txt"];
    wait_for(|| nginx.answers(&ask).then_some(()));
    let answer = get(nginx.address(8080), "/robots.txt", "localhost");
    assert_eq!(answer.status, 200, "{answer:?}");
    assert_eq!(
        answer.body,
        fs::read(root().join("static/robots.txt")).unwrap()
    );
    assert_eq!(nginx.stop(), 0, "the exit code after SIGQUIT");
}

fn nginx_refuses_a_wrong_configuration() {
    let (host, seconds, prefix, header) = (
        "write \"example.com\"",
        "set it to seconds from 0 to 86400, such as ",
        "write / or one such as /static, ",
        "write one of letters, digits and hyphens, ",
    );
    for (variable, value, remedy) in [
        ("ALLOWED_HOSTS", "https://example.com", host),
        ("ALLOWED_HOSTS", "example.com:80", host),
        ("ALLOWED_HOSTS", "", "leave it unset for "),
        ("DRAIN_SECONDS", "2.5s", seconds),
        ("KEEP_ALIVE", "forever", seconds),
        ("STATIC_PREFIX", "static", prefix),
        ("STATIC_PREFIX", "/a b", prefix),
        ("TRUSTED_PROXIES", "router", "write \"192.0.2.1\", "),
        ("CLIENT_HEADER", "X-Real-IP; evil", header),
        ("REQUEST_ID_HEADER", "x_id", header),
    ] {
        let setting = format!("--env={variable}={value}");
        let options = ["--tmpfs=/tmp", "--network=none", &setting];
        let (code, said) = run(&nginx_image(), &options, &[]);
        assert_eq!(code, 78, "{setting}: {said}");
        let named = format!("{variable}=\"{value}\": ");
        assert!(said.contains(&named), "{setting}: no {named:?} in {said}");
        assert!(said.contains(remedy), "{setting}: no {remedy:?} in {said}");
    }
}

harness::trials![
    the_app_is_small_and_says_how_it_runs,
    nginx_says_how_it_runs,
    the_app_holds_what_it_needs_and_no_more,
    both_images_hold_the_same_site,
    the_app_runs_as_any_user_without_privileges,
    the_app_knows_time_zones,
    the_app_takes_the_port_of_a_platform,
    nginx_is_content_with_its_configuration,
    nginx_serves_files_alone_and_stops_gracefully,
    nginx_refuses_a_wrong_configuration,
];
