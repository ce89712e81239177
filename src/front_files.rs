//! What a front needs in order to answer as the app does where it can't ask it: the pages, and the headers of every
//! answer. The Dockerfile has `berth front-files` write them for nginx's image, so that the two can't differ.

use std::{fs, io, path::Path};

use actix_web::http::StatusCode;

use crate::{
    headers::{HSTS, SECURITY},
    refusal::Page,
};

/// What nginx refuses by itself, or Apache.
const STATUSES: [u16; 11] = [400, 408, 413, 414, 417, 431, 500, 501, 502, 503, 504];

/// Writes into `folder`:
/// * `refusals/STATUS.html` and `.txt`, and `refusals/maintenance.html` and `.txt`;
/// * `security_headers.conf`, of which nginx adds each line to its own answers;
/// * `hsts.conf`, the map's line for answers over https.
pub fn write(folder: &Path) -> io::Result<()> {
    let refusals = folder.join("refusals");
    fs::create_dir_all(&refusals)?;
    let statuses = STATUSES.map(|code| StatusCode::from_u16(code).expect("a status"));
    let pages = statuses.map(|status| (status.as_str().to_owned(), Page::Status(status)));
    for (name, page) in pages
        .into_iter()
        .chain([("maintenance".to_owned(), Page::Maintenance)])
    {
        fs::write(refusals.join(format!("{name}.html")), page.html())?;
        fs::write(refusals.join(format!("{name}.txt")), page.text())?;
    }
    let (hsts, value) = HSTS;
    let fixed = SECURITY.map(|(name, value)| format!("add_header {name} \"{value}\" always;\n"));
    let conditional = format!("add_header {hsts} $hsts always;\n");
    fs::write(
        folder.join("security_headers.conf"),
        fixed.concat() + &conditional,
    )?;
    fs::write(folder.join("hsts.conf"), format!("https \"{value}\";\n"))
}
