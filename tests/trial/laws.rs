//! What holds for every test file, and for everything that is expected and sent.

use fanfare::problem::File;
use fanfare::rules::trial::{Said, What, compare};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select};

use super::{Set, house};

thread_local! {
    static HOUSE: Set = house();
}

const PATH: &str = "tests/trial/house/rules/main.test.yaml";

/// The texts of good tests, from which odd ones are made.
fn texts() -> Vec<String> {
    let wrong = std::fs::read_dir("tests/trial/wrong").unwrap().map(|entry| entry.unwrap().path());
    let wrong = wrong.filter(|path| path.extension().is_some_and(|ending| ending == "yaml"));
    let all = wrong.chain([PATH.into(), "rules/fraud.test.yaml".into()]);
    all.map(|path| std::fs::read_to_string(path).unwrap()).collect()
}

/// A text with a few of its lines taken out, doubled or changed places.
fn odd() -> impl Strategy<Value = String> {
    let change = (any::<Index>(), any::<Index>(), 0..4u8);
    (select(texts()), vec(change, 1..6), "[-\\[\\]{}:,\"'$*? \n#a0é]{0,6}").prop_map(|(text, changes, junk)| {
        let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
        for (one, other, how) in changes {
            let (one, other) = (one.index(lines.len()), other.index(lines.len()));
            match how {
                0 => lines.swap(one, other),
                1 if lines.len() > 1 => {
                    lines.remove(one);
                }
                2 => lines.insert(one, lines[other].clone()),
                _ => lines[one].push_str(&junk),
            }
        }
        lines.join("\n")
    })
}

/// What is expected, of whom: `a`, `b`, either, or anyone.
fn globs() -> impl Strategy<Value = Vec<&'static str>> {
    vec(select(vec!["team", "finance", "{team,finance}", "*", "{finance,ledger}"]), 0..6)
}

fn said(to: &str) -> Said {
    let text = String::new;
    let at = jiff::Timestamp::UNIX_EPOCH;
    Said {
        at,
        way: fanfare::rules::trial::Way::Message,
        rule: text(),
        to: to.into(),
        address: text(),
        title: text(),
        text: text(),
        severity: text(),
        file: String::new(),
    }
}

/// The most that can be matched, found by trying everything.
fn most(globs: &[&str], sent: &[&str]) -> usize {
    let Some((glob, rest)) = globs.split_first() else { return 0 };
    let glob = fanfare::rules::glob::Glob::parse(glob).unwrap();
    let mut best = most(rest, sent);
    for (at, to) in sent.iter().enumerate().filter(|(_, to)| glob.matches(to)) {
        let others: Vec<&str> = [&sent[..at], &sent[at + 1..]].concat();
        assert!(!to.is_empty());
        best = best.max(1 + most(rest, &others));
    }
    best
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, ..ProptestConfig::default() })]

    #[test]
    fn no_test_file_makes_the_reader_fall(text in odd()) {
        HOUSE.with(|house| {
            let (_, problems) = house.read(&[File::new(PATH, text)]);
            for problem in problems.iter() {
                assert!(!problem.message.is_empty() && !problem.render(false).is_empty());
            }
        });
    }

    #[test]
    fn as_many_as_can_be_are_matched(globs in globs(), sent in vec(select(vec!["team", "finance", "ledger"]), 0..6)) {
        let items: Vec<String> = globs.iter().map(|glob| format!("{{to: \"{glob}\"}}")).collect();
        let text = format!("tests:\n  - name: a\n    steps:\n      - expect: [{}]\n", items.join(", "));
        let tests = HOUSE.with(|house| house.tests(&[File::new(PATH, text)]));
        let What::Expect(expected) = &tests[0].steps[0].what else { panic!("no expectation") };
        let all: Vec<Said> = sent.iter().map(|to| said(to)).collect();
        let compared = compare(expected, &all);
        let matched = most(&globs, &sent);
        prop_assert_eq!(compared.missing.len(), globs.len() - matched);
        let shown = compared.missing.iter().filter(|(_, beside)| beside.is_some()).count();
        prop_assert_eq!(compared.extra.len() + shown, sent.len() - matched);
        prop_assert_eq!(compared.is_good(), matched == globs.len() && matched == sent.len());
    }
}
