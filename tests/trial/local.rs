//! Times of tests are those of the team's zone, going in and coming out.

use std::process::Command;

#[test]
fn a_test_says_times_as_the_clock_on_the_wall_shows_them_and_so_does_what_failed() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    };
    let run = || {
        let output =
            Command::new(env!("CARGO_BIN_EXE_fanfare")).arg("test").current_dir(folder.path()).output().unwrap();
        let said = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
        (output.status.code(), said(&output.stdout) + &said(&output.stderr))
    };
    write(
        "fanfare.yaml",
        "timezone: America/New_York\nsources: {jewelmusic: {preset: jewelmusic, secrets: \"${env:S}\"}}\n\
         destinations: {team: {type: slack, webhook_url: \"${env:T}\"}}\n",
    );
    write(
        "rules/r.yaml",
        "rules:\n  - name: r\n    events: release.live\n    hours: {from: \"09:00\", to: \"18:00\"}\n    actions: {to: team}\n",
    );
    let test = |opens: &str| {
        format!(
            "tests:\n  - name: at night it waits for the office\n    steps:\n      - at: 2026-07-06 03:00\n      - send: release.live\n      \
             - at: \"2026-07-06 08:59:59\"\n      - expect: []\n      - at: {opens}\n      - expect: [{{to: team}}]\n"
        )
    };
    for opens in ["2026-07-06 09:00", "2026-07-06T13:00:00Z", "2026-07-06T09:00:00-04:00"] {
        write("rules/r.test.yaml", &test(opens));
        assert_eq!(run().0, Some(0), "{opens}: {}", run().1);
    }
    write("rules/r.test.yaml", &test("2026-07-06 08:59:59"));
    let (code, said) = run();
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("expected, and not sent (Mon 2026-07-06 08:59:59 EDT)"), "{said}");
    write("rules/r.test.yaml", &test("2026-07-06 03:00"));
    let (_, said) = run();
    assert!(
        said.contains("the clock doesn't go back") && said.contains("it shows 2026-07-06 08:59:59 EDT here"),
        "{said}"
    );
    write("rules/r.test.yaml", &test("nine o'clock"));
    let (_, said) = run();
    assert!(said.contains("`nine o'clock` is not a time") && said.contains("`2026-03-27 18:59`"), "{said}");
}

#[test]
fn a_page_that_waits_for_the_morning_escalates_two_hours_after_it_and_one_that_goes_at_night_at_four() {
    for (hours, steps) in [
        (
            "day",
            "- at: \"2026-01-06 08:59:59\"\n      - expect: []\n      - at: 2026-01-06 09:00\n      - expect: [{to: pager}]\n      \
             - at: \"2026-01-06 10:59:59\"\n      - expect: []\n      - at: 2026-01-06 11:00\n      - expect: [{to: heads}]",
        ),
        (
            "always",
            "- expect: [{to: pager}]\n      - at: \"2026-01-06 03:59:59\"\n      - expect: []\n      - at: 2026-01-06 04:00\n      \
             - expect: [{to: heads}]",
        ),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| {
            std::fs::create_dir_all(folder.path().join("rules")).unwrap();
            std::fs::write(folder.path().join(name), text).unwrap();
        };
        write(
            "fanfare.yaml",
            "timezone: Europe/Berlin\nsources: {jewelmusic: {preset: jewelmusic, secrets: \"${env:S}\"}}\ndestinations:\n  \
             pager: {type: pagerduty, routing_key: \"${env:P}\", fallback: [heads]}\n  \
             heads: {type: slack, webhook_url: \"${env:T}\"}\n",
        );
        write(
            "rules/r.yaml",
            &format!(
                "hours:\n  day: {{from: \"09:00\", to: \"22:00\"}}\nrules:\n  - name: r\n    events: fraud.action_required\n    \
                 case: fraud_case\n    closed_by: fraud.resolved\n    closes_after: 9d\n    actions:\n      \
                 - {{to: pager, hours: {hours}}}\n      - {{to: heads, text: \"nobody acted\", after: 2h}}\n"
            ),
        );
        write(
            "rules/r.test.yaml",
            &format!(
                "tests:\n  - name: at two\n    steps:\n      - at: 2026-01-06 02:00\n      - send: fraud.action_required\n      {steps}\n"
            ),
        );
        let output =
            Command::new(env!("CARGO_BIN_EXE_fanfare")).arg("test").current_dir(folder.path()).output().unwrap();
        let said = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(0), "{hours}: {said}");
    }
}
