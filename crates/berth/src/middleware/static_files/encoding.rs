//! The encodings of a file. Compressed files have the same names in folders beside the site's (`site.br`, `site.gzip`), where
//! `tools/assets` puts those that are smaller. Without these folders every file is sent as it is, as by `cargo run`.

use std::path::{Path, PathBuf};

use actix_web::http::header::ContentEncoding;

/// As the file is, or compressed.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Encoding {
    /// As it is.
    Identity,
    /// RFC 7932.
    Brotli,
    /// RFC 1952.
    Gzip,
}

impl Encoding {
    /// Every one, in the order of their numbers.
    pub const ALL: [Self; 3] = [Self::Identity, Self::Brotli, Self::Gzip];

    /// The value of Content-Encoding.
    pub fn coding(self) -> Option<ContentEncoding> {
        match self {
            Self::Identity => None,
            Self::Brotli => Some(ContentEncoding::Brotli),
            Self::Gzip => Some(ContentEncoding::Gzip),
        }
    }

    /// Where the files of the site in `folder` are in this form.
    pub fn folder(self, folder: &Path) -> PathBuf {
        match self {
            Self::Identity => folder.to_owned(),
            Self::Brotli => folder.with_added_extension("br"),
            Self::Gzip => folder.with_added_extension("gzip"),
        }
    }
}
