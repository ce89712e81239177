//! Allowed hosts: Django's published cases, further cases, and properties against independent grammars.

use std::sync::LazyLock;

use berth::http::host::{AllowedHosts, Authority};
use proptest::prelude::*;
use regex::bytes::Regex;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verdict {
    Malformed,
    Refused,
    Allowed,
}
use Verdict::*;

fn verdict(list: &str, host: impl AsRef<[u8]>) -> Verdict {
    let list: AllowedHosts = list.parse().unwrap();
    match Authority::parse(&host) {
        Err(_) => Malformed,
        Ok(authority) if list.allows(&authority) => Allowed,
        Ok(_) => Refused,
    }
}

// The cases of `HostValidationTests` in Django's tests/requests_tests/tests.py.

const DJANGO_LIST: &str = "forward.com,example.com,internal.com,12.34.56.78,\
    [2001:19f0:feee::dead:beef:cafe],xn--4ca9at.com,.multitenant.com,INSENSITIVE.com,\
    [::ffff:169.254.169.254]";

const DJANGO_LEGIT: &[&str] = &[
    "example.com",
    "example.com:80",
    "12.34.56.78",
    "12.34.56.78:443",
    "[2001:19f0:feee::dead:beef:cafe]",
    "[2001:19f0:feee::dead:beef:cafe]:8080",
    "xn--4ca9at.com",
    "anything.multitenant.com",
    "multitenant.com",
    "insensitive.com",
    "example.com.",
    "example.com.:80",
    "[::ffff:169.254.169.254]",
];

const DJANGO_POISONED: &[&str] = &[
    "example.com@evil.tld",
    "example.com:dr.frankenstein@evil.tld",
    "example.com:dr.frankenstein@evil.tld:80",
    "example.com:80/badpath",
    "example.com: recovermypassword.com",
];

/// Host, then domain and port; an empty domain: not in Django's grammar.
#[rustfmt::skip] // a table
const DJANGO_SPLIT: &[(&str, &str, &str)] = &[
    ("<invalid>", "", ""),
    ("<invalid>:8080", "", ""),
    ("example.com 8080", "", ""),
    ("example.com:invalid", "", ""),
    ("[::1]", "[::1]", ""),
    ("[::1]:8080", "[::1]", "8080"),
    ("[::ffff:127.0.0.1]", "[::ffff:127.0.0.1]", ""),
    ("[::ffff:127.0.0.1]:8080", "[::ffff:127.0.0.1]", "8080"),
    ("[1851:0000:3238:DEF1:0177:0000:0000:0125]", "[1851:0000:3238:def1:0177:0000:0000:0125]", ""),
    ("[1851:0000:3238:DEF1:0177:0000:0000:0125]:8080", "[1851:0000:3238:def1:0177:0000:0000:0125]", "8080"),
    ("127.0.0.1", "127.0.0.1", ""),
    ("127.0.0.1:8080", "127.0.0.1", "8080"),
    ("example.com", "example.com", ""),
    ("example.com:8080", "example.com", "8080"),
    ("example.com.", "example.com", ""),
    ("example.com.:8080", "example.com", "8080"),
    ("xn--n28h.test", "xn--n28h.test", ""),
    ("xn--n28h.test:8080", "xn--n28h.test", "8080"),
    ("subdomain.example.com", "subdomain.example.com", ""),
    ("subdomain.example.com:8080", "subdomain.example.com", "8080"),
];

#[test]
fn django_legit_hosts() {
    for host in DJANGO_LEGIT {
        assert_eq!(verdict(DJANGO_LIST, host), Allowed, "{host}");
        assert_eq!(verdict("*", host), Allowed, "{host}");
    }
}

#[test]
fn django_poisoned_hosts() {
    for host in DJANGO_POISONED {
        assert_eq!(verdict(DJANGO_LIST, host), Malformed, "{host}");
        assert_eq!(verdict("*", host), Malformed, "{host}");
    }
    for host in ["other.com", "example.com.."] {
        assert_eq!(verdict(DJANGO_LIST, host), Refused, "{host}");
    }
    assert_eq!(verdict("*", "invalid_hostname.com"), Refused);
}

#[test]
fn django_split_domain_port() {
    for (host, domain, port) in DJANGO_SPLIT {
        if domain.is_empty() {
            assert_ne!(verdict("*", host), Allowed, "{host}");
        } else {
            assert_eq!(verdict(domain, host), Allowed, "{host}");
            let authority = Authority::parse(host).unwrap();
            assert_eq!(authority.port().unwrap_or(""), *port, "{host}");
        }
    }
}

#[test]
fn django_debug_defaults() {
    let list = ".localhost,127.0.0.1,[::1]";
    for host in ["localhost", "subdomain.localhost", "127.0.0.1", "[::1]"] {
        assert_eq!(verdict(list, host), Allowed, "{host}");
    }
    assert_eq!(verdict(list, "example.com"), Refused);
}

/// List, host, verdict. `*` shows the grammar alone.
#[rustfmt::skip] // a table
const FURTHER: &[(&str, &str, Verdict)] = &[
    // The grammar of RFC 3986.
    ("*", "a", Allowed),
    ("*", "", Refused),
    ("*", ":", Malformed),
    ("*", ":80", Malformed),
    ("*", "a:", Refused),
    ("*", "[::1]:", Refused),
    ("*", "a:0", Allowed),
    ("*", "a:65535", Allowed),
    ("*", "a:65536", Malformed),
    ("*", "a:99999999999999999999", Malformed),
    ("*", "a:000000080", Allowed),
    ("*", "a:8x", Malformed),
    ("*", "a:+80", Malformed),
    ("*", "a:-1", Malformed),
    ("*", "a:80:80", Malformed),
    ("*", "a b", Malformed),
    ("*", " a", Malformed),
    ("*", "a ", Malformed),
    ("*", "a\t", Malformed),
    ("*", "a\n", Malformed),
    ("*", "a\0", Malformed),
    ("*", "a\x7f", Malformed),
    ("*", "é", Malformed),
    ("*", "\u{212a}", Malformed), // KELVIN SIGN, whose lower case is k
    ("*", "user@a", Malformed),
    ("*", "@a", Malformed),
    ("*", "a/", Malformed),
    ("*", "a?b", Malformed),
    ("*", "a#b", Malformed),
    ("*", "a\\b", Malformed),
    ("*", "a\"b", Malformed),
    ("*", "http://a", Malformed),
    ("*", "a,b", Refused),
    ("*", "my_host", Refused),
    ("*", "a~b", Refused),
    ("*", "*", Refused),
    ("*", "*.example.com", Refused),
    ("*", "a%20b", Refused),
    ("*", "a%2Fb", Refused),
    ("*", "a%C3%A9", Refused),
    ("*", "%zz", Malformed),
    ("*", "%4", Malformed),
    ("*", "a%", Malformed),
    ("*", "a%%41", Malformed),
    ("*", "a%4g", Malformed),
    // IP literals.
    ("*", "[::]", Allowed),
    ("*", "[1:2:3:4:5:6:7:8]", Allowed),
    ("*", "[1:2:3:4:5:6:1.2.3.4]", Allowed),
    ("*", "[1:2:3:4:5:6:7::]", Allowed),
    ("*", "[1:2:3:4:5:6:7]", Malformed),
    ("*", "[1:2:3:4::5:6:7:8]", Malformed),
    ("*", "[1:2:3:4:5:6:7:8:9]", Malformed),
    ("*", "[12345::]", Malformed),
    ("*", "[::1.2.3.256]", Malformed),
    ("*", "[::01.2.3.4]", Malformed),
    ("*", "[1::2::3]", Malformed),
    ("*", "[:::]", Malformed),
    ("*", "[1:2]", Malformed),
    ("*", "[::g]", Malformed),
    ("*", "[fe80::1%eth0]", Malformed),
    ("*", "[fe80::1%25eth0]", Malformed),
    ("*", "[1.2.3.4]", Malformed),
    ("*", "[]", Malformed),
    ("*", "[", Malformed),
    ("*", "]", Malformed),
    ("*", "[::1", Malformed),
    ("*", "::1", Malformed),
    ("*", "[::1]x", Malformed),
    ("*", "[::1].", Malformed),
    ("*", "[::1]80", Malformed),
    ("*", "x[::1]", Malformed),
    ("*", "[[::1]]", Malformed),
    ("*", "[v1.a:b]", Refused),
    ("*", "[V1F.a]", Refused),
    ("*", "[v.a]", Malformed),
    ("*", "[v1.]", Malformed),
    ("*", "[v1]", Malformed),
    ("*", "[vg.a]", Malformed),
    ("*", "[v1.a%41]", Malformed),
    // What Django's grammar leaves of dots.
    ("*", ".", Refused),
    ("*", "..", Allowed),
    ("*", "a..b", Allowed),
    ("*", "-", Allowed),
    // Exact entries.
    ("example.com", "EXAMPLE.com", Allowed),
    ("Example.COM", "example.com", Allowed),
    ("example.com.", "example.com", Allowed),
    ("example.com.", "example.com.", Allowed),
    ("example.com", "example.com.:80", Allowed),
    ("example.com", "example.com..", Refused),
    ("example.com", "www.example.com", Refused),
    ("example.com", "example.co", Refused),
    ("example.com", "example.com:", Refused),
    ("example.com", "", Refused),
    ("a,b", "b", Allowed),
    (" a , b ,", "b", Allowed),
    ("a,b", "c", Refused),
    ("a,b", "a,b", Refused),
    ("[2001:DB8::1]", "[2001:db8::1]:443", Allowed),
    ("[::1]", "[0:0:0:0:0:0:0:1]", Refused),
    ("[::1]", "[::01]", Refused),
    ("127.0.0.1", "127.1", Refused),
    ("127.0.0.1", "[::ffff:127.0.0.1]", Refused),
    // A domain with its subdomains.
    (".example.com", "example.com", Allowed),
    (".example.com", "example.com.", Allowed),
    (".example.com", "a.b.EXAMPLE.com:1", Allowed),
    (".Example.com.", "a.example.com", Allowed),
    (".example.com", ".example.com", Allowed), // as in Django
    (".example.com", "badexample.com", Refused),
    (".example.com", "example.com.evil.com", Refused),
    (".example.com", "xexample.com", Refused),
    (".example.com", "com", Refused),
    (".example.com", "le.com", Refused),
    (".example.com", "a_b.example.com", Refused),
    (".com", "example.com", Allowed),
];

#[test]
fn our_cases() {
    for (list, host, expected) in FURTHER {
        assert_eq!(verdict(list, host), *expected, "{host:?} with {list:?}");
    }
    assert_eq!(verdict("*", b"a\xff"), Malformed);
    assert_eq!(verdict("*", b"\xe9"), Malformed);
}

#[test]
fn default_list() {
    let default = AllowedHosts::default();
    assert_eq!(default.to_string(), "127.0.0.1,localhost,[::1]");
    assert_eq!(default.to_string().parse(), Ok(default));
}

#[test]
fn shows_the_list_as_it_is_compared() {
    let list: AllowedHosts = " A.example.,.B.example ,*, [::F]".parse().unwrap();
    assert_eq!(list.to_string(), "a.example,.b.example,*,[::f]");
    assert_eq!(list.to_string().parse(), Ok(list));
}

/// A wrong list, and the text of its error.
#[rustfmt::skip] // a table
const MISTAKES: &[(&str, &[&str])] = &[
    ("http://x", &["\"http://x\"", "is a URL", "write \"x\""]),
    ("https://x:8000/a:b", &["is a URL", "write \"x\""]),
    ("https://[::1]:8000/", &["is a URL", "write \"[::1]\""]),
    ("x/path", &["\"x/path\"", "has a path", "write \"x\""]),
    ("x:80", &["\"x:80\"", "has a port", "leave it out", "write \"x\""]),
    ("[::1]:80", &["\"[::1]:80\"", "has a port", "write \"[::1]\""]),
    (":80", &["\":80\"", "has ':'", "write a host as"]),
    ("*.example.com", &["\"*.example.com\"", "has a *", "write \".example.com\""]),
    ("*:80", &["\"*:80\"", "has a *", "\"*\" for every host"]),
    ("foo.*", &["\"foo.*\"", "has '*'", "write a host as"]),
    ("::1", &["\"::1\"", "without brackets", "write \"[::1]\""]),
    ("[::1", &["\"[::1\"", "not an IPv6 address in brackets"]),
    ("[::g]", &["\"[::g]\"", "not an IPv6 address in brackets"]),
    ("[v1.a]", &["\"[v1.a]\"", "not an IPv6 address in brackets"]),
    ("[::1].", &["\"[::1].\"", "not an IPv6 address in brackets", "write \"[::1]\""]),
    (".[::1]", &["\".[::1]\"", "has '['"]),
    ("my_host", &["\"my_host\"", "has '_'", "can match"]),
    ("a b", &["\"a b\"", "has ' '"]),
    ("user@x", &["\"user@x\"", "has '@'"]),
    ("b\u{fc}ro.example", &["not in ASCII", "xn--"]),
    (".", &["\".\"", "a dot with no name", "\"*\" for every host"]),
    ("..", &["\"..\"", "a dot with no name"]),
    ("a..b", &["\"a..b\"", "a dot with no name"]),
    ("..a", &["\"..a\"", "a dot with no name"]),
    ("", &["refuse everyone", "leave it unset for 127.0.0.1,localhost,[::1]", "name the hosts"]),
    (" , ", &["refuse everyone"]),
    ("x:80,fine,*.y,::1", &["write \"x\"; ", "write \".y\"; ", "write \"[::1]\""]),
];

#[test]
fn mistakes_in_the_list() {
    for (list, expected) in MISTAKES {
        let error = list.parse::<AllowedHosts>().expect_err(list);
        for part in *expected {
            assert!(error.contains(part), "{list:?}: no {part:?} in {error:?}");
        }
        assert!(!error.contains("fine"), "{list:?}: {error:?}");
    }
}

/// `[ uri-host [ ":" port ] ]`, rule by rule from RFC 3986's appendix A.
static RFC: LazyLock<Regex> = LazyLock::new(|| {
    let h16 = "[0-9A-Fa-f]{1,4}";
    let octet = "(?:25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])";
    let v4 = format!(r"(?:{octet}\.){{3}}{octet}");
    let ls32 = format!("(?:{h16}:{h16}|{v4})");
    let upto = |n: usize| format!("(?:(?:{h16}:){{0,{n}}}{h16})?");
    let v6 = [
        format!("(?:{h16}:){{6}}{ls32}"),
        format!("::(?:{h16}:){{5}}{ls32}"),
        format!("{}::(?:{h16}:){{4}}{ls32}", upto(0)),
        format!("{}::(?:{h16}:){{3}}{ls32}", upto(1)),
        format!("{}::(?:{h16}:){{2}}{ls32}", upto(2)),
        format!("{}::{h16}:{ls32}", upto(3)),
        format!("{}::{ls32}", upto(4)),
        format!("{}::{h16}", upto(5)),
        format!("{}::", upto(6)),
    ]
    .join("|");
    let text = r"A-Za-z0-9._~!$&'()*+,;=\-";
    let literal = format!(r"\[(?:{v6}|[vV][0-9A-Fa-f]+\.[{text}:]+)\]");
    let name = format!("(?:[{text}]|%[0-9A-Fa-f]{{2}})+");
    let port = "0*(?:6553[0-5]|655[0-2][0-9]|65[0-4][0-9]{2}|6[0-4][0-9]{3}|[1-5]?[0-9]{0,4})";
    Regex::new(&format!(r"(?-u)\A(?:(?:{literal}|{name})(?::{port})?)?\z")).unwrap()
});

/// Django's grammar, then its rule for one entry, on bytes.
fn django_allows(list: &str, host: &[u8]) -> bool {
    static GRAMMAR: LazyLock<Regex> = LazyLock::new(|| {
        Regex::new(r"(?-u)\A([a-z0-9.\-]+|\[[a-f0-9]*:[a-f0-9.:]+\])(:[0-9]+)?\z").unwrap()
    });
    let host = host.to_ascii_lowercase();
    let Some(parts) = GRAMMAR.captures(&host) else {
        return false;
    };
    let domain = str::from_utf8(&parts[1]).unwrap();
    let domain = domain.strip_suffix('.').unwrap_or(domain);
    let is_match = |entry: &str| {
        entry == "*"
            || entry == domain
            || entry.starts_with('.') && format!(".{domain}").ends_with(entry)
    };
    !domain.is_empty() && list.split(',').any(is_match)
}

/// Bytes that are a valid Host, an almost valid one, or arbitrary.
fn hosts() -> impl Strategy<Value = Vec<u8>> {
    let pieces = "example.com|.example.com|EXAMPLE|com|sub|bad|localhost|127.0.0.1|.|..|-|_|:|:80|\
                  :65535|:65536|[::1]|[v1.a]|[|]|::|ffff|%41|%|%zz|@|,| |/|\u{e9}|\r\n";
    let pieces = prop::sample::select(pieces.split('|').collect::<Vec<_>>());
    let joined =
        prop::collection::vec(pieces, 0..5).prop_map(|pieces| pieces.concat().into_bytes());
    let well_formed = prop::sample::select([DJANGO_LEGIT, &["localhost:", "a%20b", ""]].concat());
    let place = any::<prop::sample::Index>();
    let mutated = (well_formed, place, any::<u8>(), 0..2usize).prop_map(|(host, at, byte, cut)| {
        let mut host = host.as_bytes().to_vec();
        let at = at.index(host.len() + 1);
        // Inserts the byte, or replaces another with it.
        host.splice(at..host.len().min(at + cut), [byte]);
        host
    });
    prop_oneof![
        3 => joined,
        3 => mutated,
        2 => "\\[([0-9a-fA-F]{0,5}:){0,8}(:|[0-9a-f]{0,5}|1\\.2\\.3\\.4)\\](:[0-9]{0,6})?"
            .prop_map(String::into_bytes),
        1 => "[ -~]{0,12}".prop_map(String::into_bytes),
        1 => prop::collection::vec(any::<u8>(), 0..12),
    ]
}

fn lists() -> impl Strategy<Value = String> {
    let entries = "* example.com .example.com .com sub.com localhost 127.0.0.1 [::1] - \
                   .multitenant.com 12.34.56.78 [::ffff:169.254.169.254]";
    let entries = prop::sample::select(entries.split(' ').collect::<Vec<_>>());
    prop::collection::vec(entries, 1..4).prop_map(|entries| entries.join(","))
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 4_000,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn parses_what_the_rfc_derives(host in hosts()) {
        prop_assert_eq!(Authority::parse(&host).is_ok(), RFC.is_match(&host));
    }

    #[test]
    fn allows_what_is_well_formed_and_django_allows(list in lists(), host in hosts()) {
        let expected = match (RFC.is_match(&host), django_allows(&list, &host)) {
            (false, _) => Malformed,
            (true, false) => Refused,
            (true, true) => Allowed,
        };
        prop_assert_eq!(verdict(&list, &host), expected);
    }

    #[test]
    fn a_domain_matches_itself_and_what_is_below_it(host in hosts()) {
        if verdict(".example.com", &host) == Allowed {
            let host = Authority::parse(&host).unwrap().host().to_ascii_lowercase();
            let host = host.strip_suffix('.').unwrap_or(&host);
            prop_assert!(host == "example.com" || host.ends_with(".example.com"), "{}", host);
        }
    }

    #[test]
    fn case_trailing_dot_and_port_do_not_matter(list in lists(), host in hosts(), port: u16) {
        let before = verdict(&list, &host);
        prop_assert_eq!(verdict(&list, host.to_ascii_uppercase()), before);
        prop_assert_eq!(verdict(&list.to_ascii_uppercase(), &host), before);
        let Ok(authority) = Authority::parse(&host) else { return Ok(()) };
        let bare = authority.host();
        if !bare.is_empty() && authority.port() != Some("") {
            prop_assert_eq!(verdict(&list, bare), before);
            prop_assert_eq!(verdict(&list, format!("{bare}:{port}")), before);
            if !bare.ends_with(['.', ']']) {
                prop_assert_eq!(verdict(&list, format!("{bare}.")), before);
                prop_assert_eq!(verdict(&list, format!("{bare}.:{port}")), before);
            }
        }
    }

    #[test]
    fn a_list_is_read_or_explained(list in "[ -~]{0,12}|[a-z.*:\\[\\]/,]{0,12}|\\PC{0,6}") {
        match list.parse::<AllowedHosts>() {
            Ok(hosts) => prop_assert_eq!(hosts.to_string().parse(), Ok(hosts)),
            Err(error) => {
                prop_assert!(error.contains("write ") || error.contains("name "), "{error}");
            }
        }
    }
}
