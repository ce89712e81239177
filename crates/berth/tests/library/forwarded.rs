//! Trusted proxies: the client's address, and the scheme.

use std::net::IpAddr;

use berth::http::forwarded::{Client, Scheme, TrustedProxies};
use proptest::prelude::*;

fn client(trusted: &str, peer: &str, forwarded_for: &[&[u8]], proto: &[&[u8]]) -> Client {
    let trusted: TrustedProxies = trusted.parse().unwrap();
    let trusted = trusted.listening_on_unix(peer == "unix");
    let peer = peer.parse().ok();
    trusted.client(peer, forwarded_for.iter().copied(), proto.iter().copied())
}

/// Trusted proxies, peer ("unix": nginx in the same container, on a socket), lines of X-Forwarded-For, client.
#[rustfmt::skip] // a line of the table
type Case = (&'static str, &'static str, &'static [&'static [u8]], &'static str);

#[rustfmt::skip] // a table
const CLIENTS: &[Case] = &[
    // Which peers' headers count.
    ("", "192.0.2.1", &[b"203.0.113.9"], "192.0.2.1"),
    ("10.0.0.0/8", "11.0.0.1", &[b"203.0.113.9"], "11.0.0.1"),
    ("10.0.0.0/8", "10.0.0.1", &[b"203.0.113.9"], "203.0.113.9"),
    ("10.0.0.0/8", "10.0.0.1", &[], "10.0.0.1"),
    ("192.0.2.1", "192.0.2.1", &[b"203.0.113.9"], "203.0.113.9"),
    ("192.0.2.1", "192.0.2.2", &[b"203.0.113.9"], "192.0.2.2"),
    ("2001:db8::/32", "2001:db8::1", &[b"203.0.113.9"], "203.0.113.9"),
    ("0.0.0.0/0", "2001:db8::1", &[b"203.0.113.9"], "2001:db8::1"),
    ("::/0", "10.0.0.1", &[b"203.0.113.9"], "10.0.0.1"),
    ("", "unix", &[], "unknown"),
    ("", "unix", &[b"203.0.113.9"], "203.0.113.9"),
    ("", "unix", &[b"198.51.100.66, 203.0.113.9"], "203.0.113.9"),
    ("10.0.0.0/8", "unix", &[b"203.0.113.9, 10.0.0.2"], "203.0.113.9"),
    ("private", "10.0.0.1", &[b"203.0.113.9, 100.64.0.7"], "203.0.113.9"),
    ("private,192.0.2.1", "192.0.2.1", &[b"203.0.113.9, 127.0.0.1"], "203.0.113.9"),
    ("private", "::ffff:169.254.8.1", &[b"203.0.113.9, fd00::7"], "203.0.113.9"),
    ("private", "203.0.113.8", &[b"203.0.113.9"], "203.0.113.8"),
    // Spoofed entries stand to the left of the client's own address.
    ("10.0.0.0/8", "10.0.0.1", &[b"198.51.100.66, 203.0.113.9"], "203.0.113.9"),
    ("10.0.0.0/8", "10.0.0.1", &[b"10.0.0.7, 203.0.113.9"], "203.0.113.9"),
    ("10.0.0.0/8", "10.0.0.1", &[b"198.51.100.66, 10.0.0.3, 203.0.113.9, 10.0.0.2"], "203.0.113.9"),
    // Many hops, and many lines, which are one list.
    ("10.0.0.0/8", "10.0.0.1", &[b"203.0.113.9, 10.0.0.4,10.0.0.3 ,\t10.0.0.2"], "203.0.113.9"),
    ("10.0.0.0/8", "10.0.0.1", &[b"203.0.113.9", b"10.0.0.3", b"10.0.0.2"], "203.0.113.9"),
    ("10.0.0.0/8", "10.0.0.1", &[b"198.51.100.66", b"203.0.113.9, 10.0.0.2"], "203.0.113.9"),
    ("10.0.0.0/8,192.0.2.1", "10.0.0.1", &[b"203.0.113.9, 192.0.2.1"], "203.0.113.9"),
    // All hops are trusted: the farthest is the client.
    ("10.0.0.0/8", "10.0.0.1", &[b"10.0.0.3, 10.0.0.2"], "10.0.0.3"),
    ("0.0.0.0/0", "10.0.0.1", &[b"198.51.100.66, 203.0.113.9"], "198.51.100.66"),
    // Garbage: the nearest valid hop to its right.
    ("10.0.0.0/8", "10.0.0.1", &[b"203.0.113.9, unknown"], "10.0.0.1"),
    ("10.0.0.0/8", "10.0.0.1", &[b"203.0.113.9, unknown, 10.0.0.2"], "10.0.0.2"),
    ("10.0.0.0/8", "10.0.0.1", &[b"203.0.113.9, \xff\xfe\x00, 10.0.0.2"], "10.0.0.2"),
    ("10.0.0.0/8", "10.0.0.1", &[b"203.0.113.9,, 10.0.0.2"], "10.0.0.2"),
    ("10.0.0.0/8", "10.0.0.1", &[b"203.0.113.9,"], "10.0.0.1"),
    ("10.0.0.0/8", "10.0.0.1", &[b"203.0.113.9", b""], "10.0.0.1"),
    ("10.0.0.0/8", "10.0.0.1", &[b""], "10.0.0.1"),
    ("10.0.0.0/8", "10.0.0.1", &[b"garbage, 203.0.113.9"], "203.0.113.9"),
    ("10.0.0.0/8", "10.0.0.1", &[b"203.0.113.9 10.0.0.2"], "10.0.0.1"),
    ("10.0.0.0/8", "10.0.0.1", &[b"203.0.113.256"], "10.0.0.1"),
    ("10.0.0.0/8", "10.0.0.1", &[b"203.0.113"], "10.0.0.1"),
    ("10.0.0.0/8", "10.0.0.1", &[b"0203.0.113.9"], "10.0.0.1"),
    ("10.0.0.0/8", "10.0.0.1", &[b"203.0.113.9/32"], "10.0.0.1"),
    ("10.0.0.0/8", "10.0.0.1", &[b"203.0.113.9:99999"], "10.0.0.1"),
    ("10.0.0.0/8", "10.0.0.1", &[b"203.0.113.9:"], "10.0.0.1"),
    ("10.0.0.0/8", "10.0.0.1", &[b"[203.0.113.9]"], "10.0.0.1"),
    ("10.0.0.0/8", "10.0.0.1", &[b"[2001:db8::9"], "10.0.0.1"),
    ("10.0.0.0/8", "10.0.0.1", &[b"for=203.0.113.9"], "10.0.0.1"),
    ("", "unix", &[b"203.0.113.9, unknown"], "unknown"),
    // The ways to write an address.
    ("10.0.0.0/8", "10.0.0.1", &[b"203.0.113.9:4711"], "203.0.113.9"),
    ("10.0.0.0/8", "10.0.0.1", &[b"2001:DB8::9"], "2001:db8::9"),
    ("10.0.0.0/8", "10.0.0.1", &[b"[2001:db8::9]"], "2001:db8::9"),
    ("10.0.0.0/8", "10.0.0.1", &[b"[2001:db8::9]:4711"], "2001:db8::9"),
    ("10.0.0.0/8", "10.0.0.1", &[b"203.0.113.9, 10.0.0.2:4711"], "203.0.113.9"),
    // IPv4-mapped addresses are the IPv4 addresses.
    ("", "::ffff:192.0.2.1", &[], "192.0.2.1"),
    ("10.0.0.0/8", "::ffff:10.0.0.1", &[b"::ffff:203.0.113.9"], "203.0.113.9"),
    ("10.0.0.0/8", "10.0.0.1", &[b"203.0.113.9, [::ffff:10.0.0.2]:80"], "203.0.113.9"),
    ("::ffff:10.0.0.1", "10.0.0.1", &[b"203.0.113.9"], "203.0.113.9"),
    ("::ffff:10.0.0.0/104", "10.0.0.1", &[b"203.0.113.9"], "203.0.113.9"),
    ("::ffff:10.0.0.0/104", "11.0.0.1", &[b"203.0.113.9"], "11.0.0.1"),
];

#[test]
fn client_address() {
    for (trusted, peer, lines, expected) in CLIENTS {
        let addr = client(trusted, peer, lines, &[]).addr;
        let addr = addr.map_or("unknown".to_owned(), |addr| addr.to_string());
        let shown: Vec<_> = lines
            .iter()
            .map(|line| line.escape_ascii().to_string())
            .collect();
        assert_eq!(
            addr, *expected,
            "{peer} sent {shown:?}, trusted: {trusted:?}"
        );
    }
}

#[test]
fn scheme() {
    #[rustfmt::skip] // a table
    let cases: &[(&str, &[&[u8]], Scheme)] = &[
        ("10.0.0.1", &[], Scheme::Http),
        ("10.0.0.1", &[b"https"], Scheme::Https),
        ("10.0.0.1", &[b" HTTPS\t"], Scheme::Https),
        ("10.0.0.1", &[b"http"], Scheme::Http),
        ("10.0.0.1", &[b"httpsx"], Scheme::Http),
        ("10.0.0.1", &[b"https:"], Scheme::Http),
        ("10.0.0.1", &[b"on"], Scheme::Http),
        ("10.0.0.1", &[b"\xff"], Scheme::Http),
        ("10.0.0.1", &[b""], Scheme::Http),
        ("10.0.0.1", &[b"https, http"], Scheme::Http),
        ("10.0.0.1", &[b"http, https"], Scheme::Https),
        ("10.0.0.1", &[b"https", b"http"], Scheme::Http),
        ("10.0.0.1", &[b"http", b"https"], Scheme::Https),
        ("10.0.0.1", &[b"https, gopher"], Scheme::Http),
        ("10.0.0.1", &[b"https,"], Scheme::Http),
        ("192.0.2.1", &[b"https"], Scheme::Http),
        ("::ffff:10.0.0.1", &[b"https"], Scheme::Https),
        ("unix", &[b"https"], Scheme::Https),
    ];
    for (peer, proto, expected) in cases {
        let scheme = client("10.0.0.0/8", peer, &[], proto).scheme;
        assert_eq!(scheme, *expected, "{peer} sent {proto:?}");
    }
    // The peer decides the scheme, regardless of the list of addresses.
    let seen = client(
        "10.0.0.0/8",
        "10.0.0.1",
        &[b"203.0.113.9, junk"],
        &[b"https"],
    );
    assert_eq!(seen.scheme, Scheme::Https);
    assert_eq!(
        [Scheme::Http, Scheme::Https].map(Scheme::as_str),
        ["http", "https"]
    );
}

#[test]
fn whom_it_trusts() {
    let trusts = |list: &str, peer: &str| {
        let peer: IpAddr = peer.parse().unwrap();
        list.parse::<TrustedProxies>().unwrap().trusts(Some(peer))
    };
    assert!(trusts("10.0.0.0/8", "10.255.255.255"));
    assert!(trusts("10.0.0.0/8", "::ffff:10.0.0.1"));
    assert!(!trusts("10.0.0.0/8", "11.0.0.0"));
    assert!(!trusts("", "127.0.0.1"));
    assert!(
        TrustedProxies::default()
            .listening_on_unix(true)
            .trusts(None)
    );
    // On TCP: the peer has reset the connection after its request.
    let everyone: TrustedProxies = "0.0.0.0/0,::/0".parse().unwrap();
    assert!(!everyone.trusts(None));
}

#[test]
fn shows_the_list_as_it_is_compared() {
    #[rustfmt::skip] // a table
    let cases = [
        ("", ""),
        (" , ", ""),
        (" 10.0.0.0/8 , 192.0.2.1,", "10.0.0.0/8,192.0.2.1"),
        ("192.0.2.1/32,2001:DB8::/32,::1", "192.0.2.1,2001:db8::/32,::1"),
        ("::ffff:10.0.0.0/104,::ffff:192.0.2.1", "10.0.0.0/8,192.0.2.1"),
        ("0.0.0.0/0,::/0", "0.0.0.0/0,::/0"),
    ];
    for (list, shown) in cases {
        let proxies: TrustedProxies = list.parse().unwrap();
        assert_eq!(proxies.to_string(), shown);
        assert_eq!(shown.parse(), Ok(proxies));
    }
    assert_eq!("".parse(), Ok(TrustedProxies::default()));
}

#[test]
fn mistakes_in_the_list() {
    #[rustfmt::skip] // a table
    let cases: &[(&str, &[&str])] = &[
        ("10.1.2.3/8", &["\"10.1.2.3/8\"", "\"10.0.0.0/8\" or \"10.1.2.3\""]),
        ("2001:db8::1/32", &["\"2001:db8::/32\" or \"2001:db8::1\""]),
        ("::ffff:10.0.0.0/8", &["beyond its prefix"]),
        ("10.0.0.0/33", &["\"10.0.0.0/33\"", "is not an address or network"]),
        ("10.0.0", &["is not an address or network"]),
        ("10.*", &["\"10.*\"", "10.0.0.0/8"]),
        ("nginx", &["\"nginx\"", "names are not looked up"]),
        ("*", &["\"0.0.0.0/0,::/0\" trusts everyone"]),
        ("10.0.0.1:80", &["\"10.0.0.1:80\"", "write \"10.0.0.1\""]),
        ("[::1]", &["\"[::1]\"", "write \"::1\""]),
        ("10.0.0.1 10.0.0.2", &["is not an address or network"]),
        ("nginx,10.0.0.1,10.0.0.1/8", &["\"nginx\" is not", "; \"10.0.0.1/8\" has bits"]),
    ];
    for (list, expected) in cases {
        let error = list.parse::<TrustedProxies>().expect_err(list);
        for part in *expected {
            assert!(error.contains(part), "{list:?}: no {part:?} in {error:?}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn headers_of_an_untrusted_peer_never_count(peer: IpAddr, header: Vec<u8>) {
        let seen = TrustedProxies::default().client(
            Some(peer),
            [b"203.0.113.9", &header[..]].into_iter(),
            [&header[..], b"https"].into_iter(),
        );
        prop_assert_eq!(seen, Client { addr: Some(peer.to_canonical()), scheme: Scheme::Http });
    }

    #[test]
    fn what_stands_left_of_the_client_never_matters(spoof: Vec<u8>, own_line: bool) {
        let honest: &[u8] = b"203.0.113.9, 10.0.0.2";
        let joined = [&spoof[..], b",", honest].concat();
        let lines = if own_line { vec![&spoof[..], honest] } else { vec![&joined[..]] };
        let seen = client("10.0.0.0/8", "10.0.0.1", &lines, &[]);
        prop_assert_eq!(seen.addr, Some([203, 0, 113, 9].into()));
    }
}
