//! `make push`: the image in the registry, which runs from there, and the errors of a failed push.

use std::{
    collections::BTreeSet,
    env, fs,
    net::{Ipv4Addr, SocketAddr, TcpListener},
    os::unix::fs::{PermissionsExt, symlink},
    path::{Path, PathBuf},
    process::Command,
};

use serde_json::{Value, json};
use tempfile::TempDir;

use harness::{
    container::{Container, image},
    root,
    solo::wait_for,
    stack::{docker, run, works},
    wire::{Reply, get},
};

/// Of the commit that is pushed: 2025-06-15 15:06:40, which no file has by itself.
const COMMITTED: u64 = 1_750_000_000;

/// A copy of the project in a git repository of its own, without the user's settings.
struct Project {
    folder: TempDir,
}

impl Project {
    fn new() -> Self {
        let this = Self {
            folder: tempfile::tempdir().unwrap(),
        };
        fs::create_dir(this.path("tree")).unwrap();
        let ignore = fs::read_to_string(root().join(".dockerignore")).unwrap();
        let built = ignore.lines().filter_map(|line| line.strip_prefix('!'));
        let others = [
            ".dockerignore",
            ".gitignore",
            "Dockerfile",
            "Makefile",
            "deploy/local",
            "docker-compose.yml",
        ];
        run(Command::new("cp")
            .args(["-a", "--parents"])
            .args(built.chain(others))
            .arg(this.path("tree"))
            .current_dir(root()));
        this.git(&["init", "--quiet"]);
        this.git(&["add", "--all"]);
        this.git(&["commit", "--quiet", "--message=All of it"]);
        this
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new(words[0]);
        command
            .args(&words[1..])
            .current_dir(self.path("tree"))
            .env("XDG_CACHE_HOME", self.path("cache"))
            .env("GIT_CEILING_DIRECTORIES", self.folder.path())
            .env("GIT_CONFIG_GLOBAL", "/dev/null")
            .env("GIT_CONFIG_NOSYSTEM", "1");
        for who in ["AUTHOR", "COMMITTER"] {
            command
                .env(format!("GIT_{who}_NAME"), "Someone")
                .env(format!("GIT_{who}_EMAIL"), "someone@example.com")
                .env(format!("GIT_{who}_DATE"), format!("{COMMITTED} +0000"));
        }
        for name in [
            "APP_IMAGE",
            "COMPOSE_FILE",
            "GIT_DIR",
            "IMAGE",
            "MAKEFLAGS",
            "MAKELEVEL",
            "PREVIOUS_IMAGE",
            "SOURCE_DATE_EPOCH",
            "TARGET",
        ] {
            command.env_remove(name);
        }
        let builder = docker(&["context", "inspect", "--format", "{{.Name}}"]);
        command.env("BUILDX_BUILDER", builder.trim());
        command
    }

    fn git(&self, arguments: &[&str]) -> String {
        let git = self.command(&[&["git"], arguments].concat()).output();
        let git = git.expect("git is needed");
        assert!(git.status.success(), "{arguments:?}: {}", text(&git.stderr));
        text(&git.stdout).trim().to_owned()
    }

    /// Pushes; returns the name to pin, and what was said on the way.
    fn push(&self, image: &str) -> (String, String) {
        self.succeeds(&mut self.command(&["make", "push", &format!("IMAGE={image}")]))
    }

    fn succeeds(&self, command: &mut Command) -> (String, String) {
        let output = command.output().unwrap();
        let said = text(&output.stderr);
        assert!(output.status.success(), "{said}");
        (text(&output.stdout).trim_end().to_owned(), said)
    }

    fn script(&self, image: &str) -> Command {
        let mut script = self.command(&["deploy/local/push.sh"]);
        script.env("IMAGE", image);
        script
    }

    /// The script fails, with one message that holds all of this.
    fn refuses(&self, command: &mut Command, says: &[&str]) {
        let output = command.output().unwrap();
        let said = text(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "it said:\n{said}");
        assert_eq!(text(&output.stdout), "", "stdout is for what succeeded");
        let messages = said.lines().filter(|line| line.starts_with("berth: "));
        assert_eq!(messages.count(), 1, "one message, not:\n{said}");
        for part in says {
            assert!(said.contains(part), "{part:?} is missing in:\n{said}");
        }
    }

    /// Has commands take this for `docker`: a shell's `case` with what is done otherwise.
    fn instead_of_docker(&self, cases: &str) -> String {
        let path = env::var("PATH").unwrap();
        let docker = env::split_paths(&path).map(|it| it.join("docker"));
        let docker = docker.into_iter().find(|it| it.is_file()).expect("docker");
        let bin = self.path("bin");
        fs::create_dir_all(&bin).unwrap();
        let script = format!(
            "#!/bin/sh\ncase \"$*\" in\n{cases}\n*) exec {} \"$@\" ;;\nesac\n",
            docker.display()
        );
        fs::write(bin.join("docker"), script).unwrap();
        fs::set_permissions(bin.join("docker"), fs::Permissions::from_mode(0o755)).unwrap();
        format!("{}:{path}", bin.display())
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// A registry on loopback, which the engine trusts without TLS; it is gone when this is dropped, with what is here of it.
struct Registry {
    address: SocketAddr,
    _container: Option<Container>,
}

impl Registry {
    /// With so many megabytes to store images in.
    fn start(size: u32, options: &[&str]) -> Self {
        let image = "berth-test-registry";
        assert!(
            works(&["image", "inspect", image]),
            "the image {image} is needed; tools/e2e/fixtures/image.sh registry makes it"
        );
        let storage = format!("--tmpfs=/var/lib/registry:size={size}m,mode=1777");
        let publish = "--publish=127.0.0.1::5000";
        let bare = ["--read-only", "--cap-drop=ALL", publish, &storage];
        let container = Container::run(&[&bare, options].concat(), image, &[]);
        let address = container.address(5000);
        // Docker takes connections before the registry does.
        wait_for(|| works_at(address).then_some(()));
        Self {
            address,
            _container: Some(container),
        }
    }

    /// An address without a listener.
    fn down() -> Self {
        let free = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        Self {
            address: free.local_addr().unwrap(),
            _container: None,
        }
    }

    fn name(&self) -> String {
        format!("{}/team/berth", self.address)
    }

    fn ask(&self, path: &str) -> Value {
        let answer = get(self.address, path, "localhost");
        serde_json::from_slice(&answer.body).unwrap_or_else(|_| panic!("{answer:?}"))
    }

    /// The tags of the image, in order.
    fn tags(&self) -> Vec<String> {
        let list = self.ask("/v2/team/berth/tags/list");
        let mut tags: Vec<String> = serde_json::from_value(list["tags"].clone()).unwrap();
        tags.sort();
        tags
    }

    /// Removes what this machine has of the image.
    fn forget(&self) {
        let list = ["image", "ls", "--digests", "--format"];
        let format = "{{.Repository}}:{{.Tag}} {{.Repository}}@{{.Digest}}";
        let names = docker(&[&list[..], &[format, &self.name()]].concat());
        for name in names
            .split_whitespace()
            .filter(|name| !name.contains("<none>"))
        {
            let mut remove = Command::new("docker");
            let _ = remove.args(["image", "rm", "--force", name]).output();
        }
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        self.forget();
    }
}

fn works_at(address: SocketAddr) -> bool {
    let mut curl = Command::new("curl");
    curl.args(["--silent", "--output", "/dev/null"]);
    let asked = curl.arg(format!("http://{address}/v2/")).status();
    asked.expect("curl runs").success()
}

/// Returns an image's answers to `GET /` and for a file.
fn answers(image: &str) -> [Reply; 2] {
    let app = Container::run(&["--publish=127.0.0.1::8080"], image, &[]);
    app.wait_until_ready();
    let address = app.address(8080);
    ["/", "/robots.txt"].map(|path| get(address, path, "localhost"))
}

/// The headers, but for those that are of the moment, and for their order.
fn lasting(reply: &Reply) -> BTreeSet<&(String, String)> {
    let headers = reply.headers.iter();
    headers
        .filter(|(name, _)| !["date", "x-request-id"].contains(&&*name.to_ascii_lowercase()))
        .collect()
}

fn what_is_pushed_runs_by_its_digest_as_what_was_built() {
    let registry = Registry::start(64, &[]);
    let project = Project::new();
    // That the image is this test's own.
    let source = format!("example.com/{}/berth", registry.address.port());
    let origin = format!("https://someone:secret@{source}.git");
    project.git(&["remote", "add", "origin", &origin]);
    let name = registry.name();

    let (pinned, said) = project.push(&format!("{name}:candidate"));
    let digest = pinned.strip_prefix(&format!("{name}@")).expect(&pinned);
    assert!(
        digest.starts_with("sha256:") && digest.len() == 71,
        "{pinned}"
    );
    let revision = project.git(&["rev-parse", "HEAD"]);
    let mut tags = [&revision[..12], "candidate"];
    tags.sort_unstable();
    assert_eq!(registry.tags(), tags);
    let alone = "For linux/amd64 alone, without SBOM and provenance";
    assert!(said.contains(alone) && !said.contains("secret"), "{said}");
    for tag in tags {
        assert!(works(&["image", "inspect", &format!("{name}:{tag}")]));
    }

    registry.forget();
    assert!(!works(&["image", "inspect", &pinned]), "it is still here");
    docker(&["pull", "--quiet", &pinned]);
    let pulled = image(&pinned);
    assert_eq!(pulled["Architecture"], "amd64");
    let labels = &pulled["Config"]["Labels"];
    for (label, value) in [
        ("licenses", env!("CARGO_PKG_LICENSE")),
        ("revision", &revision),
        ("source", &format!("https://{source}")),
        ("version", env!("CARGO_PKG_VERSION")),
    ] {
        let label = format!("org.opencontainers.image.{label}");
        assert_eq!(labels[&label], value, "{label}");
    }

    let [page, file] = answers(&pinned);
    let [own_page, own_file] = answers("berth-app");
    assert_eq!((page.status, file.status), (200, 200));
    assert_eq!(lasting(&page), lasting(&own_page));
    assert_eq!(lasting(&file), lasting(&own_file), "validators and all");
    let robots = fs::read(root().join("static/robots.txt")).unwrap();
    assert!(file.body == robots && own_file.body == robots);
}

/// But for the site, whose files' times come from their content.
fn the_files_of_the_image_do_not_tell_when_it_was_built() {
    let registry = Registry::start(64, &[]);
    let project = Project::new();
    let (pinned, _) = project.push(&format!("{}:times", registry.name()));
    let save = format!("docker save {pinned} | tar --extract");
    run(project
        .command(&["sh", "-c", &save])
        .current_dir(project.path("cache")));
    let manifest = fs::read(project.path("cache/manifest.json")).unwrap();
    let manifest: Value = serde_json::from_slice(&manifest).unwrap();
    let [layer] = &manifest[0]["Layers"].as_array().unwrap()[..] else {
        panic!("one layer, not {manifest}");
    };
    let list = "tar --list --verbose --full-time --numeric-owner --file";
    let list = format!("{list} {}", layer.as_str().unwrap());
    let mut list = project.command(&["sh", "-c", &list]);
    let listed = run(list.current_dir(project.path("cache")).env("TZ", "UTC"));
    let (site, others): (Vec<_>, Vec<_>) = listed.lines().partition(|it| it.contains(" srv/"));
    let time = " 1970-01-01 00:00:00 ";
    assert!(site.len() > 5 && others.len() > 100, "{listed}");
    for line in others {
        assert!(line.contains(" 0/0 ") && line.contains(time), "{line}");
    }
    for line in site {
        assert!(line.contains(" 0/0 ") && !line.contains(time), "{line}");
    }
}

fn uncommitted_changes_and_an_unknown_revision_are_reported() {
    let registry = Registry::start(64, &[]);
    let project = Project::new();
    let name = registry.name();
    let (version, revision) = (
        env!("CARGO_PKG_VERSION").to_owned(),
        project.git(&["rev-parse", "HEAD"]),
    );

    fs::write(project.path("tree/notes.txt"), "later").unwrap();
    let (pinned, said) = project.push(&format!("{name}:{version}"));
    assert!(said.contains("not as they were committed"), "{said}");
    assert!(said.contains("The source is unknown"), "{said}");
    let dirty = format!("{}-dirty", &revision[..12]);
    assert_eq!(registry.tags(), [version.clone(), dirty.clone()]);
    docker(&["pull", "--quiet", &pinned]);
    let labels = &image(&pinned)["Config"]["Labels"];
    let label = |name: &str| labels[format!("org.opencontainers.image.{name}")].clone();
    assert_eq!(label("revision"), format!("{revision}-dirty"));
    assert_eq!(label("source"), Value::Null);

    fs::remove_dir_all(project.path("tree/.git")).unwrap();
    let (_, said) = project.push(&format!("{name}:unknown"));
    assert!(said.contains("The revision is unknown"), "{said}");
    let mut tags = [version, dirty, "unknown".into()];
    tags.sort();
    assert_eq!(registry.tags(), tags, "one more");
}

fn the_bundle_is_pushed_where_it_is_asked_for() {
    let registry = Registry::start(256, &[]);
    let project = Project::new();
    let mut script = project.script(&format!("{}:files", registry.name()));
    let (pinned, _) = project.succeeds(script.env("TARGET", "bundle"));
    docker(&["pull", "--quiet", &pinned]);
    assert_eq!(image(&pinned)["Config"]["Cmd"], json!(["bundle"]));
}

fn a_name_that_pins_nothing_is_refused() {
    let project = Project::new();
    for (image, says) in [
        ("", "IMAGE is not set"),
        ("berth:1", "not of the form registry/name:tag"),
        ("r.example/b@sha256:00", "not of the form registry/name:tag"),
        ("r.example:5000/team/app", "has no tag"),
        ("r.example/berth:latest", "does not tell which version"),
    ] {
        let remedy = "For example: make push IMAGE=registry.example.com/";
        project.refuses(&mut project.script(image), &[says, remedy]);
    }
    let mut script = project.script("r.example/berth:1");
    project.refuses(script.env("TARGET", "nginx"), &["neither app nor bundle"]);
    let (help, _) = project.succeeds(&mut project.command(&["deploy/local/push.sh", "--help"]));
    assert!(help.contains("usage: IMAGE=registry/name:tag"), "{help}");
}

fn a_registry_that_asks_for_a_login() {
    // tools/e2e/fixtures/registry/htpasswd
    let registry = Registry::start(
        64,
        &[
            "--env=REGISTRY_AUTH_HTPASSWD_REALM=tests",
            "--env=REGISTRY_AUTH_HTPASSWD_PATH=/etc/berth/htpasswd",
        ],
    );
    let project = Project::new();
    let (host, name) = (registry.address.to_string(), registry.name());
    project.refuses(
        &mut project.script(&format!("{name}:1")),
        &["does not let you push", &format!("docker login {host}.")],
    );

    let config = project.path("docker");
    fs::create_dir(&config).unwrap();
    if let Some(plugins) = plugins() {
        symlink(plugins, config.join("cli-plugins")).unwrap();
    }
    let engine = "{{.Endpoints.docker.Host}}";
    let engine = docker(&["context", "inspect", "--format", engine]);
    let logged_in = |command: &mut Command| {
        command
            .env("DOCKER_CONFIG", &config)
            .env("DOCKER_HOST", engine.trim())
            .env("BUILDX_BUILDER", "default");
        project.succeeds(command)
    };
    let login = format!("echo something | docker login --username someone --password-stdin {host}");
    logged_in(&mut project.command(&["sh", "-c", &login]));
    let (pinned, _) = logged_in(&mut project.script(&format!("{name}:1")));
    assert!(pinned.starts_with(&name), "{pinned}");
}

/// Where Docker's plugins are, if they are not installed for all users.
fn plugins() -> Option<PathBuf> {
    let config = env::var_os("DOCKER_CONFIG").map(PathBuf::from);
    let config = config.or_else(|| Some(Path::new(&env::var_os("HOME")?).join(".docker")))?;
    Some(config.join("cli-plugins")).filter(|it| it.is_dir())
}

fn a_registry_that_is_down() {
    let registry = Registry::down();
    let project = Project::new();
    let says = format!("The registry {} does not answer", registry.address);
    project.refuses(
        &mut project.script(&format!("{}:1", registry.name())),
        &[&says, "See whether it runs"],
    );
}

/// Docker tries each layer five times, and so this takes a minute.
fn a_registry_that_is_full() {
    let registry = Registry::start(1, &[]);
    let project = Project::new();
    project.refuses(
        &mut project.script(&format!("{}:1", registry.name())),
        &[
            "failed to store",
            "disk may be full",
            "Have room made there",
        ],
    );
}

fn a_full_disk_here() {
    let project = Project::new();
    // A file system that never has room.
    let path = project.instead_of_docker(r#"*DockerRootDir*) echo /proc ;;"#);
    let mut script = project.script("r.example/berth:1");
    project.refuses(
        script.env("PATH", path),
        &["/proc has 0 MB of room left", "docker system prune"],
    );
    let path = project.instead_of_docker(
        r#""buildx build "*) echo "write /berth: no space left on device" >&2; exit 1 ;;"#,
    );
    let mut script = project.script("r.example/berth:1");
    project.refuses(
        script.env("PATH", path),
        &["The disk is full", "docker system prune"],
    );
}

/// A builder in a container, which builds for several platforms and adds attestations, told by what is asked of it.
fn a_builder_that_can_do_more_is_asked_to() {
    let project = Project::new();
    let digest = format!("sha256:{}", "5".repeat(64));
    let builder = |platforms: &str| {
        let asked = project.path("asked");
        project.instead_of_docker(&format!(
            r#""buildx inspect"*) printf 'Name: more\nDriver: docker-container\n\nPlatforms: {platforms}\n' ;;
"buildx build "*)
    printf '%s\n' "$@" >{}
    for word; do
        [ "$before" != --metadata-file ] || echo '{{"containerimage.digest": "{digest}"}}' >"$word"
        before=$word
    done ;;"#,
            asked.display()
        ))
    };
    let push = |path: String| {
        let mut script = project.script("r.example/berth:1");
        script
            .env("PATH", path)
            .env("PREVIOUS_IMAGE", "r.example/berth:0");
        script
    };
    let asked = || fs::read_to_string(project.path("asked")).unwrap();

    let mut both = push(builder(
        "linux/amd64*, linux/amd64/v2, linux/arm64, linux/386",
    ));
    let (pinned, said) = project.succeeds(&mut both);
    assert_eq!(pinned, format!("r.example/berth@{digest}"));
    assert!(!said.contains("alone"), "{said}");
    let words = asked();
    let words: Vec<&str> = words.lines().collect();
    for wanted in [
        "linux/amd64",
        "linux/arm64",
        "--sbom=true",
        "--provenance=true",
        "--push",
        "r.example/berth:1",
        "PREVIOUS_IMAGE=r.example/berth:0",
        &format!("SOURCE_DATE_EPOCH={COMMITTED}"),
    ] {
        assert!(words.contains(&wanted), "{wanted} is not asked: {words:?}");
    }
    // Such a builder does not see the engine's images.
    assert!(
        !words.iter().any(|it| it.contains("berth-base")),
        "{words:?}"
    );

    let mut one = push(builder("linux/amd64, linux/386"));
    let (_, said) = project.succeeds(&mut one);
    assert!(said.contains("For linux/amd64 alone"), "{said}");
    assert!(!asked().contains("arm64"));

    project.refuses(
        &mut push(builder("linux/arm64, linux/arm/v7")),
        &["does not build for linux/amd64", "BUILDX_BUILDER=…"],
    );
}

harness::trials![
    what_is_pushed_runs_by_its_digest_as_what_was_built,
    the_files_of_the_image_do_not_tell_when_it_was_built,
    uncommitted_changes_and_an_unknown_revision_are_reported,
    the_bundle_is_pushed_where_it_is_asked_for,
    a_name_that_pins_nothing_is_refused,
    a_registry_that_asks_for_a_login,
    a_registry_that_is_down,
    a_registry_that_is_full,
    a_full_disk_here,
    a_builder_that_can_do_more_is_asked_to,
];
