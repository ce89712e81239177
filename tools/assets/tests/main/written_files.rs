//! The written files: equal for equal content, on every machine.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs::{self, Permissions},
    io::Read,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

use crate::workshop::{Made, Workshop, make, tool};
use flate2::read::GzDecoder;
use sha2::{Digest, Sha256};

fn text(length: usize) -> String {
    "a line of text\n".repeat(length)
}

#[test]
fn two_builds_are_equal() {
    let site = |mode| {
        let workshop = Workshop::new(&[
            ("page.html", &text(99)),
            ("assets/a.css", &text(99)),
            ("empty.txt", ""),
        ]);
        fs::set_permissions(
            workshop.site().join("page.html"),
            Permissions::from_mode(mode),
        )
        .unwrap();
        workshop.make(None).entries()
    };
    assert_eq!(site(0o600), site(0o777));
}

#[test]
fn all_users_can_read_the_files_and_times_depend_on_the_content() {
    let made = make(&[
        ("page.html", &text(99)),
        ("assets/a.css", &text(99)),
        ("empty.txt", ""),
    ]);
    let entries = made.entries();
    assert!(entries.len() > 10, "{:?}", entries.keys());
    for (name, (mode, time, content)) in entries {
        if made.out.join(&name).is_dir() {
            assert_eq!((mode & 0o7777, time), (0o755, 1), "{name}");
            continue;
        }
        let digest = Sha256::digest(&content);
        let first = u32::from_be_bytes(digest[..4].try_into().unwrap());
        assert_eq!(
            (mode & 0o7777, time),
            (0o644, i64::from(first >> 2) + 1),
            "{name}"
        );
    }
}

#[test]
fn files_that_get_smaller_are_compressed() {
    let made = make(&[
        ("page.html", &text(99)),
        ("assets/a.js", &"a();\n".repeat(99)),
        ("short.txt", "x"),
        ("picture.png", &text(99)),
        ("html", &text(99)),
    ]);
    let plain = made.files("site");
    let expected: BTreeSet<String> = ["page.html".to_owned(), made.name("assets/a.js")].into();
    for (folder, decompress) in [
        ("site.br", unbrotli as fn(&[u8]) -> Vec<u8>),
        ("site.gzip", ungzip),
    ] {
        let compressed = made.files(folder);
        assert_eq!(
            compressed.keys().cloned().collect::<BTreeSet<_>>(),
            expected,
            "{folder}"
        );
        for (name, content) in compressed {
            assert!(content.len() < plain[&name].len(), "{folder}/{name}");
            assert_eq!(decompress(&content), plain[&name], "{folder}/{name}");
        }
    }
}

fn unbrotli(content: &[u8]) -> Vec<u8> {
    let mut plain = Vec::new();
    brotli::BrotliDecompress(&mut &*content, &mut plain).unwrap();
    plain
}

fn ungzip(content: &[u8]) -> Vec<u8> {
    let mut plain = Vec::new();
    let mut decoder = GzDecoder::new(content);
    assert_eq!(decoder.header().unwrap().mtime(), 0);
    decoder.read_to_end(&mut plain).unwrap();
    plain
}

#[test]
fn files_that_are_never_served_are_skipped_with_a_message() {
    let made = make(&[
        (".well-known/security.txt", ""),
        ("a.txt", ""),
        (".git/config", ""),
        ("assets/.DS_Store", ""),
        ("deep/.well-known/x", ""),
        ("back\\slash.txt", ""),
        ("bell\u{7}.txt", ""),
    ]);
    assert_eq!(made.names(), [".well-known/security.txt", "a.txt"]);
    for name in [
        ".git",
        "assets/.DS_Store",
        "deep/.well-known",
        "back\\\\slash.txt",
        "bell\\u{7}.txt",
    ] {
        let line = made
            .said
            .lines()
            .find(|line| line.contains(&format!("/{name}\"")));
        assert!(
            line.is_some_and(|line| line.starts_with("skipped, ")),
            "{name}: {}",
            made.said
        );
    }
}

/// The project's own site: no file refers to an old name, and every new name exists.
#[test]
fn the_project_s_site_is_complete() {
    let folder = tempfile::tempdir().unwrap();
    let from = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../static");
    let out = folder.path().join("out");
    let output = tool(&from, &out).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    let made = Made::at(out);

    let is_asset = |name: &&PathBuf| name.starts_with("assets");
    let before: Vec<PathBuf> = files(&from);
    let assets: Vec<&PathBuf> = before.iter().filter(is_asset).collect();
    let list = fs::read_to_string(made.out.join("assets.txt")).unwrap();
    assert_eq!(list.lines().count(), assets.len(), "{list}");
    assert_eq!(made.names().len(), before.len());

    let last = |name: &str| name.rsplit('/').next().unwrap().to_owned();
    let names: BTreeSet<String> = made.names().iter().map(|name| last(name)).collect();
    let mut referred = BTreeSet::new();
    let texts: BTreeMap<String, String> = made
        .files("site")
        .into_iter()
        .filter_map(|(name, content)| Some((name, String::from_utf8(content).ok()?)))
        .collect();
    for (file, text) in &texts {
        for asset in &assets {
            let old = format!("/{}", asset.file_name().unwrap().to_str().unwrap());
            assert!(!text.contains(&old), "{file} refers to {old}");
        }
        let words = text.split(|c: char| !c.is_ascii_alphanumeric() && !"._-".contains(c));
        let digest = |part: &str| part.len() == 16 && part.bytes().all(|it| it.is_ascii_hexdigit());
        for word in words.filter(|word| word.split('.').any(digest)) {
            assert!(
                names.contains(word),
                "{file} refers to {word}, which does not exist"
            );
            referred.insert(word);
        }
    }
    assert_eq!(referred.is_empty(), assets.is_empty(), "{referred:?}");
}

/// The files below a folder, as paths relative to it.
fn files(top: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![top.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap().map(Result::unwrap) {
            if entry.file_type().unwrap().is_dir() {
                folders.push(entry.path());
            } else {
                found.push(entry.path().strip_prefix(top).unwrap().to_owned());
            }
        }
    }
    found
}
