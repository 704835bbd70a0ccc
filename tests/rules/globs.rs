//! Globs, against a model made of regular expressions.

use std::time::Instant;

use fanfare::rules::glob::{GLOB_MAX, Glob, Globs};
use proptest::prelude::*;

fn globs(texts: &[&str]) -> Globs {
    Globs::of(texts).unwrap()
}

/// The same glob as a regular expression.
fn model(glob: &str) -> regex::Regex {
    let mut pattern = String::from("(?s)^");
    let mut depth = 0;
    for c in glob.chars() {
        match c {
            '*' => pattern.push_str(".*"),
            '?' => pattern.push('.'),
            '{' => {
                depth += 1;
                pattern.push_str("(?:");
            }
            '}' => {
                depth -= 1;
                pattern.push(')');
            }
            ',' if depth > 0 => pattern.push('|'),
            other => pattern.push_str(&regex::escape(&other.to_string())),
        }
    }
    pattern.push('$');
    regex::Regex::new(&pattern).unwrap()
}

/// Globs that are well formed, from few letters, so that they often match.
fn any_glob() -> impl Strategy<Value = String> {
    let leaf = "[ab.*?]{1,4}";
    let either = leaf.prop_recursive(3, 16, 3, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 1..4).prop_map(|parts| format!("{{{}}}", parts.join(","))),
            prop::collection::vec(inner, 1..3).prop_map(|parts| parts.concat()),
        ]
    });
    either.prop_filter("short enough", |glob| glob.len() <= GLOB_MAX)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn a_glob_means_what_its_regular_expression_means(glob in any_glob(), text in "[ab.]{0,8}") {
        prop_assert_eq!(Glob::parse(&glob).unwrap().matches(&text), model(&glob).is_match(&text), "{} on {}", glob, text);
    }

    #[test]
    fn no_text_is_too_odd_for_a_glob(glob in "\\PC{0,40}", text in "\\PC{0,40}") {
        if let Ok(glob) = Glob::parse(&glob) {
            glob.matches(&text);
        }
    }
}

#[test]
fn a_star_crosses_dots_and_case_matters() {
    for (glob, kind, expected) in [
        ("royalty.*", "royalty.payment.completed", true),
        ("royalty.*", "royalty.", true),
        ("royalty.*", "royalty", false),
        ("*.completed", "royalty.payment.completed", true),
        ("release.live", "release.live", true),
        ("release.live", "Release.live", false),
        ("release.live", "release.lives", false),
        ("{track,release}.*", "release.live", true),
        ("{track,release}.*", "fraud.resolved", false),
        ("track.{upload,process}ed", "track.processed", true),
        ("release{,.live}", "release", true),
        ("*", "", true),
        ("?", "é", true),
        ("**", "a.b", true),
    ] {
        assert_eq!(globs(&[glob]).accept(kind, false), expected, "{glob} on {kind}");
    }
}

#[test]
fn an_exclamation_mark_takes_away() {
    let all_but = globs(&["!track.*", "!release.created"]);
    assert!(all_but.accept("release.live", false), "a list of only `!` starts from all");
    assert!(!all_but.accept("track.uploaded", false));
    assert!(!all_but.accept("fanfare.delivery.dead", true), "own events are not among all");
    let some = globs(&["!release.created", "release.*"]);
    assert!(some.accept("release.live", false) && !some.accept("release.created", false), "the order means nothing");
    assert!(!some.accept("track.uploaded", false));
    assert!(!Globs::default().accept("x", false), "no glob accepts nothing");
}

#[test]
fn own_events_are_reached_only_by_globs_that_begin_so() {
    for (glob, reached) in [
        ("*", false),
        ("*.dead", false),
        ("{fanfare.,x}*", false),
        ("fanfare.*", true),
        ("fanfare.delivery.dead", true),
    ] {
        assert_eq!(globs(&[glob]).accept("fanfare.delivery.dead", true), reached, "{glob}");
    }
    assert!(globs(&["*"]).accept("fanfare.unparsed", false), "an unparsed event keeps its sender");
    assert!(!globs(&["fanfare.*", "!*.dead"]).accept("fanfare.delivery.dead", true));
}

#[test]
fn a_hostile_glob_takes_no_time() {
    let glob = Glob::parse(&format!("{}x", "*a?".repeat(80))).unwrap();
    let nested = Glob::parse(&format!("{}{}", "{*a,{*b,".repeat(4), "c}}".repeat(4))).unwrap();
    let text = format!("{}d", "ab".repeat(10_000));
    let begun = Instant::now();
    assert!(!glob.matches(&text));
    assert!(!nested.matches(&text));
    assert!(begun.elapsed().as_secs() < 5, "{:?}", begun.elapsed());
    assert!(Glob::parse(&"a".repeat(GLOB_MAX + 1)).is_err());
    assert!(Glob::parse(&"{".repeat(9)).unwrap_err().message.contains("deep"));
}
