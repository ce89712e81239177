//! A target returns only files of the site, by name: `cases/traversal.txt`, in each mode.

use std::{
    fs,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    process::Command,
    sync::Arc,
};

use libtest_mimic::Failed;
use tempfile::TempDir;

use crate::run::Batch;
use harness::{
    modes::{self, Case, Mode, Modes},
    root, text, wire,
};

/// The text of every file that must not be served.
const CANARY: &str = "CANARY";

pub fn batches() -> Vec<Batch> {
    let home = TempDir::new().expect("a temporary folder");
    let site = make_site(home.path());
    let mut cases = Vec::new();
    for line in include_str!("../../cases/traversal.txt").lines() {
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let (modes, rest) = match line.strip_prefix("solo ") {
            Some(rest) => (&[Mode::Solo][..], rest),
            None => (&Mode::ALL[..], line),
        };
        let (outcome, target) = rest.split_at(rest.find(" /").expect(line));
        let (outcome, target) = (outcome.trim(), target.trim_start());
        for &mode in modes {
            let (outcome, target, site) =
                (outcome.to_owned(), text::unescape(target), site.clone());
            cases.push(Case {
                name: format!("{} {:.100}", outcome, target.escape_ascii().to_string()),
                mode,
                check: Box::new(move |modes| check(modes, mode, &target, &outcome, &site)),
            });
        }
    }
    let variables = vec![("STATIC_DIR", site.to_str().unwrap().to_owned())];
    let modes = Arc::new(Modes::new(variables));
    let trials = modes::trials(&modes, cases);
    let take_down = move |_| {
        modes::take_down(modes);
        drop(home);
        Ok(())
    };
    vec![Batch::then(trials, take_down)]
}

fn check(
    modes: &Modes,
    mode: Mode,
    target: &[u8],
    outcome: &str,
    site: &Path,
) -> Result<(), Failed> {
    let head = b" HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    let reply = wire::ask(modes.address(mode), [b"GET ", target, head].concat());
    let body = reply.text();
    if body.contains(CANARY) || body.contains("root:") || body.contains("PATH=") {
        return Err(format!("a file that must not be served: {reply:?}").into());
    }
    if reply.header("x-injected").is_some() {
        return Err("the target has become a header".into());
    }
    let as_expected = match outcome.parse::<u16>() {
        Ok(status) => reply.status == status,
        Err(_) => reply.status == 200 && reply.body == fs::read(site.join(outcome)).expect(outcome),
    };
    if as_expected {
        Ok(())
    } else {
        Err(format!("{} {body:.200}", reply.status).into())
    }
}

/// The project's site, with files in it, beside it and above it that must not be served.
fn make_site(home: &Path) -> PathBuf {
    // Where the folder's own path has a link in it, that is the user's choice.
    let site = home.canonicalize().unwrap().join("site");
    for folder in ["sub", ".well-known", ".git", "folder.html"] {
        fs::create_dir_all(site.join(folder)).unwrap();
    }
    for name in ["about.html", "favicon.svg", "robots.txt"] {
        fs::copy(root().join("static").join(name), site.join(name)).unwrap();
    }
    for name in [
        "sub/page.html",
        ".well-known/security.txt",
        "a b.txt",
        "café.txt",
        "100%.txt",
    ] {
        fs::write(site.join(name), name).unwrap();
    }
    let hidden = [
        ".env",
        ".git/config",
        ".git/HEAD",
        ".htaccess",
        ".hidden.txt",
        ".favicon.svg",
        "..favicon.svg",
    ];
    for name in hidden
        .iter()
        .chain(&["sub/.secret", ".well-known/.hidden", "../canary.txt"])
    {
        fs::write(site.join(name), CANARY).unwrap();
    }
    let links = [
        ("/etc/passwd", "link-to-passwd"),
        ("../canary.txt", "link-to-canary"),
        ("nothing", "link-to-nothing"),
        ("link-to-itself", "link-to-itself"),
        ("/", "link-to-root"),
        ("..", "link-to-parent"),
        ("sub", "link-to-folder"),
        ("about.html", "link-inside"),
        ("../about.html", "sub/link-inside"),
    ];
    for (to, name) in links {
        symlink(to, site.join(name)).unwrap();
    }
    let made = Command::new("mkfifo").arg(site.join("pipe")).status();
    assert!(made.expect("mkfifo runs").success());
    site
}
