//! The limit of open files.

use rustix::process::{Resource, getrlimit, setrlimit};

/// Files that are open beside the connections: those that are served, the log, the runtime's own.
const OTHER_FILES: usize = 1024;

/// Raises RLIMIT_NOFILE to what `connections` need, and a duplicate of each; returns for how many duplicates there is room.
/// Many systems start a process with 1024, and let it raise that.
pub fn raise_open_files(connections: usize) -> usize {
    let needed = connections + OTHER_FILES;
    let wanted = (needed + connections) as u64;
    let mut limit = getrlimit(Resource::Nofile);
    if limit.current.is_none_or(|current| current >= wanted) {
        return connections;
    }
    let most = limit.maximum.map_or(wanted, |most| most.min(wanted));
    limit.current = Some(most);
    let _ = setrlimit(Resource::Nofile, limit);
    if most < needed as u64 {
        log::warn!(
            "the system allows {most} open files, too few for MAX_CONNECTIONS; raise its limit or lower that"
        );
    }
    (most as usize).saturating_sub(needed)
}
