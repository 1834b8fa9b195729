//! `kabar openapi`.

use std::error::Error;
use std::io::Write as _;

/// Prints the OpenAPI document.
pub(crate) fn run() -> Result<(), Box<dyn Error>> {
    let document = kabar_server::openapi_document();
    let mut out = std::io::stdout().lock();
    out.write_all(document.as_bytes())?;
    if !document.ends_with('\n') {
        out.write_all(b"\n")?;
    }
    Ok(())
}
