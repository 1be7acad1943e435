//! The page of a run.

use std::path::{Path, PathBuf};

use selfsame_report::record::PAGE_FILE;
use selfsame_report::{read, render, write_atomic};

use crate::{Error, Run};

/// Writes a run's page again, from its records. Returns the path of the page.
///
/// # Errors
/// If the folder is not a run, or if a record is damaged.
pub fn report(run: &Path) -> Result<PathBuf, Error> {
    write_page(&Run::open(run)?)
}

/// Writes the page of a run whose folder this process has locked.
pub fn write_page(run: &Run) -> Result<PathBuf, Error> {
    let page = run.path().join(PAGE_FILE);
    write_atomic(&page, render(&read(run.path())?).as_bytes())?;
    Ok(page)
}
