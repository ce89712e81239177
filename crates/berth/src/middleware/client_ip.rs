//! The client's address and scheme, from the connection and a trusted proxy's headers ([`crate::http::forwarded`]).

use std::net::IpAddr;

use actix_web::{
    dev::ServiceRequest,
    http::header::{HeaderName, HeaderValue, X_FORWARDED_PROTO},
};

use crate::http::forwarded::{Client, TrustedProxies};

/// Which proxies count, and where they name the client.
#[derive(Clone, Debug)]
pub struct ClientIp {
    /// The proxies whose headers count.
    pub trusted_proxies: TrustedProxies,
    /// The header in which they name the client's address.
    pub header: HeaderName,
}

impl ClientIp {
    /// The client of a request.
    pub fn resolve(&self, request: &ServiceRequest) -> Client {
        let peer = peer(request);
        if !self.trusted_proxies.trusts(peer) {
            return Client::direct(peer);
        }
        let lines = |name: &HeaderName| request.headers().get_all(name).map(HeaderValue::as_bytes);
        self.trusted_proxies
            .client(peer, lines(&self.header), lines(&X_FORWARDED_PROTO))
    }

    /// Whether the peer is a trusted proxy.
    pub fn trusts_peer(&self, request: &ServiceRequest) -> bool {
        self.trusted_proxies.trusts(peer(request))
    }
}

/// The other end of the connection; none on a Unix socket, or if it has reset the connection.
fn peer(request: &ServiceRequest) -> Option<IpAddr> {
    request.head().peer_addr.map(|address| address.ip())
}
