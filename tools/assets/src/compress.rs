//! Adds precompressed copies of the files that get smaller by it.

use std::io::Write;

use brotli::enc::BrotliEncoderParams;
use flate2::{Compression, write::GzEncoder};

use crate::files::Files;

/// The extensions of text and of uncompressed formats. Most images, fonts and videos are compressed already.
const COMPRESSIBLE: &[&str] = &[
    "atom",
    "bmp",
    "css",
    "csv",
    "htm",
    "html",
    "ico",
    "ics",
    "js",
    "json",
    "jsonld",
    "map",
    "md",
    "mjs",
    "otf",
    "rss",
    "rtf",
    "svg",
    "tsv",
    "ttf",
    "txt",
    "vcf",
    "wasm",
    "webmanifest",
    "xml",
    "yaml",
    "yml",
];

/// The folders of an image's site: the plain files, and one folder for each encoding.
pub const FOLDERS: [&str; 3] = ["site", "site.br", "site.gzip"];

/// Returns the plain files and their compressed copies, each in the folder of its encoding.
pub fn all(files: Files) -> Files {
    let [plain, br, gzip] = FOLDERS;
    let mut all = Files::new();
    for (name, content) in files {
        if is_compressible(&name) {
            for (folder, compressed) in [(br, brotli(&content)), (gzip, gzipped(&content))] {
                if compressed.len() < content.len() {
                    all.insert(format!("{folder}/{name}"), compressed);
                }
            }
        }
        all.insert(format!("{plain}/{name}"), content);
    }
    all
}

fn is_compressible(name: &str) -> bool {
    name.rsplit_once('.')
        .is_some_and(|(_, extension)| COMPRESSIBLE.contains(&extension))
}

fn brotli(content: &[u8]) -> Vec<u8> {
    // The defaults: the best quality, and the window size that every browser accepts.
    let parameters = BrotliEncoderParams {
        size_hint: content.len(),
        ..BrotliEncoderParams::default()
    };
    let mut compressed = Vec::new();
    brotli::BrotliCompress(&mut &*content, &mut compressed, &parameters)
        .expect("a write to memory never fails");
    compressed
}

fn gzipped(content: &[u8]) -> Vec<u8> {
    // Without a file name and a time, so that equal content gives equal bytes.
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder
        .write_all(content)
        .and_then(|()| encoder.finish())
        .expect("a write to memory never fails")
}
