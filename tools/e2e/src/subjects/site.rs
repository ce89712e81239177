//! Static files beside what the subject nginx_parity asks: edits, files that can't be had, large ones.

use std::{
    fs,
    io::{Read, Write},
    net::TcpStream,
    os::unix::fs::symlink,
    path::Path,
    process::Command,
    thread,
    time::Duration,
};

use harness::{
    Solo, Stack,
    container::nginx_image,
    fixture::{Entry, Fixture},
    solo::wait_for,
    stack::run,
    wire,
};
use tempfile::TempDir;

fn site(files: &[&str]) -> TempDir {
    let folder = TempDir::new().unwrap();
    for name in files {
        let file = folder.path().join(name);
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(file, name).unwrap();
    }
    folder
}

fn serve(folder: &Path) -> Solo {
    Solo::start(&[("STATIC_DIR", folder.to_str().unwrap())])
}

fn status(app: &Solo, path: &str) -> u16 {
    wire::get(app.address, path, "localhost").status
}

fn a_file_that_a_health_path_hides_is_reported_at_start() {
    let folder = site(&["up", "health/ready", "other"]);
    let app = serve(folder.path());
    let warnings: Vec<_> = app
        .log()
        .into_iter()
        .filter(|line| line.contains("WARN"))
        .collect();
    assert_eq!(warnings.len(), 2, "{warnings:?}");
    for path in ["/up", "/health/ready"] {
        assert!(
            warnings.iter().any(|line| line.contains(path)),
            "{path}: {warnings:?}"
        );
        assert_eq!(wire::get(app.address, path, "localhost").text(), "OK");
    }
    assert_eq!(status(&app, "/other"), 200);
}

fn an_edit_is_seen_at_once() {
    let folder = site(&["page.html"]);
    let app = serve(folder.path());
    fs::write(folder.path().join("page.html"), "edited").unwrap();
    assert_eq!(
        wire::get(app.address, "/page.html", "localhost").text(),
        "edited"
    );
}

fn no_link_is_followed() {
    let folder = site(&["real.txt", "real/file.txt"]);
    let link = |target: &str, name: &str| symlink(target, folder.path().join(name)).unwrap();
    link("real.txt", "link.txt");
    link("real", "linked");
    link("/etc/passwd", "outside.txt");
    let app = serve(folder.path());
    assert_eq!(status(&app, "/real/file.txt"), 200);
    for path in ["/link.txt", "/linked/file.txt", "/outside.txt"] {
        assert_eq!(status(&app, path), 404, "{path}");
    }
}

fn another_folder_can_take_the_place_of_the_first() {
    let folder = site(&["sites/now/first", "sites/next/second"]);
    let sites = folder.path().join("sites");
    let app = serve(&sites.join("now"));
    assert_eq!(status(&app, "/first"), 200);
    fs::rename(sites.join("now"), sites.join("old")).unwrap();
    fs::rename(sites.join("next"), sites.join("now")).unwrap();
    // Each worker thread finds out by itself.
    wait_for(|| (status(&app, "/second") == 200).then_some(()));
    wait_for(|| (status(&app, "/first") == 404).then_some(()));
}

fn a_pipe_is_no_file_and_is_not_waited_for() {
    let folder = site(&["file"]);
    run(Command::new("mkfifo").arg(folder.path().join("pipe")));
    let app = serve(folder.path());
    assert_eq!(status(&app, "/pipe"), 404);
    assert_eq!(status(&app, "/file"), 200);
}

fn names_with_odd_characters_are_found_if_they_are_encoded() {
    let folder = site(&[
        "a b.txt",
        "ü.txt",
        "50%.txt",
        "a+b.txt",
        "q?.txt",
        "#.txt",
        ".hidden",
        ".well-known/x",
    ]);
    let app = serve(folder.path());
    for path in [
        "/a%20b.txt",
        "/%C3%BC.txt",
        "/50%25.txt",
        "/a+b.txt",
        "/q%3F.txt",
        "/%23.txt",
        "/.well-known/x",
    ] {
        assert_eq!(status(&app, path), 200, "{path}");
    }
    for path in [
        "/.hidden",
        "/%2ehidden",
        "/q?.txt",
        "/.well-known",
        "/.well-known/",
    ] {
        assert_eq!(status(&app, path), 404, "{path}");
    }
}

fn a_prefix_gives_the_files_a_namespace_of_their_own() {
    let folder = site(&["a.txt", "up"]);
    let app = Solo::start(&[
        ("STATIC_DIR", folder.path().to_str().unwrap()),
        ("STATIC_PREFIX", "/static"),
    ]);
    assert_eq!(status(&app, "/static/a.txt"), 200);
    assert_eq!(status(&app, "/static/up"), 200);
    for path in [
        "/a.txt",
        "/static",
        "/static/",
        "/staticx/a.txt",
        "/static//a.txt",
        "/%73tatic/a.txt",
    ] {
        assert_eq!(status(&app, path), 404, "{path}");
    }
    assert!(
        !app.log().iter().any(|line| line.contains("WARN")),
        "{:?}",
        app.log()
    );
}

fn a_large_answer_waits_in_the_replica_and_not_in_nginx() {
    let site = Fixture::new(&[Entry::of("large.bin", "{0123456789abcdef*3276800}")]);
    let stack = Stack::start(&[
        (
            "COMPOSE_FILE",
            "docker-compose.yml:tools/e2e/fixtures/site.yml",
        ),
        ("NGINX_UNDER_TEST", &nginx_image()),
        ("SITE", site.path().to_str().unwrap()),
    ]);
    let mut client = TcpStream::connect(stack.nginx_address()).unwrap();
    let ask = b"GET /large.bin HTTP/1.1\r\nHost: localhost\r\nRange: bytes=0-\r\n\r\n";
    client.write_all(ask).unwrap();
    client.read_exact(&mut [0; 1000]).unwrap();
    thread::sleep(Duration::from_secs(1));
    let kept = stack.compose(&["exec", "nginx", "find", "/tmp/proxy", "-type", "f"]);
    assert_eq!(kept, "", "nginx has stored the answer");
}

harness::trials![
    a_file_that_a_health_path_hides_is_reported_at_start,
    an_edit_is_seen_at_once,
    no_link_is_followed,
    another_folder_can_take_the_place_of_the_first,
    a_pipe_is_no_file_and_is_not_waited_for,
    names_with_odd_characters_are_found_if_they_are_encoded,
    a_prefix_gives_the_files_a_namespace_of_their_own,
    a_large_answer_waits_in_the_replica_and_not_in_nginx,
];
