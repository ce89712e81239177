//! Builds of the images: the steps that they repeat, and the layers that they reuse.

use std::{
    collections::BTreeSet,
    fs,
    path::Path,
    process::Command,
    time::{SystemTime, UNIX_EPOCH},
};

use sha2::{Digest, Sha256};
use tempfile::TempDir;

use harness::{
    container::{Container, image},
    root,
    stack::{self, docker},
};

/// A copy of the project, as far as a build can see it.
fn copy() -> TempDir {
    let copy = tempfile::tempdir().unwrap();
    let ignore = fs::read_to_string(root().join(".dockerignore")).unwrap();
    let seen = ignore.lines().filter_map(|line| line.strip_prefix('!'));
    let seen = seen.chain(["Dockerfile", ".dockerignore"]);
    stack::run(
        Command::new("cp")
            .args(["-a", "--parents"])
            .args(seen)
            .arg(copy.path())
            .current_dir(root()),
    );
    copy
}

/// Builds the app as deploy/local/images.sh does; returns what the build says.
fn build(folder: &Path, options: &[&str]) -> String {
    let bases = stack::run(Command::new("deploy/local/offline/bases.sh").current_dir(root()));
    let builder = docker(&["context", "inspect", "--format", "{{.Name}}"]);
    let mut build = Command::new("docker");
    build.args(["buildx", "build", "--builder", builder.trim()]);
    build.args(["--target=app", "--progress=plain"]);
    for base in bases.lines() {
        build.args(["--build-arg", base]);
    }
    build.env("BUILDX_NO_DEFAULT_ATTESTATIONS", "1");
    let output = build.args(options).arg(folder).output().unwrap();
    let log = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{log}");
    log
}

/// The crates that a build has compiled.
fn compiled(log: &str) -> Vec<&str> {
    log.lines()
        .filter_map(|line| line.split_once(" Compiling ")?.1.split(' ').next())
        .collect()
}

/// A text that no earlier build has seen.
fn unseen() -> String {
    format!(
        "{:?}",
        SystemTime::now().duration_since(UNIX_EPOCH).unwrap()
    )
}

/// The dependencies have a layer of their own, and so has the tool that makes the site.
fn an_edit_compiles_one_crate_and_a_page_none() {
    image("berth-app");
    let copy = copy();
    let build = |folder: &Path| build(folder, &["--output=type=cacheonly"]);
    build(copy.path());

    let edited = copy.path().join("src/routes/time.rs");
    let source = fs::read_to_string(&edited).unwrap();
    fs::write(&edited, format!("{source}\n// Edited: {}.\n", unseen())).unwrap();
    let log = build(copy.path());
    assert_eq!(compiled(&log), ["app"], "\n{log}");

    fs::write(copy.path().join("static/edited.html"), unseen()).unwrap();
    let log = build(copy.path());
    assert!(log.contains(" assets; "), "the site was made anew:\n{log}");
    assert_eq!(compiled(&log), [""; 0], "\n{log}");
}

/// An image; removed on drop.
struct Version(String);

impl Version {
    fn build(name: &str, folder: &Path, previous: &str) -> Self {
        let previous = format!("PREVIOUS_IMAGE={previous}");
        Self::with(name, folder, &["--build-arg", &previous]).0
    }

    /// The image, and what its build says.
    fn with(name: &str, folder: &Path, options: &[&str]) -> (Self, String) {
        let this = Self(format!("berth-test-{}-{name}", std::process::id()));
        let log = build(folder, &[options, &["--tag", &this.0]].concat());
        (this, log)
    }

    fn id(&self) -> String {
        image(&self.0)["Id"].to_string()
    }

    /// The digest of the app.
    fn binary(&self) -> Vec<u8> {
        let unpacked = Container::create(&self.0).unpack("/");
        Sha256::digest(fs::read(unpacked.path().join("app")).unwrap()).to_vec()
    }

    /// The asset `edited.txt` in all its versions.
    fn edited(&self) -> BTreeSet<String> {
        let site = Container::create(&self.0).unpack("/srv/site/assets");
        let names = fs::read_dir(site.path()).unwrap();
        let names = names.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        names.filter(|name| name.starts_with("edited.")).collect()
    }
}

impl Drop for Version {
    fn drop(&mut self) {
        let mut remove = Command::new("docker");
        let _ = remove.args(["image", "rm", "--force", &self.0]).output();
    }
}

fn an_image_keeps_the_assets_of_the_version_before() {
    image("berth-app");
    let copy = copy();
    let asset = copy.path().join("static/assets/edited.txt");
    fs::create_dir_all(asset.parent().unwrap()).unwrap();

    fs::write(&asset, unseen()).unwrap();
    let first = Version::build("first", copy.path(), "scratch");
    assert_eq!(first.edited().len(), 1);

    fs::write(&asset, unseen()).unwrap();
    let second = Version::build("second", copy.path(), &first.0);
    assert_eq!(second.edited().len(), 2);
    assert!(second.edited().is_superset(&first.edited()));

    // No input has changed, so no container is replaced.
    let again = Version::build("again", copy.path(), &second.0);
    assert_eq!(again.id(), second.id());

    fs::write(&asset, unseen()).unwrap();
    let third = Version::build("third", copy.path(), &again.0);
    assert_eq!(third.edited().len(), 2);
    assert!(third.edited().is_disjoint(&first.edited()));
}

/// The image is reproducible: it has neither the time nor the machine of its build.
fn the_same_commit_gives_the_same_binary_and_the_same_layers() {
    image("berth-app");
    let (first, _) = Version::with("once", copy().path(), &[]);

    // A second checkout, with a comment more, compiles the library and the service again and links them anew, and a changed
    // Dockerfile assembles the image again: the cache goes by what is copied, and not by its times. The dependencies are
    // compiled once, since that takes most of the time. (In an old engine, `--no-cache` can end in a panic.)
    let other = copy();
    let touch = ["-type", "f", "-exec", "touch", "{}", "+"];
    stack::run(Command::new("find").arg(other.path()).args(touch));
    let edit = |file: &str, from: &str, to: &str| {
        let file = other.path().join(file);
        let text = fs::read_to_string(&file).unwrap();
        assert!(text.contains(from), "{file:?} has no {from}");
        fs::write(&file, text.replacen(from, to, 1)).unwrap();
    };
    let library = other.path().join("crates/berth/src/lib.rs");
    let source = fs::read_to_string(&library).unwrap();
    fs::write(&library, format!("{source}\n// {}\n", unseen())).unwrap();
    let (copy, same) = ("COPY --from=root", "COPY --chown=0:0 --from=root");
    edit("Dockerfile", copy, same);
    let (put, again) = ("mkdir -p /image/etc", "mkdir -p /image/etc /image");
    edit("Dockerfile", put, again);
    let (second, log) = Version::with("twice", other.path(), &[]);
    assert_eq!(compiled(&log), ["berth", "app"], "\n{log}");

    assert!(first.binary() == second.binary(), "the app differs");
    let layers = |version: &Version| image(&version.0)["RootFS"]["Layers"].clone();
    assert_eq!(layers(&first), layers(&second));
}

harness::trials![
    an_edit_compiles_one_crate_and_a_page_none,
    an_image_keeps_the_assets_of_the_version_before,
    the_same_commit_gives_the_same_binary_and_the_same_layers,
];
