//! Programs of Debian that are unpacked beside the build and not installed: what they are told to
//! do, they do in a namespace and in folders of the lab.

use std::{env, path::PathBuf};

/// A file of the packages that `cargo xtask test netns` unpacks.
pub fn unpacked(file: &str) -> PathBuf {
    let ours = env::current_exe().expect("this program has a path");
    let found = ours
        .ancestors()
        .map(|folder| folder.join("debian").join(file));
    let found = found.into_iter().find(|file| file.exists());
    found.unwrap_or_else(|| panic!("{file} is missing: `cargo xtask test netns` unpacks it"))
}
