//! The subjects in the order of their runs: those without containers first, slow ones last.

use crate::run::{Batch, Subject};

mod apache;
mod blocked_log;
mod browser;
mod builds;
mod bundle;
mod compose;
mod compression;
mod config;
mod config_consistency;
mod cors;
mod descriptors;
mod error_pages;
mod examples;
mod failures;
mod fallbacks;
mod health;
mod images;
mod kamal;
mod logs;
mod make_up_errors;
mod malformed_requests;
mod malloc_trim;
mod nginx_alone;
mod nginx_parity;
mod overload;
mod paused_download;
mod plain_nginx_baseline;
mod platform_files;
mod platforms;
mod push;
mod readme;
mod reconciled_load;
mod retries;
mod rollout;
mod sched_batch;
mod service;
mod site;
mod slow;
mod stop;
mod traversal;
mod validators;
mod wire;
mod zero_downtime;

/// A subject with independent cases, and perhaps a number of threads.
macro_rules! of {
    ($name:ident) => {
        of!($name, 0)
    };
    ($name:ident, $threads:literal) => {
        Subject {
            name: stringify!($name),
            threads: $threads,
            batches: || vec![Batch::of($name::trials())],
        }
    };
}

/// A subject with a number of threads, and batches of its own.
macro_rules! batches_of {
    ($name:ident, $threads:literal) => {
        Subject {
            name: stringify!($name),
            threads: $threads,
            batches: $name::batches,
        }
    };
}

/// Returns all subjects.
pub const SUBJECTS: &[Subject] = &[
    of!(config),
    of!(config_consistency),
    of!(validators),
    of!(platform_files),
    of!(reconciled_load),
    of!(health),
    of!(logs),
    of!(blocked_log),
    of!(stop),
    of!(site),
    of!(descriptors),
    of!(malloc_trim),
    of!(overload),
    of!(slow),
    batches_of!(service, 16),
    of!(error_pages),
    batches_of!(malformed_requests, 16),
    batches_of!(traversal, 16),
    batches_of!(nginx_parity, 16),
    batches_of!(examples, 16),
    batches_of!(wire, 4),
    batches_of!(fallbacks, 8),
    batches_of!(paused_download, 9),
    batches_of!(compression, 4),
    batches_of!(cors, 4),
    of!(sched_batch),
    of!(nginx_alone),
    of!(retries),
    of!(bundle),
    of!(apache),
    of!(compose),
    of!(images),
    batches_of!(platforms, 4),
    of!(readme),
    of!(make_up_errors),
    of!(builds),
    of!(push),
    of!(kamal),
    // Rollouts mostly wait: for health checks, drains and the DNS.
    of!(rollout, 4),
    batches_of!(browser, 2),
    of!(plain_nginx_baseline),
    batches_of!(failures, 2),
    batches_of!(zero_downtime, 1),
];
