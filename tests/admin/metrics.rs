//! `/metrics`, read strictly as OpenMetrics: what a scraper would refuse is refused here.

use std::collections::{BTreeMap, BTreeSet};

use super::{delivery, start};
use crate::support::app::{App, event, soon};
use crate::support::folder::{CONFIG, EVERYTHING, Folder};
use crate::support::http_peer::HttpPeer;

/// The samples by name and labels. Fails on whatever the format does not allow.
fn parse(text: &str) -> BTreeMap<String, f64> {
    let body = text.strip_suffix("# EOF\n").expect("ends with `# EOF`");
    let (mut samples, mut families) = (BTreeMap::new(), BTreeSet::new());
    let mut family = (String::new(), String::new());
    for line in body.lines() {
        if let Some(rest) = line.strip_prefix("# ") {
            let (word, rest) = rest.split_once(' ').expect(line);
            let (name, rest) = rest.split_once(' ').expect(line);
            match word {
                "HELP" => {
                    assert!(families.insert(name.to_owned()), "`{name}` stands in two places");
                    family = (name.to_owned(), String::new());
                }
                "TYPE" => family.1 = rest.to_owned(),
                "UNIT" => {}
                _ => panic!("{line}"),
            }
            assert_eq!(family.0, name, "{line}");
            continue;
        }
        let at = line.find(['{', ' ']).expect(line);
        let name = &line[..at];
        let suffix = name.strip_prefix(&family.0).unwrap_or_else(|| panic!("`{line}` stands among `{}`", family.0));
        let suffixes: &[&str] = match family.1.as_str() {
            "counter" => &["_total"],
            "gauge" => &[""],
            "histogram" => &["_bucket", "_sum", "_count"],
            other => panic!("type `{other}`"),
        };
        assert!(suffixes.contains(&suffix), "{line}");
        assert!(name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_'), "{line}");
        let rest = labels(&line[at..], line);
        let value: f64 = rest.strip_prefix(' ').expect(line).parse().expect(line);
        assert!(value.is_finite(), "{line}");
        let series = line[..line.len() - rest.len()].to_owned();
        assert!(samples.insert(series, value).is_none(), "twice: {line}");
    }
    samples
}

/// Skips `{name="value",…}`.
fn labels<'l>(text: &'l str, line: &str) -> &'l str {
    let Some(mut rest) = text.strip_prefix('{') else { return text };
    loop {
        let (name, after) = rest.split_once("=\"").expect(line);
        assert!(!name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_'), "{line}");
        let mut chars = after.char_indices();
        let end = loop {
            match chars.next().expect(line) {
                (_, '\\') => assert!(matches!(chars.next(), Some((_, '\\' | '"' | 'n'))), "{line}"),
                (at, '"') => break at,
                _ => {}
            }
        };
        rest = &after[end + 1..];
        match rest.strip_prefix(',') {
            Some(more) => rest = more,
            None => return rest.strip_prefix('}').expect(line),
        }
    }
}

#[tokio::test]
async fn what_happened_is_counted() {
    let peer = HttpPeer::start().await;
    let app = start(&peer).await;
    delivery(&app, &peer, "evt_1", "delivered").await;
    delivery(&app, &peer, "evt_2", "dead").await;
    delivery(&app, &peer, "evt_3", "retrying").await;
    app.send(&event("evt_1", "release.live")).await;
    // The death of a delivery is itself told through the inbox, a moment later.
    let answer = crate::support::app::eventually("the whole inbox is planned", || async {
        let answer = app.ask("GET", "/metrics").await;
        (parse(&answer.text()).get("fanfare_inbox_lag") == Some(&0.0)).then_some(answer)
    })
    .await;
    assert_eq!(answer.header("content-type"), Some("application/openmetrics-text; version=1.0.0; charset=utf-8"));
    let samples = parse(&answer.text());
    for (series, value) in [
        (r#"fanfare_events_total{source="jewelmusic",outcome="accepted"}"#, 3.0),
        (r#"fanfare_events_total{source="jewelmusic",outcome="duplicate"}"#, 1.0),
        (r#"fanfare_attempts_total{destination="ledger",outcome="delivered"}"#, 1.0),
        (r#"fanfare_attempts_total{destination="ledger",outcome="permanent"}"#, 1.0),
        (r#"fanfare_attempts_total{destination="ledger",outcome="temporary"}"#, 1.0),
        (r#"fanfare_deliveries{state="dead"}"#, 1.0),
        (r#"fanfare_deliveries{state="retrying"}"#, 1.0),
        (r#"fanfare_attempt_seconds_count{destination="ledger"}"#, 3.0),
        ("fanfare_rules_stale", 0.0),
        ("fanfare_inbox_lag", 0.0),
    ] {
        assert_eq!(samples.get(series), Some(&value), "{series}:\n{}", answer.text());
    }
    app.end().await;
}

#[tokio::test]
async fn what_a_template_could_not_say_is_counted_under_its_own_name() {
    let peer = HttpPeer::start().await;
    let rules = r#"
rules:
  - {name: one, events: "x.*", actions: [{to: ledger, message: wanting}, {to: ledger, text: "{{ data.nothing }}"}]}
"#;
    let folder = Folder::new(CONFIG, &peer.url("/ledger"), rules);
    folder.write("templates/wanting.md", "---\ntitle: \"{{ data.absent }}\"\n---\n{{ data.absent | decimal }}\n");
    let app = App::start(folder).await;
    app.send(&event("evt_1", "x.one")).await;
    soon("both", peer.received(2)).await;
    let text = app.ask("GET", "/metrics").await.text();
    let samples = parse(&text);
    let labels: Vec<&String> = samples.keys().filter(|series| series.starts_with("fanfare_template_")).collect();
    assert!(!labels.is_empty(), "{text}");
    for series in &labels {
        assert!(series.contains(r#"{message="wanting"}"#) || series.contains(r#"{message="text"}"#), "{series}");
    }
    assert!(
        labels.iter().any(|series| series.contains("wanting"))
            && labels.iter().any(|series| series.contains("\"text\""))
    );
    app.end().await;
}

#[tokio::test]
async fn a_rule_that_failed_in_part_counts_as_failed_too() {
    let peer = HttpPeer::start().await;
    let rules = "rules:\n  - {name: part, events: '*', case: $.data.absent, actions: {to: ledger, text: x}}\n";
    let app = App::start(Folder::new(CONFIG, &peer.url("/ledger"), rules)).await;
    app.send(&event("evt_1", "release.live")).await;
    soon("the delivery", peer.received(1)).await;
    let samples = parse(&app.ask("GET", "/metrics").await.text());
    for outcome in ["matched", "failed"] {
        let series = format!(r#"fanfare_rules_total{{rule="part",outcome="{outcome}"}}"#);
        assert_eq!(samples.get(&series), Some(&1.0), "{samples:?}");
    }
    app.end().await;
}

#[tokio::test]
async fn a_destination_whose_breaker_is_open_is_failing() {
    let peer = HttpPeer::start().await;
    let app = start(&peer).await;
    let failing = async || {
        let samples = parse(&app.ask("GET", "/metrics").await.text());
        samples.get(r#"fanfare_destination_failing{destination="ledger"}"#).copied()
    };
    delivery(&app, &peer, "evt_0", "delivered").await;
    assert_eq!(failing().await, Some(0.0));
    for n in 1..=5 {
        delivery(&app, &peer, &format!("evt_{n}"), "retrying").await;
    }
    assert_eq!(failing().await, Some(1.0), "five failures in a row open the breaker");
    app.end().await;
}

#[tokio::test]
async fn a_name_with_quotes_does_not_break_the_format() {
    let peer = HttpPeer::start().await;
    let rules = EVERYTHING.replace("name: everything", r#"name: 'says "hi" \o/ é'"#);
    let app = App::start(Folder::new(CONFIG, &peer.url("/ledger"), &rules)).await;
    app.send(&event("evt_1", "release.live")).await;
    soon("the delivery", peer.received(1)).await;
    let samples = parse(&app.ask("GET", "/metrics").await.text());
    assert!(samples.contains_key(r#"fanfare_rules_total{rule="says \"hi\" \\o/ é",outcome="matched"}"#), "{samples:?}");
    app.end().await;
}

#[tokio::test]
async fn before_anything_happened_it_is_well_formed() {
    let peer = HttpPeer::start().await;
    let app = start(&peer).await;
    let samples = parse(&app.ask("GET", "/metrics").await.text());
    assert_eq!(samples.get("fanfare_inbox_head"), Some(&0.0));
    app.end().await;
}
