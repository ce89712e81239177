//! The service: its routes, and the life of a request from top to bottom.

/// The routes, a file for each part of the service.
pub mod routes {
    pub mod time;
}
pub mod settings;

use std::time::Duration;

use actix_web::{App, web::ServiceConfig};
use berth::{
    middleware::{
        access_log::AccessLog, body_limit::BodyLimit, client_ip::ClientIp,
        concurrency_limit::ConcurrencyLimit, drain::Drain, fallback, layers::Layers,
    },
    process::{
        listener::BindError,
        server::{Options, Server},
        shutdown::Shutdown,
    },
};

use crate::settings::Settings;

/// Adds the routes of every part of the service.
pub fn routes(app: &mut ServiceConfig) {
    app.configure(routes::time::routes);
}

/// Binds the address, for a service with these `routes`.
///
/// # Errors
/// If it can't be bound.
pub fn build(
    settings: Settings,
    access_log: Option<AccessLog>,
    routes: fn(&mut ServiceConfig),
) -> Result<Server, BindError> {
    let keep_alive = Duration::from(settings.keep_alive);
    let client_timeout = settings.client_timeout.seconds();
    let response_timeout = settings.response_timeout.seconds();
    let behind_nginx = settings.is_behind_nginx();
    let drain = Drain::default();
    // The steps of `berth::middleware::layers`, in the order in which a request meets them.
    let layers = Layers {
        // The connection: closed after this response if it is the last; pipelined requests after it are dropped.
        keep_alive,
        // A probe is answered here, before any check. While the process drains, readiness fails.
        drain: drain.clone(),
        // The client's address and scheme, from a trusted proxy's headers or the connection.
        client_ip: ClientIp {
            trusted_proxies: settings.trusted_proxies,
            header: settings.client_header.name().clone(),
        },
        // What each response says of other sites' scripts, and the answer to their preflights.
        cors_origins: settings.cors_origins,
        // The request's id, and its line in the log when the response is sent.
        request_id_header: settings.request_id_header.0.map(|it| it.name().clone()),
        access_log,
        served_by: settings.served_by.0,
        // 413 for a body that is too large, 408 for one that is too slow.
        body_limit: BodyLimit {
            max: settings.max_body.bytes(),
            timeout: client_timeout,
        },
        // 503 for every request during maintenance.
        maintenance: settings.maintenance.0,
        // 400 for an invalid request, 404 for a host that is not allowed.
        allowed_hosts: settings.allowed_hosts,
        // A file, if there is one of that name.
        static_dir: settings.static_dir.0,
        static_prefix: settings.static_prefix.as_str().to_owned(),
        // 503 for requests beyond the limit.
        concurrency_limit: ConcurrencyLimit::new(settings.max_requests.count()),
        // 504 for a handler that takes longer.
        response_timeout,
        // Then the routes. An error's details are logged and not sent; an empty body of an error is filled.
        // Text is compressed for a client that accepts it.
        compression: settings.compression.0,
    };
    let options = Options {
        bind: settings.bind,
        workers: settings.web_concurrency.into(),
        max_connections: settings.max_connections.count(),
        keep_alive,
        client_timeout,
        response_timeout,
        behind_nginx,
        shutdown: Shutdown {
            drain_time: settings.drain_seconds.into(),
            shutdown_time: settings.shutdown_seconds.into(),
            nginx: settings.nginx_address.0,
        },
    };
    // Runs once in each worker.
    Server::bind(options, drain, move || {
        App::new()
            // One of the routes' own replaces it.
            .default_service(fallback::no_route())
            .configure(routes)
            .service(fallback::catch_all())
            .wrap(layers.clone())
    })
}
