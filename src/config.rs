//! Every environment variable that Berth reads: its name, default and meaning stand here and nowhere else.
//!
//! They are read once, before anything binds, and all mistakes are reported together.

mod value;

use std::{
    collections::HashMap,
    ffi::{OsStr, OsString},
    fmt::{self, Display},
    net::Ipv6Addr,
    str::FromStr,
    time::Duration,
};

use actix_web::{dev::ServiceRequest, web::Data};
use serde::{Deserialize, Deserializer};

pub use self::value::{
    Address, Front, Header, IfAny, LogFilter, LogFormat, Number, Port, Seconds, Size, StaticDir,
    StaticPrefix, Switch, Workers, Zone,
};
use crate::{front, hosts::AllowedHosts, platforms, proxies::TrustedProxies};

/// The exit code for a configuration that can't be used: `EX_CONFIG` of `sysexits.h`.
pub const EX_CONFIG: u8 = 78;

/// A variable, as the README and `berth config` show it.
#[derive(Debug)]
pub struct Variable {
    /// Its name in the environment.
    pub name: &'static str,
    /// What holds where it is not set; empty for none.
    pub default: &'static str,
    /// What it is for.
    pub meaning: &'static str,
}

/// Declares [`Config`] from one list, so that a variable's name, type, default and meaning can't drift apart.
/// envy wants a field to have its variable's name, in lower case.
macro_rules! variables {
    ($($field:ident: $type:ty = $name:literal, $default:literal, $meaning:literal;)+) => {
        /// The configuration in force.
        #[derive(Clone, Debug)]
        pub struct Config {
            $(#[doc = concat!("`", $name, "`, by default `", $default, "`: ", $meaning)] pub $field: $type,)+
            origins: Vec<Origin>,
        }

        /// Every variable, in the order in which a reader wants them.
        pub const VARIABLES: &[Variable] =
            &[$(Variable { name: $name, default: $default, meaning: $meaning }),+];

        #[derive(Deserialize)]
        struct Environment {
            $(#[serde(default)] $field: Option<Entry<$type>>,)+
        }

        impl Reader {
            fn read(&mut self, environment: Environment) -> Option<Config> {
                $(let $field = self.take($name, $default, environment.$field);)+
                Some(Config { $($field: $field?,)+ origins: std::mem::take(&mut self.origins) })
            }
        }
    };
}

variables! {
    bind: Address = "BIND", "127.0.0.1:8080",
        "address to listen on: `IP:port` or `unix:/path`; in the image `[::]:8080`, which takes IPv4 too";
    port: Port = "PORT", "",
        "replaces the port of `BIND` and, unless `BIND` is set, binds every address: what a platform sets";
    allowed_hosts: AllowedHosts = "ALLOWED_HOSTS", "127.0.0.1,localhost,[::1]",
        "hosts to answer for: exact, `.example.com` for a domain and its subdomains, `*` for any";
    web_concurrency: Workers = "WEB_CONCURRENCY", "auto",
        "worker threads; `auto` is the container's CPU quota, at least 1";
    static_dir: StaticDir = "STATIC_DIR", "static",
        "folder of the site's files";
    static_prefix: StaticPrefix = "STATIC_PREFIX", "/",
        "where the files appear";
    trusted_proxies: TrustedProxies = "TRUSTED_PROXIES", "",
        "addresses and networks of proxies whose `X-Forwarded-Proto` and the two headers below count; \
         `private` for all that are not public";
    client_header: Header = "CLIENT_HEADER", "X-Forwarded-For",
        "header in which a trusted proxy names the client's address";
    request_id_header: IfAny = "REQUEST_ID_HEADER", "X-Request-Id",
        "header in which a trusted proxy gives the request's id; `none` if it passes on whatever the client sent";
    keep_alive: Seconds = "KEEP_ALIVE", "100",
        "seconds that an idle connection is kept, longer than any router's (60 to 90); 620 behind Google's; 0 keeps none";
    client_timeout: Number<86_400> = "CLIENT_TIMEOUT", "10",
        "seconds that a client may take for a request's head, and keep us waiting for more of its body";
    max_body: Size = "MAX_BODY", "10m",
        "bytes that the body of a request may have, with `k`, `m` or `g`; a larger one gets 413";
    max_requests: Number<65_535> = "MAX_REQUESTS", "512",
        "requests that are worked on at the same time, by nginx and by each replica; more get 503 at once";
    max_connections: Number<1_000_000> = "MAX_CONNECTIONS", "12000",
        "connections that the app holds, at up to 20 KB of memory each; more wait to be accepted";
    maintenance: Switch = "MAINTENANCE", "off",
        "`on` answers everything but probes with 503 and a page that says so";
    drain_seconds: Seconds = "DRAIN_SECONDS", "2.5",
        "seconds of serving on after SIGTERM, with readiness failing";
    front: Front = "FRONT", "",
        "`host:port` of the nginx in front, which is told when the drain begins; set in docker-compose.yml";
    shutdown_seconds: Seconds = "SHUTDOWN_SECONDS", "5",
        "seconds that requests in flight then have to finish";
    log_format: LogFormat = "LOG_FORMAT", "text",
        "`text`, or `json` for machines";
    rust_log: LogFilter = "RUST_LOG", "info",
        "what to log: a level, or `module=level` pairs";
    served_by: Switch = "SERVED_BY", "off",
        "`on` adds `X-Served-By` with the replica's name; on in docker-compose.yml";
    tz: Zone = "TZ", "",
        "time zone, such as `Europe/Berlin`; if none, the machine's, which in the image is UTC";
}

impl Config {
    /// Reads `variables`, usually [`std::env::vars_os`].
    ///
    /// # Errors
    /// All mistakes at once.
    pub fn load(
        variables: impl IntoIterator<Item = (OsString, OsString)>,
    ) -> Result<(Self, Vec<Warning>), Mistakes> {
        let mut reader = Reader::default();
        let mut ours = Vec::new();
        let mut others = HashMap::new();
        let mut warnings = Vec::new();
        for (name, value) in variables {
            let Some(name) = name.to_str() else { continue };
            if VARIABLES.iter().all(|variable| variable.name != name) {
                warnings.extend(Warning::if_misspelt(name));
                others.extend(
                    value
                        .to_str()
                        .map(|value| (name.to_owned(), value.to_owned())),
                );
            } else if let Some(value) = value.to_str() {
                ours.push((name.to_owned(), value.to_owned()));
            } else {
                reader.mistake(name, Some(&value), "not UTF-8; set it to plain text");
            }
        }
        let environment = envy::from_iter(ours).expect("an entry takes any text");
        match reader.read(environment) {
            Some(config) if reader.mistakes.is_empty() => match config.contradiction() {
                Some(mistake) => Err(Mistakes(vec![mistake])),
                None => {
                    let config = config.with_port().with_socket();
                    Ok((config.with_public_names(&others, &mut warnings), warnings))
                }
            },
            _ => Err(Mistakes(reader.mistakes)),
        }
    }

    /// The configuration that the server handed to a request.
    pub fn of(request: &ServiceRequest) -> &Self {
        let config = request.app_data::<Data<Self>>();
        config.expect("the server hands it to every request")
    }

    /// Two values that are good by themselves, and lose requests together.
    fn contradiction(&self) -> Option<Mistake> {
        let kept = Duration::from(self.keep_alive);
        let is_short = !kept.is_zero() && kept <= front::IDLE;
        (self.front.0.is_some() && is_short).then(|| Mistake {
            name: "KEEP_ALIVE".to_owned(),
            value: Some(self.keep_alive.to_string().into()),
            remedy: format!(
                "too short: the nginx of FRONT uses its connections again for {} s; set it to more, or to 0",
                front::IDLE.as_secs()
            ),
        })
    }

    /// `PORT` changes where `BIND` says to listen.
    fn with_port(mut self) -> Self {
        let bind = self.origins.iter_mut().find(|origin| origin.name == "BIND");
        if let (Address::Tcp(address), Some(port), Some(bind)) = (&mut self.bind, self.port.0, bind)
        {
            if !bind.set {
                address.set_ip(Ipv6Addr::UNSPECIFIED.into());
            }
            address.set_port(port.get());
            bind.value = address.to_string();
            bind.from = "PORT".to_owned();
        }
        self
    }

    /// On a Unix socket the peer has no address, and is trusted.
    fn with_socket(mut self) -> Self {
        let on_unix = matches!(self.bind, Address::Unix(_));
        self.trusted_proxies = self.trusted_proxies.listening_on_unix(on_unix);
        self
    }

    /// What the platform calls the service is allowed without being told.
    fn with_public_names(
        mut self,
        variables: &HashMap<String, String>,
        warnings: &mut Vec<Warning>,
    ) -> Self {
        let row = |origin: &Origin| origin.name == "ALLOWED_HOSTS";
        let mut next = 1 + self.origins.iter().position(row).expect("a row of its own");
        for name in platforms::public_names(variables) {
            match self.allowed_hosts.and(&name.host) {
                Ok(false) => {}
                Ok(true) => {
                    let origin = Origin {
                        name: "ALLOWED_HOSTS",
                        value: name.host,
                        from: name.from,
                        set: true,
                    };
                    self.origins.insert(next, origin);
                    next += 1;
                }
                Err(_) => warnings.push(Warning::NoHost(name)),
            }
        }
        self
    }
}

/// What is in force and where each value came from, as a table.
impl Display for Config {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let width = |length: fn(&Origin) -> usize| self.origins.iter().map(length).max();
        let name = width(|it| it.name.len()).unwrap_or(0);
        let value = width(|it| it.value.len()).unwrap_or(0);
        writeln!(out, "{:<name$}  {:<value$}  from", "variable", "value")?;
        self.origins.iter().try_for_each(|it| {
            writeln!(out, "{:<name$}  {:<value$}  {}", it.name, it.value, it.from)
        })
    }
}

/// Where a value came from.
#[derive(Clone, Debug)]
struct Origin {
    name: &'static str,
    value: String,
    from: String,
    set: bool,
}

/// A variable's text, read into its type; what is wrong with it is kept for later, so that no mistake hides another.
struct Entry<T> {
    text: String,
    value: Result<T, String>,
}

impl<T: FromStr<Err = String>> From<String> for Entry<T> {
    fn from(text: String) -> Self {
        let value = text.parse();
        Self { text, value }
    }
}

impl<'de, T: FromStr<Err = String>> Deserialize<'de> for Entry<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(Self::from)
    }
}

#[derive(Default)]
struct Reader {
    mistakes: Vec<Mistake>,
    origins: Vec<Origin>,
}

impl Reader {
    /// An empty value is none at all, as container tools pass one on where there is none. But an empty list of hosts
    /// is more likely a mistake than a wish.
    fn take<T>(&mut self, name: &'static str, default: &str, entry: Option<Entry<T>>) -> Option<T>
    where
        T: FromStr<Err = String> + Display,
    {
        let entry = entry.filter(|entry| !entry.text.is_empty() || name == "ALLOWED_HOSTS");
        let set = entry.is_some();
        let entry = entry.unwrap_or_else(|| default.to_owned().into());
        match entry.value {
            Ok(value) => {
                self.origins.push(Origin {
                    name,
                    value: value.to_string(),
                    from: if set { "environment" } else { "default" }.to_owned(),
                    set,
                });
                Some(value)
            }
            Err(remedy) => {
                let text = set.then(|| OsStr::new(&entry.text));
                self.mistake(name, text, &remedy);
                None
            }
        }
    }

    fn mistake(&mut self, name: &str, value: Option<&OsStr>, remedy: &str) {
        self.mistakes.push(Mistake {
            name: name.to_owned(),
            value: value.map(OsStr::to_owned),
            remedy: remedy.to_owned(),
        });
    }
}

/// One variable that can't be used, and what to do about it.
#[derive(Debug)]
pub struct Mistake {
    name: String,
    value: Option<OsString>,
    remedy: String,
}

impl Display for Mistake {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.value {
            Some(value) => write!(out, "{}={value:?}: {}", self.name, self.remedy),
            None => write!(out, "{} (not set): {}", self.name, self.remedy),
        }
    }
}

/// Everything that is wrong with the environment.
#[derive(Debug)]
pub struct Mistakes(Vec<Mistake>);

impl std::error::Error for Mistakes {}

impl Display for Mistakes {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            out,
            "the configuration can't be used; change these environment variables:"
        )?;
        self.0
            .iter()
            .try_for_each(|mistake| write!(out, "\n  {mistake}"))
    }
}

/// What is odd about the environment, and no reason not to start.
#[derive(Debug, PartialEq)]
pub enum Warning {
    /// A variable that looks like a misspelling of ours.
    Misspelt {
        /// As it is set.
        name: String,
        /// Which of ours it may be.
        meant: &'static str,
    },
    /// A platform's name for the service that can't be one.
    NoHost(platforms::PublicName),
}

impl Warning {
    /// One slip is a misspelling; in a long name, so are two or three. Names as short as `TZ` resemble too much.
    fn if_misspelt(name: &str) -> Option<Self> {
        let slips = |known: &str| match known.len() {
            ..3 => 0,
            3..=8 => 1,
            9..=12 => 2,
            _ => 3,
        };
        let upper = name.to_ascii_uppercase();
        let near =
            |known: &&Variable| strsim::osa_distance(&upper, known.name) <= slips(known.name);
        VARIABLES.iter().find(near).map(|variable| Self::Misspelt {
            name: name.to_owned(),
            meant: variable.name,
        })
    }
}

impl Display for Warning {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Misspelt { name, meant } => write!(
                out,
                "{name} is set, and means nothing here: did you mean {meant}?"
            ),
            Self::NoHost(name) => write!(
                out,
                "{:?}, by {}, is no host and is not allowed: name the public host in ALLOWED_HOSTS",
                name.host, name.from
            ),
        }
    }
}
