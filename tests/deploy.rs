//! What operators install: packages, images, manifests, alerts. Each is built and used here, as an operator would.

use std::path::PathBuf;

use crate::support::process::BINARY;

mod action;
mod compose;
mod health;
mod image;
mod kubernetes;
mod monitoring;
mod notify;
mod package;
mod sandbox;
mod tools;

/// The program that is packed: the one under test, or the one that a release ships (`scripts/release`).
fn program() -> PathBuf {
    std::env::var_os("FANFARE_SHIPPED").map_or_else(|| BINARY.into(), PathBuf::from)
}
