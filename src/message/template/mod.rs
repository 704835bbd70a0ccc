//! Templates: front matter, MiniJinja and Markdown; from a template and an event to a message.
//!
//! `templates/NAME.md` is a message: YAML front matter (`title`, `severity`, `link`, `fields`, `image`), each scalar of
//! it a template of its own, and a body in Markdown. `_NAME.md` are partials, included as `{% include "_NAME.md" %}`, in
//! the same folder. `NAME.slack.json` and its like replace the rendering for one channel, `NAME.de.md` says the message in
//! another language. Line ends of tags are taken out,
//! as is the indentation before them, so that a loop over lines makes neighbouring lines.
//!
//! Rendering is total: whatever fails, there is a message, and it says why it isn't the one that was asked for.

use std::fmt;
use std::sync::Arc;

use crate::delivery::{Say, Severity};
use crate::message::pieces::{self, Piece};
use crate::message::template::branches::Branches;
use crate::message::template::context::{Context, Told};
use crate::message::template::engine::Facts;
use crate::message::template::files::{Folder, Written};
use crate::message::template::native::Format;
use crate::message::template::source::Source;
use crate::message::{Block, Field, Inline, Message, Native, Rendered, markdown, plain};
use crate::problem::{File, Location, Problems};

mod bounded;
pub mod branches;
pub mod check;
pub mod context;
mod default;
mod document;
pub(crate) mod engine;
mod files;
pub mod filters;
mod growth;
mod misread;
pub mod names;
pub mod native;
mod reads;
pub mod scan;
mod source;

pub(crate) use self::default::subject;

/// The templates folder, compiled.
#[derive(Default)]
pub struct Templates {
    folder: Arc<Folder>,
    /// Which branches were taken, if that is watched.
    watched: Option<Arc<Branches>>,
}

impl fmt::Debug for Templates {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Templates").field("messages", &self.names()).finish_non_exhaustive()
    }
}

/// The name of a rule's own text among templates.
pub(crate) const TEXT: &str = "text";

/// A message and what went wrong in a part of it, or why there is none.
type Made = Result<(Message, Option<String>), String>;

impl Templates {
    /// Compiles all files of the folder (`NAME.md`, `NAME.LOCALE.md`, `_NAME.md`, `NAME.CHANNEL.json|html`), by their file names; `formats` are
    /// those of the channels by their names. A message with a mistake is known by its name all the same.
    pub fn load(files: &[Arc<File>], formats: Vec<(&'static str, Format)>, problems: &mut Problems) -> Self {
        Self { folder: Arc::new(files::load(files, formats, problems)), watched: None }
    }

    /// The same, and it is noted which branches are taken, also those of the rules' own `texts`, which have their places.
    #[must_use]
    pub fn watching<'t>(&self, texts: impl Iterator<Item = (&'t str, &'t Location)>) -> Self {
        Self { folder: self.folder.clone(), watched: Some(Arc::new(Branches::of(&self.folder, texts))) }
    }

    /// Which branches were taken, if that is watched.
    pub fn branches(&self) -> Option<&Branches> {
        self.watched.as_deref()
    }

    /// The names of the messages, partials left out.
    pub fn names(&self) -> Vec<&str> {
        self.folder.messages.keys().map(String::as_str).collect()
    }

    /// The file of a message.
    pub fn place(&self, name: &str) -> Option<Location> {
        let written = self.folder.messages.get(name)?;
        self.folder.sources.get(&written.body).map(source::Source::start)
    }

    /// Whether a message has a format of this channel's own, with this ending.
    pub fn has_native(&self, name: &str, channel: &str, ending: &str) -> bool {
        self.folder.messages.get(name).is_some_and(|written| written.native(channel, ending).is_some())
    }

    /// The messages whose front matter says this severity literally.
    pub fn of_severity(&self, severity: Severity) -> impl Iterator<Item = &str> {
        let says = move |source: &str| Severity::named(&source.trim().to_lowercase()) == Some(severity);
        let messages = self.folder.messages.iter();
        let literal = messages.filter(move |(_, written)| {
            written.severity.as_ref().and_then(|name| self.folder.sources.get(name)).is_some_and(|it| says(&it.text))
        });
        literal.map(|(name, _)| name.as_str())
    }

    /// Where the severity of a message stands, if it is a template that may come to `critical`.
    pub fn may_be_critical(&self, name: &str) -> Option<Location> {
        let written = self.folder.messages.get(name)?;
        let source = self.folder.sources.get(written.severity.as_ref()?)?;
        let is_template = source.text.contains("{{") || source.text.contains("{%");
        (is_template && source.text.contains("critical")).then(|| source.place(0..source.text.len()))
    }

    /// Whether there is a message with this name.
    pub fn has(&self, name: &str) -> bool {
        self.folder.messages.contains_key(name)
    }

    /// Renders what `say` names. Total: where a template fails, or isn't there, the default message says so.
    /// `native` is the channel's name and the ending of its override, if it takes one.
    pub fn render(&self, say: &Say, context: &Context<'_>, native: Option<(&str, &str)>) -> Rendered {
        if let Some(branches) = &self.watched {
            branches.watch(&self.folder, say, context, native);
        }
        let facts = Arc::new(Facts::new(context.now, context.zone.clone(), context.locale));
        let values = match say {
            Say::Message(_) | Say::Text(_) => context.values(&facts),
            Say::Default | Say::Summary => Vec::new(),
        };
        let run = Run { folder: &self.folder, facts, values, context };
        let made = match say {
            Say::Message(name) => run.message(name),
            Say::Text(text) => run.text(text),
            Say::Default if context.events.len() > 1 => Ok((default::summary(context), None)),
            Say::Default => Ok((default::message(context), None)),
            Say::Summary if context.events.is_empty() && context.parts.is_empty() => {
                Ok((default::message(context), None))
            }
            Say::Summary => Ok((default::summary(context), None)),
        };
        let (mut message, mut problem) = match made {
            Ok(made) => made,
            Err(reason) => (default::instead(context, &reason), Some(reason)),
        };
        finish(&mut message, context);
        let mut replaced = None;
        // A format of the channel's own would not say that this stands in for another delivery.
        if let (None, Say::Message(name), Some((channel, ending))) = (context.died, say, native) {
            match run.native(name, channel, ending) {
                Ok(native) => replaced = native,
                Err(reason) => problem = problem.or(Some(reason)),
            }
        }
        Rendered { message, native: replaced, problem, undefined: run.facts.undefined(), file: None }
    }

    /// The default message in the place of one that was not rendered, for this reason.
    pub fn placeholder(&self, context: &Context<'_>, reason: &str) -> Rendered {
        let mut message = default::instead(context, reason);
        finish(&mut message, context);
        Rendered { message, native: None, problem: Some(reason.to_owned()), undefined: 0, file: None }
    }
}

/// What the action and the delivery say of any message.
fn finish(message: &mut Message, context: &Context<'_>) {
    if let Some(severity) = context.severity {
        // Each held message has said already how much it matters.
        let least = if context.parts.is_empty() { severity } else { message.severity };
        message.severity = severity.max(least);
    }
    if let Some(died) = context.died.filter(|_| !context.outside) {
        message.body.insert(0, note(context.locale.words.undelivered, died));
    }
}

impl Templates {
    /// A template as one line, such as a file's name.
    ///
    /// # Errors
    /// Why it failed.
    pub fn line(&self, text: &str, context: &Context<'_>) -> Result<String, String> {
        let facts = Arc::new(Facts::new(context.now, context.zone.clone(), context.locale));
        let values = context.values(&facts);
        let source = Source::bare(text);
        let run = Run { folder: &self.folder, facts, values, context };
        let env: &minijinja::Environment<'_> = &self.folder.env;
        let template = env.template_from_named_str(TEXT, text);
        let pieces = template.and_then(|template| engine::render(&template, &run.values, &run.facts));
        pieces.map(|pieces| pieces::one_line(&pieces)).map_err(|error| run.reason(&error, Some(&source)))
    }

    /// A held message as a summary reports it: what it would have said by itself.
    pub fn told(&self, say: &Say, context: &Context<'_>, reminder: bool) -> (Told, Option<String>) {
        let Rendered { message, problem, .. } = self.render(say, context, None);
        (Told { message, reminder, page: default::admin_link(context.event, context.admin_url) }, problem)
    }
}

/// What stands before a message: a few words, and why.
fn note(words: &str, why: &str) -> Block {
    let why = crate::message::text::one_line(why);
    Block::Paragraph(vec![Inline::Strong(vec![Inline::Text(words.into())]), Inline::Text(format!(": {why}"))])
}

impl Rendered {
    /// Puts a few words and their reason before the message.
    pub fn says_first(&mut self, words: &str, why: &str) {
        self.message.body.insert(0, note(words, why));
    }

    /// Puts a few words after the message.
    pub fn says_last(&mut self, words: &str) {
        let words = Inline::Text(crate::message::text::one_line(words));
        self.message.body.push(Block::Paragraph(vec![Inline::Emphasis(vec![words])]));
    }
}

/// One rendering.
struct Run<'a> {
    folder: &'a Folder,
    facts: Arc<Facts>,
    values: Vec<(String, minijinja::Value)>,
    context: &'a Context<'a>,
}

impl Run<'_> {
    fn message(&self, name: &str) -> Made {
        let written = self.folder.messages.get(name);
        let written = written.ok_or_else(|| format!("there is no template `{name}.md`"))?;
        let written = written.said_in(self.context.locale);
        if written.broken {
            return Err(format!("`{}` has a mistake, which `fanfare check` shows", written.body));
        }
        self.written(written)
    }

    fn written(&self, written: &Written) -> Made {
        let mut note = None;
        let body = markdown::blocks(&self.pieces(&written.body)?).map_err(|_| too_many())?;
        let title = self.line(written.title.as_ref())?.filter(|title| !title.is_empty());
        let (title, body) = match title {
            Some(title) => (title, body),
            None => titled(body, || default::title(self.context)),
        };
        let severity = match self.line(written.severity.as_ref())? {
            None => Severity::default(),
            Some(word) => Severity::named(&word.to_lowercase()).unwrap_or_else(|| {
                note = Some(format!("`{}`: `{word}` is not a severity", written.body));
                Severity::default()
            }),
        };
        let mut fields = Vec::new();
        for (name, template) in &written.fields {
            let value = pieces::one_line(&self.pieces(template)?);
            // A fact that this event doesn't have is no fact.
            if !value.is_empty() {
                fields.push(Field { name: crate::message::text::one_line(name), value });
            }
        }
        let link = self.url(written.link.as_ref())?;
        let image = self.url(written.image.as_ref())?;
        Ok((Message { title, severity, link, fields, image, body }, note))
    }

    fn text(&self, text: &str) -> Made {
        let source = Source::bare(text);
        let env: &minijinja::Environment<'_> = &self.folder.env;
        let pieces = env
            .template_from_named_str(TEXT, text)
            .and_then(|template| engine::render(&template, &self.values, &self.facts))
            .map_err(|error| self.reason(&error, Some(&source)))?;
        let body = markdown::blocks(&pieces).map_err(|_| too_many())?;
        let (title, body) = titled(body, || default::title(self.context));
        let message =
            Message { title, severity: Severity::default(), link: None, fields: Vec::new(), image: None, body };
        Ok((message, None))
    }

    fn native(&self, name: &str, channel: &str, ending: &str) -> Result<Option<Native>, String> {
        let Some(written) = self.folder.messages.get(name) else { return Ok(None) };
        let Some(template) = written.natives.get(&(channel.to_owned(), ending.to_owned())) else { return Ok(None) };
        let pieces = self.pieces(template)?;
        let made = match ending {
            "html" => native::html(&pieces).map(|(html, _)| Native::Html(html)),
            _ => native::json(&pieces, self.folder.escape(channel)).map(Native::Json),
        };
        made.map(Some).map_err(|broken| format!("`{template}`: {}", broken.message))
    }

    fn pieces(&self, template: &str) -> Result<Vec<Piece>, String> {
        let found = self.folder.env.get_template(template);
        found
            .and_then(|template| engine::render(&template, &self.values, &self.facts))
            .map_err(|error| self.reason(&error, None))
    }

    fn line(&self, template: Option<&String>) -> Result<Option<String>, String> {
        template.map(|template| self.pieces(template).map(|pieces| pieces::one_line(&pieces))).transpose()
    }

    /// A link or picture: dropped if it is no http(s) URL.
    fn url(&self, template: Option<&String>) -> Result<Option<String>, String> {
        let Some(template) = template else { return Ok(None) };
        Ok(pieces::target(&self.pieces(template)?).ok())
    }

    /// Why a template failed, with where.
    fn reason(&self, error: &minijinja::Error, own: Option<&Source>) -> String {
        let inner = source::innermost(error);
        let source = inner.name().and_then(|name| self.folder.sources.get(name));
        match (source, own) {
            (Some(source), _) => format!("{}: {}", source.place_of(inner), source::words(inner)),
            (None, Some(_)) => format!("the rule's text: {}", source::words(inner)),
            (None, None) => source::words(inner),
        }
    }
}

fn too_many() -> String {
    "more than 65,000 values are printed".to_owned()
}

/// A message without a title takes its first line for one, if that is short and says all without its markup; else the
/// first line, shortened, stands above the whole.
fn titled(mut body: Vec<Block>, otherwise: impl Fn() -> String) -> (String, Vec<Block>) {
    const TITLE_MAX: usize = 120;
    let first = match body.first() {
        Some(Block::Heading(_, inner) | Block::Paragraph(inner)) => inner,
        _ => return (otherwise(), body),
    };
    let line: Vec<Inline> = first.iter().take_while(|inline| **inline != Inline::Break).cloned().collect();
    let title = crate::message::text::one_line(&plain::words(&line));
    if title.is_empty() {
        return (otherwise(), body);
    }
    let whole = line.len() == first.len() && !has_link(&line);
    let short = crate::message::fit::text(&title, TITLE_MAX, crate::message::fit::chars);
    if whole && short == title {
        body.remove(0);
    }
    (short, body)
}

fn has_link(inlines: &[Inline]) -> bool {
    inlines.iter().any(|inline| match inline {
        Inline::Link(..) => true,
        Inline::Emphasis(inner) | Inline::Strong(inner) | Inline::Strike(inner) => has_link(inner),
        Inline::Text(_) | Inline::Code(_) | Inline::Break => false,
    })
}

impl Written {
    /// The templates of the message, its channels' own formats left out.
    fn own(&self) -> impl Iterator<Item = &str> {
        let scalars = [&self.title, &self.severity, &self.link, &self.image].into_iter().flatten();
        let fields = self.fields.iter().map(|(_, template)| template);
        scalars.chain(fields).chain([&self.body]).map(String::as_str)
    }

    /// The template of a channel's own format.
    fn native(&self, channel: &str, ending: &str) -> Option<&str> {
        self.natives.get(&(channel.to_owned(), ending.to_owned())).map(String::as_str)
    }

    /// All templates of the message, its channels' own formats and its translations too.
    pub(crate) fn templates(&self) -> Vec<&str> {
        let translated = self.translations.values().flat_map(Written::own);
        self.own().chain(translated).chain(self.natives.values().map(String::as_str)).collect()
    }
}
