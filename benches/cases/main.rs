//! What very many open cases cost: the same program with 1,000, 10,000 and 100,000 of them on SQLite, in one run.
//!
//! Each number of cases has a store of its own, which one process fills and others open: starting, memory and lateness
//! are those of a fresh process. Only the ratios of one run mean anything; flat is 1.
//!
//! Run it through `scripts/bench cases`; `CASES=1000,10000` asks for other numbers.

#![allow(clippy::unwrap_used, clippy::expect_used)]

#[path = "../ingest/figures.rs"]
mod figures;
mod world;

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

/// What is measured, in the order of the table.
const ROWS: &[(&str, &str)] = &[
    ("start_ms", "open the store, ready to plan, ms"),
    ("memory_mib", "resident memory when ready, MiB"),
    ("plan_ms", "plan a batch of 256 events, ms"),
    ("census_ms", "say how many there are, ms"),
    ("late_p50_ms", "due timers late by, half of them, ms"),
    ("late_max_ms", "due timers late by at most, ms"),
    ("reload_ms", "bring all in line with changed rules, ms"),
    ("reload_late_ms", "due timers late by at most meanwhile, ms"),
    ("peak_mib", "most resident memory, MiB"),
];

fn main() {
    let args: Vec<String> = std::env::args().collect();
    match args.iter().position(|arg| arg == "--fill" || arg == "--measure") {
        Some(at) => world::run(&args[at], Path::new(&args[at + 1]), args[at + 2].parse().unwrap()),
        None => compare(),
    }
}

fn compare() {
    let sizes = std::env::var("CASES").unwrap_or_else(|_| "1000,10000,100000".into());
    let sizes: Vec<usize> = sizes.split(',').map(|size| size.trim().parse().unwrap()).collect();
    let folders: Vec<tempfile::TempDir> = sizes.iter().map(|_| tempfile::tempdir().unwrap()).collect();
    let mut measured: Vec<BTreeMap<String, f64>> = Vec::new();
    for (size, folder) in sizes.iter().zip(&folders) {
        eprintln!("{size} open cases: filling");
        itself("--fill", folder.path(), *size);
    }
    for (size, folder) in sizes.iter().zip(&folders) {
        eprintln!("{size} open cases: measuring");
        let said = itself("--measure", folder.path(), *size);
        measured.push(serde_json::from_str(said.lines().last().unwrap_or_default()).unwrap());
    }
    report(&sizes, &measured);
}

/// This program again, as a process of its own. Gives what it says.
fn itself(what: &str, folder: &Path, size: usize) -> String {
    let size = size.to_string();
    let done = Command::new(std::env::current_exe().unwrap()).arg(what).arg(folder).arg(size).output().unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    String::from_utf8(done.stdout).unwrap()
}

fn report(sizes: &[usize], measured: &[BTreeMap<String, f64>]) {
    let heads: String = sizes.iter().map(|size| format!("{size:>12}")).collect();
    println!("\n{:<44}{heads}   last ÷ first", "open cases");
    for (key, words) in ROWS {
        let values: Vec<f64> = measured.iter().map(|row| row.get(*key).copied().unwrap_or(f64::NAN)).collect();
        let cells: String = values.iter().map(|value| format!("{value:>12.1}")).collect();
        let ratio = values.last().zip(values.first()).map_or(f64::NAN, |(last, first)| last / first.max(0.1));
        println!("{words:<44}{cells}   {ratio:.2}");
        let sizes: Vec<String> = sizes.iter().map(ToString::to_string).collect();
        let row = sizes.iter().map(String::as_str).zip(values).chain([("ratio", ratio)]);
        figures::record("cases", words, &row.collect::<Vec<_>>());
    }
}
