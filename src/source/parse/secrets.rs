//! A source's secrets, and what is odd about one.

use crate::problem::{Problem, Problems};
use crate::secret::Secret;
use crate::source::presets::Preset;
use crate::yaml::{Fields, Node};

/// The shortest secret that isn't warned of, in bytes.
const SECRET_MIN: usize = 16;
/// The most secrets: each is tried on every request.
const SECRETS_MAX: usize = 8;

/// The secrets; and how many errors are of a value from elsewhere that is no secret. Where it is only wanting, as on an
/// author's machine, the source is there all the same: the error is left out there, and stands in the way elsewhere.
pub(super) fn secrets(
    name: &str,
    preset: &Preset,
    fields: &mut Fields<'_>,
    problems: &mut Problems,
) -> (Vec<Secret>, usize) {
    if !fields.has("secrets") {
        fields.missing("secrets", problems);
    }
    let Some((_, node)) = fields.take("secrets") else { return (Vec::new(), 0) };
    let (mut secrets, mut excused) = (Vec::new(), 0);
    for (nth, item) in node.one_or_more().iter().enumerate() {
        match item.scalar() {
            Some(text) if text.trim().is_empty() => {}
            Some(text) => {
                let before = problems.count().0;
                let which = format!("secret {} of source `{name}`", nth + 1);
                secrets.push(secret(&which, preset, text, item, problems));
                if item.place.text().contains("${") {
                    excused += problems.count().0 - before;
                }
            }
            None => problems.push(
                Problem::error(
                    "wrong-kind",
                    format!("secret {} of source `{name}` is {}, not text", nth + 1, item.kind_name()),
                )
                .at(&item.place),
            ),
        }
    }
    if secrets.is_empty() {
        problems.push(
            Problem::error("no-secret", format!("source `{name}` has no secret: all of `secrets` are empty"))
                .at(&node.place.first_line())
                .hint("set its environment variable or file"),
        );
    }
    if secrets.len() > SECRETS_MAX {
        problems.push(
            Problem::error(
                "too-many-secrets",
                format!("source `{name}` has {} secrets, more than {SECRETS_MAX}", secrets.len()),
            )
            .at(&node.place.first_line()),
        );
    }
    (secrets, excused)
}

fn secret(which: &str, preset: &Preset, text: &str, node: &Node, problems: &mut Problems) -> Secret {
    // A file that is mounted as a secret often ends with one newline that was not meant.
    let bare = text.strip_suffix('\n').map_or(text, |text| text.strip_suffix('\r').unwrap_or(text));
    let secret = Secret::new(bare);
    let reference = node.place.text().contains("${");
    let mut say = |problem: Problem| problems.push(problem.at(&node.place));
    if !reference {
        say(Problem::warning("secret-in-file", format!("the file itself contains {which}"))
            .hint("use the environment or a file: \"${env:NAME}\""));
    }
    if is_placeholder(bare) {
        say(Problem::warning("placeholder-secret", format!("{which} looks like a placeholder"))
            .hint("use the secret that the sender shows"));
    } else if bare.len() < SECRET_MIN {
        say(Problem::warning("short-secret", format!("{which} is shorter than {SECRET_MIN} bytes and can be guessed"))
            .hint("let the sender create a longer one"));
    }
    if bare.trim() != bare {
        say(Problem::warning("blank-in-secret", format!("{which} begins or ends with whitespace"))
            .hint("whitespace counts; remove it if you don't mean it"));
    }
    if !preset.schemes.iter().any(|scheme| scheme.key.takes(&secret)) {
        say(Problem::error("wrong-secret", format!("{which} is not what `preset: {}` needs", preset.name))
            .hint("`whsec_` and Base64, as the sender shows it"));
    }
    secret
}

fn is_placeholder(secret: &str) -> bool {
    let plain: String = secret.to_lowercase().chars().filter(char::is_ascii_alphanumeric).collect();
    const PARTS: [&str; 7] =
        ["changeme", "changeinproduction", "placeholder", "yoursecret", "yourwebhooksecret", "replaceme", "mysecret"];
    const WHOLE: [&str; 7] = ["secret", "password", "test", "todo", "example", "webhooksecret", "mywebhooksecret123"];
    PARTS.iter().any(|part| plain.contains(part))
        || WHOLE.contains(&plain.as_str())
        || (plain.len() > 2 && plain.chars().all(|c| c == 'x'))
}
