//! A mail's HTML part: one card, colours by severity, styles inline, since mail programs know no others.
//!
//! Pure. Every text is escaped; what is too long is shortened at block borders, so that no mail program clips the mail
//! and with it the link.

use crate::channels::{Button, Sending, words};
use crate::delivery::Severity;
use crate::message::html::{self, escape};
use crate::message::{Message, fit, plain};

/// Bytes of the body's HTML: mail programs clip at about 100 KB.
const BODY_MAX: usize = 72 * 1024;
/// Fields shown, characters of their names and of their values.
const FIELDS_MAX: usize = 40;
const NAME_MAX: usize = 100;
const VALUE_MAX: usize = 500;
/// Characters of the line that an inbox shows behind the subject.
const PREVIEW_MAX: usize = 140;

const FONT: &str = "font-family:-apple-system,BlinkMacSystemFont,'Segoe UI',Roboto,Helvetica,Arial,sans-serif";

/// The whole document.
pub(super) fn write(sending: &Sending<'_>, footer: Option<&str>) -> String {
    let message = &sending.rendered.message;
    let title = escape(&words::title(sending));
    let colour = colour(message.severity);
    let severity = message.severity.name();
    let blocks = fit::blocks(&message.body, BODY_MAX, &|blocks| html::blocks(blocks).len()).blocks;
    format!(
        "<!doctype html>
<html lang=\"en\">
<head>
<meta charset=\"utf-8\">
<meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">
<meta name=\"color-scheme\" content=\"light dark\">
<title>{title}</title>
{dark}</head>
<body class=\"page\" style=\"margin:0;padding:0;background:#f3f4f6\">
<div style=\"display:none;max-height:0;overflow:hidden\">{preview}</div>
<table role=\"presentation\" width=\"100%\" cellpadding=\"0\" cellspacing=\"0\" class=\"page\" style=\"background:#f3f4f6\">
<tr><td align=\"center\" style=\"padding:24px 12px\">
<table role=\"presentation\" width=\"100%\" cellpadding=\"0\" cellspacing=\"0\" class=\"card tone\" style=\"max-width:600px;background:#ffffff;border-top:4px solid {colour};border-radius:6px;{FONT};font-size:15px;line-height:1.5;color:#1f2937\">
<tr><td style=\"padding:24px 28px\">
<p class=\"tone\" style=\"margin:0 0 4px;font-size:12px;font-weight:600;letter-spacing:.06em;text-transform:uppercase;color:{colour}\">{severity}</p>
<h1 class=\"strong\" style=\"margin:0 0 16px;font-size:21px;line-height:1.3;color:#111827\">{title}</h1>
{body}{fields}{image}{button}{links}</td></tr>
{footer}</table>
</td></tr>
</table>
</body>
</html>
",
        dark = dark(message.severity),
        preview = escape(&preview(message)),
        body = html::blocks(&blocks),
        fields = fields(message),
        image = image(message),
        button = button(sending, colour),
        links = links(sending, colour),
        footer = footer.map(below).unwrap_or_default(),
    )
}

fn below(footer: &str) -> String {
    format!(
        "<tr><td class=\"quiet\" style=\"padding:14px 28px;border-top:1px solid #e5e7eb;font-size:12px;color:#6b7280\">{}</td></tr>\n",
        escape(footer)
    )
}

/// Dark enough to read on white, and to be read from as a button.
fn colour(severity: Severity) -> &'static str {
    match severity {
        Severity::Info => "#1d4ed8",
        Severity::Success => "#15803d",
        Severity::Warning => "#b45309",
        Severity::Critical => "#b91c1c",
    }
}

/// How it looks where people read in the dark: mail programs that know this turn no colours round by themselves.
fn dark(severity: Severity) -> String {
    let tone = match severity {
        Severity::Info => "#93c5fd",
        Severity::Success => "#86efac",
        Severity::Warning => "#fcd34d",
        Severity::Critical => "#fca5a5",
    };
    format!(
        "<style>
@media (prefers-color-scheme: dark) {{
.page {{ background:#111827 !important }}
.card {{ background:#1f2937 !important; color:#e5e7eb !important }}
.card a {{ color:#93c5fd !important }}
.card pre, .card code {{ background:#374151 !important }}
.strong {{ color:#f9fafb !important }}
.quiet {{ color:#9ca3af !important }}
.card .tone, .card.tone {{ color:{tone} !important; border-color:{tone} !important }}
.card.tone {{ color:#e5e7eb !important }}
.card .fill {{ color:#ffffff !important }}
}}
</style>
"
    )
}

/// The body's first words: without them inboxes would show the severity and the title again.
fn preview(message: &Message) -> String {
    let first = message.body.first().map(|block| plain::blocks(std::slice::from_ref(block))).unwrap_or_default();
    fit::text(&crate::message::text::one_line(&first), PREVIEW_MAX, fit::chars)
}

fn fields(message: &Message) -> String {
    if message.fields.is_empty() {
        return String::new();
    }
    let mut rows = String::new();
    for field in message.fields.iter().take(FIELDS_MAX) {
        rows.push_str(&format!(
            "<tr><td class=\"quiet\" style=\"padding:6px 16px 6px 0;color:#6b7280;vertical-align:top;border-top:1px solid #e5e7eb\">{}</td>\
             <td style=\"padding:6px 0;vertical-align:top;border-top:1px solid #e5e7eb\">{}</td></tr>\n",
            escape(&fit::text(&field.name, NAME_MAX, fit::chars)),
            escape(&fit::text(&field.value, VALUE_MAX, fit::chars)),
        ));
    }
    format!(
        "<table role=\"presentation\" width=\"100%\" cellpadding=\"0\" cellspacing=\"0\" \
         style=\"margin:16px 0;border-bottom:1px solid #e5e7eb;font-size:14px\">\n{rows}</table>\n"
    )
}

fn image(message: &Message) -> String {
    match &message.image {
        Some(image) => format!(
            "<p style=\"margin:16px 0\"><img src=\"{}\" alt=\"\" style=\"max-width:100%;border-radius:4px\"></p>\n",
            escape(image)
        ),
        None => String::new(),
    }
}

fn button(sending: &Sending<'_>, colour: &str) -> String {
    match &sending.rendered.message.link {
        Some(link) => format!(
            "<p style=\"margin:20px 0 4px\"><a href=\"{}\" class=\"fill\" style=\"display:inline-block;padding:10px 18px;\
             background:{colour};border-radius:5px;color:#ffffff;font-weight:600;text-decoration:none\">{}</a></p>\n",
            escape(link),
            escape(&words::link_text(sending.locale, link)),
        ),
        None => String::new(),
    }
}

/// What people can do about the case: outlined, beside what leads further.
fn links(sending: &Sending<'_>, colour: &str) -> String {
    let link = |button: &Button| {
        format!(
            "<a href=\"{}\" class=\"tone\" style=\"display:inline-block;margin:0 8px 8px 0;padding:9px 17px;border:1px solid {colour};\
             border-radius:5px;color:{colour};font-weight:600;text-decoration:none\">{}</a>\n",
            escape(&button.url),
            escape(&button.label),
        )
    };
    let all: String = sending.links.iter().map(link).collect();
    if all.is_empty() { String::new() } else { format!("<p style=\"margin:20px 0 4px\">{all}</p>\n") }
}
