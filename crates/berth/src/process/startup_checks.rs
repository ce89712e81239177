//! What is reported when the process starts.

use std::path::Path;

use crate::{
    http::health_paths::{LIVE, READY},
    middleware::static_files::service::StaticFiles,
};

/// Static files that can't be reached, since a health path has the same name.
pub fn hidden_files(static_dir: &Path, static_prefix: &str) -> Vec<&'static str> {
    let files = StaticFiles::new(static_dir, static_prefix.to_owned());
    let paths = LIVE.into_iter().chain([READY]);
    paths.filter(|path| files.has(path)).collect()
}
