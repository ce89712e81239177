//! Trusted proxies: who the client is, and by which scheme it came.
//!
//! Any client can send `X-Forwarded-For`, so it counts only if the peer is a trusted proxy. A proxy appends the address
//! that it saw. The list is therefore read from the right, and the first address that is not a trusted proxy's is the
//! client's. Entries to its left prove nothing. Some platforms use a header of their own, which is read the same way.
//!
//! `Forwarded` (RFC 7239) is never read: a second header for the same fact would let a client past every proxy that sets
//! only the first. The app removes it before the service runs.
//!
//! A peer without an address is nginx on a Unix socket, or a TCP client that has already reset the connection. Such a peer
//! is trusted only where the server listens on a Unix socket ([`TrustedProxies::listening_on_unix`]).
//!
//! An IPv4-mapped IPv6 address (`::ffff:192.0.2.1`, RFC 4291 §2.5.5.2) is the IPv4 address
//! everywhere here: a dual-stack socket shows IPv4 peers so. `::/0` is therefore IPv6 only.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::str::FromStr;

use ipnet::{IpNet, Ipv4Net};

/// What `private` stands for: every address that is not public, such as a platform's router has.
///
/// Loopback (RFC 1122 §3.2.1.3, RFC 4291 §2.5.3), private (RFC 1918), shared (RFC 6598), unique local (RFC 4193) and
/// link-local (RFC 3927, RFC 4291 §2.5.6).
pub const PRIVATE: [&str; 9] = [
    "127.0.0.0/8",
    "10.0.0.0/8",
    "172.16.0.0/12",
    "192.168.0.0/16",
    "100.64.0.0/10",
    "169.254.0.0/16",
    "::1",
    "fc00::/7",
    "fe80::/10",
];

/// The addresses and networks whose forwarding headers count; none by default.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TrustedProxies {
    nets: Vec<IpNet>,
    unix: bool,
}

/// The client of a request, by the connection and trusted peers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Client {
    /// None if neither the connection nor a trusted peer names it.
    pub addr: Option<IpAddr>,
    /// `https` if a trusted peer says so, else `http`.
    pub scheme: Scheme,
}

/// The scheme of the URL that the client asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scheme {
    /// Plain HTTP, or not known.
    Http,
    /// Over TLS, by a trusted proxy's header.
    Https,
}

impl Scheme {
    /// As in a URL.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Https => "https",
        }
    }
}

impl Client {
    /// The peer itself, over plain HTTP: no header counts.
    pub fn direct(peer: Option<IpAddr>) -> Self {
        Self {
            addr: peer.map(|addr| addr.to_canonical()),
            scheme: Scheme::Http,
        }
    }
}

impl TrustedProxies {
    /// Trusts peers without an address too, if `unix`: a process that can connect to the socket shares the file system.
    pub fn listening_on_unix(self, unix: bool) -> Self {
        Self { unix, ..self }
    }

    /// The addresses and networks, without duplicates removed.
    pub fn networks(&self) -> &[IpNet] {
        &self.nets
    }

    /// Whether the peer's headers count: its forwarding headers, and its request id.
    pub fn trusts(&self, peer: Option<IpAddr>) -> bool {
        match peer.map(|addr| addr.to_canonical()) {
            Some(addr) => self.nets.iter().any(|net| net.contains(&addr)),
            None => self.unix,
        }
    }

    /// The client, from the peer's address and the values of the header that names the client and of
    /// `X-Forwarded-Proto`, one item a header line.
    ///
    /// Where an entry is no address (empty and `unknown` included), the client is the last good
    /// hop to its right. Of several schemes the last counts, the one that the peer itself added.
    pub fn client<'a>(
        &self,
        peer: Option<IpAddr>,
        forwarded_for: impl DoubleEndedIterator<Item = &'a [u8]>,
        forwarded_proto: impl DoubleEndedIterator<Item = &'a [u8]>,
    ) -> Client {
        let mut client = Client::direct(peer);
        if !self.trusts(peer) {
            return client;
        }
        for entry in from_the_right(forwarded_for) {
            let Some(hop) = address(entry) else { break };
            client.addr = Some(hop);
            if !self.trusts(client.addr) {
                break;
            }
        }
        let scheme = from_the_right(forwarded_proto).next();
        if scheme.is_some_and(|scheme| scheme.eq_ignore_ascii_case(b"https")) {
            client.scheme = Scheme::Https;
        }
        client
    }
}

/// The entries of all lines as of one list (RFC 9110 §5.3), the last one first.
fn from_the_right<'a>(
    lines: impl DoubleEndedIterator<Item = &'a [u8]>,
) -> impl Iterator<Item = &'a [u8]> {
    let entries = |line: &'a [u8]| line.rsplit(|byte| *byte == b',');
    lines.rev().flat_map(entries).map(<[u8]>::trim_ascii)
}

/// An address, with or without a port; IPv6 also in brackets.
fn address(entry: &[u8]) -> Option<IpAddr> {
    let entry = str::from_utf8(entry).ok()?;
    let bracketed = entry
        .strip_prefix('[')
        .and_then(|entry| entry.strip_suffix(']'));
    let addr = match bracketed {
        Some(literal) => literal.parse::<Ipv6Addr>().ok()?.into(),
        None => (entry.parse::<IpAddr>().ok())
            .or_else(|| Some(entry.parse::<SocketAddr>().ok()?.ip()))?,
    };
    Some(addr.to_canonical())
}

impl FromStr for TrustedProxies {
    type Err = String;

    /// Names every mistake in the list, not only the first one. The empty list trusts no proxy.
    fn from_str(list: &str) -> Result<Self, String> {
        let (mut nets, mut mistakes) = (Vec::new(), Vec::new());
        let entries = list.split(',').map(str::trim);
        let entries = entries.flat_map(|entry| match entry {
            "private" => PRIVATE.to_vec(),
            entry => vec![entry],
        });
        for entry in entries.filter(|entry| !entry.is_empty()) {
            match network(entry) {
                Ok(net) => nets.push(net),
                Err(why) => mistakes.push(format!("{entry:?} {why}")),
            }
        }
        if mistakes.is_empty() {
            Ok(Self { nets, unix: false })
        } else {
            Err(mistakes.join("; "))
        }
    }
}

/// Bits set beyond the prefix are an error: `10.1.2.3/8` trusts 16 million more than it shows.
fn network(entry: &str) -> Result<IpNet, String> {
    if let Ok(addr) = entry.parse::<IpAddr>() {
        return Ok(addr.to_canonical().into());
    }
    if let Some(addr) = address(entry.as_bytes()) {
        return Err(format!("is not a plain address: write \"{addr}\""));
    }
    let Ok(net) = entry.parse::<IpNet>() else {
        return Err("is not an address or network (names are not looked up): \
                    write \"192.0.2.1\", \"10.0.0.0/8\" or \"private\"; \"0.0.0.0/0,::/0\" trusts everyone"
            .to_owned());
    };
    if net != net.trunc() {
        let (net, addr) = (net.trunc(), net.addr());
        return Err(format!(
            "has bits set beyond its prefix: write \"{net}\" or \"{addr}\""
        ));
    }
    Ok(unmapped(net))
}

/// An IPv4-mapped network as the IPv4 network that it is.
fn unmapped(net: IpNet) -> IpNet {
    match (net.addr().to_canonical(), net.prefix_len().checked_sub(96)) {
        (IpAddr::V4(addr), Some(prefix)) => Ipv4Net::new(addr, prefix).map_or(net, IpNet::V4),
        _ => net,
    }
}

/// The list as it is written: a single address without its prefix length.
impl fmt::Display for TrustedProxies {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, net) in self.nets.iter().enumerate() {
            let comma = if i == 0 { "" } else { "," };
            if net.prefix_len() == net.max_prefix_len() {
                write!(f, "{comma}{}", net.addr())?;
            } else {
                write!(f, "{comma}{net}")?;
            }
        }
        Ok(())
    }
}
