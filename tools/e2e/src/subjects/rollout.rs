//! `deploy/compose/rollout`: replaces old replicas with new ones, on a running stack, without losing a request; and what
//! is left when it fails or is interrupted.

use std::{
    collections::BTreeSet,
    io::{BufRead, BufReader, Read, Write},
    net::{Ipv4Addr, TcpListener},
    os::unix::process::CommandExt,
    process::{Child, Command, Stdio},
    sync::atomic::{AtomicBool, AtomicU32, Ordering},
    thread,
    time::{Duration, Instant},
};

use harness::{
    SetOnDrop, Stack,
    container::image,
    skip::skip,
    solo::{wait_at_most, wait_for},
    stack::{docker, run},
    wire::{exchange, get},
};

/// The longest time for a rollout; after it, the rollout counts as hanging.
const TIMEOUT: Duration = Duration::from_secs(120);

/// An image that differs from `berth-app`, or from another, by these lines of a Dockerfile; removed on drop.
struct Image(String);

impl Image {
    fn build(from: &str, lines: &str) -> Self {
        image(from);
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let this = Self(format!("berth-test-{}-image-{count}", std::process::id()));
        let mut build = Command::new("docker")
            .args(["build", "--quiet", "--tag", &this.0, "-"])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        let dockerfile = format!("FROM {from}\nLABEL test=\"{}\"\n{lines}\n", this.0);
        let mut stdin = build.stdin.take().unwrap();
        stdin.write_all(dockerfile.as_bytes()).unwrap();
        drop(stdin);
        assert!(build.wait().unwrap().success(), "{dockerfile}");
        this
    }

    /// A version of the app that works.
    fn version() -> Self {
        Self::build("berth-app", "")
    }

    fn id(&self) -> String {
        image(&self.0)["Id"].as_str().unwrap().to_owned()
    }
}

impl Drop for Image {
    fn drop(&mut self) {
        for tag in ["latest", "previous"] {
            let name = format!("{}:{tag}", self.0);
            let mut remove = Command::new("docker");
            let _ = remove.args(["image", "rm", "--force", &name]).output();
        }
    }
}

/// A stack whose images have names of its own.
struct Service {
    stack: Stack,
    /// The name in docker-compose.yml; the first version until a rollout.
    name: Image,
}

impl Service {
    fn start(variables: &[(&str, &str)]) -> Self {
        let name = Image::version();
        let variables = [&[("APP_IMAGE", name.0.as_str())], variables].concat();
        let stack = Stack::start(&variables);
        Self { stack, name }
    }

    fn rollout(&self, arguments: &[&str]) -> Rollout {
        self.rollout_with(&[], arguments)
    }

    fn rollout_with(&self, variables: &[(&str, &str)], arguments: &[&str]) -> Rollout {
        let mut command = self.stack.command("deploy/compose/rollout");
        command.args(arguments).envs(variables.iter().copied());
        Rollout::start(command)
    }

    /// Runs a rollout, which must succeed.
    fn roll(&self, arguments: &[&str]) -> String {
        let (code, said) = self.rollout(arguments).end();
        assert_eq!(code, Some(0), "{arguments:?}: {said}");
        said
    }

    /// All containers of the app, in any state: id, image, and when each was started.
    fn replicas(&self) -> BTreeSet<(String, String, String)> {
        let ids = self.stack.compose(&["ps", "--all", "--quiet", "app"]);
        ids.lines().filter_map(life).collect()
    }

    fn ids(&self) -> BTreeSet<String> {
        self.replicas().into_iter().map(|(id, _, _)| id).collect()
    }

    /// Asserts that exactly so many replicas exist, run, have this image, and answer.
    fn assert_runs(&self, number: usize, image: &str) {
        let replicas = self.replicas();
        let images: Vec<_> = replicas
            .iter()
            .map(|(_, image, _)| image.as_str())
            .collect();
        assert_eq!(images, vec![image; number], "the replicas' images");
        let wanted: BTreeSet<_> = self.ids().iter().map(|id| id[..12].to_owned()).collect();
        wait_for(|| {
            let ask = |_| get(self.stack.address, "/", "localhost");
            let answers = (0..20).map(ask);
            let who = answers.map(|it| it.header("X-Served-By").unwrap_or("no replica").to_owned());
            (who.collect::<BTreeSet<_>>() == wanted).then_some(())
        });
    }

    /// Asserts that Compose by itself would neither restart nor replace anything.
    fn assert_settled(&self) {
        let before = self.replicas();
        let number = before.len().to_string();
        self.stack.compose_with(
            &[("REPLICAS", &number)],
            &["up", "--detach", "--no-build", "app"],
        );
        assert_eq!(self.replicas(), before, "what `docker compose up` changes");
        let state = docker(&["image", "ls", "--format", "{{.Tag}}", &self.name.0]);
        assert!(!state.contains("next"), "left behind: {state}");
        let project = format!("name={}", self.stack.project);
        let containers = docker(&[
            "ps",
            "--all",
            "--filter",
            &project,
            "--format",
            "{{.Names}}",
        ]);
        assert!(!containers.contains("trial"), "left behind: {containers}");
    }
}

/// A container's id, image, and when it was started; none if it is gone.
fn life(id: &str) -> Option<(String, String, String)> {
    let mut inspect = Command::new("docker");
    let output = inspect
        .args([
            "inspect",
            "--format",
            "{{.Id}} {{.Image}} {{.State.StartedAt}}",
            id,
        ])
        .output()
        .unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    let mut words = said.split_whitespace().map(str::to_owned);
    Some((words.next()?, words.next()?, words.next()?))
}

/// A rollout under way, in a process group of its own as in a terminal; killed when this is dropped.
struct Rollout {
    child: Child,
    lines: BufReader<std::process::ChildStderr>,
    said: String,
}

impl Rollout {
    fn start(mut command: Command) -> Self {
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .process_group(0)
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stderr.take().unwrap());
        let said = String::new();
        Self { child, lines, said }
    }

    /// Reads what it says until a line has `wanted`.
    fn until(&mut self, wanted: &str) {
        loop {
            let mut line = String::new();
            let length = self.lines.read_line(&mut line).unwrap();
            assert!(length > 0, "it ended before {wanted:?}: {}", self.said);
            self.said += &line;
            if line.contains(wanted) {
                return;
            }
        }
    }

    /// Ctrl-C reaches the whole group; `kill -9` the script alone.
    fn signal(&self, name: &str) {
        let id = self.child.id().to_string();
        let target = if name == "INT" { format!("-{id}") } else { id };
        run(Command::new("kill").args(["-s", name, "--", &target]));
    }

    /// Returns its exit code, if it ended by itself, and its output.
    fn end(mut self) -> (Option<i32>, String) {
        let deadline = Instant::now() + TIMEOUT;
        let status = loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                break status;
            }
            assert!(Instant::now() < deadline, "it hangs: {}", self.said);
            thread::sleep(Duration::from_millis(50));
        };
        for line in self.lines.by_ref().lines() {
            self.said += &(line.unwrap() + "\n");
        }
        (status.code(), std::mem::take(&mut self.said))
    }
}

impl Drop for Rollout {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Requests `/` repeatedly while `what` runs, on a new connection each time. Returns the errors.
fn losses_during(stack: &Stack, what: impl FnOnce()) -> Vec<String> {
    let ends = AtomicBool::new(false);
    let request = b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    thread::scope(|scope| {
        let load = scope.spawn(|| {
            let (mut asked, mut losses) = (0, Vec::new());
            while !ends.load(Ordering::Relaxed) {
                let exchange = exchange(stack.address, request, Duration::from_secs(10));
                asked += 1;
                if !matches!(&exchange.replies[..], [reply] if reply.status == 200) {
                    losses.push(format!("request {asked}: {:?}", exchange.replies));
                }
                thread::sleep(Duration::from_millis(10));
            }
            assert!(asked > 50, "hardly any load: {asked} requests");
            losses
        });
        let over = SetOnDrop(&ends);
        what();
        drop(over);
        load.join().unwrap()
    })
}

fn new_replicas_take_over_and_nothing_is_lost() {
    let service = Service::start(&[]);
    let (first, second) = (service.name.id(), Image::version());
    let nginx = service.stack.containers("nginx");
    let before = service.ids();
    let losses = losses_during(&service.stack, || {
        let said = service.roll(&["--image", &second.0]);
        for id in service.ids() {
            for step in ["is healthy", "answers through nginx"] {
                let line = format!("{} {step}", &id[..12]);
                assert!(said.contains(&line), "{line}: {said}");
            }
        }
    });
    assert_eq!(losses, [""; 0]);
    assert!(service.ids().is_disjoint(&before), "all are new");
    service.assert_runs(2, &second.id());
    service.assert_settled();

    let before = service.replicas();
    assert!(
        service
            .roll(&["--image", &second.0])
            .contains("Nothing to do")
    );
    assert_eq!(service.replicas(), before);

    // More of them by hand are of the new image, too.
    service.stack.compose(&[
        "up",
        "--detach",
        "--no-build",
        "--wait",
        "--scale=app=3",
        "app",
    ]);
    assert!(service.replicas().is_superset(&before), "restarted");
    service.assert_runs(3, &second.id());

    // Back, and forth: as many as there were, never more than one beside them.
    let losses = losses_during(&service.stack, || {
        let mut rollout = service.rollout(&["--rollback", "--one-by-one"]);
        while rollout.child.try_wait().unwrap().is_none() {
            let running = service.stack.containers("app").len();
            assert!((3..=4).contains(&running), "{running} replicas");
        }
        assert_eq!(rollout.end().0, Some(0));
    });
    assert_eq!(losses, [""; 0]);
    service.assert_runs(3, &first);
    service.assert_settled();
    service.roll(&["--rollback"]);
    service.assert_runs(3, &second.id());
    assert_eq!(service.stack.containers("nginx"), nginx);
}

fn one_replica_is_replaced_and_settings_are_rolled_out() {
    let service = Service::start(&[("REPLICAS", "1")]);
    let first = service.name.id();
    let tz = |id: &str| {
        docker(&["inspect", "--format", "{{.Config.Env}}", id]).contains("TZ=Asia/Tokyo")
    };
    let losses = losses_during(&service.stack, || {
        let (code, said) = service.rollout_with(&[("TZ", "Asia/Tokyo")], &[]).end();
        assert_eq!(code, Some(0), "{said}");
    });
    assert_eq!(losses, [""; 0]);
    service.assert_runs(1, &first);
    assert!(service.ids().iter().all(|id| tz(id)), "the setting");

    // A replica that doesn't tell its name is asked directly.
    let quiet = [("SERVED_BY", "off")];
    let second = Image::version();
    let (code, said) = service.rollout_with(&quiet, &["--image", &second.0]).end();
    assert_eq!(code, Some(0), "{said}");
    let images: Vec<_> = service.replicas().into_iter().map(|it| it.1).collect();
    assert_eq!(images, [second.id()]);
}

/// It answers, but with errors.
const ERRORS: &str = r#"USER 0
RUN printf '%s\n' 'pid /dev/shm/pid; error_log stderr; events {} http { client_body_temp_path /dev/shm/b;' \
    'proxy_temp_path /dev/shm/p; fastcgi_temp_path /dev/shm/f; uwsgi_temp_path /dev/shm/u; scgi_temp_path /dev/shm/s;' \
    'access_log /dev/stderr; add_header X-Served-By $hostname always; map $host $errs { default 0; example.com 1; }' \
    'server { listen 8080; location / { if ($errs) { return 500; } return 404; }' \
    'location /health/ { return 200; } } }' > /etc/nginx/errors.conf
USER 65532:0
ENTRYPOINT ["nginx", "-g", "daemon off;", "-c", "/etc/nginx/errors.conf"]
CMD []"#;

fn a_broken_image_changes_nothing() {
    let service = Service::start(&[("ALLOWED_HOSTS", ".example.com,localhost")]);
    let first = service.name.id();
    let before = service.replicas();
    let crashes = Image::build("berth-app", r#"CMD ["no-such-command"]"#);
    let never_starts = Image::build("berth-app", r#"ENTRYPOINT ["/no-such-file"]"#);
    let unhealthy = Image::build(
        "berth-app",
        r#"HEALTHCHECK --interval=1s CMD ["/app", "no"]"#,
    );
    let errors = Image::build("berth-nginx", ERRORS);
    for (image, why, words) in [
        (&crashes, "has crashed", "no-such-command"),
        (&never_starts, "can't be started", "no such file"),
        (&unhealthy, "is not healthy after 6 s", "INFO"),
        (&errors, "answers 500", "500"),
    ] {
        for way in [&[][..], &["--one-by-one"]] {
            let arguments = [&["--image", &image.0, "--timeout", "6"], way].concat();
            let losses = losses_during(&service.stack, || {
                let (code, said) = service.rollout(&arguments).end();
                assert_eq!(code, Some(1), "{why}: {said}");
                assert!(said.contains(why), "{why}: {said}");
                let log = said.lines().filter(|line| line.starts_with("   | "));
                let log = log.collect::<String>();
                assert!(
                    log.contains(words),
                    "{why}: the last words have no {words:?}: {said}"
                );
            });
            assert_eq!(losses, [""; 0], "{why}");
            assert_eq!(service.replicas(), before, "{why}");
            service.assert_runs(2, &first);
            service.assert_settled();
        }
    }
}

fn one_by_one_goes_back_when_a_later_one_fails() {
    let service = Service::start(&[]);
    let first = service.name.id();
    let second = Image::version();
    let before = service.ids();
    let mut rollout = service.rollout(&["--image", &second.0, "--one-by-one"]);
    rollout.until("stopping");
    // The other new one dies as soon as it runs.
    let old_and_proven = |id: &String| before.contains(id) || rollout.said.contains(&id[..12]);
    let fresh = wait_at_most(TIMEOUT, || {
        service
            .stack
            .containers("app")
            .into_iter()
            .find(|id| !old_and_proven(id))
    });
    docker(&["kill", &fresh]);
    let (code, said) = rollout.end();
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("going back"), "{said}");
    service.assert_runs(2, &first);
    service.assert_settled();
}

/// Interrupts a rollout at each step and lets another one finish it, or turn back.
fn interrupted(signal: &str) {
    let service = Service::start(&[]);
    let versions = [Image::version(), Image::version()];
    let mut runs = service.name.id();
    let steps = ["Trying", "is healthy", "answers", "stopping"];
    for (count, step) in steps.into_iter().enumerate() {
        let next = &versions[count % 2];
        let next_id = next.id();
        let mut rollout = service.rollout(&["--image", &next.0]);
        rollout.until(step);
        let bears_name = |id: &str| (service.name.id() == id).then_some(());
        if step == "Trying" {
            wait_for(|| bears_name(&next_id));
        }
        rollout.signal(signal);
        let (code, said) = rollout.end();
        if step == "Trying" && code == Some(0) {
            // The image has the name for a second only, and again when all is done.
            skip("Trying: the rollout was over before it could be interrupted");
            runs = next_id;
            continue;
        }
        assert_ne!(code, Some(0), "{step}: {said}");
        if step == "Trying" {
            // It had the name for Compose's sake only.
            wait_for(|| bears_name(&runs));
        }
        assert_eq!(
            get(service.stack.address, "/", "localhost").status,
            200,
            "{step}"
        );
        if step == "is healthy" {
            // In the middle of a rollout, back means the old replicas that still run.
            service.roll(&["--rollback"]);
            service.assert_runs(2, &runs);
            service.assert_settled();
        }
        // An interrupted version need not be named again.
        let arguments: &[&str] = match step {
            "Trying" => &[],
            _ => &["--image", &next.0],
        };
        let losses = losses_during(&service.stack, || drop(service.roll(arguments)));
        assert_eq!(losses, [""; 0], "{step}");
        runs = next_id;
        service.assert_runs(2, &runs);
        service.assert_settled();
    }
}

fn after_ctrl_c_at_any_step_the_next_one_finishes() {
    interrupted("INT");
}

fn after_a_kill_at_any_step_the_next_one_finishes() {
    interrupted("KILL");
}

fn another_image_can_be_rolled_out_after_an_interruption() {
    let service = Service::start(&[]);
    let (second, third) = (Image::version(), Image::version());
    for step in ["is healthy", "stopping"] {
        let mut rollout = service.rollout(&["--image", &second.0]);
        rollout.until(step);
        // While it runs, a second one is refused and changes nothing.
        let (code, said) = service.rollout(&["--image", &third.0]).end();
        assert_eq!(code, Some(1), "{said}");
        assert!(said.contains("Another rollout of app"), "{said}");
        rollout.signal("KILL");
        rollout.end();
        service.roll(&["--image", &third.0]);
        service.assert_runs(2, &third.id());
        service.assert_settled();
    }
}

/// Where nginx's port stays when it is replaced.
fn fixed_address() -> String {
    let free = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    free.local_addr().unwrap().to_string()
}

fn a_version_is_rolled_out_during_maintenance() {
    let name = Image::build("berth-nginx", "");
    let service = Service::start(&[("FRONT_IMAGE", &name.0), ("PUBLISH", &fixed_address())]);
    let status = || get(service.stack.address, "/", "localhost").status;
    let before = service.replicas();
    let nginx = [
        "up",
        "--detach",
        "--no-build",
        "--no-deps",
        "--wait",
        "nginx",
    ];
    let on = [("MAINTENANCE", "on")];
    service.stack.compose_with(&on, &nginx);
    assert_eq!(status(), 503);
    assert_eq!(service.replicas(), before, "the app is left alone");

    let second = Image::version();
    let image = Image::build("berth-nginx", "");
    for arguments in [
        &["--image", &second.0][..],
        &["--service", "nginx", "--image", &image.0],
    ] {
        let (code, said) = service.rollout_with(&on, arguments).end();
        assert_eq!(code, Some(0), "{said}");
        assert_eq!(status(), 503);
    }
    service.stack.compose(&nginx);
    service.assert_runs(2, &second.id());
}

fn a_build_warns_when_the_files_have_changed() {
    let image = Image::build("berth-nginx", "");
    let service = Service::start(&[("FRONT_IMAGE", &image.0), ("PUBLISH", &fixed_address())]);
    let nginx = service.stack.containers("nginx");
    let tells = |said: &str| said.contains("Files of the site") && said.contains("make up");
    let said = service.roll(&["--build"]);
    assert!(tells(&said), "{said}");
    service.assert_runs(2, &service.name.id());
    // Later commands of Compose do not replace nginx.
    service
        .stack
        .compose(&["up", "--detach", "--no-build", "nginx"]);
    assert_eq!(service.stack.containers("nginx"), nginx);

    service.roll(&["--build", "--service", "nginx"]);
    assert_ne!(service.stack.containers("nginx"), nginx);
    let said = service.roll(&["--build"]);
    assert!(!tells(&said), "{said}");
}

fn nginx_is_replaced_with_a_short_gap_and_only_by_one_that_works() {
    let image = Image::build("berth-nginx", "");
    let service = Service::start(&[("FRONT_IMAGE", &image.0), ("PUBLISH", &fixed_address())]);
    let replicas = service.replicas();
    let nginx = |service: &Service| {
        let ids = service.stack.compose(&["ps", "--all", "--quiet", "nginx"]);
        ids.lines().filter_map(life).collect::<Vec<_>>()
    };
    let before = nginx(&service);

    let broken = Image::build("berth-nginx", r#"CMD ["nginx", "-g", "nonsense;"]"#);
    let arguments = ["--service", "nginx", "--timeout", "10", "--image"];
    let losses = losses_during(&service.stack, || {
        let (code, said) = service
            .rollout(&[&arguments[..], &[&broken.0]].concat())
            .end();
        assert_eq!(code, Some(1), "{said}");
        assert!(said.contains("nonsense"), "the last words: {said}");
    });
    assert_eq!(losses, [""; 0]);
    assert_eq!(nginx(&service), before);

    let (first, second) = (image.id(), Image::build("berth-nginx", ""));
    let started = Instant::now();
    service.roll(&[&arguments[..], &[&second.0]].concat());
    assert!(started.elapsed() < TIMEOUT);
    let after = nginx(&service);
    assert_eq!(after.len(), 1);
    assert_eq!(after[0].1, second.id());
    service.assert_runs(2, &replicas.first().unwrap().1);
    service.roll(&["--service", "nginx", "--rollback"]);
    assert_eq!(nginx(&service)[0].1, first);
    assert_eq!(service.replicas(), replicas, "the app is left alone");
}

harness::trials![
    new_replicas_take_over_and_nothing_is_lost,
    one_replica_is_replaced_and_settings_are_rolled_out,
    a_broken_image_changes_nothing,
    one_by_one_goes_back_when_a_later_one_fails,
    after_ctrl_c_at_any_step_the_next_one_finishes,
    after_a_kill_at_any_step_the_next_one_finishes,
    another_image_can_be_rolled_out_after_an_interruption,
    a_version_is_rolled_out_during_maintenance,
    a_build_warns_when_the_files_have_changed,
    nginx_is_replaced_with_a_short_gap_and_only_by_one_that_works,
];
