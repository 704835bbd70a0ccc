//! `${env:NAME}`, `${env:NAME:-default}` and `${file:PATH}` in the values of `fanfare.yaml`, and nowhere else.
//!
//! A value is substituted once: what comes out is never looked at again. `$${` is a plain `${`. Inside the user part
//! of a URL the value is percent-encoded, so that a password may hold any character. Where there is no environment
//! (an author's machine, CI), placeholders stand in.

use std::path::Path;

use crate::config::open;
use crate::problem::{Location, Problem, Problems};
use crate::yaml::{Key, Node, NodeKind};

/// Stands for a value that is wanted and not at hand, where it is the whole of its text: it can be read as an address.
const PLACEHOLDER: &str = "https://placeholder.invalid/secret";
/// Its host, which people are never shown.
pub(crate) const PLACEHOLDER_HOST: &str = "placeholder.invalid";
/// The largest file that a secret is taken from, in bytes.
const SECRET_MAX: usize = 64 << 10;

/// Where secrets come from.
pub trait Environment: Send + Sync {
    /// An environment variable.
    fn variable(&self, name: &str) -> Option<String>;
    /// The text of a file; the error in words.
    fn file(&self, path: &Path) -> Result<String, String>;
    /// Whether what is missing is not a mistake: placeholders stand in.
    fn is_absent(&self) -> bool {
        false
    }
}

/// The process's environment and the files of this machine.
#[derive(Debug, Clone, Copy)]
pub struct RealEnvironment;

impl Environment for RealEnvironment {
    fn variable(&self, name: &str) -> Option<String> {
        std::env::var(name).ok()
    }

    fn file(&self, path: &Path) -> Result<String, String> {
        let bytes = open::read(path, SECRET_MAX)?;
        if bytes.len() > SECRET_MAX {
            return Err(format!("it is larger than {} KiB", SECRET_MAX >> 10));
        }
        String::from_utf8(bytes).map_err(|_| "it is not UTF-8".into())
    }
}

/// No environment: for commands that need no secrets.
#[derive(Debug, Clone, Copy)]
pub struct NoEnvironment;

impl Environment for NoEnvironment {
    fn variable(&self, _: &str) -> Option<String> {
        None
    }

    fn file(&self, _: &Path) -> Result<String, String> {
        Err("there are no secrets here".into())
    }

    fn is_absent(&self) -> bool {
        true
    }
}

/// What substitution found.
#[derive(Debug, Default)]
pub struct Found {
    /// Every value that was put in: cut out of whatever is said about this file.
    pub values: Vec<String>,
    /// The scalars in which a placeholder stands for what was missing.
    pub placeholders: Vec<Location>,
}

/// A piece of a scalar.
enum Piece<'t> {
    Literal(String),
    Variable { name: &'t str, default: Option<&'t str> },
    File(&'t str),
}

/// The tree with all values substituted. Keys stay as they are.
pub fn substitute(
    node: &Node,
    base: &Path,
    environment: &dyn Environment,
    found: &mut Found,
    problems: &mut Problems,
) -> Node {
    if let Some(name) = node.scalar().and_then(shell_variable) {
        problems.push(
            Problem::warning("looks-like-variable", "this is not a reference to a variable, and stays text")
                .at(&node.place)
                .hint(format!("write `${{env:{name}}}`")),
        );
    }
    let kind = match &node.kind {
        NodeKind::Text(text) if text.contains("${") => NodeKind::Text(scalar(node, base, environment, found, problems)),
        NodeKind::List(items) => {
            NodeKind::List(items.iter().map(|item| substitute(item, base, environment, found, problems)).collect())
        }
        NodeKind::Map(entries) => NodeKind::Map(
            entries
                .iter()
                .map(|(key, value)| {
                    let key = Key { text: key.text.clone(), place: key.place.clone() };
                    (key, substitute(value, base, environment, found, problems))
                })
                .collect(),
        ),
        other => other.clone(),
    };
    Node { kind, ..node.clone() }
}

fn scalar(
    node: &Node,
    base: &Path,
    environment: &dyn Environment,
    found: &mut Found,
    problems: &mut Problems,
) -> String {
    let place = &node.place;
    let pieces = match pieces(node.scalar().unwrap_or_default()) {
        Ok(pieces) => pieces,
        Err(problem) => {
            problems.push(problem.at(place));
            found.placeholders.push(place.clone());
            return String::new();
        }
    };
    let alone = pieces.len() == 1;
    let mut out = String::new();
    for (at, piece) in pieces.iter().enumerate() {
        if let Piece::Literal(literal) = piece {
            out.push_str(literal);
            continue;
        }
        let value = referred(piece, place, base, environment, problems);
        match value {
            Some(value) => {
                if !value.is_empty() {
                    found.values.push(value.clone());
                }
                if in_user_part(&pieces, at) {
                    out.push_str(&percent_encode(&value));
                } else {
                    out.push_str(&value);
                }
            }
            None => {
                found.placeholders.push(place.clone());
                out.push_str(if alone { PLACEHOLDER } else { "placeholder" });
            }
        }
    }
    out
}

/// What a piece stands for, as it was meant to be; `None` if it isn't there.
fn referred(
    piece: &Piece<'_>,
    place: &Location,
    base: &Path,
    environment: &dyn Environment,
    problems: &mut Problems,
) -> Option<String> {
    match piece {
        Piece::Literal(literal) => Some(literal.clone()),
        Piece::Variable { name, default } => {
            let value = environment.variable(name).filter(|value| default.is_none() || !value.is_empty());
            let value = value.map(|value| as_meant(&value, &format!("the variable `{name}`"), place, problems));
            let value = value.or_else(|| default.map(str::to_owned));
            if value.is_none() && !environment.is_absent() {
                problems.push(
                    Problem::error("no-variable", format!("the environment has no variable `{name}`"))
                        .at(place)
                        .hint(format!("set it, or write `${{env:{name}:-}}` if it may be empty")),
                );
            }
            value
        }
        Piece::File(path) => match environment.file(&base.join(path)) {
            Ok(text) => {
                let text = as_meant(&text, &format!("the file `{path}`"), place, problems);
                // Editors and `echo` end a file with a newline that was not meant.
                let bare = text.strip_suffix('\n').map(|text| text.strip_suffix('\r').unwrap_or(text));
                Some(bare.map(str::to_owned).unwrap_or(text))
            }
            Err(error) => {
                if !environment.is_absent() {
                    problems
                        .push(Problem::error("no-file", format!("the file `{path}` can't be read: {error}")).at(place));
                }
                None
            }
        },
    }
}

/// The value without what nobody can see; what is seen and most often not meant is reported.
fn as_meant(value: &str, what: &str, place: &Location, problems: &mut Problems) -> String {
    let bare = value.strip_prefix('\u{feff}');
    if bare.is_some() {
        problems.push(
            Problem::warning("byte-order-mark", format!("{what} begins with a byte order mark, which Fanfare removed"))
                .at(place)
                .hint("save it as UTF-8 without one"),
        );
    }
    let bare = bare.unwrap_or(value);
    let line = bare.trim_end_matches(['\r', '\n']);
    let is_quoted = |quote: char| line.len() > 1 && line.starts_with(quote) && line.ends_with(quote);
    if is_quoted('"') || is_quoted('\'') {
        problems.push(
            Problem::warning(
                "quoted-variable",
                format!("{what} has quotation marks around its value, which are part of it"),
            )
            .at(place)
            .hint("remove them if you don't mean them"),
        );
    }
    bare.to_owned()
}

fn pieces(text: &str) -> Result<Vec<Piece<'_>>, Box<Problem>> {
    let mut pieces = Vec::new();
    let mut literal = String::new();
    let mut rest = text;
    while let Some(at) = rest.find("${") {
        if rest[..at].ends_with('$') {
            literal.push_str(&rest[..at]);
            literal.push('{');
            rest = &rest[at + 2..];
            continue;
        }
        literal.push_str(&rest[..at]);
        let Some(end) = rest[at..].find('}') else {
            let problem = Problem::error("substitution", "`${` is never closed");
            return Err(Box::new(problem.hint("a plain `${` is written `$${`")));
        };
        let inner = &rest[at + 2..at + end];
        if !literal.is_empty() {
            pieces.push(Piece::Literal(std::mem::take(&mut literal)));
        }
        pieces.push(piece(inner)?);
        rest = &rest[at + end + 1..];
    }
    literal.push_str(rest);
    if !literal.is_empty() {
        pieces.push(Piece::Literal(literal));
    }
    Ok(pieces)
}

/// The paths of the files that a text of `fanfare.yaml` may take values from; one too many where `$${` stands.
pub fn secret_files(text: &str) -> impl Iterator<Item = &str> {
    text.split("${file:").skip(1).filter_map(|rest| rest.split_once('}')).map(|(path, _)| path)
}

/// The name in `$NAME` and `%NAME%`, as shells write variables.
pub(super) fn shell_variable(text: &str) -> Option<&str> {
    let name = match text.strip_prefix('%') {
        Some(rest) => rest.strip_suffix('%')?,
        None => text.strip_prefix('$')?,
    };
    let is_name = name.starts_with(|c: char| c.is_ascii_uppercase())
        && name.chars().all(|c| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_');
    (is_name && name.len() > 2).then_some(name)
}

fn piece(inner: &str) -> Result<Piece<'_>, Box<Problem>> {
    if let Some(variable) = inner.strip_prefix("env:") {
        let (name, default) = match variable.split_once(":-") {
            Some((name, default)) => (name, Some(default)),
            None => (variable, None),
        };
        let plain = |c: char| c.is_ascii_alphanumeric() || c == '_';
        if !name.is_empty() && name.chars().all(plain) {
            return Ok(Piece::Variable { name, default });
        }
        let problem = Problem::error("substitution", format!("`{name}` is not a name of an environment variable"));
        return Err(Box::new(problem));
    }
    if let Some(path) = inner.strip_prefix("file:")
        && !path.is_empty()
    {
        return Ok(Piece::File(path));
    }
    let problem =
        Problem::error("substitution", format!("`${{{inner}}}` is neither `${{env:NAME}}` nor `${{file:PATH}}`"));
    if !inner.is_empty() && inner.chars().all(|c| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_') {
        return Err(Box::new(problem.hint("a variable is written `${env:NAME}`")));
    }
    Err(Box::new(problem.hint("a plain `${` is written `$${`")))
}

/// Whether the piece at `at` stands between `://` and `@` of a URL's authority.
fn in_user_part(pieces: &[Piece<'_>], at: usize) -> bool {
    let literal = |piece: &Piece<'_>| match piece {
        Piece::Literal(text) => text.clone(),
        Piece::Variable { .. } | Piece::File(_) => "x".to_owned(),
    };
    let before: String = pieces[..at].iter().map(literal).collect();
    let after: String = pieces[at + 1..].iter().map(literal).collect();
    let Some((_, authority)) = before.rsplit_once("://") else { return false };
    let ends = ['/', '?', '#'];
    !authority.contains(ends)
        && !authority.contains('@')
        && after.find('@').is_some_and(|sign| !after[..sign].contains(ends))
}

/// RFC 3986, section 2.3: everything but unreserved characters.
fn percent_encode(value: &str) -> String {
    use std::fmt::Write;

    let mut out = String::new();
    for byte in value.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            // Writing to a String can't fail.
            let _ = write!(out, "%{byte:02X}");
        }
    }
    out
}
