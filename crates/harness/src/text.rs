//! The escapes of the tables of cases.

use regex::{Captures, Regex};

/// `\r`, `\n`, `\t`, `\\` and `\xNN` are a byte; `{TEXT*N}` is TEXT, N times.
pub fn unescape(text: &str) -> Vec<u8> {
    let repeat = Regex::new(r"\{([^{}]+)\*(\d+)\}").unwrap();
    let times = |found: &Captures| found[1].repeat(found[2].parse().unwrap());
    let text = repeat.replace_all(text, times);
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    while let Some((&byte, after)) = rest.split_first() {
        rest = after;
        if byte != b'\\' {
            bytes.push(byte);
            continue;
        }
        let (&escape, after) = rest.split_first().expect("an escape");
        rest = after;
        bytes.push(match escape {
            b'r' => b'\r',
            b'n' => b'\n',
            b't' => b'\t',
            b'\\' => b'\\',
            b'x' => {
                let (hex, after) = rest.split_at(2);
                rest = after;
                let hex = str::from_utf8(hex).unwrap();
                u8::from_str_radix(hex, 16).expect("two hexadecimal digits")
            }
            _ => panic!("an unknown escape in {text}"),
        });
    }
    bytes
}
