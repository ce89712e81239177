//! The paths that platforms and proxies probe.

/// Paths that answer 200 while the process lives.
pub const LIVE: [&str; 3] = ["/health/live", "/up", "/ping"];
/// The path that answers 200 while the process takes requests, and 503 while it drains.
pub const READY: &str = "/health/ready";

/// Whether a path is one of them.
pub fn is_health_path(path: &str) -> bool {
    path == READY || LIVE.contains(&path)
}
