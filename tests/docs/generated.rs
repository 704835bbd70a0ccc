//! The tables of the documentation, from the tables of the program.

use std::fmt::Write;

use clap::{Arg, Command};
use fanfare::channels::{self, ChannelKind, KeyDoc, Unit};
use fanfare::config::settings::DESTINATION_KEYS;
use fanfare::delivery::{Attempt, AttemptOutcome, DeliveryId, State};
use fanfare::event::own::{self, Own};
use fanfare::event::{EventId, UNPARSED};
use fanfare::lint::{self, ALL};
use fanfare::message::template::filters::FILTERS;
use fanfare::rules::operator::{self, IGNORE_CASE};
use fanfare::rules::{Held, keys};
use fanfare::source::presets::{PRESETS, known_types, preset_names};
use fanfare::source::{parse, samples, scheme};
use fanfare::telemetry::{Of, Telemetry};
use serde_json::Value;

use crate::tidy::words;

/// What stands between `<!-- generated: NAME -->` and its end.
pub fn section(name: &str) -> String {
    let text = match name.split_once(' ') {
        None => match name {
            "operators" => operators(),
            "operator-examples" => operator_examples(),
            "destination-keys" => pairs(&["key", "meaning"], DESTINATION_KEYS),
            "source-keys" => pairs(&["key", "meaning"], parse::KEYS),
            "hmac-keys" => pairs(&["key", "meaning"], parse::HMAC_KEYS),
            "channels" => channel_table(),
            "presets" => presets(),
            "schemes" => schemes(),
            "names" => names(),
            "types" => types(),
            "samples" => sample_table(),
            "filters" => filters(),
            "locales" => locales(),
            "metrics" => metrics(),
            "alerts" => alerts(),
            "api" => api(),
            "commands" => commands(),
            "own-events" => own_events(),
            "lints" => lints(),
            "warnings" => pairs_and_fixes(),
            "refused" => table(
                &["refused", "write"],
                words::REFUSED.iter().map(|(word, instead)| vec![(*word).into(), (*instead).into()]),
            ),
            _ => panic!("nothing is generated under `{name}`"),
        },
        Some(("keys", of)) => {
            let map = keys::ALL.iter().find(|map| map.name == of).unwrap_or_else(|| panic!("no keys of `{of}`"));
            let rows = map.keys.iter().map(|key| vec![code(key.name), key.takes.words().into(), sentence(key.doc)]);
            table(&["key", "value", "meaning"], rows)
        }
        Some(("channel", of)) => channel(channels::named(of).unwrap_or_else(|| panic!("no channel `{of}`"))),
        Some(other) => panic!("nothing is generated under `{other:?}`"),
    };
    format!("{}\n", text.trim_end())
}

/// Every language, as it writes an amount, a date and a distance.
fn locales() -> String {
    let at = jiff::civil::date(2026, 1, 7).to_zoned_datetime(jiff::tz::TimeZone::UTC).unwrap();
    let rows = fanfare::locale::ALL.iter().map(|locale| {
        let amount = locale.money(&locale.number("1234567.5"), "EUR");
        let dates = [None, Some("long")].map(|format| locale.date(&at, format, true).unwrap());
        let [short, long] = dates;
        vec![code(locale.code), locale.name.into(), amount, short, long, locale.distance(7200)]
    });
    table(&["locale", "language", "amount", "date", "`long`", "`ago`"], rows)
}

/// The names of all metrics, as Prometheus shows them.
pub fn metric_names() -> Vec<String> {
    exposition().lines().filter(|line| !line.starts_with('#')).map(metric_of).collect()
}

fn metric_of(line: &str) -> String {
    let name = line.split(['{', ' ']).next().unwrap_or_default();
    let histogram = ["_bucket", "_sum", "_count"].iter().find_map(|ending| name.strip_suffix(ending));
    histogram.unwrap_or(name).to_owned()
}

/// The alerts that ship, with what to do about each.
fn alerts() -> String {
    let text = std::fs::read_to_string("deploy/monitoring/alerts.yaml").unwrap();
    let file: Value = serde_yaml::from_str(&text).unwrap();
    let placeholder = regex::Regex::new(r"\{\{ (?:\$labels\.)?\$?(\w+)[^}]*\}\}").unwrap();
    let rows = file["groups"][0]["rules"].as_array().unwrap().iter().map(|rule| {
        let said = |key: &str| rule["annotations"][key].as_str().unwrap();
        let summary = placeholder.replace_all(said("summary"), "*$1*").into_owned();
        let severity = rule["labels"]["severity"].as_str().unwrap();
        let name = rule["alert"].as_str().unwrap();
        let linked = format!("[`{name}`](RUNBOOK.md#{})", name.to_lowercase());
        vec![linked, severity.into(), summary, said("runbook").into()]
    });
    table(&["alert", "severity", "what happened", "what to do"], rows)
}

/// What `/metrics` says once everything has happened.
pub fn exposition() -> String {
    let telemetry = Telemetry::new();
    let (event, delivery) = (EventId("evt_1".into()), DeliveryId("dlv_1".into()));
    let attempt = Attempt {
        number: 1,
        at: jiff::Timestamp::UNIX_EPOCH,
        took_ms: 10,
        outcome: AttemptOutcome::Delivered,
        sent: String::new(),
        answer: String::new(),
    };
    telemetry.received("jewelmusic", &event, "release.live", "accepted");
    telemetry.refused("jewelmusic", "signature", "");
    telemetry.store_failed("append", "");
    telemetry.rule("release-live", "matched", 1);
    telemetry.planned(1, 0, 1);
    telemetry.parked(&event, "");
    let of = Of { delivery: &delivery, destination: "oncall", rule: "release-live", event: None };
    telemetry.attempted(of, &attempt);
    telemetry.finished(of, State::Delivered, "");
    telemetry.rendered("release-live", Some(""), 1);
    telemetry.loaded("", 1, 0);
    telemetry.reload_failed(1, "");
    telemetry.inbox(1, 1);
    telemetry.census(&[], 0.0, 0);
    telemetry.failing("oncall", true);
    telemetry.reached("oncall", jiff::SignedDuration::ZERO);
    telemetry.absent(jiff::Timestamp::UNIX_EPOCH, jiff::Timestamp::UNIX_EPOCH, "");
    telemetry.heartbeat("called", "");
    telemetry.task_ended("plan", "", "");
    telemetry.stalled("plan", None);
    telemetry.certificate(jiff::Timestamp::UNIX_EPOCH);
    telemetry.metrics()
}

fn metrics() -> String {
    let text = exposition();
    let mut rows = Vec::new();
    for help in text.lines().filter_map(|line| line.strip_prefix("# HELP ")) {
        let (name, help) = help.split_once(' ').unwrap();
        let kind = text.lines().find_map(|line| line.strip_prefix(&format!("# TYPE {name} "))).unwrap();
        let sample = text.lines().find(|line| metric_of(line).trim_end_matches("_total") == name).unwrap();
        let labels = sample.split_once('{').and_then(|(_, rest)| rest.split_once('}')).map_or("", |(labels, _)| labels);
        let labels: Vec<String> =
            labels.split(',').filter_map(|label| label.split_once('=')).map(|(label, _)| code(label)).collect();
        let labels: Vec<String> = labels.into_iter().filter(|label| label != "`le`").collect();
        rows.push(vec![code(&metric_of(sample)), kind.into(), labels.join(", "), help.trim_end_matches('.').into()]);
    }
    let source = std::fs::read_to_string("src/telemetry.rs").unwrap();
    let registered = source.matches(".metric(").count() + source.matches("all.register(").count();
    assert_eq!(rows.len(), registered, "a metric is registered that nothing here sets off");
    table(&["metric", "kind", "labels", "meaning"], rows)
}

fn own_events() -> String {
    let row = |own: &Own| {
        let keys = own.event(jiff::Timestamp::UNIX_EPOCH).data().as_object().unwrap().clone();
        vec![
            code(own.kind),
            own.doc.into(),
            own.reader.into(),
            keys.keys().map(|key| code(key)).collect::<Vec<_>>().join(", "),
        ]
    };
    let unparsed = "a signed request that is not an event; keeps its sender as source, and `*` also matches it";
    let unparsed = vec![code(UNPARSED), unparsed.into(), "the operators".into(), String::new()];
    table(&["type", "meaning", "who needs it", "in `$.data`"], own::ALL.iter().map(row).chain([unparsed]))
}

fn lints() -> String {
    let rows =
        ALL.iter().map(|one| vec![code(one.code), one.gravity.name().into(), sentence(one.doc), sentence(one.fix)]);
    table(&["identifier", "kind", "meaning", "what to do"], rows)
}

fn pairs_and_fixes() -> String {
    let rows = lint::elsewhere().map(|(name, doc, fix)| vec![code(name), sentence(doc), sentence(fix)]);
    table(&["identifier", "meaning", "what to do"], rows)
}

fn operators() -> String {
    let rows = operator::TABLE.iter().map(|row| {
        let case = if row.ignores_case { "yes" } else { "" };
        vec![code(row.name), row.operand.words().into(), sentence(row.doc), case.into()]
    });
    let (key, doc) = IGNORE_CASE;
    format!("{}\n`{key}`: {doc}.", table(&["operator", "operand", "holds when", "`ignore_case`"], rows))
}

fn operator_examples() -> String {
    let mut text = String::new();
    for row in operator::TABLE {
        let rows = row.examples.iter().map(|example| {
            let held = match example.held {
                Held::Held => "held",
                Held::Missed => "missed",
                Held::Failed => "failed",
            };
            vec![code(example.test), code(example.nodes), held.into()]
        });
        let _ = write!(text, "### `{}`\n\n{}.\n\n{}\n", row.name, row.doc, table(&["test", "nodes", "result"], rows));
    }
    text
}

fn channel_table() -> String {
    let yes = |is: bool| if is { "yes" } else { "" }.to_owned();
    let rows = channels::ALL.iter().map(|kind| {
        let spacing = kind.spacing.map_or_else(String::new, |spacing| match spacing.as_millis() {
            ms if ms > 1000 => format!("{}/m", 60_000 / ms),
            ms => format!("{}/s", 1000 / ms),
        });
        let burst = if kind.burst > 1 { format!(", {} at once", kind.burst) } else { String::new() };
        let native = kind.native.map_or_else(String::new, |own| code(&format!("NAME.{}.{}", kind.name, own.ending())));
        vec![
            format!("[`{0}`](#{0})", kind.name),
            format!("{}.", kind.summary),
            yes(kind.can.keeps_together()),
            format!("{spacing}{burst}"),
            native,
        ]
    });
    table(&["`type`", "what arrives", "keeps a case together", "default rate", "own format"], rows)
}

fn channel(kind: &ChannelKind) -> String {
    let row = |key: &KeyDoc| vec![code(key.name), if key.required { "yes" } else { "" }.into(), sentence(key.doc)];
    let limits = kind.limits.iter().map(|limit| {
        let unit = match limit.unit {
            Unit::Characters => "characters",
            Unit::Bytes => "bytes",
            Unit::Items => "items",
        };
        vec![sentence(limit.of).trim_end_matches('.').into(), format!("{} {unit}", limit.max)]
    });
    let limits = match kind.limits {
        [] => String::new(),
        _ => format!("\n\n{}", table(&["limit of the service", "at most"], limits).trim_end()),
    };
    let overrides = kind.overrides.iter();
    let overrides = overrides.map(|one| vec![code(one.name), format!("{}. {}", one.doc, sentence(one.takes))]);
    let overrides = match kind.overrides {
        [] => String::new(),
        _ => format!("\n\n{}", table(&["an action may `override`", "with"], overrides).trim_end()),
    };
    let example: String = kind.example.lines().map(|line| format!("    {line}\n")).collect();
    format!(
        "{}.\n\n{}\n```yaml config\ndestinations:\n  example:\n{example}```{overrides}{limits}",
        kind.summary,
        table(&["key", "required", "meaning"], kind.keys.iter().map(row))
    )
}

fn presets() -> String {
    let rows = PRESETS.iter().map(|preset| {
        let schemes: Vec<String> = preset.schemes.iter().map(|scheme| code(scheme.name)).collect();
        vec![code(preset.name), sentence(preset.doc), schemes.join(", ")]
    });
    table(&["`preset`", "sender", "schemes"], rows)
}

fn schemes() -> String {
    let rows = scheme::SCHEMES.iter().map(|row| {
        let headers: Vec<String> = row.headers.iter().map(|name| code(name)).collect();
        let time = if row.signs(&scheme::Piece::Time) { "yes" } else { "" };
        let id = if row.signs(&scheme::Piece::Id) { "yes" } else { "" };
        vec![code(row.name), sentence(row.doc), headers.join(", "), time.into(), id.into()]
    });
    table(&["scheme", "what is signed", "headers", "time is signed", "id is signed"], rows)
}

fn names() -> String {
    let rows = preset_names("jewelmusic").iter().map(|(name, paths)| {
        let paths: Vec<String> = paths.iter().map(|path| code(path)).collect();
        vec![code(name), paths.join(", ")]
    });
    table(&["name", "paths, the first that selects something wins"], rows)
}

fn types() -> String {
    let types: Vec<String> = known_types("jewelmusic").iter().map(|kind| code(kind)).collect();
    let (page, sdks) = types.split_at(samples::PAGE);
    format!("On the webhook page: {}.\n\nOnly in the SDKs: {}.", page.join(", "), sdks.join(", "))
}

fn sample_table() -> String {
    table(&["sample", "content"], samples::ALL.iter().map(|sample| vec![code(sample.name), sentence(sample.about)]))
}

fn filters() -> String {
    let rows = FILTERS.iter().map(|filter| vec![code(filter.name), code(filter.example), sentence(filter.doc)]);
    table(&["filter", "example", "what it does"], rows)
}

fn api() -> String {
    let document: Value = serde_json::from_str(fanfare::admin::api::document()).unwrap();
    let mut rows = Vec::new();
    for (path, methods) in document["paths"].as_object().unwrap() {
        for (method, operation) in methods.as_object().unwrap() {
            if let Some(summary) = operation["summary"].as_str() {
                let call = format!("{} /api/v1{path}", method.to_uppercase());
                rows.push(vec![code(&call), sentence(summary)]);
            }
        }
    }
    table(&["call", "answers"], rows)
}

// --- commands ---

fn commands() -> String {
    let mut root = fanfare::cli::command();
    root.build();
    let rows = root.get_subcommands().map(|command| {
        let name = command.get_name();
        vec![format!("[`{name}`](#fanfare-{name})"), about(command)]
    });
    let mut text = table(&["command", "does"], rows);
    root.get_subcommands().for_each(|command| write_command(command, "fanfare", 2, &mut text));
    text
}

fn about(command: &Command) -> String {
    sentence(&command.get_about().map(ToString::to_string).unwrap_or_default())
}

fn write_command(command: &Command, parent: &str, level: usize, text: &mut String) {
    let name = format!("{parent} {}", command.get_name());
    let usage = command.clone().render_usage().to_string().replace("Usage: ", "");
    let _ = write!(text, "\n{} `{name}`\n\n{}\n", "#".repeat(level), about(command));
    if let Some(more) = command.get_long_about().map(ToString::to_string).filter(|more| *more != about_text(command)) {
        let _ = write!(text, "\n{}\n", sentence(&more));
    }
    let usage: String = usage.split_whitespace().collect::<Vec<_>>().join(" ");
    let _ = write!(text, "\n`{usage}`\n");
    let shown = |arg: &&Arg| {
        let everywhere = matches!(arg.get_id().as_str(), "help" | "version" | "config");
        !everywhere && !arg.is_hide_set()
    };
    let rows: Vec<Vec<String>> = command.get_arguments().filter(shown).map(argument).collect();
    if !rows.is_empty() {
        let _ = write!(text, "\n{}", table(&["argument", "meaning", "default"], rows));
    }
    let verbs = command.get_subcommands().filter(|verb| !verb.is_hide_set());
    verbs.for_each(|verb| write_command(verb, &name, level + 1, text));
}

fn about_text(command: &Command) -> String {
    command.get_about().map(ToString::to_string).unwrap_or_default()
}

fn argument(arg: &Arg) -> Vec<String> {
    let value = arg.get_value_names().and_then(|names| names.first()).map(ToString::to_string).unwrap_or_default();
    let takes = arg.get_action().takes_values();
    let call = match arg.get_long() {
        Some(long) if takes => format!("--{long} {value}"),
        Some(long) => format!("--{long}"),
        None => value,
    };
    let mut says = sentence(&arg.get_help().map(ToString::to_string).unwrap_or_default());
    let known: Vec<String> = arg.get_possible_values().iter().map(|value| code(value.get_name())).collect();
    if takes && !known.is_empty() {
        let _ = write!(says, " One of {}.", known.join(", "));
    }
    let mut otherwise: Vec<String> =
        arg.get_env().map(|name| code(&format!("${}", name.to_string_lossy()))).into_iter().collect();
    if takes {
        otherwise.extend(arg.get_default_values().iter().map(|value| code(&value.to_string_lossy())));
    }
    vec![code(&call), says, otherwise.join(", or ")]
}

// --- Markdown ---

fn code(text: &str) -> String {
    if text.contains('`') { format!("`` {text} ``") } else { format!("`{text}`") }
}

fn sentence(text: &str) -> String {
    let mut chars = text.trim().trim_end_matches('.').chars();
    // What begins with code stays as it is.
    let text: String = chars.next().into_iter().flat_map(char::to_uppercase).chain(chars).collect();
    format!("{text}.")
}

fn pairs(heads: &[&str], rows: &[(&str, &str)]) -> String {
    table(heads, rows.iter().map(|(key, doc)| vec![code(key), sentence(doc)]))
}

fn table(heads: &[&str], rows: impl IntoIterator<Item = Vec<String>>) -> String {
    let line = |cells: Vec<String>| {
        let cells: Vec<String> = cells.iter().map(|cell| cell.replace('|', "\\|").replace('\n', " ")).collect();
        format!("| {} |\n", cells.join(" | ")).replace("  |", " |")
    };
    let mut text = line(heads.iter().map(|head| (*head).to_owned()).collect());
    text.push_str(&format!("|{}\n", "---|".repeat(heads.len())));
    rows.into_iter().for_each(|row| text.push_str(&line(row)));
    text
}
