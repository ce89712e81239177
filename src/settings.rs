//! Every environment variable of the service, yours and Berth's: a line each, with type, name, default and meaning. They are
//! read once, before the server binds its address.

use berth::{
    http::{forwarded::TrustedProxies, host::AllowedHosts, origins::CorsOrigins},
    nginx::config,
    settings::{
        reader::Sources,
        relations::trust_unix_peers,
        values::{
            Address, Bounded, Header, HostAndPort, LogFilter, LogFormat, OnOff, OptionalHeader,
            Port, Seconds, Size, StaticDir, StaticPrefix, TimeZone, Workers,
        },
    },
};

berth::settings! {
    bind: Address = "BIND", "127.0.0.1:8080",
        "address to listen on: `IP:port` or `unix:/path`; in the image `[::]:8080`, which takes IPv4 too";
    port: Port = "PORT", "",
        "replaces the port of `BIND` and, unless `BIND` is set, binds every address: platforms set it";
    allowed_hosts: AllowedHosts = "ALLOWED_HOSTS", "127.0.0.1,localhost,[::1]",
        "hosts to answer for: exact, `.example.com` for a domain and its subdomains, `*` for any";
    cors_origins: CorsOrigins = "CORS_ORIGINS", "",
        "origins of other sites whose scripts may read every response, such as `https://app.example`; `*` for any, without \
         credentials; if none, the service decides";
    web_concurrency: Workers = "WEB_CONCURRENCY", "auto",
        "worker threads; `auto` is the container's CPU quota, at least 1";
    static_dir: StaticDir = "STATIC_DIR", "static",
        "folder of the static files";
    static_prefix: StaticPrefix = "STATIC_PREFIX", "/",
        "path below which the files appear";
    trusted_proxies: TrustedProxies = "TRUSTED_PROXIES", "",
        "addresses and networks of proxies whose `X-Forwarded-Proto` and the two headers below count; \
         `private` for all that are not public";
    client_header: Header = "CLIENT_HEADER", "X-Forwarded-For",
        "header in which a trusted proxy names the client's address";
    request_id_header: OptionalHeader = "REQUEST_ID_HEADER", "X-Request-Id",
        "header in which a trusted proxy gives the request's id; `none` if it passes on whatever the client sent";
    compression: OnOff = "COMPRESSION", "on",
        "compresses the service's text with Brotli or gzip where that pays; `off` leaves it to a proxy or CDN in front";
    keep_alive: Seconds = "KEEP_ALIVE", "100",
        "seconds that an idle connection is kept, longer than any router's (60 to 90); 620 behind Google's; 0 keeps none";
    client_timeout: Bounded<86_400> = "CLIENT_TIMEOUT", "10",
        "seconds that a client may take for a request's head, and for each further part of its body";
    max_body: Size = "MAX_BODY", "10m",
        "bytes that the body of a request may have, with `k`, `m` or `g`; a larger one gets 413";
    response_timeout: Bounded<86_400> = "RESPONSE_TIMEOUT", "60",
        "seconds until a response begins, and for each further part of it; a handler that takes longer gets a 504, and is dropped";
    websocket_timeout: Bounded<604_800> = "WEBSOCKET_TIMEOUT", "3600",
        "seconds that a WebSocket may be silent in both directions, through nginx";
    max_requests: Bounded<65_535> = "MAX_REQUESTS", "512",
        "requests in flight at the same time, in nginx and in each replica; more get 503 at once";
    max_connections: Bounded<1_000_000> = "MAX_CONNECTIONS", "12000",
        "connections of the app at the same time, at up to 20 KB of memory each; more wait to be accepted";
    maintenance: OnOff = "MAINTENANCE", "off",
        "`on` answers everything but probes with 503 and a page that says so";
    drain_seconds: Seconds = "DRAIN_SECONDS", "2.5",
        "seconds of serving on after SIGTERM, with readiness failing";
    nginx_address: HostAndPort = "NGINX_ADDRESS" (formerly "FRONT"), "",
        "`host:port` of the nginx in front, which takes a draining replica out of turn; set in docker-compose.yml";
    shutdown_seconds: Seconds = "SHUTDOWN_SECONDS", "5",
        "seconds for requests in flight to finish after that";
    log_format: LogFormat = "LOG_FORMAT", "text",
        "`text`, or `json` for machines";
    rust_log: LogFilter = "RUST_LOG", "info",
        "what to log: a level, or `module=level` pairs";
    served_by: OnOff = "SERVED_BY", "off",
        "`on` adds `X-Served-By` with the replica's name; on in docker-compose.yml";
    tz: TimeZone = "TZ", "",
        "time zone, such as `Europe/Berlin`; if none, the machine's, which in the image is UTC";
}

impl Settings {
    /// Rules that relate several variables.
    fn relate(&mut self, sources: &mut Sources) {
        sources.apply_port(&mut self.bind, &self.port);
        sources.allow_platform_hosts(&mut self.allowed_hosts);
        sources.keep_alive_beyond_nginx(self.keep_alive, &self.nginx_address);
        trust_unix_peers(&self.bind, &mut self.trusted_proxies);
    }

    /// Whether nginx is in front, and no other client connects.
    #[must_use]
    pub fn is_behind_nginx(&self) -> bool {
        self.nginx_address.0.is_some() || matches!(self.bind, Address::Unix(_))
    }

    /// What nginx, or Apache, needs of them. In the bundle, `app` is the address of the app.
    #[must_use]
    pub fn into_nginx_options(self, app: Option<Address>) -> config::Options {
        config::Options {
            bind: self.bind,
            app,
            allowed_hosts: self.allowed_hosts,
            cors_origins: self.cors_origins,
            trusted_proxies: self.trusted_proxies,
            client_header: self.client_header.to_string(),
            request_id_header: self.request_id_header.0.map(|it| it.to_string()),
            static_prefix: self.static_prefix.as_str().to_owned(),
            keep_alive: self.keep_alive.into(),
            client_timeout: self.client_timeout.seconds(),
            drain_time: self.drain_seconds.into(),
            max_body: self.max_body.bytes(),
            response_timeout: self.response_timeout.seconds(),
            websocket_timeout: self.websocket_timeout.seconds(),
            max_requests: self.max_requests.count(),
            maintenance: self.maintenance.0,
        }
    }
}
