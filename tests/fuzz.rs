//! The fuzz targets over their corpora and over mutations of them, by a seed: whatever was found once stays found.

use std::any::Any;
use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

pub mod targets;

/// How many mutations of its corpus each target is run on.
const MUTATIONS: usize = 400;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fuzz")
}

fn corpus(name: &str) -> Vec<(String, Vec<u8>)> {
    let entries = fs::read_dir(folder().join("corpus").join(name)).unwrap().map(|entry| entry.unwrap().path());
    let mut files: Vec<_> = entries
        .map(|path| (path.file_name().unwrap().to_string_lossy().into_owned(), fs::read(path).unwrap()))
        .collect();
    files.sort();
    files
}

/// One of them, changed in a few places: bytes flipped, taken out, doubled, or taken from another.
fn mutated(dice: &mut fastrand::Rng, files: &[(String, Vec<u8>)]) -> Vec<u8> {
    let mut data = files[dice.usize(..files.len())].1.clone();
    for _ in 0..dice.usize(1..6) {
        let at = dice.usize(..=data.len());
        let end = (at + dice.usize(1..9)).min(data.len());
        match dice.u8(0..5) {
            0 if at < data.len() => data[at] ^= 1 << dice.u8(0..8),
            1 => drop(data.drain(at..end)),
            2 => drop(data.splice(at..at, data[at..end].to_vec().repeat(dice.usize(1..40)))),
            3 => data.insert(at, b"\0\n\t \"'{}[](),:;*&!|<>#%$@?-+.0\xff"[dice.usize(..31)]),
            _ => {
                let other = &files[dice.usize(..files.len())].1;
                let from = dice.usize(..=other.len());
                drop(data.splice(at..end, other[from..(from + dice.usize(1..40)).min(other.len())].to_vec()));
            }
        }
    }
    data
}

/// What a target falls over, if it does.
fn fall(run: fn(&[u8]), data: &[u8]) -> Option<String> {
    let panic = catch_unwind(AssertUnwindSafe(|| run(data))).err()?;
    let said = |panic: &dyn Any| {
        panic.downcast_ref::<String>().cloned().or_else(|| panic.downcast_ref::<&str>().map(|said| (*said).to_owned()))
    };
    Some(said(panic.as_ref()).unwrap_or_default())
}

#[test]
fn no_target_falls_over_anything_in_its_corpus_or_near_it() {
    for (name, run) in targets::ALL {
        let files = corpus(name);
        let mut dice = fastrand::Rng::with_seed(7);
        let near = (0..MUTATIONS).map(|nth| (format!("mutation {nth}"), mutated(&mut dice, &files)));
        for (file, data) in files.iter().cloned().chain(near) {
            if let Some(panic) = fall(*run, &data) {
                panic!("{name} falls over {file}: {panic}\n{:?}", String::from_utf8_lossy(&data));
            }
        }
    }
}

#[test]
fn every_target_can_be_fuzzed_and_has_a_corpus() {
    let manifest = fs::read_to_string(folder().join("Cargo.toml")).unwrap();
    for (name, _) in targets::ALL {
        assert!(manifest.contains(&format!("name = \"{name}\"")), "{name} has no binary");
        assert!(corpus(name).len() >= 3, "{name} has a small corpus");
    }
    let binaries = manifest.matches("[[bin]]").count();
    assert_eq!(binaries, targets::ALL.len());
}
