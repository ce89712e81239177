//! Runs a table of cases in each mode. A mode starts with the first of its cases, and stops after the last.

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{Command, ExitCode},
    sync::{Arc, OnceLock},
    thread,
    time::Duration,
};

use libtest_mimic::{Arguments, Failed, Trial};

use crate::{
    Bundle, Solo, Stack,
    bundle::{self, BARE},
    container::{Container, nginx_image},
    root, skip,
    solo::FREE,
    stack::{docker, works},
};

/// The servers under test.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// The app alone.
    Solo,
    /// nginx with replicas.
    Stack,
    /// Both in one container.
    Bundle,
    /// Apache with replicas.
    Apache,
}

impl Mode {
    /// The modes that give the same answers.
    pub const ALL: [Self; 3] = [Self::Solo, Self::Stack, Self::Bundle];
    /// The mode with differences, which the tables list.
    pub const AND_APACHE: [Self; 4] = [Self::Solo, Self::Stack, Self::Bundle, Self::Apache];

    /// Returns the mode's name in the names of cases.
    pub fn name(self) -> &'static str {
        match self {
            Self::Solo => "solo",
            Self::Stack => "stack",
            Self::Bundle => "bundle",
            Self::Apache => "apache",
        }
    }

    /// Returns the images that it needs. The app alone needs one only for another site.
    pub fn images(self) -> &'static [&'static str] {
        match self {
            Self::Solo => &[],
            Self::Stack => STACK,
            Self::Bundle => &["berth-bundle"],
            Self::Apache => &["berth-apache", "berth-app"],
        }
    }
}

/// The Compose files with Apache in nginx's place.
pub const APACHE: &str = "docker-compose.yml:deploy/compose/apache.yml";

/// The servers; each is started when it is first needed.
pub struct Modes {
    variables: Vec<(&'static str, String)>,
    /// The folder of another site, and the Compose file that mounts it.
    site: Option<(PathBuf, String)>,
    /// Another service in the place of the sample.
    service: Option<Service>,
    solo: OnceLock<Alone>,
    stack: OnceLock<Stack>,
    bundle: OnceLock<Bundle>,
    apache: OnceLock<Stack>,
}

/// A service in the place of the sample, as a program and in images like the shipped ones. Each is made when it is needed.
#[derive(Clone, Copy)]
pub struct Service {
    /// The program, for the app alone. It logs its address as the sample does.
    pub program: fn() -> PathBuf,
    /// The image of a replica.
    pub app_image: fn() -> String,
    /// The image of the bundle.
    pub bundle_image: fn() -> String,
}

/// The app alone.
enum Alone {
    /// As the tests were built.
    Process(Solo),
    /// As it is shipped.
    Image(Container),
}

impl Modes {
    /// With `variables` for the app alone.
    pub fn new(variables: Vec<(&'static str, String)>) -> Self {
        Self {
            variables,
            site: None,
            service: None,
            solo: OnceLock::new(),
            stack: OnceLock::new(),
            bundle: OnceLock::new(),
            apache: OnceLock::new(),
        }
    }

    /// The images, with `variables` and with the folders of `site` in the place of theirs; `compose_file` mounts them.
    pub fn with_site(
        variables: Vec<(&'static str, String)>,
        site: &Path,
        compose_file: &str,
    ) -> Self {
        Self {
            site: Some((site.to_owned(), compose_file.to_owned())),
            ..Self::new(variables)
        }
    }

    /// Another service, with `variables` in every mode.
    pub fn with_service(variables: Vec<(&'static str, String)>, service: Service) -> Self {
        Self::new(variables).serving(service)
    }

    /// The same with another service.
    #[must_use]
    pub fn serving(self, service: Service) -> Self {
        Self {
            service: Some(service),
            ..self
        }
    }

    /// Returns its address; starts it if it is not running.
    pub fn address(&self, mode: Mode) -> SocketAddr {
        match mode {
            Mode::Solo => match self.solo() {
                Alone::Process(process) => process.address,
                Alone::Image(container) => container.address(8080),
            },
            Mode::Stack => self.stack().address,
            Mode::Bundle => self.bundle().address,
            Mode::Apache => self.apache().address,
        }
    }

    /// Returns the app's log so far, of all replicas.
    pub fn log(&self, mode: Mode) -> Vec<String> {
        match mode {
            Mode::Solo => match self.solo() {
                Alone::Process(process) => process.log(),
                Alone::Image(container) => bundle::lines(&container.log().stderr),
            },
            Mode::Stack => self.stack().log("app"),
            Mode::Bundle => self.bundle().app_log(),
            Mode::Apache => self.apache().log("app"),
        }
    }

    /// Returns nginx's log so far, in modes with nginx.
    pub fn nginx_log(&self, mode: Mode) -> Vec<String> {
        match mode {
            Mode::Solo | Mode::Apache => Vec::new(),
            Mode::Stack => self.stack().log("nginx"),
            Mode::Bundle => self.bundle().nginx_log(),
        }
    }

    /// Stops the app as a platform does. Behind nginx, all replicas.
    pub fn stop(&self, mode: Mode) {
        match mode {
            Mode::Solo => match self.solo() {
                Alone::Process(process) => process.signal("TERM"),
                Alone::Image(container) => drop(docker(&["stop", &container.name])),
            },
            Mode::Stack => drop(self.stack().compose(&["stop", "app"])),
            Mode::Bundle => self.bundle().signal("TERM"),
            Mode::Apache => drop(self.apache().compose(&["stop", "app"])),
        }
    }

    /// The modes that have been started.
    pub fn started(&self) -> Vec<Mode> {
        let solo = self.solo.get().map(|_| Mode::Solo);
        let stack = self.stack.get().map(|_| Mode::Stack);
        let bundle = self.bundle.get().map(|_| Mode::Bundle);
        let apache = self.apache.get().map(|_| Mode::Apache);
        let started = [solo, stack, bundle, apache];
        started.into_iter().flatten().collect()
    }

    fn solo(&self) -> &Alone {
        self.solo.get_or_init(|| match (&self.service, &self.site) {
            (Some(service), site) => {
                let mut program = Command::new((service.program)());
                let program = program.env_clear().envs(self.variables());
                let program = program.env("BIND", FREE).current_dir(root());
                let folder = site.iter().map(|(site, _)| site.join("site"));
                Alone::Process(Solo::run(program.envs(folder.map(|it| ("STATIC_DIR", it)))))
            }
            (None, None) => Alone::Process(Solo::start(&self.variables())),
            (None, Some(_)) => {
                let options = self.options();
                let options: Vec<_> = options.iter().map(String::as_str).collect();
                let options = [BARE, &["--publish=127.0.0.1::8080"], &options].concat();
                let container = Container::run(&options, "berth-app", &[]);
                container.wait_until_ready();
                Alone::Image(container)
            }
        })
    }

    /// nginx with replicas; starts it if it is not running.
    pub fn stack(&self) -> &Stack {
        self.stack.get_or_init(|| match &self.site {
            None => {
                let image = self.service.map(|it| (it.app_image)());
                Stack::start(&self.of_service(image.as_deref()))
            }
            Some((site, file)) => {
                let files = format!("docker-compose.yml:{file}");
                self.stacked("nginx", &files, site)
            }
        })
    }

    fn apache(&self) -> &Stack {
        self.apache.get_or_init(|| match &self.site {
            None => {
                let image = self.service.map(|it| (it.app_image)());
                let own = self.of_service(image.as_deref());
                let apache = [("COMPOSE_FILE", APACHE)];
                Stack::behind("apache", &[&apache[..], &own].concat())
            }
            Some((site, file)) => {
                let files = format!("docker-compose.yml:{file}:deploy/compose/apache.yml");
                self.stacked("apache", &files, site)
            }
        })
    }

    /// The stack that these Compose files describe, with the variables and the site.
    fn stacked(&self, proxy: &'static str, files: &str, site: &Path) -> Stack {
        let mut variables = self.variables();
        let nginx = nginx_image();
        let image = self.service.map(|it| (it.app_image)());
        variables.extend(image.iter().map(|image| ("APP_IMAGE", image.as_str())));
        variables.extend([
            ("COMPOSE_FILE", files),
            ("NGINX_UNDER_TEST", &nginx),
            ("SITE", site.to_str().unwrap()),
        ]);
        Stack::behind(proxy, &variables)
    }

    /// The variables of a stack with another service; none for the sample.
    fn of_service<'a>(&'a self, image: Option<&'a str>) -> Vec<(&'a str, &'a str)> {
        let Some(image) = image else {
            return Vec::new();
        };
        let image = ("APP_IMAGE", image);
        self.variables().into_iter().chain([image]).collect()
    }

    fn variables(&self) -> Vec<(&str, &str)> {
        let variables = self.variables.iter();
        variables
            .map(|(name, value)| (*name, value.as_str()))
            .collect()
    }

    /// For a container by itself: the variables, and the folders of the site.
    fn options(&self) -> Vec<String> {
        let variables = self.variables.iter();
        let variables = variables.map(|(name, value)| format!("--env={name}={value}"));
        let Some((site, _)) = &self.site else {
            return match self.service {
                Some(_) => variables.collect(),
                None => Vec::new(),
            };
        };
        let folders = ["site", "site.br", "site.gzip"];
        let folders =
            folders.map(|folder| format!("--volume={}/{folder}:/srv/{folder}:ro", site.display()));
        variables.chain(folders).collect()
    }

    fn bundle(&self) -> &Bundle {
        self.bundle.get_or_init(|| {
            let options = self.options();
            let options: Vec<_> = options.iter().map(String::as_str).collect();
            match &self.service {
                Some(service) => Bundle::start_as(&(service.bundle_image)(), 8080, &options),
                None => Bundle::start(&options),
            }
        })
    }
}

/// A case's check of the servers.
pub type Check = Box<dyn FnOnce(&Modes) -> Result<(), Failed> + Send>;

/// One case in one mode.
pub struct Case {
    /// Its name, without the mode's.
    pub name: String,
    /// The mode that it runs in.
    pub mode: Mode,
    /// Its check.
    pub check: Check,
}

/// Returns the cases as trials. Skips those whose images are missing.
pub fn trials(modes: &Arc<Modes>, cases: Vec<Case>) -> Vec<Trial> {
    let used = |mode: Mode| cases.iter().any(|case| case.mode == mode);
    let missing: Vec<(Mode, String)> = Mode::AND_APACHE
        .into_iter()
        .filter(|mode| used(*mode))
        .filter_map(|mode| Some((mode, why_not(mode.images())?)))
        .collect();
    let trial = |Case { name, mode, check }| {
        let name = format!("{}: {name}", mode.name());
        match missing.iter().find(|(it, _)| *it == mode) {
            Some((_, why)) => skip::skipped(name, why.clone()),
            None => {
                let modes = Arc::clone(modes);
                skip::trial(name, move || check(&modes))
            }
        }
    };
    cases.into_iter().map(trial).collect()
}

/// Stops the servers. Trials may hold them a little longer than their results.
pub fn take_down(modes: Arc<Modes>) {
    while Arc::strong_count(&modes) > 1 {
        thread::sleep(Duration::from_millis(1));
    }
    drop(modes);
}

/// Runs the cases as a separate program, then `afterwards` on the running servers. Stops everything at the end.
pub fn run(
    modes: Modes,
    cases: Vec<Case>,
    afterwards: impl FnOnce(&Modes) -> Result<(), String>,
) -> ExitCode {
    let mut arguments = Arguments::from_args();
    // Cases mostly wait.
    arguments.test_threads.get_or_insert(16);
    let modes = Arc::new(modes);
    let conclusion = libtest_mimic::run(&arguments, trials(&modes, cases));
    let verdict = afterwards(&modes);
    if let Err(fault) = &verdict {
        eprintln!("{fault}");
    }
    take_down(modes);
    if conclusion.has_failed() || verdict.is_err() {
        ExitCode::from(101)
    } else {
        ExitCode::SUCCESS
    }
}

/// The images of nginx with replicas.
pub const STACK: &[&str] = &["berth-nginx", "berth-app"];

/// Returns why containers of these images can't be started, if they can't.
pub fn why_not(images: &[&str]) -> Option<String> {
    if images.is_empty() {
        None
    } else if !works(&["compose", "version"]) || !works(&["info"]) {
        Some("Docker with its Compose plugin is not there".into())
    } else if !works(&[&["image", "inspect"], images].concat()) {
        Some(format!("not there: {}", images.join(", ")))
    } else {
        None
    }
}
