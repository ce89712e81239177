//! What can't be made a site of: each message names the file, and what to do.

mod common;

use std::{
    fs::{self, Permissions},
    os::unix::{
        fs::{PermissionsExt, symlink},
        net::UnixListener,
        process::CommandExt,
    },
    process::Command,
};

use common::{Workshop, failed, refused, tool};

#[track_caller]
fn assert_said(said: &str, parts: &[&str]) {
    for part in parts {
        assert!(said.contains(part), "no {part:?} in:\n{said}");
    }
}

#[test]
fn a_reference_to_an_asset_that_is_not_there() {
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
        assert_said(
            &said,
            &[&format!(
                "{name} refers to assets/none.x, which is not there; put it there, or mend"
            )],
        );
    }
}

#[test]
fn all_of_them_are_said_at_once() {
    let said = refused(&[
        ("a.html", "<img src=assets/1.png><img src=assets/2.png>"),
        ("b.html", "<base href=/x/>"),
        ("assets/1.css", "@import '3.css'"),
    ]);
    assert_eq!(said.lines().count(), 4, "{said}");
    assert_said(
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
fn a_base_that_is_not_the_page() {
    assert_said(
        &refused(&[("a.html", "<base href=/x/>")]),
        &["a.html: its <base href>", "take it out"],
    );
}

#[test]
fn a_digest_of_what_is_rewritten() {
    let page = (
        "a.html",
        "<script src=assets/a.js integrity=sha256-x></script>",
    );
    let said = refused(&[
        page,
        ("assets/a.js", "import './b.js'"),
        ("assets/b.js", ""),
    ]);
    assert_said(
        &said,
        &[
            "a.html fixes the content of assets/a.js by `integrity`",
            "take out `integrity`, or",
        ],
    );
    // Of what stays as it is, a digest is fine.
    let made = common::make(&[page, ("assets/a.js", "import 'b'")]);
    made.assert_text(
        "a.html",
        "<script src=assets/«a.js» integrity=sha256-x></script>",
    );
}

#[test]
fn a_script_that_is_none() {
    assert_said(
        &refused(&[("a.js", "let let = ;")]),
        &["a.js: a browser could not read it (", "mend it"],
    );
    assert_said(
        &refused(&[("a.webmanifest", "{")]),
        &["a.webmanifest: a browser could not read it ("],
    );
}

#[test]
fn a_text_in_another_encoding() {
    let workshop = Workshop::new(&[]);
    workshop.add("a.html", b"caf\xe9");
    // Nobody looks into this one.
    workshop.add("b.txt", b"caf\xe9");
    let said = workshop.refused();
    assert_eq!(
        said,
        "site: a.html: it is not in UTF-8, as which it is served; save it as that\n"
    );
}

#[test]
fn a_link() {
    let workshop = Workshop::new(&[("a.txt", "")]);
    symlink("a.txt", workshop.site().join("b.txt")).unwrap();
    assert_said(
        &workshop.refused(),
        &[
            "/static/b.txt is a symbolic link",
            "put a file in its place, or remove it",
        ],
    );
}

#[test]
fn what_is_no_file() {
    let workshop = Workshop::new(&[]);
    let _socket = UnixListener::bind(workshop.site().join("socket")).unwrap();
    assert_said(
        &workshop.refused(),
        &["/static/socket is a symbolic link or no file", "remove it"],
    );
}

#[test]
fn what_can_not_be_read() {
    let workshop = Workshop::new(&[("a.txt", "")]);
    fs::set_permissions(workshop.site().join("a.txt"), Permissions::from_mode(0o000)).unwrap();
    let top = workshop.site().parent().unwrap().to_owned();
    // Root can read everything: then somebody else is to try, with a copy that anybody can run.
    let copy = top.join("tool");
    fs::copy(env!("CARGO_BIN_EXE_site"), &copy).unwrap();
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
    assert_said(
        &said,
        &[
            "/static/a.txt can't be read: Permission denied",
            "see to it that it is there",
        ],
    );
}

#[test]
fn a_site_that_is_not_there() {
    let workshop = Workshop::new(&[]);
    fs::remove_dir(workshop.site()).unwrap();
    assert_said(
        &workshop.refused(),
        &[
            "/static can't be read: No such file",
            "see to it that it is there",
        ],
    );
}

#[test]
fn a_place_that_is_taken() {
    let workshop = Workshop::new(&[]);
    fs::create_dir(workshop.out()).unwrap();
    fs::write(workshop.out().join("mine"), "").unwrap();
    let said = failed(tool(&workshop.site(), &workshop.out()).output().unwrap());
    assert_said(&said, &["/out is not empty; remove it, or name another"]);
    assert_eq!(fs::read_dir(workshop.out()).unwrap().count(), 1);
}

#[test]
fn a_command_line_that_makes_no_sense() {
    for arguments in [
        &[][..],
        &["a"],
        &["a", "b", "c"],
        &["a", "b", "--previous"],
        &["--previous", "b"],
    ] {
        let output = Command::new(env!("CARGO_BIN_EXE_site"))
            .args(arguments)
            .output()
            .unwrap();
        assert_eq!(output.status.code(), Some(64), "{arguments:?}: {output:?}");
        assert_said(
            &String::from_utf8(output.stderr).unwrap(),
            &["usage: site STATIC OUT"],
        );
    }
    let output = Command::new(env!("CARGO_BIN_EXE_site"))
        .arg("--help")
        .output()
        .unwrap();
    assert!(output.status.success());
    assert_said(
        &String::from_utf8(output.stdout).unwrap(),
        &["usage: site STATIC OUT"],
    );
}
