//! What of a value may be seen: the characters that would mislead a reader, a terminal or a header are taken out.
//!
//! Pure. A value keeps its words and its line breaks; markup is not this module's business, since a value never
//! becomes markup in the first place.

/// Values as a reader may see them: line breaks of every kind become `\n`, tabs a space; control characters, those
/// that reorder text (U+202A to U+202E, U+2066 to U+2069), invisible ones that no script needs, and the private-use
/// planes are left out.
pub fn clean(text: &str) -> String {
    let mut clean = String::with_capacity(text.len());
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '\r' => {
                if chars.peek() != Some(&'\n') {
                    clean.push('\n');
                }
            }
            '\n' | '\u{b}' | '\u{c}' | '\u{85}' | '\u{2028}' | '\u{2029}' => clean.push('\n'),
            '\t' => clean.push(' '),
            c if misleads(c) => {}
            c => clean.push(c),
        }
    }
    clean
}

/// The same on one line: every run of white space is one space, none at the ends.
pub fn one_line(text: &str) -> String {
    let mut line = String::with_capacity(text.len());
    for word in clean(text).split_whitespace() {
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(word);
    }
    line
}

/// Whether a character can only mislead: it is not shown, or it changes how others are shown.
fn misleads(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{180e}' | '\u{200b}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{2064}' | '\u{2066}'..='\u{2069}'
            | '\u{206a}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}')
        || is_reserved(c)
}

/// The private-use planes, of which rendering takes its placeholders: no text has a meaning for them.
pub fn is_reserved(c: char) -> bool {
    matches!(c, '\u{f0000}'..='\u{10ffff}')
}
