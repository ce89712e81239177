//! The pages and headers that nginx or Apache sends where it does not ask the app. `app error-page-files` writes them while
//! the images are built, so that both send the same.

use std::{fs, io, path::Path};

use actix_web::http::StatusCode;

use crate::middleware::{
    error_pages::Page,
    security_headers::{HSTS, SECURITY},
};

/// The statuses that nginx or Apache sends by itself.
const STATUSES: [u16; 11] = [400, 408, 413, 414, 417, 431, 500, 501, 502, 503, 504];

/// Writes into `folder`:
/// * `error_pages/STATUS.html` and `.txt`, and `error_pages/maintenance.html` and `.txt`;
/// * `security_headers.conf`, whose lines nginx adds to its own responses;
/// * `hsts.conf`, a line of a map, for responses over https.
///
/// # Errors
/// If a file can't be written.
pub fn write(folder: &Path) -> io::Result<()> {
    let pages_folder = folder.join("error_pages");
    fs::create_dir_all(&pages_folder)?;
    let statuses = STATUSES.map(|code| StatusCode::from_u16(code).expect("a status"));
    let pages = statuses.map(|status| (status.as_str().to_owned(), Page::Status(status)));
    for (name, page) in pages
        .into_iter()
        .chain([("maintenance".to_owned(), Page::Maintenance)])
    {
        fs::write(pages_folder.join(format!("{name}.html")), page.html())?;
        fs::write(pages_folder.join(format!("{name}.txt")), page.text())?;
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
