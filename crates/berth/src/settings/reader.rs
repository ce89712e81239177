//! Reads environment variables into a struct of typed fields. [`crate::settings!`] declares the struct; all mistakes are
//! reported together, each with the variable, its value and the remedy.

use std::{
    collections::HashMap,
    ffi::{OsStr, OsString},
    fmt::{self, Display},
    mem,
    str::FromStr,
};

pub use serde;
use serde::{Deserialize, Deserializer, de::DeserializeOwned};

use super::platform_hosts::PublicName;

/// The exit code for settings that can't be used: `EX_CONFIG` of `sysexits.h`.
pub const EX_CONFIG: u8 = 78;

/// A variable, as the README and the `config` command show it.
#[derive(Debug)]
pub struct Variable {
    /// Its name in the environment.
    pub name: &'static str,
    /// Its name in earlier versions, which is still read; empty for none.
    pub former_name: &'static str,
    /// Its value where it is not set; empty for none.
    pub default: &'static str,
    /// Its meaning.
    pub meaning: &'static str,
}

/// Declares a settings struct from one list: a variable's field, type, name, default and meaning. A field has its
/// variable's name in lower case. The method `relate`, which you write, applies rules that relate several variables.
///
/// ```
/// use berth::settings::{reader::Sources, values::{Bounded, OnOff}};
///
/// berth::settings! {
///     workers: Bounded<64> = "WORKERS", "2", "worker threads";
///     greeting: OnOff = "GREETING" (formerly "HELLO"), "off", "whether to greet";
/// }
///
/// impl Settings {
///     fn relate(&mut self, _: &mut Sources) {}
/// }
///
/// let (settings, warnings) = Settings::load([("WORKERS".into(), "3".into())]).unwrap();
/// assert!(settings.workers.count() == 3 && !settings.greeting.0 && warnings.is_empty());
/// ```
#[macro_export]
macro_rules! settings {
    ($($field:ident: $type:ty = $name:literal $((formerly $former:literal))?, $default:literal, $meaning:literal;)+) => {
        /// The settings in force.
        #[derive(Clone, Debug)]
        pub struct Settings {
            $(#[doc = concat!("`", $name, "`, by default `", $default, "`: ", $meaning)] pub $field: $type,)+
            sources: $crate::settings::reader::Sources,
        }

        /// Every variable, in the order of the README.
        pub const VARIABLES: &[$crate::settings::reader::Variable] = &[$($crate::settings::reader::Variable {
            name: $name,
            former_name: concat!("" $(, $former)?),
            default: $default,
            meaning: $meaning,
        }),+];

        impl Settings {
            /// Reads `variables`, usually [`std::env::vars_os`].
            ///
            /// # Errors
            /// All mistakes at once.
            pub fn load(
                variables: impl IntoIterator<Item = (std::ffi::OsString, std::ffi::OsString)>,
            ) -> Result<(Self, Vec<$crate::settings::reader::Warning>), $crate::settings::reader::Mistakes> {
                use $crate::settings::reader::{Entry, Sources};

                #[derive($crate::settings::reader::serde::Deserialize)]
                #[serde(crate = "berth::settings::reader::serde")]
                struct Environment {
                    $(#[serde(default)] $field: Option<Entry<$type>>,)+
                }

                let (mut sources, environment) = Sources::read::<Environment>(VARIABLES, variables);
                $(let $field = sources.take($name, $default, environment.$field);)+
                sources.check()?;
                let mut settings = (|| Some(Self { $($field: $field?,)+ sources: Sources::default() }))()
                    .expect("a value that is missing is a mistake");
                settings.relate(&mut sources);
                sources.check()?;
                let warnings = sources.take_warnings();
                settings.sources = sources;
                Ok((settings, warnings))
            }
        }

        /// The settings and the source of each value, as a table.
        impl std::fmt::Display for Settings {
            fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                self.sources.fmt(out)
            }
        }
    };
}

/// A variable's text, read into its type. An error is kept, so that no mistake hides another.
pub struct Entry<T> {
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

/// Where the values came from, and what is wrong with them.
#[derive(Clone, Debug, Default)]
pub struct Sources {
    pub(super) rows: Vec<Row>,
    /// Variables with other names: platforms' own.
    pub(super) others: HashMap<String, String>,
    pub(super) mistakes: Vec<Mistake>,
    pub(super) warnings: Vec<Warning>,
    /// By their name today, the variables that are set under their former one.
    former: HashMap<&'static str, &'static str>,
}

/// A row of the table: a value in force.
#[derive(Clone, Debug)]
pub(super) struct Row {
    pub(super) name: &'static str,
    pub(super) value: String,
    pub(super) from: String,
    pub(super) is_set: bool,
}

impl Sources {
    /// Reads the variables that `known` lists into `T`; the others are kept.
    pub fn read<T: DeserializeOwned>(
        known: &'static [Variable],
        variables: impl IntoIterator<Item = (OsString, OsString)>,
    ) -> (Self, T) {
        let mut this = Self::default();
        let mut values = HashMap::new();
        let mut former = Vec::new();
        for (name, value) in variables {
            let Some(name) = name.to_str() else { continue };
            let formerly = |it: &&Variable| it.former_name == name && !name.is_empty();
            if let Some(variable) = known.iter().find(|it| it.name == name) {
                match value.into_string() {
                    Ok(value) => drop(values.insert(variable.name.to_owned(), value)),
                    Err(value) => this.mistakes.push(Mistake::not_utf8(name, &value)),
                }
            } else if let Some(variable) = known.iter().find(formerly) {
                match value.into_string() {
                    Ok(value) => former.push((variable, value)),
                    Err(value) => this.mistakes.push(Mistake::not_utf8(name, &value)),
                }
            } else {
                this.warnings.extend(Warning::if_misspelt(name, known));
                if let Ok(value) = value.into_string() {
                    this.others.insert(name.to_owned(), value);
                }
            }
        }
        for (variable, value) in former.into_iter().filter(|(_, value)| !value.is_empty()) {
            let set = values.get(variable.name).is_some_and(|it| !it.is_empty());
            this.warnings.push(Warning::Renamed {
                former: variable.former_name,
                name: variable.name,
            });
            if !set {
                values.insert(variable.name.to_owned(), value);
                this.former.insert(variable.name, variable.former_name);
            }
        }
        let read = envy::from_iter(values).expect("an entry takes any text");
        (this, read)
    }

    /// The value of a variable; none after a mistake. An empty value counts as not set, since container tools pass one on
    /// for a variable that is not set. An empty list of hosts is more likely a mistake.
    pub fn take<T>(
        &mut self,
        name: &'static str,
        default: &str,
        entry: Option<Entry<T>>,
    ) -> Option<T>
    where
        T: FromStr<Err = String> + Display,
    {
        let entry = entry.filter(|entry| !entry.text.is_empty() || name == "ALLOWED_HOSTS");
        let is_set = entry.is_some();
        let entry = entry.unwrap_or_else(|| default.to_owned().into());
        match entry.value {
            Ok(value) => {
                self.rows.push(Row {
                    name,
                    value: value.to_string(),
                    from: match (is_set, self.former.get(name)) {
                        (true, Some(former)) => (*former).to_owned(),
                        (true, None) => "environment".to_owned(),
                        (false, _) => "default".to_owned(),
                    },
                    is_set,
                });
                Some(value)
            }
            Err(remedy) => {
                let text = is_set.then(|| OsStr::new(&entry.text));
                let name = self.former.get(name).copied().unwrap_or(name);
                self.mistakes.push(Mistake::new(name, text, remedy));
                None
            }
        }
    }

    /// Fails if there are mistakes.
    ///
    /// # Errors
    /// All of them.
    pub fn check(&mut self) -> Result<(), Mistakes> {
        match mem::take(&mut self.mistakes) {
            none if none.is_empty() => Ok(()),
            mistakes => Err(Mistakes(mistakes)),
        }
    }

    /// The warnings; forgets the variables with other names.
    pub fn take_warnings(&mut self) -> Vec<Warning> {
        self.others.clear();
        mem::take(&mut self.warnings)
    }
}

impl Display for Sources {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let width = |length: fn(&Row) -> usize| self.rows.iter().map(length).max();
        let name = width(|it| it.name.len()).unwrap_or(0);
        let value = width(|it| it.value.len()).unwrap_or(0);
        writeln!(out, "{:<name$}  {:<value$}  from", "variable", "value")?;
        self.rows.iter().try_for_each(|it| {
            writeln!(out, "{:<name$}  {:<value$}  {}", it.name, it.value, it.from)
        })
    }
}

/// A variable that can't be used, and the remedy.
#[derive(Clone, Debug)]
pub struct Mistake {
    name: String,
    value: Option<OsString>,
    remedy: String,
}

impl Mistake {
    /// A mistake in a variable; `value` is none where it is not set.
    pub fn new(name: &str, value: Option<&OsStr>, remedy: impl Into<String>) -> Self {
        Self {
            name: name.to_owned(),
            value: value.map(OsStr::to_owned),
            remedy: remedy.into(),
        }
    }

    fn not_utf8(name: &str, value: &OsStr) -> Self {
        Self::new(name, Some(value), "not UTF-8; set it to plain text")
    }
}

impl Display for Mistake {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.value {
            Some(value) => write!(out, "{}={value:?}: {}", self.name, self.remedy),
            None => write!(out, "{} (not set): {}", self.name, self.remedy),
        }
    }
}

/// All mistakes of an environment.
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

/// What is odd about an environment, and does not prevent the start.
#[derive(Clone, Debug, PartialEq)]
pub enum Warning {
    /// A variable that looks like a misspelling of a known one.
    Misspelt {
        /// As it is set.
        name: String,
        /// The known one.
        meant: &'static str,
    },
    /// A variable under its former name.
    Renamed {
        /// As it is set.
        former: &'static str,
        /// Its name today.
        name: &'static str,
    },
    /// A platform's name for the service that is no host.
    NoHost(PublicName),
}

impl Warning {
    /// One slip is a misspelling; in a long name, so are two or three. A name as short as `TZ` resembles too many.
    fn if_misspelt(name: &str, known: &[Variable]) -> Option<Self> {
        let slips = |known: &str| match known.len() {
            ..3 => 0,
            3..=8 => 1,
            9..=12 => 2,
            _ => 3,
        };
        let upper = name.to_ascii_uppercase();
        let near =
            |known: &&Variable| strsim::osa_distance(&upper, known.name) <= slips(known.name);
        known.iter().find(near).map(|variable| Self::Misspelt {
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
            Self::Renamed { former, name } => {
                write!(out, "{former} is now called {name}: rename it")
            }
            Self::NoHost(name) => write!(
                out,
                "{:?}, by {}, is no host and is not allowed: name the public host in ALLOWED_HOSTS",
                name.host, name.from
            ),
        }
    }
}
