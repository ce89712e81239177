//! Which of a file's forms a client gets. The site's folder has siblings for the compressed ones (`site.br`, `site.gzip`,
//! made by `deploy/site`) where the same names are found, if that saves anything. A folder without siblings has
//! none: `cargo run` serves what is there.

use std::{
    fs::File,
    path::{Path, PathBuf},
};

use actix_web::{
    HttpMessage,
    dev::ServiceRequest,
    http::header::{AcceptEncoding, ContentEncoding, Encoding},
};

use super::folder::Folders;

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

/// The one of those that are there which the client likes best; of equals, the smallest. None if it takes none of them
/// (RFC 9110 §12.5.3). `whole` is the file `name` as it is.
pub fn choose(request: &ServiceRequest, name: &Path, whole: File) -> Option<(Variant, File)> {
    let Some(accepted) = request.get_header::<AcceptEncoding>() else {
        return Some((Variant::Identity, whole));
    };
    let folders = Folders::of(request);
    let compressed = [Variant::Brotli, Variant::Gzip];
    let compressed = compressed.map(|variant| Some((variant, folders.file(variant, name)?)));
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
