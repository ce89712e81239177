//! Berth, the library that a service stands on. Its modules, in the order in which a request meets them:
//!
//! 1. [`mod@settings`] reads the environment once, before anything else; [`settings::platform_hosts`] knows platforms' host names.
//! 2. [`process::server`] binds the address and runs the actix `App` of the service, with [`middleware::layers`] around it.
//! 3. [`middleware::connection_close`] and [`middleware::idle_timeout`] end connections.
//! 4. [`middleware::client_ip`] finds the client by [`http::forwarded`].
//! 5. [`middleware::health`] answers probes before any check.
//! 6. [`middleware::access_log`] gives the request its id, and writes its line when the response is sent.
//! 7. [`middleware::cors`] says which origins may read the response, and answers preflights.
//! 8. [`middleware::body_limit`] limits the size and the slowness of the body.
//! 9. [`middleware::maintenance`] refuses every request while it is on.
//! 10. [`middleware::request_validation`] rejects invalid requests, and hosts that are not allowed ([`http::host`]).
//! 11. [`middleware::static_files`] answers with a file, if there is one of that name.
//! 12. [`middleware::concurrency_limit`] sheds load.
//! 13. [`middleware::fallback`] answers what the service has no route for.
//! 14. [`middleware::internal_errors`] hides the details of failures.
//! 15. [`middleware::compression`] compresses text.
//! 16. [`middleware::error_pages`] fills the body of an error, and [`middleware::security_headers`] adds headers.
//!
//! [`process::shutdown`] ends the process after SIGTERM without losing a request; [`process::deregister`] tells nginx.
//! [`nginx`] writes nginx's configuration from the same settings, and runs it; [`apache`] does so for httpd. [`log`] writes lines without blocking.
//!
//! Imports point one way: apache → nginx → process → middleware, settings → http, log.

#![deny(unsafe_code)]
#![warn(missing_docs)]

// For the code that `settings!` generates, in this crate's own tests.
extern crate self as berth;

/// Pure functions of HTTP.
pub mod http {
    pub mod accept;
    pub mod body;
    pub mod forwarded;
    pub mod health_paths;
    pub mod host;
    pub mod origins;
    pub mod vary;
}

/// The log on standard error.
pub mod log {
    pub mod line;
    pub mod pending;
    pub mod queue;
    pub mod start;
}

/// The steps in the life of a request; each takes plain values, never the settings.
pub mod middleware {
    pub mod access_log;
    pub mod allowed_methods;
    pub mod body_limit;
    pub mod caching;
    pub mod client_ip;
    pub mod compression;
    pub mod concurrency_limit;
    pub mod connection_close;
    pub mod cors;
    pub mod drain;
    pub mod error_pages;
    pub mod fallback;
    pub mod health;
    pub mod idle_timeout;
    pub mod internal_errors;
    pub mod layers;
    pub mod maintenance;
    pub mod request_validation;
    pub mod response_limits;
    pub mod security_headers;
    pub mod single_page;

    /// Static files.
    pub mod static_files {
        pub mod encoding;
        pub mod negotiation;
        pub mod preconditions;
        pub mod root_dirs;
        pub mod service;
        pub mod site_file;
    }
    pub mod upgrade;
}

/// Environment variables.
pub mod settings {
    pub mod platform_hosts;
    pub mod reader;
    pub mod relations;
    pub mod values;
}

/// The process: its listener, signals, shutdown, probes, and the limits of the system.
pub mod process {
    pub mod connection;
    pub mod deregister;
    pub mod fd_exhaustion;
    pub mod http_server;
    pub mod listener;
    pub mod malloc_trim;
    pub mod open_files;
    pub mod probe;
    pub mod sched_batch;
    pub mod server;
    pub mod shutdown;
    pub mod signals;
    pub mod startup_checks;
}

pub mod apache;

/// nginx: its configuration and its start, and the supervisor of nginx and the app in one container.
pub mod nginx {
    pub mod config;
    pub mod deferred_listen;
    pub mod error_page_files;
    pub mod exec;
    pub mod log_relay;
    pub mod supervisor;
}
