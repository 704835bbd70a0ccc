//! Where benches leave their figures for `docs/BENCHMARKS.md`: a line of JSON for each row, in the file that `FIGURES` names.
//! It touches nothing else; without `FIGURES` it does nothing.

use std::io::Write;

/// Adds a row: which bench and part of it, what was measured, and its figures by name.
pub fn record(table: &str, row: &str, figures: &[(&str, f64)]) {
    let Some(file) = std::env::var_os("FIGURES") else { return };
    let figures: serde_json::Map<String, serde_json::Value> =
        figures.iter().map(|(name, value)| ((*name).to_owned(), (*value).into())).collect();
    let line = serde_json::json!({"table": table, "row": row, "figures": figures});
    let mut file = std::fs::OpenOptions::new().create(true).append(true).open(file).unwrap();
    writeln!(file, "{line}").unwrap();
}
