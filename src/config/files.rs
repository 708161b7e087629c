//! The files of a configuration: whether they have changed since they were read, and who may read those
//! that hold secrets.

use std::{
    fmt, fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
};

use sha2::{Digest as _, Sha256};

use crate::config::{Config, DoorName};

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

/// Mode bit: whoever is neither the owner nor of the group may read.
const OTHERS_READ: u32 = 0o004;

/// A file with a secret in it.
#[derive(Debug)]
pub struct SecretFile<'a> {
    /// The key that names it.
    pub key: String,
    /// Where it is.
    pub path: &'a Path,
}

impl SecretFile<'_> {
    /// Whether every user of this host may read it, as far as its own mode says. A volume of Kubernetes
    /// is in its pod alone, and is 0644 where the pod has no group for it: it is not meant.
    pub fn is_open(&self) -> bool {
        let is_volume = self.path.parent().is_some_and(|folder| folder.join("..data").exists());
        let mode = fs::metadata(self.path).map(|file| file.permissions().mode());
        !is_volume && mode.is_ok_and(|mode| mode & OTHERS_READ != 0)
    }

    /// What mends that.
    pub fn mend(&self) -> String {
        format!("chmod 600 {}", self.path.display())
    }
}

impl fmt::Display for SecretFile<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} = \"{}\"", self.key, self.path.display())
    }
}

impl Config {
    /// All files with secrets that are named.
    pub fn secret_files(&self) -> Vec<SecretFile<'_>> {
        let named = [
            ("store_file", &self.store_file),
            ("privacy.key_file", &self.privacy.key_file),
            ("meta.app_secret_file", &self.app_secret_file),
            ("meta.verify_token_file", &self.verify_token_file),
        ];
        let named = named.map(|(key, path)| (key.to_owned(), path));
        let doors = DoorName::ALL
            .map(|door| (format!("{}_tls.key_file", door.name()), &door.files(self).key));
        let all = named.into_iter().chain(doors);
        all.filter_map(|(key, path)| Some(SecretFile { key, path: path.as_deref()? })).collect()
    }
}
