//! A service in the tests' process, with Berth's middleware around it.

use std::{net::SocketAddr, path::PathBuf, sync::mpsc, thread, time::Duration};

use actix_web::{App, http::header::HeaderName, web};
use berth::{
    http::{forwarded::TrustedProxies, host::AllowedHosts},
    middleware::{
        body_limit::BodyLimit, client_ip::ClientIp, concurrency_limit::ConcurrencyLimit,
        drain::Drain, fallback, layers::Layers,
    },
    process::{
        server::{Options, Server},
        shutdown::Shutdown,
    },
    settings::values::Address,
};

/// The values that the cases differ in.
pub struct Values {
    pub workers: usize,
    pub max_requests: usize,
    pub max_body: u64,
    pub client_timeout: Duration,
    pub response_timeout: Duration,
    pub maintenance: bool,
    pub static_dir: PathBuf,
    pub compression: bool,
    pub cors_origins: &'static str,
}

impl Default for Values {
    fn default() -> Self {
        Self {
            workers: 2,
            max_requests: 512,
            max_body: 10 << 20,
            client_timeout: Duration::from_secs(10),
            response_timeout: Duration::from_secs(60),
            maintenance: false,
            // An empty folder.
            static_dir: "src/http".into(),
            compression: true,
            cors_origins: "",
        }
    }
}

/// Serves until the tests end, on a free port.
pub fn serve(values: Values, service: fn(&mut web::ServiceConfig)) -> SocketAddr {
    let drain = Drain::default();
    let keep_alive = Duration::from_secs(100);
    let layers = Layers {
        keep_alive,
        drain: drain.clone(),
        client_ip: ClientIp {
            trusted_proxies: TrustedProxies::default(),
            header: HeaderName::from_static("x-forwarded-for"),
        },
        cors_origins: values.cors_origins.parse().unwrap(),
        request_id_header: None,
        access_log: None,
        served_by: false,
        body_limit: BodyLimit {
            max: values.max_body,
            timeout: values.client_timeout,
        },
        maintenance: values.maintenance,
        allowed_hosts: AllowedHosts::default(),
        static_dir: values.static_dir,
        static_prefix: "/static".into(),
        concurrency_limit: ConcurrencyLimit::new(values.max_requests),
        response_timeout: values.response_timeout,
        compression: values.compression,
    };
    let options = Options {
        bind: "127.0.0.1:0".parse().unwrap(),
        workers: values.workers,
        max_connections: 1000,
        keep_alive,
        client_timeout: values.client_timeout,
        response_timeout: values.response_timeout,
        behind_nginx: false,
        shutdown: Shutdown {
            drain_time: Duration::ZERO,
            shutdown_time: Duration::ZERO,
            nginx: None,
        },
    };
    let (tell, told) = mpsc::channel();
    thread::spawn(move || {
        actix_web::rt::System::new().block_on(async {
            let app = move || {
                App::new()
                    .default_service(fallback::no_route())
                    .configure(service)
                    .service(fallback::catch_all())
                    .wrap(layers.clone())
            };
            let server = Server::bind(options, drain, app).unwrap();
            tell.send(server.address().clone()).unwrap();
            server.run().await.unwrap();
        });
    });
    match told.recv().unwrap() {
        Address::Tcp(address) => address,
        Address::Unix(path) => panic!("{path:?}"),
    }
}
