//! The starter set: the rules and templates that this repository ships, built into the program.
//!
//! `demo` writes them into its folder. A test holds that the table lists every file there is.

use std::fs::OpenOptions;
use std::io::{ErrorKind, Write};
use std::net::SocketAddr;
use std::path::Path;

macro_rules! starter {
    ($path:literal) => {
        ($path, include_str!(concat!("../../", $path)))
    };
}

/// Every file, by its path in a folder.
pub const FILES: &[(&str, &str)] = &[
    starter!("rules/fanfare.test.yaml"),
    starter!("rules/fanfare.yaml"),
    starter!("rules/fraud.test.yaml"),
    starter!("rules/fraud.yaml"),
    starter!("rules/release.test.yaml"),
    starter!("rules/release.yaml"),
    starter!("rules/royalty.test.yaml"),
    starter!("rules/royalty.yaml"),
    starter!("rules/shared.yaml"),
    starter!("rules/track.test.yaml"),
    starter!("rules/track.yaml"),
    starter!("templates/_flagged.md"),
    starter!("templates/_platforms.md"),
    starter!("templates/fraud-alert.md"),
    starter!("templates/fraud-resolved.md"),
    starter!("templates/fraud-watch.md"),
    starter!("templates/release-announcement.md"),
    starter!("templates/release-drafted.md"),
    starter!("templates/release-live.md"),
    starter!("templates/release-rejected.md"),
    starter!("templates/release-submitted.md"),
    starter!("templates/royalty-milestone.md"),
    starter!("templates/royalty-paid.md"),
    starter!("templates/royalty-statements.md"),
    starter!("templates/track-broken.md"),
    starter!("templates/track-sound.md"),
    starter!("templates/track-uploads.md"),
    starter!("templates/track-warnings.md"),
];

/// Writes what isn't there yet; what a person edited stays.
pub(crate) fn write_missing(folder: &Path) -> std::io::Result<()> {
    for (path, text) in FILES {
        let path = folder.join(path);
        if let Some(parent) = path.parent() {
            std::fs::create_dir_all(parent)?;
        }
        match OpenOptions::new().write(true).create_new(true).open(&path) {
            Ok(mut file) => file.write_all(text.as_bytes())?,
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// The demo's `fanfare.yaml`: every destination of the starter set, at the demo's own inboxes.
pub fn demo_config(inboxes: SocketAddr, mail: SocketAddr, page: u16) -> String {
    format!(
        r##"# Written anew by each `fanfare demo`: its inboxes stand in for the real services.
# Yours will have `listen: 0.0.0.0:8080`, and secrets as "${{env:NAME}}".
listen: 127.0.0.1:0
admin: {{listen: "127.0.0.1:{page}"}}
store: sqlite:data/fanfare.db
sources:
  jewelmusic:
    preset: jewelmusic
    path: /webhooks/jewelmusic
    secrets: ["${{env:JEWELMUSIC_SECRET}}"]
destinations:
  release-team:
    type: slack
    webhook_url: http://{inboxes}/release-team
    rate: 50/s
    mentions: {{lead: U024BE7LH}}
  fans:
    type: discord
    webhook_url: http://{inboxes}/fans/api/webhooks/1199887766554433221/demo
  label-heads:
    type: email
    smtp: smtp://{mail}?tls=none
    from: Fanfare <fanfare@label.example>
    to: [heads@label.example]
  finance:
    type: email
    smtp: smtp://{mail}?tls=none
    from: Fanfare <fanfare@label.example>
    to: [royalties@label.example]
  oncall:
    type: pagerduty
    routing_key: R0123456789ABCDEF0123456789ABCDE
    url: http://{inboxes}/oncall
    fallback: [label-heads]
  ledger:
    type: http
    url: "http://{inboxes}/ledger/{{{{ event.id }}}}"
    method: PUT
"##
    )
}
