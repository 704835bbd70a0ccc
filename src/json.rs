//! JSON as senders write it, read in one way wherever a body is read.
//!
//! Numbers keep their text. Keys that stand twice at the top are reported, since readers disagree on which one counts. A
//! lone surrogate escape (half of an emoji, left by a sender that cuts titles at a length) becomes U+FFFD instead of
//! making the whole event unreadable: anyone who types a title must not be able to hide an event. Also the other way
//! round, as `JSON.stringify` prints. Pure; nesting is limited to 128 levels.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

/// A JSON text as read.
#[derive(Debug, Clone, PartialEq)]
pub struct Document {
    /// The value; where a key stands twice, the last one counts, at the place of the first.
    pub value: Value,
    /// Keys of the outermost object that stand there more than once.
    pub doubled: Vec<String>,
}

/// Reads a JSON text (RFC 8259, UTF-8 without a byte order mark). `None` where it is none, or nested too deeply.
pub fn read(raw: &[u8]) -> Option<Document> {
    let text = std::str::from_utf8(raw).ok()?;
    read_text(text).or_else(|| read_text(&without_lone_surrogates(text)?))
}

/// A value as a JSON text: what `to_string` gives, in half the time, since that goes by way of a formatter.
pub fn written(value: &Value) -> String {
    // Nothing in a value keeps it from being written.
    serde_json::to_string(value).unwrap_or_default()
}

/// About how many bytes a JSON text takes once it is read, the text itself included: many small values take a hundred
/// times their text.
pub fn weight_read(raw: &[u8]) -> usize {
    let structure = raw.iter().map(|byte| match byte {
        b'{' => 400,
        b'[' => 300,
        b',' | b':' => 140,
        _ => 2,
    });
    structure.sum()
}

/// About how many bytes a value takes.
pub fn weight(value: &Value) -> usize {
    let inner = match value {
        Value::Null | Value::Bool(_) => 0,
        Value::Number(number) => number.as_str().len(),
        Value::String(text) => text.len(),
        Value::Array(items) => items.iter().map(weight).sum(),
        Value::Object(members) => members.iter().map(|(key, member)| 64 + key.len() + weight(member)).sum(),
    };
    size_of::<Value>() + inner
}

fn read_text(text: &str) -> Option<Document> {
    let mut doubled = Vec::new();
    let mut reader = serde_json::Deserializer::from_str(text);
    let value = Any { doubled: Some(&mut doubled) }.deserialize(&mut reader).ok()?;
    reader.end().ok()?;
    Some(Document { value, doubled })
}

/// Reads of an object only these keys at its top, and nothing of what is no object (the value is null then). The rest is
/// held to the same form as by [`read`] and left where it is: it takes no room. `doubled` knows only these keys.
pub fn read_top(raw: &[u8], keys: &[&str]) -> Option<Document> {
    let text = std::str::from_utf8(raw).ok()?;
    read_top_text(text, keys).or_else(|| read_top_text(&without_lone_surrogates(text)?, keys))
}

fn read_top_text(text: &str, keys: &[&str]) -> Option<Document> {
    let mut top = Top { keys, found: Map::new(), doubled: Vec::new(), is_object: false };
    let mut reader = serde_json::Deserializer::from_str(text);
    Skim { top: Some(&mut top) }.deserialize(&mut reader).ok()?;
    reader.end().ok()?;
    let value = if top.is_object { Value::Object(top.found) } else { Value::Null };
    Some(Document { value, doubled: top.doubled })
}

/// What is read of the outermost object.
struct Top<'k> {
    keys: &'k [&'k str],
    found: Map<String, Value>,
    doubled: Vec<String>,
    is_object: bool,
}

/// Any value, whose form is held to be right and which is not kept; of the outermost, some keys are.
struct Skim<'t, 'k> {
    top: Option<&'t mut Top<'k>>,
}

impl<'de> DeserializeSeed<'de> for Skim<'_, '_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, reader: D) -> Result<(), D::Error> {
        reader.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Skim<'_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_i64<E>(self, _: i64) -> Result<(), E> {
        Ok(())
    }

    fn visit_u64<E>(self, _: u64) -> Result<(), E> {
        Ok(())
    }

    fn visit_str<E>(self, _: &str) -> Result<(), E> {
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        while items.next_element_seed(Skim { top: None })?.is_some() {}
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut entries: A) -> Result<(), A::Error> {
        let keys = self.top.as_deref().map_or(&[][..], |top| top.keys);
        let mut is_first = true;
        while let Some(key) = entries.next_key_seed(KeyAmong(keys))? {
            match key {
                KeySeen::Number if is_first => return entries.next_value_seed(NumberText).map(drop),
                KeySeen::Number | KeySeen::Private => {
                    return Err(A::Error::custom("a key that is private to the JSON reader"));
                }
                KeySeen::Other => entries.next_value_seed(Skim { top: None })?,
                KeySeen::Wanted(key) => {
                    let value = entries.next_value_seed(Any { doubled: None })?;
                    if let Some(top) = self.top.as_deref_mut()
                        && top.found.insert(key.clone(), value).is_some()
                    {
                        top.doubled.push(key);
                    }
                }
            }
            is_first = false;
        }
        if let Some(top) = self.top {
            top.is_object = true;
        }
        Ok(())
    }
}

/// What a key is to anyone who skims.
enum KeySeen {
    Number,
    Private,
    Wanted(String),
    Other,
}

/// A key, looked for among these.
struct KeyAmong<'k>(&'k [&'k str]);

impl<'de> DeserializeSeed<'de> for KeyAmong<'_> {
    type Value = KeySeen;

    fn deserialize<D: Deserializer<'de>>(self, reader: D) -> Result<KeySeen, D::Error> {
        reader.deserialize_str(self)
    }
}

impl Visitor<'_> for KeyAmong<'_> {
    type Value = KeySeen;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key")
    }

    fn visit_str<E>(self, key: &str) -> Result<KeySeen, E> {
        Ok(match key {
            NUMBER => KeySeen::Number,
            key if key.starts_with(PRIVATE) => KeySeen::Private,
            key if self.0.contains(&key) => KeySeen::Wanted(key.to_owned()),
            _ => KeySeen::Other,
        })
    }
}

/// serde_json hands numbers and raw values over as maps with these private keys. A body that writes such a key itself
/// would turn into something that it doesn't say, so [`Any`] refuses it.
const PRIVATE: &str = "$serde_json::private::";
const NUMBER: &str = "$serde_json::private::Number";

/// Any value; of the outermost, which keys are doubled.
struct Any<'d> {
    doubled: Option<&'d mut Vec<String>>,
}

impl<'de> DeserializeSeed<'de> for Any<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, reader: D) -> Result<Value, D::Error> {
        reader.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Any<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, truth: bool) -> Result<Value, E> {
        Ok(Value::Bool(truth))
    }

    fn visit_i64<E>(self, number: i64) -> Result<Value, E> {
        Ok(number.into())
    }

    fn visit_u64<E>(self, number: u64) -> Result<Value, E> {
        Ok(number.into())
    }

    fn visit_str<E>(self, text: &str) -> Result<Value, E> {
        Ok(Value::String(text.to_owned()))
    }

    fn visit_string<E>(self, text: String) -> Result<Value, E> {
        Ok(Value::String(text))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element_seed(Any { doubled: None })? {
            list.push(item);
        }
        list.shrink_to_fit();
        Ok(Value::Array(list))
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut entries: A) -> Result<Value, A::Error> {
        // Gathered first: a map that grows by itself takes several times the room of one that is made for what it holds.
        let mut gathered: Vec<(String, Value)> = Vec::new();
        while let Some(key) = entries.next_key::<String>()? {
            if key == NUMBER && gathered.is_empty() {
                return entries.next_value_seed(NumberText).map(Value::Number);
            }
            if key.starts_with(PRIVATE) {
                return Err(A::Error::custom("a key that is private to the JSON reader"));
            }
            gathered.push((key, entries.next_value_seed(Any { doubled: None })?));
        }
        let mut map = Map::with_capacity(gathered.len());
        for (key, value) in gathered {
            if let Some(doubled) = self.doubled.as_deref_mut()
                && map.contains_key(&key)
                && !doubled.contains(&key)
            {
                doubled.push(key.clone());
            }
            map.insert(key, value);
        }
        Ok(Value::Object(map))
    }
}

/// The text of a number. Only the reader itself hands it over as an owned string; a string that stands in the text
/// comes as `str`, for which there is no method here, so that it is refused.
struct NumberText;

impl<'de> DeserializeSeed<'de> for NumberText {
    type Value = Number;

    fn deserialize<D: Deserializer<'de>>(self, reader: D) -> Result<Number, D::Error> {
        reader.deserialize_any(self)
    }
}

impl Visitor<'_> for NumberText {
    type Value = Number;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the text of a number")
    }

    fn visit_str<E: Error>(self, _: &str) -> Result<Number, E> {
        Err(E::custom("a key that is private to the JSON reader"))
    }

    fn visit_string<E: Error>(self, text: String) -> Result<Number, E> {
        text.parse().map_err(E::custom)
    }
}

/// The text with each `\uD800`…`\uDFFF` that has no partner replaced by `\ufffd`; `None` if there is none of them.
fn without_lone_surrogates(text: &str) -> Option<String> {
    let bytes = text.as_bytes();
    let unit_at = |at: usize| -> Option<u16> {
        let digits = bytes.get(at..at + 6)?.strip_prefix(b"\\u")?;
        u16::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()
    };
    let mut fixed = String::new();
    let mut kept = 0;
    let mut at = 0;
    while let Some(next) = bytes.get(at..).and_then(|rest| rest.iter().position(|byte| *byte == b'\\')) {
        at += next;
        at += match unit_at(at) {
            Some(0xD800..0xDC00) if matches!(unit_at(at + 6), Some(0xDC00..0xE000)) => 12,
            Some(0xD800..0xE000) => {
                fixed.push_str(text.get(kept..at)?);
                fixed.push_str("\\ufffd");
                kept = at + 6;
                6
            }
            Some(_) => 6,
            None => 2,
        };
    }
    if kept == 0 {
        return None;
    }
    fixed.push_str(text.get(kept..)?);
    Some(fixed)
}

/// A value as JavaScript's `JSON.stringify` prints it (ECMA-262, sections 25.5.2 and 6.1.6.1.20): compact, keys in
/// their order except for array indices, which come first and ascend, numbers as the shortest text of the double.
pub fn stringify(value: &Value) -> String {
    let mut text = String::new();
    print(value, &mut text);
    text
}

fn print(value: &Value, out: &mut String) {
    match value {
        Value::Null => out.push_str("null"),
        Value::Bool(truth) => out.push_str(if *truth { "true" } else { "false" }),
        Value::Number(number) => out.push_str(&javascript_number(&number.to_string())),
        Value::String(text) => print_text(text, out),
        Value::Array(items) => {
            out.push('[');
            for (nth, item) in items.iter().enumerate() {
                if nth > 0 {
                    out.push(',');
                }
                print(item, out);
            }
            out.push(']');
        }
        Value::Object(map) => {
            let mut entries: Vec<(&String, &Value)> = map.iter().collect();
            // Stable: what is no array index keeps its order behind those that are.
            entries.sort_by_key(|(key, _)| array_index(key).unwrap_or(u32::MAX));
            out.push('{');
            for (nth, (key, item)) in entries.into_iter().enumerate() {
                if nth > 0 {
                    out.push(',');
                }
                print_text(key, out);
                out.push(':');
                print(item, out);
            }
            out.push('}');
        }
    }
}

fn array_index(key: &str) -> Option<u32> {
    let index: u32 = key.parse().ok()?;
    (index < u32::MAX && index.to_string() == key).then_some(index)
}

/// Both print the same escapes: `\"`, `\\`, the five short ones, and `\u00xx` for what else is below U+0020.
fn print_text(text: &str, out: &mut String) {
    out.push_str(&Value::from(text).to_string());
}

/// `Number::toString`, and `null` for what overflows.
fn javascript_number(text: &str) -> String {
    let double: f64 = text.parse().unwrap_or(f64::NAN);
    if !double.is_finite() {
        return "null".to_owned();
    }
    if double == 0.0 {
        return "0".to_owned();
    }
    // `1.2345e-7`: the shortest digits that read back as the same double, and the exponent of the first.
    let shortest = format!("{:e}", double.abs());
    let (mantissa, exponent) = shortest.split_once('e').unwrap_or((&shortest, "0"));
    let digits = mantissa.replace('.', "");
    let point: i32 = exponent.parse::<i32>().unwrap_or(0) + 1;
    let sign = if double < 0.0 { "-" } else { "" };
    let length = i32::try_from(digits.len()).unwrap_or(i32::MAX);
    let zeros = |count: i32| "0".repeat(usize::try_from(count).unwrap_or(0));
    match point {
        1..=21 if length <= point => format!("{sign}{digits}{}", zeros(point - length)),
        1..=21 => {
            let (whole, fraction) = digits.split_at(usize::try_from(point).unwrap_or(0));
            format!("{sign}{whole}.{fraction}")
        }
        -5..=0 => format!("{sign}0.{}{digits}", zeros(-point)),
        _ => {
            let (first, rest) = digits.split_at(1);
            let dot = if rest.is_empty() { "" } else { "." };
            format!("{sign}{first}{dot}{rest}e{:+}", point - 1)
        }
    }
}
