//! The page of a run.

use std::path::{Path, PathBuf};

use selfsame_report::record::PAGE_FILE;
use selfsame_report::{read, render, write_atomic};

use crate::run::{check_new, make_parent};
use crate::{Error, Run};

/// Writes a run's page again, from its records: to `out`, or else into the folder of the run. Returns
/// the path of the page.
///
/// # Errors
/// If the folder is not a run, if a record is damaged, if the page cannot be written, or if there is
/// a file `out` already and `overwrite` is false.
pub fn report(run: &Path, out: Option<&Path>, overwrite: bool) -> Result<PathBuf, Error> {
    let Some(out) = out else { return write_page(&Run::open(run)?) };
    check_new(&[out], overwrite)?;
    let run = Run::open_to_read(run)?;
    make_parent(out)?;
    write_atomic(out, render(&read(run.path())?).as_bytes())?;
    Ok(out.to_owned())
}

/// Writes the page of a run whose folder this process has locked.
pub fn write_page(run: &Run) -> Result<PathBuf, Error> {
    let page = run.path().join(PAGE_FILE);
    write_atomic(&page, render(&read(run.path())?).as_bytes())?;
    Ok(page)
}
