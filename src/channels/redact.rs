//! Cuts secrets out of what others say.
//!
//! The last line of defence: a server may echo the URL or a header that it was sent, in an error or a page, in whatever
//! encoding suits that page. Pure. One automaton looks for everything at once, so the cost grows with the text alone.

use std::fmt;
use std::sync::Arc;

use aho_corasick::{AhoCorasick, AhoCorasickKind};
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use url::Url;

use crate::secret::Secret;

mod unescape;

use self::unescape::View;

/// What stands in place of a secret.
const DOTS: &str = "•••";

/// Shorter texts are no secrets, and cutting them out would tear words apart.
const LENGTH_MIN: usize = 4;
/// From this length on a text is looked for in upper and lower case and in other encodings too.
const LENGTH_SURE: usize = 8;
/// How it is looked for.
const KIND: AhoCorasickKind = AhoCorasickKind::ContiguousNFA;
/// Text may be escaped in text that is escaped itself; nobody goes further.
const ESCAPED_MAX: usize = 2;

/// The same text with every secret replaced by dots. See [`Redactor`].
pub fn redact(text: &str, secrets: &[Secret]) -> String {
    Redactor::new(secrets).redact(text)
}

/// Looks for secrets, and for those parts of a URL that are secret too: its password, its path, and those parts of path
/// and query that are long enough to be tokens. They are found as they are, in upper and lower case, in hex, in base64
/// wherever they begin within it, and behind the escapes of URLs, JSON and HTML.
#[derive(Debug, Clone, Default)]
pub struct Redactor {
    sets: Vec<Arc<Set>>,
}

/// What is looked for at once.
struct Set {
    /// None if it can't be built: then nothing is shown.
    automaton: Option<AhoCorasick>,
    /// What is looked for, and whether in this case only.
    patterns: Vec<(String, bool)>,
}

impl Redactor {
    /// One that looks for these. Building it costs more than a short text does: keep it.
    pub fn new(secrets: &[Secret]) -> Self {
        Self::default().and(secrets)
    }

    /// One that looks for these too.
    #[must_use]
    pub fn and(&self, secrets: &[Secret]) -> Self {
        let mut patterns: Vec<(String, bool)> = secrets.iter().flat_map(|secret| patterns(secret.open())).collect();
        patterns.retain(|(pattern, _)| pattern.len() >= LENGTH_MIN);
        patterns.sort_unstable();
        patterns.dedup();
        let mut sets = self.sets.clone();
        if !patterns.is_empty() {
            let texts = patterns.iter().map(|(text, _)| text.as_bytes());
            // Each destination keeps one: small rather than the fastest.
            let builder = AhoCorasick::builder().ascii_case_insensitive(true).kind(Some(KIND)).build(texts);
            sets.push(Arc::new(Set { automaton: builder.ok(), patterns }));
        }
        Self { sets }
    }

    /// The same text with dots in place of what was found.
    pub fn redact(&self, text: &str) -> String {
        if self.sets.iter().any(|set| set.automaton.is_none()) {
            return DOTS.to_owned();
        }
        if self.sets.is_empty() {
            return text.to_owned();
        }
        let mut found = Vec::new();
        let mut view = View::of(text);
        for _ in 0..=ESCAPED_MAX {
            for set in &self.sets {
                set.find(&view, &mut found);
            }
            match view.unescaped() {
                Some(next) => view = next,
                None => break,
            }
        }
        cut(text, found)
    }
}

/// Without what is looked for: that is secret.
impl fmt::Debug for Set {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Set of {}", self.patterns.len())
    }
}

impl Set {
    /// Adds where something stands in the text that is viewed.
    fn find(&self, view: &View<'_>, found: &mut Vec<(usize, usize)>) {
        let Some(automaton) = &self.automaton else { return };
        let is_meant = |(pattern, exact): &(String, bool), said: &[u8]| !exact || pattern.as_bytes() == said;
        found.extend(automaton.find_overlapping_iter(view.bytes()).filter_map(|at| {
            let said = view.bytes().get(at.range())?;
            let pattern = self.patterns.get(at.pattern().as_usize())?;
            is_meant(pattern, said).then(|| view.place(at.range())).flatten()
        }));
    }
}

/// The text with dots in these places, each a range of bytes.
fn cut(text: &str, mut places: Vec<(usize, usize)>) -> String {
    places.sort_unstable();
    let mut clean = String::with_capacity(text.len());
    let mut done = 0;
    for (from, to) in places {
        let (from, to) = (text.floor_char_boundary(from), text.ceil_char_boundary(to));
        if to <= done {
            continue;
        }
        if from >= done {
            clean.push_str(text.get(done..from).unwrap_or_default());
            clean.push_str(DOTS);
        }
        done = to;
    }
    clean.push_str(text.get(done..).unwrap_or_default());
    clean
}

/// A secret, its parts that tell it, and how each may be written.
fn patterns(secret: &str) -> Vec<(String, bool)> {
    let mut parts = vec![secret.to_owned()];
    if let Ok(url) = Url::parse(secret)
        && url.has_host()
    {
        parts.extend(url_parts(&url));
    }
    parts.iter().flat_map(|part| spellings(part)).collect()
}

/// The end of a URL's host that no domain has. Where the `/` behind a host is forgotten, the token that follows becomes part
/// of its last label.
pub(super) fn token_in_host(url: &Url) -> Option<&str> {
    /// The longest top-level domain has 18 letters, and one with digits is longer only where a network gives its own names.
    const LETTERS_MAX: usize = 18;
    const WITH_DIGITS_MAX: usize = 8;
    let name = url.domain()?.trim_end_matches('.');
    let (is_alone, last) = name.rsplit_once('.').map_or((true, name), |(_, last)| (false, last));
    let is_plain = last.bytes().all(|byte| byte.is_ascii_alphabetic());
    let is_long = last.len() > if is_plain { LETTERS_MAX } else { WITH_DIGITS_MAX };
    // A machine on the own network may be called anything; where a path follows, no `/` was forgotten.
    let is_a_name = last.starts_with("xn--") || (is_alone && (url.path().len() > 1 || url.query().is_some()));
    (is_long && !is_a_name).then_some(last)
}

fn url_parts(url: &Url) -> Vec<String> {
    /// Segments of this length are tokens rather than words: Slack's have 24, Discord's 68 characters.
    const TOKEN_MIN: usize = 16;
    let mut parts = vec![url.as_str().to_owned()];
    if let Some(password) = url.password() {
        parts.push(password.to_owned());
        parts.push(percent_decoded(password));
        let user = percent_decoded(url.username());
        // As a Basic header and SMTP's AUTH PLAIN carry them.
        parts.push(STANDARD.encode(format!("{user}:{}", percent_decoded(password))));
        parts.push(STANDARD.encode(format!("\0{user}\0{}", percent_decoded(password))));
    }
    parts.extend(token_in_host(url).map(str::to_owned));
    if url.path().len() > TOKEN_MIN {
        parts.push(url.path().to_owned());
    }
    parts.extend(url.path_segments().into_iter().flatten().filter(|part| part.len() >= TOKEN_MIN).map(str::to_owned));
    parts.extend(url.query_pairs().map(|(_, value)| value.into_owned()).filter(|value| value.len() >= TOKEN_MIN));
    parts
}

/// How a text may be written, except for escapes; with each, whether only in this case.
fn spellings(text: &str) -> Vec<(String, bool)> {
    // A form writes blanks as `+`, which is an escape nowhere else.
    let form: String = url::form_urlencoded::byte_serialize(text.as_bytes()).collect();
    let mut all = vec![text.to_owned(), form, STANDARD.encode(text)];
    let is_sure = text.len() >= LENGTH_SURE;
    if is_sure {
        all.push(hex::encode(text));
        all.extend((0..3).flat_map(|shift| base64_within(text, shift)));
    }
    all.into_iter().map(|spelling| (spelling, !is_sure)).collect()
}

/// What of a text is sure to stand in the base64 of something longer, in which it begins `shift` bytes into a group of
/// three: in either alphabet.
fn base64_within(text: &str, shift: usize) -> [String; 2] {
    let mut bytes = vec![0; shift];
    bytes.extend_from_slice(text.as_bytes());
    // A character holds six bits: those at both ends may hold some of the neighbours'.
    let (from, to) = ((shift * 8).div_ceil(6), bytes.len() * 8 / 6);
    [STANDARD_NO_PAD.encode(&bytes), URL_SAFE_NO_PAD.encode(&bytes)]
        .map(|encoded| encoded.get(from..to).unwrap_or_default().to_owned())
}

fn percent_decoded(text: &str) -> String {
    // A query pair decodes `+` as a blank, which user names and passwords in a URL do not.
    let query = format!("k={}", text.replace('+', "%2B").replace('&', "%26"));
    url::form_urlencoded::parse(query.as_bytes()).next().map(|(_, value)| value.into_owned()).unwrap_or_default()
}
