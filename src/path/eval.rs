//! Evaluation: which nodes a plan selects in a document, and whether a filter holds (RFC 9535, sections 2.3 to 2.5).
//!
//! The recursion follows the path, whose nesting is bounded, never the document.

use std::borrow::Cow;
use std::cmp::Ordering;

use serde_json::Value;

use super::functions::{FOREIGN_LEN_MAX, compile_foreign, foreign_steps};
use super::plan::{Comparison, Filter, From, Literal, Operand, Pattern, Query, Segment, Selector, Slice};
use super::{BYTES_A_STEP, Exceeded};
use crate::decimal::Decimal;

/// What compiling a pattern that a document brought costs.
const COMPILE_STEPS: usize = 500;

/// The nodes that a query selects.
pub(super) fn select<'v>(query: &Query, root: &'v Value, steps: &mut u64) -> Result<Vec<&'v Value>, Exceeded> {
    Eval { root, steps }.nodes(query, root)
}

struct Eval<'v, 's> {
    root: &'v Value,
    steps: &'s mut u64,
}

/// What an operand of a comparison came to.
enum Operated<'v, 'p> {
    Nothing,
    Node(&'v Value),
    Literal(&'p Literal),
    /// What `length()` and `count()` give.
    Number(usize),
}

/// The same for either origin, as comparisons look at it.
enum Seen<'a> {
    Nothing,
    Null,
    Bool(bool),
    Text(&'a str),
    Number(Number<'a>),
    Structure(&'a Value),
}

/// A number: the document's keep their text until they must be read.
enum Number<'a> {
    Text(&'a str),
    Whole(i64),
    Read(&'a Decimal),
}

impl<'v> Eval<'v, '_> {
    fn spend(&mut self, steps: usize) -> Result<(), Exceeded> {
        self.spend_all(steps as u64)
    }

    fn spend_all(&mut self, steps: u64) -> Result<(), Exceeded> {
        *self.steps = self.steps.checked_sub(steps).ok_or_else(|| {
            *self.steps = 0;
            Exceeded
        })?;
        Ok(())
    }

    /// What reading a text costs.
    fn read(&mut self, text: &str) -> Result<(), Exceeded> {
        self.spend(text.len() / BYTES_A_STEP)
    }

    fn nodes(&mut self, query: &Query, from: &'v Value) -> Result<Vec<&'v Value>, Exceeded> {
        if query.singular {
            return Ok(self.singular(query, from)?.into_iter().collect());
        }
        let mut nodes = vec![from];
        for segment in &query.segments {
            let mut selected = Vec::new();
            for node in nodes {
                self.segment(segment, node, &mut selected)?;
            }
            nodes = selected;
        }
        Ok(nodes)
    }

    /// A chain of members and indices: no list of nodes along the way.
    fn singular(&mut self, query: &Query, from: &'v Value) -> Result<Option<&'v Value>, Exceeded> {
        let mut node = from;
        for selector in query.segments.iter().flat_map(|segment| &segment.selectors) {
            self.spend(1)?;
            match one(selector, node) {
                Some(next) => node = next,
                None => return Ok(None),
            }
        }
        Ok(Some(node))
    }

    fn segment(&mut self, segment: &Segment, node: &'v Value, out: &mut Vec<&'v Value>) -> Result<(), Exceeded> {
        self.spend(1)?;
        if !segment.descend {
            return self.selectors(&segment.selectors, node, out);
        }
        let mut waiting = vec![node];
        while let Some(node) = waiting.pop() {
            self.selectors(&segment.selectors, node, out)?;
            // The last child goes in first, so that the first one and all below it come out before the second.
            match node {
                Value::Array(items) => {
                    self.spend(items.len())?;
                    waiting.extend(items.iter().rev());
                }
                Value::Object(members) => {
                    self.spend(members.len())?;
                    waiting.extend(members.values().rev());
                }
                _ => {}
            }
        }
        Ok(())
    }

    fn selectors(&mut self, selectors: &[Selector], node: &'v Value, out: &mut Vec<&'v Value>) -> Result<(), Exceeded> {
        for selector in selectors {
            match selector {
                Selector::Name(_) | Selector::Index(_) => {
                    self.spend(1)?;
                    out.extend(one(selector, node));
                }
                Selector::Slice(slice) => self.slice(slice, node, out)?,
                Selector::Wildcard => match node {
                    Value::Array(items) => {
                        self.spend(items.len())?;
                        out.extend(items);
                    }
                    Value::Object(members) => {
                        self.spend(members.len())?;
                        out.extend(members.values());
                    }
                    _ => {}
                },
                Selector::Filter(filter) => match node {
                    Value::Array(items) => self.filtered(filter, items.iter(), out)?,
                    Value::Object(members) => self.filtered(filter, members.values(), out)?,
                    _ => {}
                },
            }
        }
        Ok(())
    }

    fn filtered(
        &mut self,
        filter: &Filter,
        children: impl Iterator<Item = &'v Value>,
        out: &mut Vec<&'v Value>,
    ) -> Result<(), Exceeded> {
        for child in children {
            self.spend(1)?;
            if self.holds(filter, child)? {
                out.push(child);
            }
        }
        Ok(())
    }

    /// Section 2.3.4.2.2, in its own words: bounds are normalised, then clamped; a step of 0 selects nothing.
    fn slice(&mut self, slice: &Slice, node: &'v Value, out: &mut Vec<&'v Value>) -> Result<(), Exceeded> {
        self.spend(1)?;
        let Slice { start, end, step } = *slice;
        let Value::Array(items) = node else { return Ok(()) };
        let len = i64::try_from(items.len()).unwrap_or(i64::MAX);
        let normal = |index: i64| if index >= 0 { index } else { len.saturating_add(index) };
        let (first, last) = if step >= 0 { (0, len) } else { (len - 1, -1) };
        let bound = |bound: Option<i64>, default: i64| match (bound, step >= 0) {
            (None, _) => default,
            (Some(bound), true) => normal(bound).clamp(0, len),
            (Some(bound), false) => normal(bound).clamp(-1, len - 1),
        };
        let (mut at, until) = (bound(start, first), bound(end, last));
        while (step > 0 && at < until) || (step < 0 && at > until) {
            self.spend(1)?;
            out.extend(usize::try_from(at).ok().and_then(|at| items.get(at)));
            at = at.saturating_add(step);
        }
        Ok(())
    }

    fn holds(&mut self, filter: &Filter, current: &'v Value) -> Result<bool, Exceeded> {
        match filter {
            Filter::Any(filters) => {
                for filter in filters {
                    if self.holds(filter, current)? {
                        return Ok(true);
                    }
                }
                Ok(false)
            }
            Filter::All(filters) => {
                for filter in filters {
                    if !self.holds(filter, current)? {
                        return Ok(false);
                    }
                }
                Ok(true)
            }
            Filter::Not(filter) => Ok(!self.holds(filter, current)?),
            Filter::Exists(from, query) => Ok(!self.nodes(query, self.from(*from, current))?.is_empty()),
            Filter::Compare(left, comparison, right) => {
                let (left, right) = (self.operand(left, current)?, self.operand(right, current)?);
                self.compare(&left.seen(), *comparison, &right.seen())
            }
            Filter::Matches(text, pattern) => {
                let text = self.operand(text, current)?;
                let Seen::Text(text) = text.seen() else { return Ok(false) };
                self.matches(text, pattern, current)
            }
        }
    }

    fn from(&self, from: From, current: &'v Value) -> &'v Value {
        match from {
            From::Root => self.root,
            From::Current => current,
        }
    }

    fn operand<'p>(&mut self, operand: &'p Operand, current: &'v Value) -> Result<Operated<'v, 'p>, Exceeded> {
        Ok(match operand {
            Operand::Literal(literal) => Operated::Literal(literal),
            Operand::Query(from, query) => match self.singular(query, self.from(*from, current))? {
                Some(node) => Operated::Node(node),
                None => Operated::Nothing,
            },
            Operand::Count(from, query) => Operated::Number(self.nodes(query, self.from(*from, current))?.len()),
            Operand::Value(from, query) => match self.nodes(query, self.from(*from, current))?.as_slice() {
                [node] => Operated::Node(node),
                _ => Operated::Nothing,
            },
            Operand::Length(operand) => {
                let operated = self.operand(operand, current)?;
                self.length(&operated.seen())?
            }
        })
    }

    /// Section 2.4.4: characters, elements or members; nothing for what has none.
    fn length<'p>(&mut self, seen: &Seen<'_>) -> Result<Operated<'v, 'p>, Exceeded> {
        Ok(match seen {
            Seen::Text(text) => {
                self.read(text)?;
                Operated::Number(text.chars().count())
            }
            Seen::Structure(Value::Array(items)) => Operated::Number(items.len()),
            Seen::Structure(Value::Object(members)) => Operated::Number(members.len()),
            _ => Operated::Nothing,
        })
    }

    fn matches(&mut self, text: &str, pattern: &Pattern, current: &'v Value) -> Result<bool, Exceeded> {
        self.read(text)?;
        match pattern {
            Pattern::Written(pattern) => {
                self.spend_all(pattern.steps(text.len()))?;
                Ok(pattern.regex.is_match(text))
            }
            Pattern::Never => Ok(false),
            Pattern::Foreign(operand, extent) => {
                let pattern = self.operand(operand, current)?;
                let Seen::Text(pattern) = pattern.seen() else { return Ok(false) };
                if pattern.len() > FOREIGN_LEN_MAX {
                    return Ok(false);
                }
                self.spend(COMPILE_STEPS)?;
                self.spend_all(foreign_steps(text.len()))?;
                Ok(compile_foreign(pattern, *extent).is_some_and(|regex| regex.is_match(text)))
            }
        }
    }

    /// Section 2.3.5.2.2.
    fn compare(&mut self, left: &Seen<'_>, comparison: Comparison, right: &Seen<'_>) -> Result<bool, Exceeded> {
        Ok(match comparison {
            Comparison::Eq => self.equal(left, right)?,
            Comparison::Ne => !self.equal(left, right)?,
            Comparison::Lt => self.order(left, right)? == Some(Ordering::Less),
            Comparison::Gt => self.order(left, right)? == Some(Ordering::Greater),
            Comparison::Lte => self.order(left, right)? == Some(Ordering::Less) || self.equal(left, right)?,
            Comparison::Gte => self.order(left, right)? == Some(Ordering::Greater) || self.equal(left, right)?,
        })
    }

    /// Numbers and texts have an order; nothing else has. Texts compare by Unicode scalar values, as UTF-8 does.
    fn order(&mut self, left: &Seen<'_>, right: &Seen<'_>) -> Result<Option<Ordering>, Exceeded> {
        Ok(match (left, right) {
            (Seen::Number(left), Seen::Number(right)) => self.order_numbers(left, right)?,
            (Seen::Text(left), Seen::Text(right)) => {
                self.read(if left.len() < right.len() { left } else { right })?;
                Some(left.cmp(right))
            }
            _ => None,
        })
    }

    /// `None` where a number is beyond what [`Decimal`] reads, unless both are written alike.
    fn order_numbers(&mut self, left: &Number<'_>, right: &Number<'_>) -> Result<Option<Ordering>, Exceeded> {
        if let (Number::Text(left), Number::Text(right)) = (left, right)
            && left == right
        {
            self.read(left)?;
            return Ok(Some(Ordering::Equal));
        }
        if let (Some(left), Some(right)) = (left.whole(), right.whole()) {
            return Ok(Some(left.cmp(&right)));
        }
        let (left, right) = (self.decimal(left)?, self.decimal(right)?);
        Ok(left.zip(right).map(|(left, right)| left.cmp(&right)))
    }

    fn decimal<'n>(&mut self, number: &Number<'n>) -> Result<Option<Cow<'n, Decimal>>, Exceeded> {
        Ok(match number {
            Number::Text(text) => {
                self.read(text)?;
                Decimal::parse(text).map(Cow::Owned)
            }
            Number::Whole(whole) => Some(Cow::Owned(Decimal::from(*whole))),
            Number::Read(decimal) => Some(Cow::Borrowed(decimal)),
        })
    }

    fn equal(&mut self, left: &Seen<'_>, right: &Seen<'_>) -> Result<bool, Exceeded> {
        Ok(match (left, right) {
            (Seen::Nothing, Seen::Nothing) | (Seen::Null, Seen::Null) => true,
            (Seen::Bool(left), Seen::Bool(right)) => left == right,
            (Seen::Text(left), Seen::Text(right)) => self.equal_texts(left, right)?,
            (Seen::Number(left), Seen::Number(right)) => self.order_numbers(left, right)? == Some(Ordering::Equal),
            (Seen::Structure(left), Seen::Structure(right)) => self.equal_structures(left, right)?,
            _ => false,
        })
    }

    fn equal_texts(&mut self, left: &str, right: &str) -> Result<bool, Exceeded> {
        if left.len() != right.len() {
            return Ok(false);
        }
        self.read(left)?;
        Ok(left == right)
    }

    /// Lists element by element, objects member by member in any order; without recursion, however deep they are.
    fn equal_structures(&mut self, left: &Value, right: &Value) -> Result<bool, Exceeded> {
        let mut pairs = vec![(left, right)];
        while let Some(pair) = pairs.pop() {
            self.spend(1)?;
            match pair {
                (Value::Array(left), Value::Array(right)) if left.len() == right.len() => {
                    self.spend(left.len())?;
                    pairs.extend(left.iter().zip(right));
                }
                (Value::Object(left), Value::Object(right)) if left.len() == right.len() => {
                    self.spend(left.len())?;
                    for (name, left) in left {
                        self.read(name)?;
                        match right.get(name) {
                            Some(right) => pairs.push((left, right)),
                            None => return Ok(false),
                        }
                    }
                }
                (Value::Array(_) | Value::Object(_), _) | (_, Value::Array(_) | Value::Object(_)) => return Ok(false),
                (left, right) => {
                    if !self.equal(&seen(left), &seen(right))? {
                        return Ok(false);
                    }
                }
            }
        }
        Ok(true)
    }
}

impl Number<'_> {
    /// Its value, if that is whole, small, and written without point or exponent.
    fn whole(&self) -> Option<i64> {
        match self {
            // No whole number is longer; this avoids reading a long text for nothing.
            Number::Text(text) if text.len() <= 20 => text.parse().ok(),
            Number::Text(_) | Number::Read(_) => None,
            Number::Whole(whole) => Some(*whole),
        }
    }
}

/// What a name or an index selects.
fn one<'v>(selector: &Selector, node: &'v Value) -> Option<&'v Value> {
    match (selector, node) {
        (Selector::Name(name), Value::Object(members)) => members.get(name),
        (Selector::Index(index), Value::Array(items)) => {
            let at = if *index >= 0 {
                usize::try_from(*index).ok()
            } else {
                usize::try_from(index.unsigned_abs()).ok().and_then(|back| items.len().checked_sub(back))
            };
            items.get(at?)
        }
        _ => None,
    }
}

fn seen(node: &Value) -> Seen<'_> {
    match node {
        Value::Null => Seen::Null,
        Value::Bool(truth) => Seen::Bool(*truth),
        Value::Number(number) => Seen::Number(Number::Text(number.as_str())),
        Value::String(text) => Seen::Text(text),
        Value::Array(_) | Value::Object(_) => Seen::Structure(node),
    }
}

impl Operated<'_, '_> {
    fn seen(&self) -> Seen<'_> {
        match self {
            Operated::Nothing => Seen::Nothing,
            Operated::Node(node) => seen(node),
            Operated::Number(number) => Seen::Number(Number::Whole(i64::try_from(*number).unwrap_or(i64::MAX))),
            Operated::Literal(Literal::Null) => Seen::Null,
            Operated::Literal(Literal::Bool(truth)) => Seen::Bool(*truth),
            Operated::Literal(Literal::Text(text)) => Seen::Text(text),
            Operated::Literal(Literal::Whole(whole)) => Seen::Number(Number::Whole(*whole)),
            Operated::Literal(Literal::Number(number)) => Seen::Number(Number::Read(number)),
        }
    }
}
