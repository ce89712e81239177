//! Kamal itself, by the commands of deploy/kamal/README.md, with a server and a registry that are here. The server is a
//! container with sshd, its engine is this machine's. Only kamal-proxy is missing, so the app is asked directly.

use std::{
    fs,
    process::{Command, Stdio},
};

use serde_json::{Value, json};

use harness::{
    container::Container,
    root,
    solo::wait_for,
    stack::{docker, works},
    wire::get,
};

const KAMAL: &str = "berth-test-kamal";
const FILE: &str = "deploy/kamal/deploy.yml";
/// From tools/e2e/fixtures/registry/htpasswd.
const SECRET: &str = "KAMAL_REGISTRY_PASSWORD=something";
/// Pushes use another login, so that Kamal's is tested.
const PUSHER: &str = "--env=DOCKER_CONFIG=/tmp/push";

fn text(path: &str) -> String {
    fs::read_to_string(root().join(path)).expect(path)
}

/// The text with one part changed that is in it once.
fn with(text: &str, part: &str, other: &str) -> String {
    assert_eq!(text.matches(part).count(), 1, "{FILE} has {part:?} once");
    text.replace(part, other)
}

/// A user's machine with Kamal and a project with a deploy.yml; removed on drop.
struct Machine {
    container: Container,
    readme: String,
}

impl Machine {
    fn with(deploy: &str, network: &str) -> Self {
        needed(KAMAL, "tools/e2e/fixtures/image.sh kamal");
        let this = Self {
            container: Container::run(
                &[&format!("--network={network}"), "--env", SECRET],
                KAMAL,
                &[],
            ),
            readme: text("deploy/kamal/README.md"),
        };
        // Kamal asks git for a version if none is given.
        this.does(
            "git config --global user.name Someone && git config --global user.email someone@example.com
            git init --quiet && git commit --quiet --allow-empty --message=All && mkdir --parents deploy/kamal",
        );
        this.has(deploy);
        this
    }

    /// Puts this in deploy.yml's place.
    fn has(&self, deploy: &str) {
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(file.path(), deploy).unwrap();
        let place = format!("{}:/project/{FILE}", self.container.name);
        docker(&["cp", file.path().to_str().unwrap(), &place]);
    }

    /// Runs a line of shell; returns whether it succeeds, and its output.
    fn tries(&self, line: &str) -> (bool, String) {
        let mut shell = Command::new("docker");
        shell.args(["exec", &self.container.name, "bash", "-c", line]);
        result_of(&mut shell)
    }

    /// One that succeeds.
    fn does(&self, line: &str) -> String {
        let (good, said) = self.tries(line);
        assert!(good, "{line} failed:\n{said}");
        said
    }

    /// One that the README has.
    fn follows(&self, line: &str) -> String {
        self.knows(line);
        self.does(line)
    }

    fn knows(&self, line: &str) {
        let code = format!("`{line}`");
        assert!(self.readme.contains(&code), "the README has no {line}");
    }

    /// What Kamal makes of deploy.yml, if it takes it, or why it does not.
    fn config(&self) -> (bool, String) {
        self.tries(&format!("kamal config -c {FILE} --version 0.1.0"))
    }
}

/// Returns whether a command succeeds, and its output.
fn result_of(command: &mut Command) -> (bool, String) {
    let output = command.stdin(Stdio::null()).output().unwrap();
    let said = [output.stdout, output.stderr].concat();
    (
        output.status.success(),
        String::from_utf8_lossy(&said).into_owned(),
    )
}

fn needed(image: &str, script: &str) {
    let there = works(&["image", "inspect", image]);
    assert!(there, "the image {image} is needed; {script} makes it");
}

/// A server, a registry, and a machine that Kamal deploys from. All is gone when this is dropped, and so is what Kamal made.
struct Scene {
    /// A unique name: Kamal also removes images by it.
    service: String,
    registry: String,
    own_network: bool,
    machine: Machine,
    server: Container,
    _registry: Container,
}

impl Scene {
    fn set() -> Self {
        needed(
            "berth-test-registry",
            "tools/e2e/fixtures/image.sh registry",
        );
        let service = format!("berth-test-{}-kamal", std::process::id());
        let options = [
            "--read-only",
            "--cap-drop=ALL",
            "--publish=127.0.0.1::5000",
            "--tmpfs=/var/lib/registry:size=64m,mode=1777",
            "--env=REGISTRY_AUTH_HTPASSWD_REALM=tests",
            "--env=REGISTRY_AUTH_HTPASSWD_PATH=/etc/berth/htpasswd",
        ];
        let store = Container::run(&options, "berth-test-registry", &[]);
        let registry = store.address(5000).to_string();

        let engine = docker(&[
            "context",
            "inspect",
            "--format",
            "{{.Endpoints.docker.Host}}",
        ]);
        let socket = engine
            .trim()
            .strip_prefix("unix://")
            .expect("an engine on this machine");
        let volume = format!("--volume={socket}:/var/run/docker.sock");
        let sshd = "ssh-keygen -A && exec /usr/sbin/sshd -D -e -o ListenAddress=127.0.0.1";
        needed(KAMAL, "tools/e2e/fixtures/image.sh kamal");
        // On a loopback address, which only this machine can reach.
        let server = Container::run(&["--network=none", &volume], KAMAL, &["sh", "-c", sshd]);
        wait_for(|| {
            server
                .answers(&["bash", "-c", "</dev/tcp/127.0.0.1/22"])
                .then_some(())
        });

        let login = ["--username=someone", "--password=something", &registry];
        let login = [
            &["exec", PUSHER, &server.name, "docker", "login"],
            &login[..],
        ]
        .concat();
        wait_for(|| works(&login).then_some(()));

        let mut deploy = text(FILE);
        for (part, other) in [
            ("\nservice: berth\n", format!("\nservice: {service}\n")),
            (
                "server: registry.example.com\n",
                format!("server: {registry}\n"),
            ),
            ("username: berth\n", "username: someone\n".into()),
            ("- 192.0.2.10\n", "- 127.0.0.1\n    proxy: false\n".into()),
        ] {
            deploy = with(&deploy, part, &other);
        }
        let network = format!("container:{}", server.name);
        let machine = Machine::with(&deploy, &network);
        let key = "mkdir --parents --mode=700 ~/.ssh && ssh-keygen -q -t ed25519 -N '' -f ~/.ssh/id_ed25519 && cat ~/.ssh/id_ed25519.pub";
        let key = machine.does(key);
        let allow = format!(
            "mkdir --parents --mode=700 ~/.ssh && echo '{}' >~/.ssh/authorized_keys",
            key.trim()
        );
        docker(&["exec", &server.name, "sh", "-c", &allow]);
        Self {
            service,
            registry,
            own_network: !works(&["network", "inspect", "kamal"]),
            machine,
            server,
            _registry: store,
        }
    }

    /// Pushes the app's image as this version, with the label that Kamal asks for and these changes.
    fn push(&self, version: &str, changes: &[&str]) {
        let name = format!("{}/berth:{version}", self.registry);
        let label = format!("--change=LABEL service={}", self.service);
        let app = Container::create("berth-app");
        docker(&[&["commit", &label], changes, &[&app.name, &name]].concat());
        let server = &self.server.name;
        docker(&["exec", PUSHER, server, "docker", "push", &name]);
    }

    fn name(&self, version: &str) -> String {
        format!("{}-web-{version}", self.service)
    }

    /// What the engine says of the container of that version.
    fn inspect(&self, version: &str) -> Value {
        let told = docker(&["inspect", &self.name(version)]);
        serde_json::from_str::<Value>(&told).unwrap()[0].take()
    }

    /// That version, and no other, runs, is healthy, and answers as the file says; returns its id.
    fn runs(&self, version: &str) -> String {
        let label = format!("label=service={}", self.service);
        let running = docker(&["ps", "--filter", &label, "--format", "{{.Names}}"]);
        assert_eq!(running.trim(), self.name(version));
        let container = self.inspect(version);
        assert_eq!(container["State"]["Health"]["Status"], "healthy");
        let ip = &container["NetworkSettings"]["Networks"]["kamal"]["IPAddress"];
        let address = format!("{}:8080", ip.as_str().unwrap()).parse().unwrap();
        let answer = get(address, "/", "clock.example.com");
        assert_eq!(answer.status, 200, "{answer:?}");
        assert_eq!(get(address, "/", "example.com").status, 404, "another host");
        container["Id"].as_str().unwrap().to_owned()
    }

    /// That version was stopped gracefully.
    fn has_stopped(&self, version: &str) {
        let state = self.inspect(version)["State"].take();
        assert_eq!(
            (&state["Status"], &state["ExitCode"]),
            (&json!("exited"), &json!(0)),
            "{state}"
        );
        assert_eq!(self.log(version).last().unwrap()["message"], "stopped");
    }

    /// Its log's lines.
    fn log(&self, version: &str) -> Vec<Value> {
        let (good, log) = result_of(Command::new("docker").args(["logs", &self.name(version)]));
        assert!(good, "{log}");
        log.lines()
            .map(|line| serde_json::from_str(line).expect(line))
            .collect()
    }
}

impl Drop for Scene {
    fn drop(&mut self) {
        let remove = |list: &[&str], filter: String, remove: &[&str]| {
            let filter = format!("--filter={filter}");
            let (_, list) = result_of(Command::new("docker").args(list).args(["--quiet", &filter]));
            let ids: Vec<_> = list.split_whitespace().collect();
            ids.is_empty() || works(&[remove, &ids].concat())
        };
        let (containers, images) = (
            format!("label=service={}", self.service),
            format!("reference={}/berth", self.registry),
        );
        remove(
            &["ps", "--all"],
            containers,
            &["rm", "--force", "--volumes"],
        );
        remove(&["image", "ls"], images, &["image", "rm", "--force"]);
        if self.own_network {
            works(&["network", "rm", "kamal"]);
        }
    }
}

fn kamal_takes_the_file_as_it_is() {
    let (good, said) = Machine::with(&text(FILE), "none").config();
    assert!(good, "{said}");
    for line in [
        ":absolute_image: registry.example.com/berth:0.1.0",
        ":service_with_version: berth-0.1.0",
        ":primary_host: 192.0.2.10",
    ] {
        assert!(said.contains(line), "no {line} in:\n{said}");
    }
}

fn kamal_refuses_a_misspelt_key() {
    let file = text(FILE);
    let machine = Machine::with(&file, "none");
    for (key, wrong) in [
        ("stop_timeout: 30", "stop_timeouts: 30"),
        ("server: registry", "servers: registry"),
        ("app_port: 8080", "port: 8080"),
        ("path: /health", "paths: /health"),
        ("options:", "option:"),
    ] {
        machine.has(&with(&file, key, wrong));
        let (good, said) = machine.config();
        let says = format!("unknown key: {}", wrong.split(':').next().unwrap());
        assert!(
            !good && said.contains(&says),
            "{wrong}: no {says:?} in:\n{said}"
        );
    }
}

fn releases_a_release_that_fails_and_the_way_back() {
    let scene = Scene::set();
    let machine = &scene.machine;
    scene.push("0.1.0", &[]);
    machine.follows("mkdir -p .kamal && echo 'KAMAL_REGISTRY_PASSWORD=$KAMAL_REGISTRY_PASSWORD' >> .kamal/secrets");
    let said =
        machine.follows("kamal setup -c deploy/kamal/deploy.yml --skip-push --version 0.1.0");
    assert!(said.contains("Finished all in"), "{said}");
    scene.runs("0.1.0");
    is_what_the_file_says(&scene.inspect("0.1.0"));

    scene.push("0.2.0", &[]);
    let said =
        machine.follows("kamal deploy -c deploy/kamal/deploy.yml --skip-push --version 0.2.0");
    assert!(said.contains("docker stop -t 30"), "stop_timeout:\n{said}");
    let second = scene.runs("0.2.0");
    scene.has_stopped("0.1.0");

    // One of another service.
    scene.push("0.2.1", &["--change=LABEL service=another"]);
    let (good, said) = machine.tries(&format!(
        "kamal deploy -c {FILE} --skip-push --version 0.2.1"
    ));
    assert!(
        !good && said.contains("is missing the 'service' label"),
        "{said}"
    );
    assert_eq!(scene.runs("0.2.0"), second, "it is still the same");

    // One that is never ready; Kamal gives it 30 seconds.
    scene.push("0.3.0", &["--change=ENV PORT=none"]);
    let (good, said) = machine.tries(&format!(
        "kamal deploy -c {FILE} --skip-push --version 0.3.0"
    ));
    assert!(!good, "{said}");
    for part in [
        "container not ready after 30 seconds",
        r#"PORT="none": not a port"#,
    ] {
        assert!(said.contains(part), "no {part} in:\n{said}");
    }
    assert_eq!(scene.runs("0.2.0"), second, "it is still the same");

    machine.follows("kamal rollback 0.1.0 -c deploy/kamal/deploy.yml");
    scene.runs("0.1.0");
    scene.has_stopped("0.2.0");

    let follow = "kamal app logs -c deploy/kamal/deploy.yml --follow";
    machine.knows(follow);
    // It does not end by itself.
    let (_, said) = machine.tries(&format!("timeout 5 {follow}"));
    assert!(said.contains(r#""target":"/""#), "{said}");
}

/// The container is as deploy.yml wants it.
fn is_what_the_file_says(container: &Value) {
    let host = &container["HostConfig"];
    assert_eq!(host["Memory"], 256 << 20);
    assert_eq!(host["ReadonlyRootfs"], true);
    assert_eq!(host["CapDrop"], json!(["ALL"]));
    assert_eq!(host["SecurityOpt"], json!(["no-new-privileges"]));
    assert_eq!(host["PortBindings"], json!({}));
    let variables = container["Config"]["Env"].as_array().unwrap();
    for variable in [
        "ALLOWED_HOSTS=clock.example.com",
        "TRUSTED_PROXIES=private",
        "LOG_FORMAT=json",
        "KAMAL_VERSION=0.1.0",
    ] {
        assert!(
            variables.contains(&json!(variable)),
            "no {variable} in {variables:?}"
        );
    }
}

harness::trials![
    kamal_takes_the_file_as_it_is,
    kamal_refuses_a_misspelt_key,
    releases_a_release_that_fails_and_the_way_back,
];
