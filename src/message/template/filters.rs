//! The filters beyond MiniJinja's own, and those of its own that have to know how values print.
//!
//! What counts is exact: amounts are decimals, never floats. An undefined value passes through each of them as
//! undefined, so that it prints nothing and is counted; a value of the wrong kind is an error.

use std::fmt;
use std::sync::Arc;

use minijinja::value::{Enumerator, Kwargs, Object, ObjectRepr, Rest, Value, ValueKind};
use minijinja::{Environment, Error, ErrorKind, State};

use crate::codes::{is_isrc, is_upc};
use crate::decimal::Decimal;
use crate::locale::Locale;
use crate::message::template::context::EventObject;
use crate::message::template::engine::{Facts, OUTPUT_MAX, too_long};
use crate::path::{Path, STEPS};

mod times;

use self::times::{ago, date};

/// A filter: its name, and how it is used, for docs.
pub struct FilterDoc {
    /// Its name.
    pub name: &'static str,
    /// An example.
    pub example: &'static str,
    /// What it does.
    pub doc: &'static str,
}

/// The filters that MiniJinja doesn't have.
pub const FILTERS: [FilterDoc; 7] = [
    FilterDoc {
        name: "decimal",
        example: "{{ data.streams|decimal }}, {{ data.share|decimal(2) }}",
        doc: "The number with grouped thousands: `1,250,000`, in German `1.250.000`. `decimal(2)` rounds half to even, to two decimals",
    },
    FilterDoc {
        name: "money",
        example: "{{ amount|money(currency) }}",
        doc: "The amount with grouped thousands, at least the currency's decimals, and the code: `1,234.50 EUR`, `1,500 JPY`, in German `1.234,50 EUR`. Never rounded",
    },
    FilterDoc {
        name: "total",
        example: "{{ events|total(\"$.data.amount\", by=\"currency\") }}",
        doc: "The exact sum of what a path selects in each event, per value of the field `by` beside it: `1,250.00 EUR + 90.00 USD`. In a loop, a list of `{amount, by}`",
    },
    FilterDoc {
        name: "date",
        example: "{{ event.created|date(\"%d.%m.%Y %H:%M\", \"Europe/Berlin\") }}",
        doc: "A time (RFC 3339, or unix seconds) or a date, in a strftime format and a time zone. `short`, `long` and `full` are formats of the language. By default it is in numbers, in the configured zone",
    },
    FilterDoc {
        name: "ago",
        example: "{{ case.opened|ago }}",
        doc: "The distance of a time from now: `3 hours ago`, `in 2 days`",
    },
    FilterDoc {
        name: "valid_upc",
        example: "{% if not upc|valid_upc %}wrong UPC{% endif %}",
        doc: "Whether it is a UPC or EAN with a right check digit",
    },
    FilterDoc {
        name: "valid_isrc",
        example: "{% if not data.metadata.isrc|valid_isrc %}wrong ISRC{% endif %}",
        doc: "Whether it is an ISRC, with or without hyphens",
    },
];

/// Adds them.
pub(crate) fn add(env: &mut Environment<'_>) {
    env.add_filter("decimal", decimal);
    env.add_filter("money", money);
    env.add_filter("total", total);
    env.add_filter("date", date);
    env.add_filter("ago", ago);
    env.add_filter("valid_upc", |state: &State<'_, '_>, value: &Value| coded(state, value, is_upc));
    env.add_filter("valid_isrc", |state: &State<'_, '_>, value: &Value| coded(state, value, is_isrc));
    env.add_filter("string", string);
    env.add_filter("join", join);
    env.add_filter("replace", replace);
    env.add_filter("tojson", tojson);
}

/// Text that is JSON, which a JSON template takes as it is: what `tojson` gives, and a number too large for a float.
#[derive(Debug)]
pub(crate) struct Json(pub String);

impl Object for Json {
    fn repr(self: &Arc<Self>) -> ObjectRepr {
        ObjectRepr::Plain
    }

    fn render(self: &Arc<Self>, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

fn wrong(detail: impl Into<std::borrow::Cow<'static, str>>) -> Error {
    Error::new(ErrorKind::InvalidOperation, detail)
}

fn is_missing(value: &Value) -> bool {
    value.is_undefined() || value.is_none()
}

/// Whether a value is a right code of the trade. What is absent is none.
fn coded(state: &State<'_, '_>, value: &Value, is_right: fn(&str) -> bool) -> Result<bool, Error> {
    Ok(!is_missing(value) && is_right(&Facts::of(state)?.printed(value)?.0))
}

// ---- Numbers

/// The number that a value is, and its text. Text is read too, also plainly grouped.
fn number(facts: &Facts, value: &Value, filter: &str) -> Result<(Decimal, String), Error> {
    let text = match value.kind() {
        ValueKind::Number => facts.number_text(value),
        ValueKind::String => value.to_string().trim().to_owned(),
        _ if value.downcast_object_ref::<Json>().is_some() => value.to_string(),
        kind => return Err(wrong(format!("`{filter}` needs a number, and this is a {kind}"))),
    };
    let number = Decimal::parse_grouped(&text);
    let number = number.ok_or_else(|| wrong(format!("`{filter}` needs a number, and `{}` is none", short(&text))))?;
    Ok((number, text))
}

fn short(text: &str) -> String {
    crate::message::fit::text(text, 60, crate::message::fit::chars)
}

/// How many decimals a number was written with: `1250.00` and `1.250,00` have two.
fn places_of(number: &Decimal, text: &str) -> usize {
    let point = match text.find([',', '.']).and_then(|at| text.get(at..=at)) {
        // In JSON's grammar the point is the point; in a grouped number the first sign groups.
        _ if Decimal::parse(text).is_some() => '.',
        Some(",") => '.',
        _ => ',',
    };
    let written = text.split_once(point).map_or(0, |(_, rest)| rest.bytes().take_while(u8::is_ascii_digit).count());
    written.max(places_needed(number))
}

/// How many decimals it takes to write the number exactly.
pub(crate) fn places_needed(number: &Decimal) -> usize {
    let plain = number.to_string();
    match plain.split_once('.') {
        Some((_, decimals)) if !decimals.contains('e') => decimals.len(),
        _ => 0,
    }
}

/// The number with `places` decimals and its thousands grouped.
fn grouped(number: &Decimal, places: usize, locale: &Locale) -> String {
    // A number too large to be written out keeps its exponent.
    number.fixed(places).map_or_else(|| number.to_string(), |plain| locale.number(&plain))
}

fn decimal(state: &State<'_, '_>, value: &Value, places: Option<usize>) -> Result<Value, Error> {
    if is_missing(value) {
        return Ok(value.clone());
    }
    let facts = Facts::of(state)?;
    let (number, text) = number(&facts, value, "decimal")?;
    let places = match places {
        Some(places) if places > 30 => return Err(wrong("`decimal` writes at most 30 decimals")),
        Some(places) => places,
        None => places_of(&number, &text),
    };
    Ok(Value::from(grouped(&number, places, facts.locale)))
}

/// How many decimals a currency's amounts have (ISO 4217).
pub(crate) fn minor_places(code: &str) -> usize {
    match code {
        "BIF" | "CLP" | "DJF" | "GNF" | "ISK" | "JPY" | "KMF" | "KRW" | "PYG" | "RWF" | "UGX" | "UYI" | "VND"
        | "VUV" | "XAF" | "XOF" | "XPF" => 0,
        "BHD" | "IQD" | "JOD" | "KWD" | "LYD" | "OMR" | "TND" => 3,
        "CLF" | "UYW" => 4,
        _ => 2,
    }
}

/// An amount in a currency: never rounded, at least the currency's decimals. An empty currency leaves the code out.
pub(crate) fn amount(number: &Decimal, currency: &str, locale: &Locale) -> String {
    let currency = currency.trim();
    let code = currency.to_ascii_uppercase();
    let is_code = code.len() == 3 && code.bytes().all(|byte| byte.is_ascii_uppercase());
    let currency = if is_code { code.as_str() } else { currency };
    locale.money(&grouped(number, places_needed(number).max(minor_places(currency)), locale), currency)
}

fn money(state: &State<'_, '_>, value: &Value, args: Rest<Value>) -> Result<Value, Error> {
    if is_missing(value) {
        return Ok(value.clone());
    }
    let facts = Facts::of(state)?;
    let (number, _) = number(&facts, value, "money")?;
    if args.len() > 1 {
        return Err(Error::from(ErrorKind::TooManyArguments));
    }
    let currency = match args.first() {
        // At `check` what is surely a mistake is reported; a message goes out without the currency all the same.
        Some(currency) if currency.is_undefined() && facts.marks() => {
            return Err(wrong("the currency of `money` is undefined"));
        }
        Some(currency) => facts.printed(currency)?.0,
        None => String::new(),
    };
    Ok(Value::from(amount(&number, &currency, facts.locale)))
}

// ---- Sums

/// What `total` gives: prints as `1,250.00 EUR + 90.00 USD`, loops as a list of `{amount, by}`.
#[derive(Debug)]
pub(crate) struct Total {
    sums: Vec<(String, Decimal)>,
    locale: &'static Locale,
}

impl fmt::Display for Total {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.sums.is_empty() {
            return f.write_str("0");
        }
        for (nth, (by, sum)) in self.sums.iter().enumerate() {
            let plus = if nth > 0 { " + " } else { "" };
            // Without anything to tell them apart they are plain numbers, not amounts of money.
            match by.as_str() {
                "" => write!(f, "{plus}{}", grouped(sum, places_needed(sum), self.locale))?,
                by => write!(f, "{plus}{}", amount(sum, by, self.locale))?,
            }
        }
        Ok(())
    }
}

impl Object for Total {
    fn repr(self: &Arc<Self>) -> ObjectRepr {
        ObjectRepr::Seq
    }

    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        let (by, sum) = self.sums.get(key.as_usize()?)?;
        let pairs = [("by", by.clone()), ("amount", sum.to_string())];
        Some(Value::from_pairs(pairs))
    }

    fn enumerate(self: &Arc<Self>) -> Enumerator {
        Enumerator::Seq(self.sums.len())
    }

    fn render(self: &Arc<Self>, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

/// `$.data.NAME` for a plain word, else the path itself.
fn path_of(text: &str) -> Result<Path, Error> {
    let whole = if text.starts_with('$') { text.to_owned() } else { format!("$.data.{text}") };
    Path::parse(&whole).map_err(|error| wrong(format!("`{text}` is not a path: {}", error.message)))
}

/// Where `by` is looked for: beside what the path selects, in `$.data`, at the top.
fn paths_by(path: &Path, by: &str) -> Result<Vec<Path>, Error> {
    if by.starts_with('$') {
        return Ok(vec![path_of(by)?]);
    }
    let beside = path.text().rsplit_once('.').map(|(parent, _)| format!("{parent}.{by}"));
    let texts = beside.into_iter().chain([format!("$.data.{by}"), format!("$.{by}")]);
    let mut paths = Vec::new();
    for text in texts {
        paths.push(path_of(&text)?);
    }
    Ok(paths)
}

fn select<'v>(path: &Path, root: &'v serde_json::Value) -> Result<Vec<&'v serde_json::Value>, Error> {
    let mut steps = STEPS;
    path.select(root, &mut steps).map_err(|_| wrong(format!("`{}` takes too many steps in this event", path.text())))
}

fn total(state: &State<'_, '_>, list: &Value, path: &str, kwargs: Kwargs) -> Result<Value, Error> {
    let by: Option<&str> = kwargs.get("by")?;
    kwargs.assert_all_used()?;
    if is_missing(list) {
        return Ok(list.clone());
    }
    let facts = Facts::of(state)?;
    let path = path_of(path)?;
    let by = by.map_or(Ok(Vec::new()), |by| paths_by(&path, by))?;
    let mut sums: Vec<(String, Decimal)> = Vec::new();
    let mut add = |root: &serde_json::Value| -> Result<(), Error> {
        let mut group = String::new();
        for path in &by {
            if let Some(found) = select(path, root)?.first() {
                group = scalar_text(found);
                break;
            }
        }
        for found in select(&path, root)?.into_iter().filter(|found| !found.is_null()) {
            let text = scalar_text(found);
            let number = Decimal::parse_grouped(text.trim());
            let number =
                number.ok_or_else(|| wrong(format!("`total` needs numbers, and `{}` is none", short(&text))))?;
            match sums.iter_mut().find(|(by, _)| *by == group) {
                Some((_, sum)) => {
                    *sum = sum.plus(&number).ok_or_else(|| wrong("the sum has more than a thousand digits"))?;
                }
                None => sums.push((group.clone(), number)),
            }
        }
        Ok(())
    };
    match list.downcast_object_ref::<EventObject>() {
        Some(event) => add(&event.root(&facts)?)?,
        None => {
            for item in list.try_iter()? {
                match item.downcast_object_ref::<EventObject>() {
                    Some(event) => add(&event.root(&facts)?)?,
                    None => {
                        let json = facts.json(&item)?;
                        let root =
                            serde_json::from_str(&json).map_err(|_| wrong("an element can't be read as JSON"))?;
                        add(&root)?;
                    }
                }
            }
        }
    }
    Ok(Value::from_object(Total { sums, locale: facts.locale }))
}

fn scalar_text(json: &serde_json::Value) -> String {
    match json {
        serde_json::Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

// ---- MiniJinja's own, so that numbers keep their text and the output its bounds

fn string(state: &State<'_, '_>, value: &Value) -> Result<Value, Error> {
    Ok(Value::from(Facts::of(state)?.printed(value)?.0))
}

fn tojson(state: &State<'_, '_>, value: &Value) -> Result<Value, Error> {
    Ok(Value::from_object(Json(Facts::of(state)?.json(value)?)))
}

fn join(
    state: &State<'_, '_>,
    list: &Value,
    joiner: Option<&Value>,
    attribute: Option<&str>,
    kwargs: Kwargs,
) -> Result<Value, Error> {
    let named: Option<&str> = kwargs.get("attribute")?;
    kwargs.assert_all_used()?;
    if list.is_undefined() {
        return Ok(list.clone());
    }
    let facts = Facts::of(state)?;
    let joiner = joiner.map_or(Ok(String::new()), |joiner| facts.printed(joiner).map(|(text, _)| text))?;
    let mut text = String::new();
    for (nth, item) in list.try_iter()?.enumerate() {
        if nth > 0 {
            text.push_str(&joiner);
        }
        let item = match attribute.or(named) {
            Some(attribute) => item.get_attr(attribute)?,
            None => item,
        };
        let printed = facts.printed(&item)?.0;
        facts.pay(printed.len())?;
        text.push_str(&printed);
        if text.len() > OUTPUT_MAX || nth > OUTPUT_MAX {
            return Err(too_long());
        }
    }
    Ok(Value::from(text))
}

fn replace(state: &State<'_, '_>, value: &Value, from: &Value, to: &Value) -> Result<Value, Error> {
    if value.is_undefined() {
        return Ok(value.clone());
    }
    let facts = Facts::of(state)?;
    let (text, from, to) = (facts.printed(value)?.0, facts.printed(from)?.0, facts.printed(to)?.0);
    facts.pay(text.len())?;
    let found = if from.is_empty() { text.chars().count() + 1 } else { text.matches(from.as_str()).count() };
    if found.saturating_mul(to.len()).saturating_add(text.len()) > OUTPUT_MAX {
        return Err(too_long());
    }
    Ok(Value::from(text.replace(from.as_str(), &to)))
}
