//! Link targets out of template text and values: http(s) or nothing, and a value stays in the place it was put into.
//!
//! Pure. A value that begins a target may be a whole http(s) URL; one that stands later is percent-encoded so that it
//! can't leave its path segment, its query value or the fragment. In a host only letters, digits, `.` and `-` pass.

use url::Url;

/// A piece of a target.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LinkPart<'a> {
    /// As the template's author wrote it.
    Raw(&'a str),
    /// What a value printed.
    Value(&'a str),
}

/// Why there is no target.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dead {
    /// Nothing is there.
    Empty,
    /// It begins with neither `http://` nor `https://`, by the author's own words.
    Scheme,
    /// It begins with neither `http://` nor `https://`, since the value doesn't.
    ValueScheme,
    /// A value in the host holds more than letters, digits, `.` and `-`.
    Host,
    /// A segment that a value was put into came out empty, or as `.` or `..`.
    Segment,
    /// It names a user or a password, which only serves to mislead.
    User,
    /// It is no URL.
    Invalid,
}

impl Dead {
    /// In words, to follow "the link is dropped: ".
    pub fn reason(self) -> &'static str {
        match self {
            Dead::Empty => "its target is empty",
            Dead::Scheme | Dead::ValueScheme => "its target begins with neither `http://` nor `https://`",
            Dead::Host => "a value in its host has more than letters, digits, `.` and `-`",
            Dead::Segment => "a part of its path is empty, or `.` or `..`",
            Dead::User => "its target names a user",
            Dead::Invalid => "its target is not a URL",
        }
    }

    /// Whether the template is to blame, not a value.
    pub fn is_authors(self) -> bool {
        self == Dead::Scheme
    }
}

/// The target that the parts make, ready to stand in a message.
pub fn target(parts: &[LinkPart<'_>]) -> Result<String, Dead> {
    let mut out = Assembly::default();
    let mut started = false;
    for part in parts {
        match *part {
            LinkPart::Raw(text) => {
                let text = if started { text } else { text.trim_start() };
                started |= !text.is_empty();
                out.raw(text);
            }
            LinkPart::Value(text) if !started => {
                let text = text.trim();
                if has_scheme(text) {
                    out.raw(text);
                } else if !text.is_empty() {
                    return Err(Dead::ValueScheme);
                }
                started |= !text.is_empty();
            }
            LinkPart::Value(text) => out.value(text)?,
        }
    }
    if !started {
        return Err(Dead::Empty);
    }
    out.end_segment()?;
    if !has_scheme(&out.text) {
        return Err(Dead::Scheme);
    }
    if out.text.chars().any(char::is_control) {
        return Err(Dead::Invalid);
    }
    let url = Url::parse(out.text.trim_end()).map_err(|_| Dead::Invalid)?;
    if !matches!(url.scheme(), "http" | "https") || url.host_str().is_none() {
        return Err(Dead::Invalid);
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(Dead::User);
    }
    Ok(url_text(&url))
}

/// The URL's text, with what no URL may hold and what chat services read as their own signs percent-encoded.
fn url_text(url: &Url) -> String {
    let mut text = String::new();
    for c in url.as_str().chars() {
        match c {
            '|' | '`' | '<' | '>' | '"' | '\\' | '^' | '{' | '}' | ' ' => text.push_str(&format!("%{:02X}", c as u32)),
            c => text.push(c),
        }
    }
    text
}

fn has_scheme(text: &str) -> bool {
    let starts = |scheme: &str| text.get(..scheme.len()).is_some_and(|start| start.eq_ignore_ascii_case(scheme));
    starts("http://") || starts("https://")
}

/// Which part of a URL comes next.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Position {
    /// Before `://`, or in the scheme.
    #[default]
    Scheme,
    /// The host, with user and port.
    Authority,
    /// A path segment.
    Path,
    /// The query or the fragment.
    Tail,
}

/// A URL under construction that knows where it stands.
#[derive(Debug, Default)]
pub struct Assembly {
    /// What there is so far.
    pub text: String,
    /// What comes next.
    pub position: Position,
    /// Where the segment under construction began, and whether a value is in it.
    segment: usize,
    segment_has_value: bool,
    dead: Option<Dead>,
}

impl Assembly {
    /// Adds text as it is.
    pub fn raw(&mut self, text: &str) {
        for c in text.chars() {
            match (self.position, c) {
                (Position::Scheme, '/') if self.text.ends_with(":/") => self.position = Position::Authority,
                (Position::Authority | Position::Path, '/' | '?' | '#') => {
                    if let Err(dead) = self.end_segment() {
                        self.dead.get_or_insert(dead);
                    }
                    self.position = if c == '/' { Position::Path } else { Position::Tail };
                    self.segment = self.text.len() + c.len_utf8();
                }
                _ => {}
            }
            self.text.push(c);
        }
    }

    /// Adds a value, encoded for where it stands.
    pub fn value(&mut self, text: &str) -> Result<(), Dead> {
        match self.position {
            Position::Scheme => return Err(Dead::Scheme),
            Position::Authority => {
                if !text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '-')) {
                    return Err(Dead::Host);
                }
                self.text.push_str(text);
            }
            Position::Path => {
                self.segment_has_value = true;
                encode(text, &mut self.text);
            }
            Position::Tail => encode(text, &mut self.text),
        }
        Ok(())
    }

    /// Ends the segment under construction. Fails if a value made it a step to elsewhere.
    pub fn end_segment(&mut self) -> Result<(), Dead> {
        let segment = self.text.get(self.segment..).unwrap_or_default();
        let step = self.position == Position::Path && self.segment_has_value && is_step(segment);
        self.segment_has_value = false;
        match self.dead.take() {
            Some(dead) => Err(dead),
            None if step => Err(Dead::Segment),
            None => Ok(()),
        }
    }
}

/// Whether a segment is empty, `.` or `..`, also percent-encoded.
fn is_step(segment: &str) -> bool {
    let decoded = segment.replace("%2e", ".").replace("%2E", ".");
    matches!(decoded.as_str(), "" | "." | "..")
}

/// Percent-encodes all but RFC 3986's unreserved characters.
pub fn encode(text: &str, out: &mut String) {
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~') {
            out.push(byte as char);
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
}
