//! Which of a file's forms a client gets. The site's folder has siblings for the compressed ones (`site.br`, `site.gzip`,
//! made by `deploy/site`) where the same names are found, if that saves anything. A folder without siblings has
//! none: `cargo run` serves what is there.

use std::path::{Path, PathBuf};

use actix_web::{
    HttpMessage,
    dev::ServiceRequest,
    http::header::{AcceptEncoding, ContentEncoding, Encoding},
};

use super::file;

/// As the file is, or compressed.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Variant {
    /// As it is.
    Identity,
    /// RFC 7932.
    Brotli,
    /// RFC 1952.
    Gzip,
}

impl Variant {
    /// The value of Content-Encoding.
    pub fn coding(self) -> Option<ContentEncoding> {
        match self {
            Self::Identity => None,
            Self::Brotli => Some(ContentEncoding::Brotli),
            Self::Gzip => Some(ContentEncoding::Gzip),
        }
    }

    /// Where the compressed files of the site in `folder` are.
    pub fn folder(self, folder: &Path) -> Option<PathBuf> {
        let extension = match self {
            Self::Identity => return None,
            Self::Brotli => "br",
            Self::Gzip => "gzip",
        };
        Some(folder.with_added_extension(extension))
    }
}

/// The one of those that are there which the client likes best, and where it is; of equals, the smallest. None if it takes
/// none of them (RFC 9110 §12.5.3). `whole` is the file `name` of `folder` as it is.
pub fn choose(
    request: &ServiceRequest,
    folder: &Path,
    name: &Path,
    whole: PathBuf,
) -> Option<(Variant, PathBuf)> {
    let Some(accepted) = request.get_header::<AcceptEncoding>() else {
        return Some((Variant::Identity, whole));
    };
    let compressed = [Variant::Brotli, Variant::Gzip];
    let compressed =
        compressed.map(|variant| Some((variant, file(&variant.folder(folder)?, name)?)));
    let there = compressed
        .into_iter()
        .flatten()
        .chain([(Variant::Identity, whole)]);
    let mut there: Vec<_> = there.collect();
    let encoding = |variant: Variant| match variant.coding() {
        Some(coding) => Encoding::Known(coding),
        None => Encoding::identity(),
    };
    let supported: Vec<_> = there
        .iter()
        .map(|(variant, _)| encoding(*variant))
        .collect();
    let chosen = accepted.negotiate(supported.iter())?;
    let place = supported.iter().position(|it| *it == chosen)?;
    Some(there.swap_remove(place))
}
