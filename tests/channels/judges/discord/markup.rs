//! What Discord takes for markup, and what people read: as its client reads Markdown, and in doubt for markup.

use std::sync::LazyLock;

use regex::Regex;

/// What stands in angle brackets and is no text: mentions, emoji, times, commands, links.
static ANGLE: LazyLock<Regex> = LazyLock::new(|| {
    let inner =
        r"@[!&]?\d+|#\d+|a?:\w+:\d+|t:-?\d+(:\w)?|/[^>]+:\d+|id:\w+|sound:\d+:\d+|\w+:[^>\s]+|\+\d+|[^>\s]+@[^>\s]+";
    Regex::new(&format!("^<({inner})>")).unwrap()
});
/// A bare link, and an emoji by its name.
static BARE: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"^((https?|steam|discord)://[^\s<]+|:([\w+-]*[A-Za-z][\w+-]*|100|1234|[+-]1)(::skin-tone-\d)?:)")
        .unwrap()
});
/// What makes a block at the start of a line.
static BLOCK: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"^[ \t]*(#{1,3}\s|-#\s|>>>\s|>\s|[-*+]\s|\d+\.\s)").unwrap());

/// The text as people read it.
pub fn shown(text: &str) -> String {
    unescaped(text).iter().map(|(c, _)| *c).collect()
}

/// The text in which this stands for each sign that a backslash, code or a link's target made text.
pub fn plain(text: &str, stand_in: char) -> String {
    unescaped(text).iter().map(|(c, escaped)| if *escaped && *c != '\n' { stand_in } else { *c }).collect()
}

/// What a service takes for markup that reads Markdown, and neither a name after `@` nor an emoji's between colons.
pub fn markdown_signs(text: &str) -> String {
    let links = text.replace("\\:", "\u{1}").replace("://", "\u{2}");
    let rest = links.replace(['@', ':'], "x");
    signs(&rest.replace('\u{1}', "\\:").replace('\u{2}', "://"))
}

/// Everything in a text that Discord would take for markup, in order.
pub fn signs(text: &str) -> String {
    let plain: Vec<char> = plain(text, 'x').chars().collect();
    let mut signs = Vec::new();
    for at in 0..plain.len() {
        let rest: String = plain[at..].iter().take(200).collect();
        let (before, after) = (at.checked_sub(1).map(|at| plain[at]), plain.get(at + 1).copied());
        let is_start = before.is_none_or(|c| c == '\n');
        if is_start && let Some(found) = BLOCK.find(&rest) {
            signs.push(found.as_str().trim().chars().filter(|c| !c.is_ascii_digit()).collect());
        }
        let blank = |c: Option<char>| c.is_none_or(char::is_whitespace);
        let word = |c: Option<char>| c.is_some_and(char::is_alphanumeric);
        let twice = |sign: char| before == Some(sign) || after == Some(sign);
        let sign = match plain[at] {
            '`' => Some("`"),
            '*' if !(blank(before) && blank(after)) => Some("*"),
            '_' if !(word(before) && word(after)) => Some("_"),
            '~' if twice('~') => Some("~"),
            '|' if twice('|') => Some("|"),
            ']' if after == Some('(') => Some("]("),
            '@' if rest.starts_with("@everyone") || rest.starts_with("@here") => Some("@"),
            '<' if ANGLE.is_match(&rest) => Some("<>"),
            ':' | 'h' | 's' | 'd' if BARE.is_match(&rest) && !word(before) => Some("://"),
            _ => None,
        };
        signs.extend(sign.map(str::to_owned));
    }
    signs.join(" ")
}

/// Characters, and whether a backslash made them text. In code, nothing is markup: what stands there is skipped except for
/// its fences.
fn unescaped(text: &str) -> Vec<(char, bool)> {
    let mut out = Vec::new();
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        let ticks = rest.len() - rest.trim_start_matches('`').len();
        let fence = &rest[..ticks];
        if ticks > 0
            && let Some(end) = rest[ticks..].find(fence)
        {
            out.push(('`', false));
            out.extend(rest[ticks..ticks + end].chars().map(|c| (c, true)));
            out.push(('`', false));
            rest = rest[ticks + end..].trim_start_matches('`');
            continue;
        }
        // A link's target is taken as it is, up to its parenthesis or angle bracket.
        let link = [("](", ')'), ("<https://", '>')].into_iter().find_map(|(start, end)| {
            let (target, after) = rest.strip_prefix(start)?.split_once(end)?;
            Some((start, target, end, after))
        });
        if let Some((start, target, end, after)) = link {
            out.extend(start.chars().map(|c| (c, false)));
            out.extend(target.chars().map(|c| (c, true)));
            out.push((end, false));
            rest = after;
            continue;
        }
        rest = &rest[c.len_utf8()..];
        match rest.chars().next() {
            Some(next) if c == '\\' && next.is_ascii_punctuation() => {
                out.push((next, true));
                rest = &rest[next.len_utf8()..];
            }
            _ => out.push((c, false)),
        }
    }
    out
}
