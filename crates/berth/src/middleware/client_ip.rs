//! The client's address and scheme, from the connection and a trusted proxy's headers ([`crate::http::forwarded`]).

use std::net::IpAddr;

use actix_web::{
    dev::ServiceRequest,
    http::header::{
        FORWARDED, HeaderMap, HeaderName, HeaderValue, X_FORWARDED_FOR, X_FORWARDED_HOST,
        X_FORWARDED_PROTO,
    },
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

    /// Makes the headers say what `client` says, whatever was sent in them: actix's `ConnectionInfo` believes them from any
    /// peer. The host is that of Host, which was checked.
    pub fn overwrite(&self, request: &mut ServiceRequest, client: Client) {
        let direct = Client::direct(peer(request));
        let names_scheme = request.uri().scheme().is_some();
        let headers = request.headers_mut();
        headers.remove(FORWARDED);
        headers.remove(X_FORWARDED_HOST);
        if client.scheme != direct.scheme || names_scheme || headers.contains_key(X_FORWARDED_PROTO)
        {
            let scheme = HeaderValue::from_static(client.scheme.as_str());
            headers.insert(X_FORWARDED_PROTO, scheme);
        }
        let is_forwarded = client.addr != direct.addr;
        name_client(headers, &X_FORWARDED_FOR, client, is_forwarded);
        name_client(headers, &self.header, client, false);
    }

    /// Whether the peer is a trusted proxy.
    pub fn trusts_peer(&self, request: &ServiceRequest) -> bool {
        self.trusted_proxies.trusts(peer(request))
    }
}

/// Replaces the header by the client's address; adds it only if it `is_needed`.
fn name_client(headers: &mut HeaderMap, name: &HeaderName, client: Client, is_needed: bool) {
    if !is_needed && !headers.contains_key(name) {
        return;
    }
    match client.addr {
        Some(address) => {
            let address = HeaderValue::try_from(address.to_string());
            headers.insert(name.clone(), address.expect("an address is ASCII"));
        }
        None => drop(headers.remove(name)),
    }
}

/// The other end of the connection; none on a Unix socket, or if it has reset the connection.
fn peer(request: &ServiceRequest) -> Option<IpAddr> {
    request.head().peer_addr.map(|address| address.ip())
}
