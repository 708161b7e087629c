//! The files of a configuration, and whether they have changed since they were read.

use std::{fs, path::PathBuf};

use sha2::{Digest as _, Sha256};

/// Files, with a fingerprint of what they held.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Files {
    paths: Vec<PathBuf>,
    fingerprint: [u8; 32],
}

impl Files {
    /// These files as they are now.
    pub(super) fn now(paths: Vec<PathBuf>) -> Self {
        let fingerprint = fingerprint(&paths);
        Self { paths, fingerprint }
    }

    /// Which ones.
    pub fn paths(&self) -> &[PathBuf] {
        &self.paths
    }

    /// Whether any of them holds something else by now. Contents are compared, so that it does not
    /// matter how they were changed.
    pub fn has_changed(&self) -> bool {
        fingerprint(&self.paths) != self.fingerprint
    }
}

/// A file that is missing is told from one that is empty.
fn fingerprint(paths: &[PathBuf]) -> [u8; 32] {
    let mut hash = Sha256::new();
    for path in paths {
        match fs::read(path) {
            Ok(contents) => hash.update(Sha256::digest(contents)),
            Err(_) => hash.update(b"missing"),
        }
    }
    hash.finalize().into()
}
