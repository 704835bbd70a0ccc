//! How the outcome of tests is printed: for people, as JSON, as JUnit's XML.

use std::fmt::Write;

use jiff::tz::TimeZone;
use serde_json::{Map, Value, json};

use crate::cli::term;
use crate::cli::test::Outcomes;
use crate::rehearse::cover::Reached;
use crate::rehearse::play::Played;
use crate::rules::trial::{Expectation, Failed, Field, Said, Test, Tone};

/// A list of tests by file, what failed in full, and a last line with the counts.
pub(super) fn text(outcomes: &Outcomes<'_>) -> String {
    let mut out = String::new();
    let mut file = "";
    // Writing to a String can't fail.
    for (test, played) in &outcomes.tests {
        let path = test.name.place.file.path.as_str();
        if path != file {
            file = path;
            let _ = writeln!(out, "{}", term::bold(path));
        }
        let mark = if played.failed.is_empty() { term::good("✓") } else { term::bad("✗") };
        let _ = writeln!(out, "  {mark} {}", term::safe(&test.name.value));
        for note in &played.notes {
            let _ = writeln!(out, "    {} {}", term::warn("note:"), term::safe(note));
        }
        for failed in &played.failed {
            out.push_str(&failed.render(&outcomes.zone, &painted));
        }
    }
    if let Some(reached) = &outcomes.coverage {
        coverage(reached, &mut out);
    }
    let failed = outcomes.failed();
    let count = term::count(outcomes.tests.len(), "test", "tests");
    let found = match failed {
        0 => term::good("all pass"),
        failed => term::bad(&format!("{failed} failed")),
    };
    let _ = writeln!(out, "{count}: {found} {}", term::dim(&format!("({:.2} s)", outcomes.took.as_secs_f64())));
    out
}

fn painted(tone: Tone, text: &str) -> String {
    match tone {
        Tone::Good => term::good(text),
        Tone::Bad => term::bad(text),
        Tone::Dim => term::dim(text),
    }
}

fn coverage(reached: &Reached, out: &mut String) {
    let of = |(reached, all): (usize, usize), what: &str| format!("{reached} of {all} {what}");
    let parts = [
        of(reached.rules, "rules"),
        of(reached.conditions, "outcomes of conditions"),
        of(reached.actions, "actions"),
        of(reached.branches, "branches of templates"),
    ];
    let _ = writeln!(out, "\n{} {}", term::bold("reached:"), parts.join(", "));
    for gap in &reached.gaps {
        let place = term::dim(&format!("{}:{}", gap.file, gap.line));
        let rule = gap.rule.as_ref().map(|rule| format!("{rule}: ")).unwrap_or_default();
        let _ = writeln!(out, "  {place}  {rule}{}", gap.what);
    }
    if !reached.gaps.is_empty() {
        out.push('\n');
    }
}

/// One document: `{"passed", "failed", "tests": […], "coverage"}`.
pub(super) fn json(outcomes: &Outcomes<'_>) -> Value {
    let tests: Vec<Value> = outcomes.tests.iter().map(|(test, played)| test_json(test, played)).collect();
    let failed = outcomes.failed();
    let mut document = json!({"passed": tests.len() - failed, "failed": failed, "tests": tests});
    if let (Some(reached), Some(document)) = (&outcomes.coverage, document.as_object_mut()) {
        let part = |(reached, all): (usize, usize)| json!({"reached": reached, "of": all});
        document.insert(
            "coverage".into(),
            json!({
                "rules": part(reached.rules),
                "conditions": part(reached.conditions),
                "actions": part(reached.actions),
                "branches": part(reached.branches),
                "gaps": reached.gaps,
            }),
        );
    }
    document
}

fn test_json(test: &Test, played: &Played) -> Value {
    let place = &test.name.place;
    json!({
        "name": test.name.value,
        "file": place.file.path,
        "line": place.line(),
        "passed": played.failed.is_empty(),
        "failures": played.failed.iter().map(failed_json).collect::<Vec<_>>(),
        "notes": played.notes,
    })
}

fn failed_json(failed: &Failed) -> Value {
    json!({
        "file": failed.place.file.path,
        "line": failed.place.line(),
        "column": failed.place.column(),
        "at": failed.at.to_string(),
        "message": failed.fault.words(),
        "expected": failed.fault.expected().map(expected_json),
        "sent": failed.fault.sent().map(sent_json),
    })
}

fn expected_json(expected: &Expectation) -> Value {
    let key = |field: Field| if field == Field::To { expected.way.key() } else { field.name() };
    let fields = expected.fields.iter();
    Value::Object(fields.map(|(field, pattern)| (key(*field).into(), pattern.text.as_str().into())).collect())
}

fn sent_json(sent: &Said) -> Value {
    let key = |field: Field| if field == Field::To { sent.way.key() } else { field.name() };
    let fields = Field::ALL.into_iter().map(|field| (key(field).into(), sent.get(field).into()));
    Value::Object(fields.collect::<Map<String, Value>>())
}

/// JUnit's XML, as build servers read it: a suite for each file, a case for each test.
pub(super) fn junit(outcomes: &Outcomes<'_>) -> String {
    let mut out = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
    let (all, failed) = (outcomes.tests.len(), outcomes.failed());
    let took = outcomes.took.as_secs_f64();
    let _ = writeln!(out, "<testsuites name=\"fanfare\" tests=\"{all}\" failures=\"{failed}\" time=\"{took:.3}\">");
    for suite in outcomes.tests.chunk_by(|(a, _), (b, _)| a.name.place.file.path == b.name.place.file.path) {
        let Some((first, _)) = suite.first() else { continue };
        let name = escaped(&first.name.place.file.path);
        let failed = suite.iter().filter(|(_, played)| !played.failed.is_empty()).count();
        let _ = writeln!(out, "  <testsuite name=\"{name}\" tests=\"{}\" failures=\"{failed}\">", suite.len());
        for (test, played) in suite {
            case((&name, &outcomes.zone), test, played, &mut out);
        }
        out.push_str("  </testsuite>\n");
    }
    out.push_str("</testsuites>\n");
    out
}

fn case((file, zone): (&str, &TimeZone), test: &Test, played: &Played, out: &mut String) {
    let (name, line) = (escaped(&test.name.value), test.name.place.line());
    let _ = write!(out, "    <testcase name=\"{name}\" classname=\"{file}\" file=\"{file}\" line=\"{line}\"");
    if played.failed.is_empty() {
        out.push_str("/>\n");
        return;
    }
    out.push_str(">\n");
    for failed in &played.failed {
        let words = escaped(failed.fault.words());
        let shown = escaped(&failed.render(zone, &|_, text| text.to_owned()));
        let _ = writeln!(out, "      <failure message=\"{words}\">{shown}</failure>");
    }
    out.push_str("    </testcase>\n");
}

/// Text as XML 1.0 takes it: what it has no way to write becomes U+FFFD.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\n' | '\t' => out.push(c),
            c if c.is_control() || matches!(c, '\u{fffe}' | '\u{ffff}') => out.push('\u{fffd}'),
            c => out.push(c),
        }
    }
    out
}
