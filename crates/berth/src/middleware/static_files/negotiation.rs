//! Content negotiation: which encoding of a file a client gets (RFC 9110 §12.5.3).

use std::{fs::File, path::Path};

use actix_web::{
    HttpMessage,
    dev::ServiceRequest,
    http::header::{self, AcceptEncoding},
};

use super::{encoding::Encoding, root_dirs::RootDirs};

/// The available encoding that the client prefers; of equals, the smallest. None if it accepts none of them (RFC 9110
/// §12.5.3). `whole` is the file `name` without encoding.
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
    let accepted_as = |encoding: Encoding| match encoding.coding() {
        Some(coding) => header::Encoding::Known(coding),
        None => header::Encoding::identity(),
    };
    let supported: Vec<_> = available
        .iter()
        .map(|(encoding, _)| accepted_as(*encoding))
        .collect();
    let chosen = accepted.negotiate(supported.iter())?;
    let place = supported.iter().position(|it| *it == chosen)?;
    Some(available.swap_remove(place))
}
