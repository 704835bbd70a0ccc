//! What the seams cost, in instructions: some fuzz targets over one input of their corpus each, counted by Valgrind's callgrind.
//! Unlike time, the count is the same on a busy machine. `instructions.txt` has what it was; `UPDATE=1` writes what it is.
//!
//! It counts in the build that `scripts/test` makes: another level of optimisation has other counts.

use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::fuzz::targets;

/// Verifying with every preset, reading rules, judging, selecting, rendering to all channels: a target, and its input.
const SEAMS: &[(&str, &str)] = &[
    ("body", "event"),
    ("rules", "case"),
    ("condition", "plain"),
    ("path", "filter"),
    ("template", "filters"),
    ("markdown", "all"),
    ("reply", "slack"),
];

/// By how much a count may differ, in percent. Hash maps are seeded at random.
const MARGIN: u64 = 10;

/// Names the seam that this process runs to be counted, and how often.
const SEAM: &str = "FANFARE_SEAM";

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests")
}

#[test]
fn no_seam_takes_more_instructions_than_it_did() {
    if option_env!("CARGO_PROFILE_DEV_OPT_LEVEL") != Some("1") {
        return;
    }
    let counted: Vec<(String, u64)> = std::thread::scope(|scope| {
        let runs = SEAMS.iter().map(|(target, input)| {
            let seam = format!("{target}/{input}");
            scope.spawn(move || (seam.clone(), instructions(&seam)))
        });
        runs.collect::<Vec<_>>().into_iter().map(|run| run.join().unwrap()).collect()
    });
    let text = counted.iter().fold(String::new(), |mut text, (seam, count)| {
        writeln!(text, "{seam} {count}").unwrap();
        text
    });
    let file = folder().join("instructions.txt");
    if std::env::var_os("UPDATE").is_some() {
        return std::fs::write(file, text).unwrap();
    }
    let known = std::fs::read_to_string(file).unwrap();
    let known: Vec<(&str, u64)> =
        known.lines().filter_map(|line| line.split_once(' ')).map(|(seam, was)| (seam, was.parse().unwrap())).collect();
    let differs = |was: u64, is: u64| is.abs_diff(was) * 100 > was * MARGIN;
    let wrong: Vec<String> = counted
        .iter()
        .filter_map(|(seam, is)| match known.iter().find(|(name, _)| name == seam) {
            Some((_, was)) if !differs(*was, *is) => None,
            Some((_, was)) => Some(format!("{seam}: {is} instructions, was {was}")),
            None => Some(format!("{seam}: {is} instructions, was never counted")),
        })
        .collect();
    assert!(wrong.is_empty(), "{}\nif that is meant: UPDATE=1 with CARGO_PROFILE_DEV_OPT_LEVEL=1", wrong.join("\n"));
}

/// What one run takes: a process that runs the seam eleven times takes ten more than one that runs it once.
fn instructions(seam: &str) -> u64 {
    (process(seam, 11) - process(seam, 1)) / 10
}

/// Counts what a process takes that runs the seam so often.
fn process(seam: &str, times: u64) -> u64 {
    let out = tempfile::NamedTempFile::new().unwrap();
    let done = Command::new("valgrind")
        .args(["--tool=callgrind", &format!("--callgrind-out-file={}", out.path().display())])
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", "instructions::every_seam_runs", "--test-threads=1"])
        .env(SEAM, format!("{seam} {times}"))
        .output()
        .expect("valgrind, which scripts/test installs");
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    let text = std::fs::read_to_string(out.path()).unwrap();
    let total = text.lines().find_map(|line| line.strip_prefix("totals: ")).expect("a total");
    total.trim().parse().unwrap()
}

#[test]
fn every_seam_runs() {
    let asked = std::env::var(SEAM).ok();
    for (target, input) in SEAMS {
        let times = match asked.as_ref().map(|asked| asked.split_once(' ').unwrap()) {
            Some((seam, times)) if seam == format!("{target}/{input}") => times.parse().unwrap(),
            Some(_) => continue,
            None => 1,
        };
        let run = targets::ALL.iter().find(|(name, _)| name == target).unwrap().1;
        let data = std::fs::read(folder().join("fuzz/corpus").join(target).join(input)).unwrap();
        for _ in 0..times {
            run(std::hint::black_box(&data));
        }
    }
}
