//! The types that the steps share.

use std::collections::BTreeMap;

/// Files by name; folders are separated by `/`.
pub type Files = BTreeMap<String, Vec<u8>>;

/// An error is a message that names the file and the remedy.
pub type Outcome<T> = Result<T, String>;

/// The folder whose files get a fingerprint in their names.
pub const ASSETS: &str = "assets/";
