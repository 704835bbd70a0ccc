//! The documentation is true: what it shows is run, what it lists is what there is, what it points at exists.
//!
//! Each fenced block says by its first line what it is ([`block::Block::kind`]), and is tried as that. Tables stand
//! between `<!-- generated: NAME -->` and `<!-- end -->`, and the outputs of examples in blocks of their own;
//! `UPDATE=1 cargo test docs` writes both anew.

use std::fs;
use std::path::{Path, PathBuf};

mod cookbook;
pub mod block;
pub mod generated;
mod journey;
pub mod loading;
mod message;
mod pages;

/// A page of the documentation.
pub struct Page {
    /// Its path in the repository.
    pub path: PathBuf,
    /// Its text.
    pub text: String,
}

/// The repository.
pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Every page that users read.
pub fn pages() -> Vec<Page> {
    let mut paths = vec![PathBuf::from("README.md"), PathBuf::from("ARCHITECTURE.md")];
    for folder in ["docs", "docs/cookbook"] {
        for entry in fs::read_dir(root().join(folder)).unwrap() {
            paths.push(entry.unwrap().path().strip_prefix(root()).unwrap().to_owned());
        }
    }
    for example in examples() {
        paths.push(example.join("README.md"));
    }
    paths.retain(|path| path.extension().is_some_and(|ending| ending == "md"));
    paths.sort();
    paths.into_iter().map(|path| Page { text: fs::read_to_string(root().join(&path)).unwrap(), path }).collect()
}

/// The folders of the examples.
pub fn examples() -> Vec<PathBuf> {
    let folders = fs::read_dir(root().join("examples")).unwrap().map(|entry| entry.unwrap().path());
    let mut folders: Vec<PathBuf> = folders.map(|path| path.strip_prefix(root()).unwrap().to_owned()).collect();
    folders.sort();
    folders
}
