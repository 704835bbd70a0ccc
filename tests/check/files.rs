//! What stands in the folders and is no plain file of theirs: links, pipes, odd names; and values from elsewhere.

use std::fs;
use std::os::unix::fs::symlink;
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::process::Command;
use std::sync::mpsc;
use std::time::Duration;

use fanfare::config::load::Loaded;
use fanfare::config::substitute::{Environment, NoEnvironment, RealEnvironment};
use fanfare::lint::load;

use super::{CONFIG, folder, now};

const RULE: &str = "rules:\n  - {name: r, events: release.live, actions: [{to: release-team, message: m}]}\n";

/// Loads on a thread of its own: what hangs fails.
fn loaded(at: &Path) -> Loaded {
    let (done, waited) = mpsc::channel();
    let file = at.canonicalize().unwrap().join("fanfare.yaml");
    std::thread::spawn(move || {
        let _ = done.send(load(&file, &NoEnvironment, now()));
    });
    waited.recv_timeout(Duration::from_secs(30)).expect("loading hangs")
}

fn pipe(at: &Path) {
    let made = Command::new("mkfifo").arg(at).status().unwrap();
    assert!(made.success());
}

#[test]
fn a_link_out_of_its_folder_is_refused_and_what_it_leads_to_is_shown_to_nobody() {
    let outside = folder(&[("secret.md", "the-very-secret"), ("more/r.yaml", RULE)]);
    for (link, to) in [
        ("templates/leak.md", outside.path().join("secret.md")),
        ("templates/leak.md", "/proc/self/environ".into()),
        ("rules/leak.yaml", outside.path().join("secret.md")),
        ("rules/more", outside.path().join("more")),
        ("rules/leak.test.yaml", "../fanfare.yaml".into()),
    ] {
        let folder = folder(&[("fanfare.yaml", CONFIG), ("rules/r.yaml", RULE), ("templates/m.md", "hello\n")]);
        assert!(!loaded(folder.path()).problems.has_errors());
        symlink(&to, folder.path().join(link)).unwrap();
        let loaded = loaded(folder.path());
        let report = loaded.report();
        assert!(report.contains("leads-out") && report.contains(link), "{link}: {report}");
        assert!(!report.contains("the-very-secret"), "{report}");
        assert!(loaded.snapshot.is_none_or(|snapshot| snapshot.rules.is_none()), "{link}: nothing of it is in force");
    }
}

#[test]
fn links_that_stay_in_their_folder_are_followed() {
    let folder = folder(&[
        ("fanfare.yaml", CONFIG),
        ("rules/..2026_1/r.yaml", RULE),
        ("templates/shared/.keep", ""),
        ("templates/.hidden/m.md", "hello\n"),
    ]);
    let at = folder.path().canonicalize().unwrap();
    symlink("..2026_1", at.join("rules/..data")).unwrap();
    symlink("..data/r.yaml", at.join("rules/r.yaml")).unwrap();
    symlink(at.join("templates/.hidden/m.md"), at.join("templates/m.md")).unwrap();
    // The folders themselves may be anywhere.
    fs::rename(at.join("rules"), at.join("elsewhere")).unwrap();
    symlink("elsewhere", at.join("rules")).unwrap();
    let loaded = loaded(&at);
    assert!(!loaded.problems.has_errors(), "{}", loaded.report());
    assert_eq!((loaded.files.rules.len(), loaded.files.templates.len()), (1, 1));
}

#[test]
fn a_folder_that_leads_back_into_itself_is_reported_once() {
    let folder = folder(&[("fanfare.yaml", CONFIG), ("rules/r.yaml", RULE), ("templates/m.md", "hello\n")]);
    symlink(".", folder.path().join("rules/again")).unwrap();
    let report = loaded(folder.path()).report();
    assert_eq!(report.matches("links to a folder that contains it").count(), 1, "{report}");
    assert!(!report.contains("twice"), "{report}");
}

#[test]
fn whatever_stands_where_a_file_should_be_is_named_and_keeps_nobody_waiting() {
    for name in ["fanfare.yaml", "rules/r.yaml", "rules/r.test.yaml", "templates/m.md"] {
        for kind in ["a named pipe", "a socket", "a folder", "a device"] {
            let folder = folder(&[("fanfare.yaml", CONFIG), ("rules/r.yaml", RULE), ("templates/m.md", "hello\n")]);
            let at = folder.path().join(name);
            let _ = fs::remove_file(&at);
            let _kept = match kind {
                "a named pipe" => {
                    pipe(&at);
                    None
                }
                "a socket" => Some(UnixListener::bind(&at).unwrap()),
                "a folder" => {
                    fs::create_dir(&at).unwrap();
                    None
                }
                // In the folders it is the link that is refused.
                _ => {
                    symlink("/dev/zero", &at).unwrap();
                    None
                }
            };
            let report = loaded(folder.path()).report();
            let file = Path::new(name).file_name().unwrap().to_str().unwrap();
            let said = format!("it is {kind}, no file");
            let is_refused = report.contains(&said) || (kind == "a device" && report.contains("leads-out"));
            assert!(report.contains(file) && is_refused, "{name} as {kind}: {report}");
        }
    }
}

#[test]
fn a_secret_from_a_pipe_or_without_end_is_refused_and_keeps_nobody_waiting() {
    let folder = folder(&[]);
    let at = folder.path().join("secret");
    pipe(&at);
    let (done, waited) = mpsc::channel();
    std::thread::spawn(move || done.send(RealEnvironment.file(&at)));
    let read = waited.recv_timeout(Duration::from_secs(30)).expect("reading a secret hangs");
    assert_eq!(read, Err("it is a named pipe, no file".into()));
    assert_eq!(RealEnvironment.file(Path::new("/dev/zero")), Err("it is a device, no file".into()));
    fs::write(folder.path().join("large"), vec![b'x'; (64 << 10) + 1]).unwrap();
    assert_eq!(RealEnvironment.file(&folder.path().join("large")), Err("it is larger than 64 KiB".into()));
}

#[test]
fn a_file_whose_name_ends_otherwise_is_read_or_told() {
    let named = |name: &str| RULE.replace("name: r", &format!("name: {name}"));
    let folder = folder(&[
        ("fanfare.yaml", CONFIG),
        ("rules/A.YAML", &named("a")),
        ("rules/b.Yml", &named("b")),
        ("rules/c.yaml.txt", &named("c")),
        ("rules/d.ymal", &named("d")),
        ("rules/e.yaml.bak", &named("e")),
        ("rules/f.yaml~", &named("f")),
        ("rules/README.md", "# Our rules\n"),
        ("templates/m.md", "hello\n"),
        ("templates/n.MD", "hello\n"),
        ("templates/o.md.txt", "hello\n"),
        ("templates/p.markdown", "hello\n"),
    ]);
    let loaded = loaded(folder.path());
    let rules = loaded.snapshot.as_ref().unwrap().rules.clone().unwrap();
    let names: Vec<&str> = rules.rules.iter().map(|rule| rule.name.value.as_str()).collect();
    assert_eq!(names, ["a", "b"]);
    let told: Vec<&str> =
        loaded.problems.iter().filter(|problem| problem.code == "not-read").map(|p| p.message.as_str()).collect();
    for name in ["c.yaml.txt", "d.ymal", "n.MD", "o.md.txt", "p.markdown"] {
        assert!(told.iter().any(|message| message.contains(name)), "{name}: {told:?}");
    }
    assert_eq!(told.len(), 5, "{told:?}");
}

/// Values as they come from files and variables that other programs wrote.
struct Odd;

impl Environment for Odd {
    fn variable(&self, name: &str) -> Option<String> {
        (name == "QUOTED").then(|| "\"a-secret-of-more-than-16\"".into())
    }

    fn file(&self, _: &Path) -> Result<String, String> {
        Ok("\u{feff}xoxb-a-token-from-windows\r\n".into())
    }
}

#[test]
fn a_byte_order_mark_is_left_out_of_a_secret_and_quotes_around_one_are_reported() {
    let config = "sources:\n  jewelmusic: {preset: jewelmusic, secrets: \"${env:QUOTED}\"}\ndestinations:\n  \
                  team: {type: slack, token: \"${file:token}\", channel: \"#a\"}\n";
    let folder = folder(&[("fanfare.yaml", config)]);
    let loaded = load(&folder.path().join("fanfare.yaml"), &Odd, now());
    assert!(!loaded.problems.has_errors(), "{}", loaded.report());
    let codes: Vec<&str> = loaded.problems.iter().map(|problem| problem.code).collect();
    assert!(codes.contains(&"byte-order-mark") && codes.contains(&"quoted-variable"), "{}", loaded.report());
    let snapshot = loaded.snapshot.unwrap();
    assert_eq!(snapshot.sources["jewelmusic"].secrets[0].open(), "\"a-secret-of-more-than-16\"");
    let secrets = &snapshot.destinations["team"].channel.facts().secrets;
    assert!(secrets.iter().any(|secret| secret.open() == "xoxb-a-token-from-windows"));
}

/// What one person wrote, and what is to be said of it.
#[test]
fn what_people_write_who_know_other_programs_gets_the_right_spelling() {
    let rule =
        |line: &str| format!("rules:\n  - name: r\n    events: payment.*\n    actions: [{{to: oncall}}]\n    {line}\n");
    for (line, said) in [
        ("hours: {days: Mo-Fr, from: \"09:00\", to: \"18:00\"}", "did you mean `mon-fri`?"),
        ("when: {$.data.amount: {gte: \"1000,50\"}}", "write a decimal point: `1000.50`"),
        ("when: {$.data.amount: {gte: 1000,50}}", "write a decimal point: `1000.50`"),
        ("defaults: {throttle: 1/h}", "`throttle: {max: 1, every: 1h}`"),
        ("defaults: {throttle: 5/10m}", "`throttle: {max: 5, every: 10m}`"),
        ("defaults:\n      mention: @nadia", "remove it: `nadia`"),
        ("when: {title: {matches: \"\\bHalogen\\b\"}}", "is a backspace"),
        ("when: {title: {matches: \"(live\"}}", "has a backslash before it"),
        ("when: data.title == 'Kein Empfang'", "a test stands below its path: `{$.data.title: Kein Empfang}`"),
        ("when: $.data.amount >= 1000", "write the test beside the path, `$.data.amount: …`"),
        ("when: amount > 1000", "`{amount: {gt: 1000}}`"),
        ("hours: {days: fri, from: \"09:00\", to: \"18:00\", timezone: Berlin}", "did you mean `Europe/Berlin`?"),
        ("timezone: Europe/Berlin", "it belongs to `hours` or `digest`"),
        ("throttle: {every: 2 hours}", "did you mean `2h`?"),
        ("throttle: {every: daily}", "did you mean `1d`?"),
    ] {
        let line = line.strip_prefix("defaults: {throttle").map_or(line.to_owned(), |rest| {
            let rest = rest.strip_suffix('}').unwrap();
            format!("on_close: [{{to: oncall, throttle{rest}}}]")
        });
        let line =
            line.replace("defaults:\n      mention: @nadia", "on_close:\n      - to: oncall\n        mention: @nadia");
        let folder = folder(&[("fanfare.yaml", CONFIG), ("rules/r.yaml", &rule(&line))]);
        let report = loaded(folder.path()).report();
        assert!(report.contains(said), "{line}: {report}");
    }
    for (secret, said) in [
        ("$SLACK_WEBHOOK", "write `${env:SLACK_WEBHOOK}`"),
        ("${SLACK_WEBHOOK}", "a variable is written `${env:NAME}`"),
    ] {
        let config = format!("destinations:\n  a: {{type: slack, webhook_url: \"{secret}\"}}\n");
        let folder = folder(&[("fanfare.yaml", &config)]);
        let report = loaded(folder.path()).report();
        assert!(report.contains(said), "{report}");
    }
}

#[test]
fn in_an_empty_folder_every_command_says_how_to_begin() {
    let folder = tempfile::tempdir().unwrap();
    for (arguments, said) in [
        (&["check"][..], "`fanfare init FOLDER` makes a folder with one"),
        (&["serve"], "`fanfare init FOLDER` makes a folder with one"),
        (&["test"], "`fanfare init` makes one"),
        (&["explain", "release.live"], "`fanfare init` makes one"),
        (&["cases", "list"], "give `--config` or `--admin`"),
    ] {
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_fanfare"));
        let output = command.args(arguments).current_dir(folder.path()).env_remove("FANFARE_CONFIG").output().unwrap();
        let text = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success() && text.contains(said), "{arguments:?}: {text}");
    }
}

#[test]
fn a_time_without_a_zone_is_local_where_a_mute_ends() {
    let rules = format!("{RULE}mutes:\n  - {{rule: r, until: \"2026-02-03 18:00\"}}\n");
    let config = CONFIG.replace("timezone: UTC", "");
    let config = format!("timezone: Europe/Berlin\n{}", config.trim_start_matches("timezone: Europe/Berlin\n"));
    let folder = folder(&[("fanfare.yaml", &config), ("rules/r.yaml", &rules), ("templates/m.md", "hello\n")]);
    let loaded = loaded(folder.path());
    let rules = loaded.snapshot.as_ref().and_then(|snapshot| snapshot.rules.clone());
    let rules = rules.unwrap_or_else(|| panic!("{}", loaded.report()));
    assert_eq!(rules.mutes[0].mute.until.to_string(), "2026-02-03T17:00:00Z");
}

#[test]
fn one_broken_destination_is_reported_once_and_is_no_unknown_name() {
    let config = "sources:\n  jewelmusic: {preset: jewelmusic, secrets: \"${env:S}\"}\ndestinations:\n  \
                  oncall: {type: pagerdtuy}\n  office: {type: slack, webhook_url: \"${env:W}\", fallback: oncall}\n";
    let rules = "rules:\n  - {name: r, events: release.live, actions: [{to: [oncall, office], mention: nadia}]}\n";
    let folder = folder(&[("fanfare.yaml", config), ("rules/r.yaml", rules)]);
    let loaded = loaded(folder.path());
    let errors = loaded.problems.iter().filter(|problem| problem.gravity == fanfare::problem::Gravity::Error);
    assert_eq!(errors.map(|problem| problem.code).collect::<Vec<_>>(), ["channel"], "{}", loaded.report());
}
