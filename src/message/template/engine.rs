//! MiniJinja as Fanfare sets it up: what a template may do, how values print, and how much of it.
//!
//! Every value that is printed reaches the output as a piece of its own ([`Piece::Value`]), apart from the template's
//! text, so nothing is escaped here and nothing needs to be: Markdown, JSON and HTML each put the values in where
//! their own grammar has a place for text. A value captured first (a macro, `{% set %}…{% endset %}`, `{% filter %}`) is a
//! value when it is printed. Work and output are bounded (`document` charges for what MiniJinja's fuel does not see);
//! undefined values print nothing and are counted.

use std::collections::HashMap;
use std::io;
use std::sync::atomic::{AtomicU8, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use jiff::Timestamp;
use jiff::tz::TimeZone;
use minijinja::syntax::SyntaxConfig;
use minijinja::value::{Object, ObjectRepr, Value, ValueKind};
use minijinja::{AutoEscape, Environment, Error, ErrorKind, Output, State, Template, UndefinedBehavior};

use crate::decimal::Decimal;
use crate::locale::Locale;
use crate::message::pieces::{Piece, PieceKind};
use crate::message::template::document::{self, Meter, Names};
use crate::message::template::{bounded, filters};

/// The most that a template may print, in bytes.
pub(crate) const OUTPUT_MAX: usize = 256 * 1024;
/// The work that one rendering may do, in MiniJinja's unit: about one instruction, or 64 bytes.
pub(crate) const FUEL: u64 = 300_000;
/// How deep blocks, macros (4 each) and includes (10 each) may nest.
const DEPTH_MAX: usize = 150;
/// How deep a printed list or mapping may nest.
const NESTING_MAX: usize = 128;
/// Under this name the facts of a rendering travel in its context: no template can write it.
const FACTS: &str = "\0facts";

/// What filters of MiniJinja's own are left out, and what to write instead.
pub(crate) const REMOVED_FILTERS: [(&str, &str); 7] = [
    ("safe", "remove it: a value is always text"),
    ("escape", "remove it: a value is always text"),
    ("e", "remove it: a value is always text"),
    ("urlencode", "remove it: a value in a link is encoded already"),
    ("pprint", "remove it: a list or mapping prints as JSON"),
    ("chain", "remove it: write a loop for each of the lists"),
    ("sum", "use `total`, which is exact: `events|total(\"$.data.amount\")`"),
];

/// How strict an environment is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mode {
    /// For sending: what is undefined is empty, and so is what is looked up in it.
    Send,
    /// For `check`: what is undefined may be asked for (`{% if data.x %}`), not looped over or looked into.
    Check,
}

/// An environment without templates.
pub(crate) fn environment(mode: Mode) -> Environment<'static> {
    let mut env = Environment::new();
    let mut syntax = SyntaxConfig::builder();
    syntax.trim_blocks(true).lstrip_blocks(true).keep_trailing_newline(true);
    if let Ok(syntax) = syntax.build() {
        env.set_syntax(syntax);
    }
    env.set_auto_escape_callback(|_| AutoEscape::None);
    env.set_fuel(Some(FUEL));
    env.set_recursion_limit(DEPTH_MAX);
    env.set_formatter(print);
    set_mode(&mut env, mode);
    for (name, _) in REMOVED_FILTERS {
        env.remove_filter(name);
    }
    env.remove_test("safe");
    env.remove_test("escaped");
    // It would print the whole context.
    env.remove_global("debug");
    bounded::add(&mut env);
    filters::add(&mut env);
    env
}

/// Makes an environment as strict as `mode` says. Debug information gives errors the names of what is undefined.
pub(crate) fn set_mode(env: &mut Environment<'_>, mode: Mode) {
    env.set_debug(mode == Mode::Check);
    env.set_undefined_behavior(match mode {
        Mode::Send => UndefinedBehavior::Chainable,
        Mode::Check => UndefinedBehavior::SemiStrict,
    });
}

/// What a rendering knows beside its context, and what it counts.
#[derive(Debug)]
pub(crate) struct Facts {
    /// For `ago`.
    pub now: Timestamp,
    /// For `date` where no zone is named.
    pub zone: TimeZone,
    /// How numbers and dates are written.
    pub locale: &'static Locale,
    /// Whether a value that prints as nothing leaves a mark, so that `check` can tell where it stood.
    marks: bool,
    undefined: AtomicU32,
    /// What is being printed: 0 for the template's own text.
    printing: AtomicU8,
    /// The texts of the context's numbers that are not whole, by their bits.
    numbers: Mutex<HashMap<u64, Arc<str>>>,
    /// What may still be walked through.
    meter: Arc<Meter>,
}

impl Object for Facts {
    fn repr(self: &Arc<Self>) -> ObjectRepr {
        ObjectRepr::Plain
    }
}

/// Stands for an undefined value where [`Facts::marking`] asks for it.
pub(crate) const MARK: char = '\u{10FFFD}';

impl Facts {
    /// For sending.
    pub fn new(now: Timestamp, zone: TimeZone, locale: &'static Locale) -> Self {
        Self {
            now,
            zone,
            locale,
            marks: false,
            undefined: AtomicU32::new(0),
            printing: AtomicU8::new(0),
            numbers: Mutex::default(),
            meter: Arc::default(),
        }
    }

    /// For `check`: an undefined value prints as [`MARK`].
    pub fn marking(now: Timestamp, zone: TimeZone, locale: &'static Locale) -> Self {
        Self { marks: true, ..Self::new(now, zone, locale) }
    }

    /// Whether this is such a rendering for `check`.
    pub fn marks(&self) -> bool {
        self.marks
    }

    /// How many undefined values were printed so far.
    pub fn undefined(&self) -> u32 {
        self.undefined.load(Ordering::Relaxed)
    }

    /// Pays for a look at this many bytes.
    ///
    /// # Errors
    /// The rendering has walked through all that it may.
    pub fn pay(&self, bytes: usize) -> Result<(), Error> {
        self.meter.pay(bytes)
    }

    /// Whether the rendering may go on.
    ///
    /// # Errors
    /// It has walked through all that it may.
    pub fn check(&self) -> Result<(), Error> {
        self.meter.check()
    }

    /// The facts of the rendering that `state` belongs to.
    pub fn of(state: &State<'_, '_>) -> Result<Arc<Self>, Error> {
        let facts = state.lookup(FACTS).and_then(|value| value.downcast_object::<Self>());
        facts.ok_or_else(|| Error::new(ErrorKind::InvalidOperation, "no facts in the context"))
    }

    /// A number of a document, from its text. Whole numbers up to 128 bits are themselves. Any other is a float for
    /// arithmetic and comparisons, while its text is remembered for printing and for the exact filters. One that no
    /// float can be has its text alone.
    pub fn number(&self, text: &str) -> Value {
        if let Ok(whole) = text.parse::<i128>() {
            // `-0` and `007` have another text than the number they are.
            if whole.to_string() == text {
                return i64::try_from(whole).map(Value::from).unwrap_or_else(|_| Value::from(whole));
            }
        }
        let float = match text.parse::<f64>() {
            Ok(float) if float.is_finite() => float,
            _ => return Value::from_object(filters::Json(text.to_owned())),
        };
        let mut numbers = self.numbers.lock().unwrap_or_else(PoisonError::into_inner);
        let known = numbers.entry(float.to_bits()).or_insert_with(|| text.into());
        if **known == *text || Decimal::parse(known) == Decimal::parse(text) {
            return Value::from(float);
        }
        // Two numbers of the document that only differ beyond a float's precision: the second can only be printed.
        Value::from_object(filters::Json(text.to_owned()))
    }

    /// The text of a number: as it stood in the document, if it did.
    pub fn number_text(&self, number: &Value) -> String {
        if number.is_integer() {
            return number.to_string();
        }
        match f64::try_from(number.clone()) {
            Ok(float) => {
                let numbers = self.numbers.lock().unwrap_or_else(PoisonError::into_inner);
                numbers.get(&float.to_bits()).map_or_else(|| number.to_string(), |text| text.to_string())
            }
            Err(_) => number.to_string(),
        }
    }

    /// A value of a document. `null` is `none`, which prints as nothing.
    pub fn value(&self, json: &serde_json::Value) -> Value {
        match json {
            serde_json::Value::Null => Value::from(()),
            serde_json::Value::Bool(truth) => Value::from(*truth),
            serde_json::Value::Number(number) => self.number(&number.to_string()),
            serde_json::Value::String(text) => Value::from(text.as_str()),
            serde_json::Value::Array(items) => {
                document::list(items.iter().map(|item| self.value(item)).collect(), &self.meter)
            }
            serde_json::Value::Object(map) => self.mapping(map),
        }
    }

    /// A mapping of a document.
    pub fn mapping(&self, map: &serde_json::Map<String, serde_json::Value>) -> Value {
        let entries = map.iter().map(|(key, value)| (Arc::from(key.as_str()), self.value(value)));
        document::mapping(entries.collect(), &self.meter)
    }

    /// What a value prints, and what it was.
    pub fn printed(&self, value: &Value) -> Result<(String, PieceKind), Error> {
        Ok(match value.kind() {
            ValueKind::Undefined | ValueKind::None => (String::new(), PieceKind::Nothing),
            ValueKind::Bool => (value.is_true().to_string(), PieceKind::Json),
            ValueKind::Number => {
                let text = self.number_text(value);
                let kind = if Decimal::parse(&text).is_some() { PieceKind::Json } else { PieceKind::Text };
                (text, kind)
            }
            ValueKind::String | ValueKind::Bytes => (value.to_string(), PieceKind::Text),
            ValueKind::Seq | ValueKind::Map | ValueKind::Iterable => {
                match value.downcast_object_ref::<filters::Total>() {
                    Some(total) => (total.to_string(), PieceKind::Text),
                    None => (self.json(value)?, PieceKind::Json),
                }
            }
            ValueKind::Invalid => return Err(Error::new(ErrorKind::InvalidOperation, value.to_string())),
            _ => match value.downcast_object_ref::<filters::Json>() {
                Some(json) => (json.0.clone(), PieceKind::Json),
                None => (value.to_string(), PieceKind::Text),
            },
        })
    }

    /// The value in JSON.
    pub fn json(&self, value: &Value) -> Result<String, Error> {
        let mut out = String::new();
        self.write_json(value, NESTING_MAX, &mut out)?;
        Ok(out)
    }

    fn write_json(&self, value: &Value, depth: usize, out: &mut String) -> Result<(), Error> {
        if out.len() > OUTPUT_MAX {
            return Err(too_long());
        }
        self.pay(value.as_str().map_or(0, str::len))?;
        let Some(depth) = depth.checked_sub(1) else {
            let detail = format!("a list or mapping nested deeper than {NESTING_MAX} levels can't be printed");
            return Err(Error::new(ErrorKind::InvalidOperation, detail));
        };
        let total = value.downcast_object_ref::<filters::Total>().is_some();
        match value.kind() {
            ValueKind::Undefined | ValueKind::None => out.push_str("null"),
            ValueKind::Map => {
                out.push('{');
                for (nth, key) in value.try_iter()?.enumerate() {
                    if nth > 0 {
                        out.push(',');
                    }
                    write_string(&self.printed(&key)?.0, out);
                    out.push(':');
                    self.write_json(&value.get_item(&key)?, depth, out)?;
                }
                out.push('}');
            }
            ValueKind::Seq | ValueKind::Iterable if !total => {
                out.push('[');
                for (nth, item) in value.try_iter()?.enumerate() {
                    if nth > 0 {
                        out.push(',');
                    }
                    self.write_json(&item, depth, out)?;
                }
                out.push(']');
            }
            _ => match self.printed(value)? {
                (text, PieceKind::Text) => write_string(&text, out),
                (text, _) => out.push_str(&text),
            },
        }
        Ok(())
    }

    /// Prints a value.
    fn print(&self, out: &mut Output<'_>, value: &Value) -> Result<(), Error> {
        let (mut text, kind) = self.printed(value)?;
        if value.is_undefined() {
            self.undefined.fetch_add(1, Ordering::Relaxed);
            if self.marks {
                text.push(MARK);
            }
        }
        let kind = match kind {
            PieceKind::Text => 1,
            PieceKind::Json => 2,
            PieceKind::Nothing => 3,
        };
        self.printing.store(kind, Ordering::Relaxed);
        let written = out.write_str(&text);
        self.printing.store(0, Ordering::Relaxed);
        Ok(written?)
    }
}

fn write_string(text: &str, out: &mut String) {
    out.push_str(&serde_json::Value::from(text).to_string());
}

/// The error of printing too much.
pub(crate) fn too_long() -> Error {
    Error::new(ErrorKind::WriteFailure, format!("more than {} KiB are printed", OUTPUT_MAX / 1024))
}

/// MiniJinja's formatter: called for each `{{ … }}`.
fn print(out: &mut Output<'_>, state: &mut State<'_, '_>, value: &Value) -> Result<(), Error> {
    let facts = Facts::of(state)?;
    facts.print(out, value)
}

/// Renders `template` with `context`, a list of names and values.
pub(crate) fn render(
    template: &Template<'_, '_>,
    context: &[(String, Value)],
    facts: &Arc<Facts>,
) -> Result<Vec<Piece>, Error> {
    let mut sink = Sink { facts, pieces: Vec::new(), room: OUTPUT_MAX };
    let rendered = template.render_captured_to(root(context, facts), &mut sink);
    match rendered {
        Ok(_) => facts.check().map(|()| sink.pieces),
        Err(error) if error.kind() == ErrorKind::WriteFailure => Err(too_long()),
        Err(error) => Err(error),
    }
}

/// The context as MiniJinja takes it.
pub(crate) fn root(context: &[(String, Value)], facts: &Arc<Facts>) -> Value {
    Names::value(context, (FACTS, Value::from_dyn_object(facts.clone())), &facts.meter)
}

/// Takes the output in: each write while a value is being printed is that value, any other is the template's text.
struct Sink<'f> {
    facts: &'f Facts,
    pieces: Vec<Piece>,
    room: usize,
}

impl io::Write for Sink<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.write_all(bytes)?;
        Ok(bytes.len())
    }

    /// Called once a write, also with nothing: an empty value is a piece too.
    fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        let too_much = || io::Error::other("too much output");
        self.room = self.room.checked_sub(bytes.len()).ok_or_else(too_much)?;
        let text = String::from_utf8_lossy(bytes);
        let kind = match self.facts.printing.load(Ordering::Relaxed) {
            1 => PieceKind::Text,
            2 => PieceKind::Json,
            3 => PieceKind::Nothing,
            _ => {
                match self.pieces.last_mut() {
                    Some(Piece::Raw(last)) => last.push_str(&text),
                    _ => self.pieces.push(Piece::Raw(text.into_owned())),
                }
                return Ok(());
            }
        };
        self.pieces.push(Piece::Value(text.into_owned(), kind));
        Ok(())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
