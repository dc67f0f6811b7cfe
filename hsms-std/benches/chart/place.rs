//! Where a page of the documentation goes.

use std::path::{Path, PathBuf};

/// A file that is named from the root of the workspace, where the command is given; cargo runs a bench elsewhere. To be asked for before
/// anything is measured, so that a page that can go nowhere costs nothing.
pub(crate) fn place(file: impl AsRef<Path>) -> Result<PathBuf, String> {
    let file = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/..")).join(file);
    match file.parent() {
        Some(folder) if folder.is_dir() => Ok(file),
        _ => Err(format!("there is no folder for {}", file.display())),
    }
}
