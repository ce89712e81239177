//! What all groups of measurements share: their results, which part of them is wanted, and where the project is.

/// An error is a message that names the remedy.
pub type Outcome<T> = Result<T, String>;

/// The project's folder.
pub const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");

/// The part that is measured.
pub struct Part {
    /// A group's name, or a part of a server's name; `None` for everything.
    pub only: Option<String>,
}

impl Part {
    /// Returns whether this server of this group is measured.
    pub fn has(&self, group: &str, server: &str) -> bool {
        self.only
            .as_ref()
            .is_none_or(|only| only == group || server.contains(only.as_str()))
    }
}
