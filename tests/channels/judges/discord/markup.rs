//! What Discord takes for markup, and what people read.

/// The text as people read it.
pub fn shown(text: &str) -> String {
    unescaped(text).iter().map(|(c, _)| *c).collect()
}

/// The signs that Discord would take for markup: those that no backslash stands before, outside of code.
pub fn signs(text: &str) -> String {
    let mut signs = String::new();
    let mut line = String::new();
    for (c, escaped) in unescaped(text) {
        let opens_list = line.trim().is_empty() && "-+".contains(c)
            || c == '.' && !line.trim().is_empty() && line.trim_start().chars().all(|c| c.is_ascii_digit());
        if !escaped && ("*_~`|<>[]()#:@".contains(c) || opens_list) {
            signs.push(c);
        }
        if c == '\n' { line.clear() } else { line.push(c) }
    }
    signs
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
