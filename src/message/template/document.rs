//! An event's lists and mappings as MiniJinja takes them: anyone who walks through one pays for each step.
//!
//! MiniJinja's fuel counts instructions and what filters visit. It does not see a comparison, a containment test or a
//! conversion to text that walks a whole document, and a stranger says how large that is. So each value that is taken
//! out of a document is charged here by its size, no matter who asks for it; once nothing is left, documents are empty, and
//! the next name that is read ends the rendering.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use minijinja::value::{Enumerator, Object, ObjectRepr, Value};
use minijinja::{Error, ErrorKind};

/// How many bytes of documents one rendering may walk through: about 0.1 s of the slowest walk there is.
const WALK_MAX: u64 = 64 * 1024 * 1024;
/// What one value costs beside its text, in bytes.
const STEP: usize = 64;
/// A mapping of more keys than this has an index.
const SCAN_MAX: usize = 8;

/// What one rendering may still walk through.
#[derive(Debug)]
pub(crate) struct Meter(AtomicU64);

impl Default for Meter {
    fn default() -> Self {
        Self(AtomicU64::new(WALK_MAX))
    }
}

impl Meter {
    /// Pays for a step that looks at this many bytes.
    ///
    /// # Errors
    /// Nothing is left. That stays so.
    pub fn pay(&self, bytes: usize) -> Result<(), Error> {
        let cost = u64::try_from(bytes.saturating_add(STEP)).unwrap_or(u64::MAX);
        let left = self.0.load(Ordering::Relaxed).saturating_sub(cost);
        self.0.store(left, Ordering::Relaxed);
        self.check()
    }

    /// Whether anything is left.
    ///
    /// # Errors
    /// Nothing is.
    pub fn check(&self) -> Result<(), Error> {
        match self.0.load(Ordering::Relaxed) {
            0 => Err(Error::from(ErrorKind::OutOfFuel)),
            _ => Ok(()),
        }
    }

    /// A value that is handed out, paid for. Once nothing is left, nothing is handed out: no error either, since MiniJinja
    /// panics where it orders one.
    fn paid(&self, value: &Value) -> Option<Value> {
        self.pay(value.as_str().map_or(0, str::len)).ok().map(|()| value.clone())
    }
}

/// A list of a document.
pub(crate) fn list(items: Vec<Value>, meter: &Arc<Meter>) -> Value {
    Value::from_object(List { items, meter: meter.clone() })
}

/// A mapping of a document, in its order.
pub(crate) fn mapping(entries: Vec<(Arc<str>, Value)>, meter: &Arc<Meter>) -> Value {
    let index = match entries.len() {
        0..=SCAN_MAX => HashMap::new(),
        _ => entries.iter().enumerate().map(|(at, (key, _))| (key.clone(), at)).collect(),
    };
    Value::from_object(Mapping { entries, index, meter: meter.clone() })
}

#[derive(Debug)]
struct List {
    items: Vec<Value>,
    meter: Arc<Meter>,
}

impl Object for List {
    fn repr(self: &Arc<Self>) -> ObjectRepr {
        ObjectRepr::Seq
    }

    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        self.meter.paid(self.items.get(key.as_usize()?)?)
    }

    fn enumerate(self: &Arc<Self>) -> Enumerator {
        let list = self.clone();
        let next = move |at: usize| list.meter.paid(list.items.get(at)?);
        Enumerator::Iter(Box::new(Walk { at: 0, len: self.items.len(), next }))
    }

    fn enumerator_len(self: &Arc<Self>) -> Option<usize> {
        Some(self.items.len())
    }
}

#[derive(Debug)]
struct Mapping {
    entries: Vec<(Arc<str>, Value)>,
    /// Where each key stands, if there are many.
    index: HashMap<Arc<str>, usize>,
    meter: Arc<Meter>,
}

impl Object for Mapping {
    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        self.get_value_by_str(key.as_str()?)
    }

    fn get_value_by_str(self: &Arc<Self>, key: &str) -> Option<Value> {
        self.meter.pay(key.len()).ok()?;
        let at = match self.entries.len() {
            0..=SCAN_MAX => self.entries.iter().position(|(known, _)| **known == *key),
            _ => self.index.get(key).copied(),
        };
        self.meter.paid(&self.entries.get(at?)?.1)
    }

    fn enumerate(self: &Arc<Self>) -> Enumerator {
        let map = self.clone();
        let next = move |at: usize| {
            let (key, value) = map.entries.get(at)?;
            Some((map.meter.paid(&Value::from(key.clone()))?, map.meter.paid(value)?))
        };
        Enumerator::KeyValueIter(Box::new(Walk { at: 0, len: self.entries.len(), next }))
    }

    fn enumerator_len(self: &Arc<Self>) -> Option<usize> {
        Some(self.entries.len())
    }
}

/// A walk through a document. It ends at what can't be paid for.
struct Walk<F> {
    at: usize,
    len: usize,
    next: F,
}

impl<T, F: Fn(usize) -> Option<T>> Iterator for Walk<F> {
    type Item = T;

    fn next(&mut self) -> Option<T> {
        let step = if self.at < self.len { (self.next)(self.at) } else { None };
        self.at = if step.is_some() { self.at + 1 } else { self.len };
        step
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let left = self.len - self.at;
        (left, Some(left))
    }
}

/// The names that a template sees. Each time one is read it is paid for, so that a rendering that has nothing left ends at
/// the next name.
#[derive(Debug)]
pub(crate) struct Names {
    values: HashMap<String, Value>,
    /// One that is free: what belongs to the rendering itself.
    own: (&'static str, Value),
    meter: Arc<Meter>,
}

impl Names {
    /// These names, and `own`.
    pub fn value(names: &[(String, Value)], own: (&'static str, Value), meter: &Arc<Meter>) -> Value {
        Value::from_object(Self { values: names.iter().cloned().collect(), own, meter: meter.clone() })
    }
}

impl Object for Names {
    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        self.get_value_by_str(key.as_str()?)
    }

    fn get_value_by_str(self: &Arc<Self>, key: &str) -> Option<Value> {
        if key == self.own.0 {
            return Some(self.own.1.clone());
        }
        let value = self.values.get(key)?;
        match self.meter.pay(value.as_str().map_or(0, str::len)) {
            Ok(()) => Some(value.clone()),
            Err(error) => Some(Value::from(error)),
        }
    }
}
