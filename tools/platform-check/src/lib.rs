//! Checks a platform's files, its variables and the image for what would make the first deploy fail. Used by `make check` and
//! by the tests.
//!
//! 1. [`contract`] reads what the platform does to a container, and where its files say what.
//! 2. [`document`] reads the platform's files into trees of values.
//! 3. [`rules`] compares the files with the contract and the app's settings; [`image`] checks the image.

pub mod contract;
pub mod document;
pub mod image;
pub mod rules;

/// The project's folder.
pub const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");
