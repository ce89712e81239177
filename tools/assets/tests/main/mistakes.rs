//! Errors: each message names the file and the remedy.

use std::{
    fs::{self, Permissions},
    os::unix::{
        fs::{PermissionsExt, symlink},
        net::UnixListener,
        process::CommandExt,
    },
    process::Command,
};

use crate::workshop::{Workshop, failed, make, refused, tool};

#[track_caller]
fn assert_contains(said: &str, parts: &[&str]) {
    for part in parts {
        assert!(said.contains(part), "no {part:?} in:\n{said}");
    }
}

#[test]
fn a_reference_to_a_missing_asset() {
    for (name, content) in [
        ("page.html", "<link href=assets/none.x>"),
        ("page.html", "<img src=/assets/none.x>"),
        ("page.html", "<img srcset='assets/none.x 2x'>"),
        ("page.html", "<video poster=assets/none.x>"),
        ("page.html", "<object data=assets/none.x>"),
        ("page.html", "<a href='assets/none.x?y#z'>"),
        ("assets/a.css", "a { background: url(none.x) }"),
        ("assets/a.css", "@import 'none.x';"),
        ("assets/a.js", "import './none.x'"),
        ("assets/a.js", "export * from './none.x'"),
        ("assets/a.js", "import('./none.x')"),
        ("assets/a.js", "new URL('none.x', import.meta.url)"),
        ("assets/a.svg", "<svg><image href='none.x'/></svg>"),
    ] {
        let said = refused(&[(name, content)]);
        assert_contains(
            &said,
            &[&format!(
                "{name} refers to assets/none.x, which does not exist; add the file, or correct"
            )],
        );
    }
}

#[test]
fn all_errors_are_reported_together() {
    let said = refused(&[
        ("a.html", "<img src=assets/1.png><img src=assets/2.png>"),
        ("b.html", "<base href=/x/>"),
        ("assets/1.css", "@import '3.css'"),
    ]);
    assert_eq!(said.lines().count(), 4, "{said}");
    assert_contains(
        &said,
        &[
            "assets/1.png",
            "assets/2.png",
            "b.html: its <base href>",
            "assets/3.css",
        ],
    );
}

#[test]
fn a_base_url() {
    assert_contains(
        &refused(&[("a.html", "<base href=/x/>")]),
        &["a.html: its <base href>", "remove it"],
    );
}

#[test]
fn an_integrity_digest_of_a_rewritten_file() {
    let page = (
        "a.html",
        "<script src=assets/a.js integrity=sha256-x></script>",
    );
    let said = refused(&[
        page,
        ("assets/a.js", "import './b.js'"),
        ("assets/b.js", ""),
    ]);
    assert_contains(
        &said,
        &[
            "a.html has an `integrity` digest for assets/a.js",
            "remove `integrity`, or",
        ],
    );
    // The digest of a file that stays as it is, is valid.
    let made = make(&[page, ("assets/a.js", "import 'b'")]);
    made.assert_text(
        "a.html",
        "<script src=assets/«a.js» integrity=sha256-x></script>",
    );
}

#[test]
fn an_invalid_script() {
    assert_contains(
        &refused(&[("a.js", "let let = ;")]),
        &["a.js: browsers could not parse it (", "correct it"],
    );
    assert_contains(
        &refused(&[("a.webmanifest", "{")]),
        &["a.webmanifest: browsers could not parse it ("],
    );
}

#[test]
fn a_text_in_another_encoding() {
    let workshop = Workshop::new(&[]);
    workshop.add("a.html", b"caf\xe9");
    // Files of this type have no references, and are not parsed.
    workshop.add("b.txt", b"caf\xe9");
    let said = workshop.refused();
    assert_eq!(
        said,
        "assets: a.html: it is served as UTF-8 but is not valid UTF-8; save it as UTF-8\n"
    );
}

#[test]
fn a_symbolic_link() {
    let workshop = Workshop::new(&[("a.txt", "")]);
    symlink("a.txt", workshop.site().join("b.txt")).unwrap();
    assert_contains(
        &workshop.refused(),
        &[
            "/static/b.txt is a symbolic link",
            "replace it by a file, or remove it",
        ],
    );
}

#[test]
fn a_socket() {
    let workshop = Workshop::new(&[]);
    let _socket = UnixListener::bind(workshop.site().join("socket")).unwrap();
    assert_contains(
        &workshop.refused(),
        &[
            "/static/socket is a symbolic link or not a regular file",
            "remove it",
        ],
    );
}

#[test]
fn an_unreadable_file() {
    let workshop = Workshop::new(&[("a.txt", "")]);
    fs::set_permissions(workshop.site().join("a.txt"), Permissions::from_mode(0o000)).unwrap();
    let top = workshop.site().parent().unwrap().to_owned();
    // Root can read every file: then the program runs as another user, from a copy that this user may execute.
    let copy = top.join("tool");
    fs::copy(env!("CARGO_BIN_EXE_assets"), &copy).unwrap();
    fs::set_permissions(&top, Permissions::from_mode(0o777)).unwrap();
    let mut tool = Command::new(copy);
    if fs::read(workshop.site().join("a.txt")).is_ok() {
        tool.uid(65534).gid(65534);
    }
    let said = failed(
        tool.args([workshop.site(), workshop.out()])
            .output()
            .unwrap(),
    );
    assert_contains(
        &said,
        &[
            "/static/a.txt can't be read: Permission denied",
            "check that it exists",
        ],
    );
}

#[test]
fn a_missing_site() {
    let workshop = Workshop::new(&[]);
    fs::remove_dir(workshop.site()).unwrap();
    assert_contains(
        &workshop.refused(),
        &[
            "/static can't be read: No such file",
            "check that it exists",
        ],
    );
}

#[test]
fn an_output_folder_that_is_not_empty() {
    let workshop = Workshop::new(&[]);
    fs::create_dir(workshop.out()).unwrap();
    fs::write(workshop.out().join("mine"), "").unwrap();
    let said = failed(tool(&workshop.site(), &workshop.out()).output().unwrap());
    assert_contains(
        &said,
        &["/out is not empty; remove it, or choose another folder"],
    );
    assert_eq!(fs::read_dir(workshop.out()).unwrap().count(), 1);
}

#[test]
fn an_invalid_command_line() {
    for arguments in [
        &[][..],
        &["a"],
        &["a", "b", "c"],
        &["a", "b", "--previous"],
        &["--previous", "b"],
    ] {
        let output = Command::new(env!("CARGO_BIN_EXE_assets"))
            .args(arguments)
            .output()
            .unwrap();
        assert_eq!(output.status.code(), Some(64), "{arguments:?}: {output:?}");
        assert_contains(
            &String::from_utf8(output.stderr).unwrap(),
            &["error: ", "try '--help'"],
        );
    }
    let output = Command::new(env!("CARGO_BIN_EXE_assets"))
        .arg("--help")
        .output()
        .unwrap();
    assert!(output.status.success());
    assert_contains(
        &String::from_utf8(output.stdout).unwrap(),
        &["Usage: assets [OPTIONS] <STATIC> <OUT>", "--previous <DIR>"],
    );
}
