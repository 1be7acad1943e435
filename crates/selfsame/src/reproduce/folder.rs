//! The folder of a grid.

use std::io::{ErrorKind, Write};
use std::path::Path;

use crate::grid::{Grid, GridError};
use crate::run::check_own;
use crate::{Error, check_folder};

/// File that holds the grid, so that no other grid is run in the same folder.
const GRID_FILE: &str = "grid.toml";
/// Folders of the runs, of their logs and of the forecast.
const FOLDERS: [&str; 3] = ["runs", "logs", "forecast"];

/// Claims the folder for this grid. Processes that start at the same time, each with its shard,
/// write the same file; the first file stays.
///
/// # Errors
/// If the folder holds another grid's runs or something else, or if it cannot be written.
pub(super) fn claim(out: &Path, grid: &Grid) -> Result<(), Error> {
    if !holds(out, grid)? {
        std::fs::create_dir_all(out).map_err(Error::file(out))?;
        create(&out.join(GRID_FILE), &text(grid)?)?;
        // Another process may have claimed the folder for another grid first.
        holds(out, grid)?;
    }
    for folder in FOLDERS {
        let folder = out.join(folder);
        std::fs::create_dir_all(&folder).map_err(Error::file(&folder))?;
    }
    Ok(())
}

/// Returns whether the folder belongs to this grid already.
///
/// # Errors
/// If the folder holds another grid's runs or something else.
pub fn holds(out: &Path, grid: &Grid) -> Result<bool, Error> {
    check_folder(out)?;
    let path = out.join(GRID_FILE);
    match std::fs::read_to_string(&path) {
        Ok(held) if held == text(grid)? => Ok(true),
        Ok(_) => Err(Error::OtherGrid { path: out.to_owned() }),
        Err(error) if error.kind() == ErrorKind::NotFound => {
            check_own(out, is_own)?;
            Ok(false)
        }
        Err(error) => Err(Error::file(&path)(error)),
    }
}

fn text(grid: &Grid) -> Result<String, Error> {
    let refuse = |cause| Error::Grid { name: grid.name.clone(), cause: GridError::Write(cause) };
    toml::to_string(grid).map_err(refuse)
}

/// Writes a file, completely or not at all, unless the file exists.
fn create(path: &Path, text: &str) -> Result<(), Error> {
    let mut builder = tempfile::Builder::new();
    builder.prefix(".grid");
    // Use the permissions of any other file: people who share the folder share the runs.
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
    let write = || {
        let mut file = builder.tempfile_in(path.parent().unwrap_or(Path::new(".")))?;
        file.write_all(text.as_bytes())?;
        file.as_file().sync_all()?;
        match file.persist_noclobber(path) {
            Err(error) if error.error.kind() != ErrorKind::AlreadyExists => Err(error.error),
            _ => Ok(()),
        }
    };
    write().map_err(Error::file(path))
}

/// Returns whether a grid writes an entry of this name.
fn is_own(name: &str) -> bool {
    name == GRID_FILE || FOLDERS.contains(&name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_to_write_the_grid_makes_the_folder_its_own() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(GRID_FILE);
        create(&path, "first").unwrap();
        create(&path, "second").unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "first");
        check_own(folder.path(), is_own).unwrap();
        assert_eq!(folder.path().read_dir().unwrap().count(), 1);
    }
}
