//! Reads a platform's file, in any of their languages, into a tree of values. A place in it has a path such as
//! `http_service.checks.*.path`, where `*` is any name or index.

use std::{
    collections::BTreeMap,
    fmt::{self, Display},
    fs,
    path::Path,
};

use serde::{Deserialize, Deserializer, de::Error};
use serde_json::Value;

/// A parsed file.
#[derive(Clone, Debug)]
pub struct Document {
    /// The file's path within the platform's folder.
    pub name: String,
    /// The tree of values.
    pub content: Value,
}

impl Document {
    /// Reads a file of a folder.
    ///
    /// # Errors
    /// If it can't be read or parsed.
    pub fn read(folder: &Path, name: &str) -> Result<Self, String> {
        let path = folder.join(name);
        let at = |error: &dyn Display| format!("{}: {error}", path.display());
        let text = fs::read_to_string(&path).map_err(|error| at(&error))?;
        let content = match path.extension().and_then(|it| it.to_str()) {
            Some("toml") => toml::from_str(&text).map_err(|error| at(&error))?,
            Some("yaml" | "yml") => serde_saphyr::from_str(&text).map_err(|error| at(&error))?,
            Some("tf" | "hcl") => hcl::from_str(&text).map_err(|error| at(&error))?,
            Some("ts") => service(&text).map_err(|error| at(&error))?,
            None if name == "Dockerfile" => instructions(&text),
            _ => serde_json::from_str(&text).map_err(|error| at(&error))?,
        };
        let name = name.to_owned();
        Ok(Self { name, content })
    }

    /// Returns the values at all places of a pattern, with their places.
    pub fn find(&self, pattern: &Pattern) -> Vec<(Place, &Value)> {
        let mut found = vec![(Place::default(), &self.content)];
        for step in &pattern.0 {
            found = found
                .into_iter()
                .flat_map(|(place, value)| children(&place, value))
                .filter(|(place, _)| step.fits(&place.0[place.0.len() - 1]))
                .collect();
        }
        found
    }

    /// Returns the values without children, with their places.
    pub fn leaves(&self) -> Vec<(Place, &Value)> {
        let mut leaves = Vec::new();
        let mut todo = vec![(Place::default(), &self.content)];
        while let Some((place, value)) = todo.pop() {
            let children = children(&place, value);
            if children.is_empty() {
                leaves.push((place, value));
            }
            todo.extend(children.into_iter().rev());
        }
        leaves
    }

    /// Returns the value at a place of [`Document::find`] or [`Document::leaves`].
    pub fn at(&mut self, place: &Place) -> &mut Value {
        place
            .0
            .iter()
            .fold(&mut self.content, |value, step| match value {
                Value::Array(list) => &mut list[step.parse::<usize>().expect("a place in a list")],
                value => &mut value[step.as_str()],
            })
    }
}

fn children<'a>(place: &Place, value: &'a Value) -> Vec<(Place, &'a Value)> {
    let below = |name: &str| Place([&place.0[..], &[name.to_owned()]].concat());
    match value {
        Value::Object(map) => map
            .iter()
            .map(|(name, value)| (below(name), value))
            .collect(),
        Value::Array(list) => {
            let list = list.iter().enumerate();
            list.map(|(at, value)| (below(&at.to_string()), value))
                .collect()
        }
        _ => Vec::new(),
    }
}

/// Parses a Dockerfile of one stage: arguments by instruction.
fn instructions(text: &str) -> Value {
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    lines
        .filter_map(|line| line.split_once(' '))
        .map(|(name, rest)| (name, Value::from(rest)))
        .collect()
}

/// Parses the object in `service("…", {…})` of a file for Railway. Its values are literals or `image("…")`.
fn service(text: &str) -> Result<Value, String> {
    let text: Vec<_> = text
        .lines()
        .filter(|line| !line.trim_start().starts_with("//"))
        .collect();
    let text = text.join("\n");
    let (_, rest) = text
        .split_once("service(")
        .ok_or("there is no service(…)")?;
    let (_, rest) = rest.split_once('{').ok_or("service(…) has no {…}")?;
    let (object, _) = rest
        .split_once("\n  });")
        .ok_or("service(…) does not end with `});`, indented by two")?;
    let object = object
        .replace("image(\"", "(\"")
        .replace("(\"", "\"")
        .replace("\")", "\"");
    json5::from_str(&format!("{{{object}\n}}")).map_err(|error| error.to_string())
}

/// The place of a value: the names that lead to it. A number is an index, from 0.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Place(pub Vec<String>);

impl Display for Place {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.0.join("."))
    }
}

/// A pattern of places of the same length: a name for each step, or `*` for any. A name with dots is in double quotes.
#[derive(Clone, Debug)]
pub struct Pattern(Vec<Step>);

#[derive(Clone, Debug)]
enum Step {
    Any,
    Name(String),
}

impl Step {
    fn fits(&self, name: &str) -> bool {
        match self {
            Self::Any => true,
            Self::Name(own) => own == name,
        }
    }
}

impl Pattern {
    /// Returns whether the place matches.
    pub fn fits(&self, place: &Place) -> bool {
        self.0.len() == place.0.len()
            && self
                .0
                .iter()
                .zip(&place.0)
                .all(|(step, name)| step.fits(name))
    }

    fn read(text: &str) -> Option<Self> {
        let mut steps = Vec::new();
        let mut rest = text;
        loop {
            let (name, after) = match rest.strip_prefix('"') {
                Some(quoted) => quoted.split_once('"')?,
                None => rest.split_at(rest.find('.').unwrap_or(rest.len())),
            };
            steps.push(match name {
                "" => return None,
                "*" => Step::Any,
                name => Step::Name(name.to_owned()),
            });
            match after.strip_prefix('.') {
                Some(after) => rest = after,
                None => return after.is_empty().then_some(Self(steps)),
            }
        }
    }
}

impl Display for Pattern {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let steps = self.0.iter().map(|step| match step {
            Step::Any => "*",
            Step::Name(name) => name,
        });
        out.write_str(&steps.collect::<Vec<_>>().join("."))
    }
}

impl<'de> Deserialize<'de> for Pattern {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::read(&text)
            .ok_or_else(|| D::Error::custom(format!("{text:?} is not a place such as env.PORT")))
    }
}

/// Reads variables in all notations of the platforms: `{K: V}`, `{K: {value: V}}`, `[{name: K, value: V}]` (or `key`),
/// `["K=V"]`.
pub fn variables(value: &Value) -> BTreeMap<String, String> {
    let text = |value: &Value| match value {
        Value::String(text) => text.clone(),
        Value::Object(map) => map
            .get("value")
            .and_then(Value::as_str)
            .unwrap_or_default()
            .to_owned(),
        other => other.to_string(),
    };
    let named = |entry: &Value| {
        let name = entry.get("name").or(entry.get("key"))?.as_str()?.to_owned();
        Some((name, text(entry.get("value").unwrap_or(&Value::Null))))
    };
    match value {
        Value::Object(map) if map.contains_key("value") => named(value).into_iter().collect(),
        Value::Object(map) => map
            .iter()
            .map(|(name, value)| (name.clone(), text(value)))
            .collect(),
        Value::Array(list) => {
            let pair = |entry: &Value| match entry {
                Value::String(pair) => pair
                    .split_once('=')
                    .map(|(name, value)| (name.to_owned(), value.to_owned())),
                entry => named(entry),
            };
            list.iter().filter_map(pair).collect()
        }
        _ => BTreeMap::new(),
    }
}

/// Reads a time in seconds: a number, or a text such as "30s", "2m", "500ms".
pub fn seconds(value: &Value) -> Option<f64> {
    let Some(text) = value.as_str() else {
        return value.as_f64();
    };
    let number = text.trim_end_matches(|it: char| it.is_ascii_alphabetic());
    let unit = match &text[number.len()..] {
        "ms" => 0.001,
        "" | "s" => 1.0,
        "m" => 60.0,
        _ => return None,
    };
    Some(number.parse::<f64>().ok()? * unit)
}

/// Reads memory in bytes: a number with a unit such as `256m`, `512Mi`, `1GB`. A number without a unit means bytes, or MiB if
/// it is small. Returns `None` for the name of a plan.
pub fn bytes(value: &Value) -> Option<f64> {
    let text = value
        .as_str()
        .map_or_else(|| value.to_string(), str::to_ascii_lowercase);
    let number = text.trim_end_matches(|it: char| it.is_ascii_alphabetic());
    let unit = match text[number.len()..].chars().next() {
        Some('k') => 10,
        Some('m') => 20,
        Some('g') => 30,
        None if text.len() < 7 => 20,
        _ => 0,
    };
    Some(number.parse::<f64>().ok()? * f64::from(1 << unit))
}
