//! Content negotiation: which encoding a client gets, of a file or of a response of the service (RFC 9110 §12.5.3).

use std::{fs::File, path::Path};

use actix_web::{
    HttpMessage,
    dev::ServiceRequest,
    http::header::{self, AcceptEncoding},
};

use super::{encoding::Encoding, root_dirs::RootDirs};

/// The available encoding of a file, as [`prefer`]. `whole` is the file `name` without encoding.
pub fn choose(
    dirs: &RootDirs,
    request: &ServiceRequest,
    name: &Path,
    whole: File,
) -> Option<(Encoding, File)> {
    let Some(accepted) = request.get_header::<AcceptEncoding>() else {
        return Some((Encoding::Identity, whole));
    };
    let compressed = [Encoding::Brotli, Encoding::Gzip];
    let compressed = compressed.map(|encoding| Some((encoding, dirs.file(encoding, name)?)));
    let available = compressed
        .into_iter()
        .flatten()
        .chain([(Encoding::Identity, whole)]);
    let mut available: Vec<_> = available.collect();
    let offered: Vec<_> = available.iter().map(|(encoding, _)| *encoding).collect();
    let chosen = prefer(&accepted, &offered)?;
    let place = offered.iter().position(|it| *it == chosen)?;
    Some(available.swap_remove(place))
}

/// The one of `offered` that the client prefers; of equals, the smallest. None if it accepts none of them.
pub fn prefer(accepted: &AcceptEncoding, offered: &[Encoding]) -> Option<Encoding> {
    let name = |encoding: &Encoding| match encoding.coding() {
        Some(coding) => header::Encoding::Known(coding),
        None => header::Encoding::identity(),
    };
    let names: Vec<_> = offered.iter().map(name).collect();
    let chosen = accepted.negotiate(names.iter())?;
    let place = names.iter().position(|it| *it == chosen)?;
    offered.get(place).copied()
}
