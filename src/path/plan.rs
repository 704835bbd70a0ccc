//! From the parser's tree to a plan that can be evaluated: functions well-typed (RFC 9535, section 2.4.3), literals
//! exact, patterns compiled, the limits kept.

use jsonpath_rust::parser::errors::JsonPathError;
use jsonpath_rust::parser::{model, parse_json_path};

use super::functions::{self, Extent, SizedRegex};
use super::lex::{self, Token, TokenKind};
use super::{PathError, mistakes};
use crate::decimal::Decimal;

/// Where the patterns of `match()` and `search()` may come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Patterns {
    /// From the path only.
    Written,
    /// From the document too.
    Anywhere,
}

/// A query: `$…`, or `@…` in a filter.
#[derive(Debug)]
pub(super) struct Query {
    pub segments: Vec<Segment>,
    /// At most one node, whatever the document.
    pub singular: bool,
}

/// A segment: what is selected of each node.
#[derive(Debug)]
pub(super) struct Segment {
    /// Of the node's descendants too, itself first.
    pub descend: bool,
    pub selectors: Vec<Selector>,
}

#[derive(Debug)]
pub(super) enum Selector {
    Name(String),
    Index(i64),
    Wildcard,
    Slice(Slice),
    Filter(Filter),
}

/// Every `step`th element from `start` to before `end`.
#[derive(Debug)]
pub(super) struct Slice {
    pub start: Option<i64>,
    pub end: Option<i64>,
    pub step: i64,
}

/// A logical expression.
#[derive(Debug)]
pub(super) enum Filter {
    Any(Vec<Filter>),
    All(Vec<Filter>),
    Not(Box<Filter>),
    /// Whether the query selects anything.
    Exists(From, Query),
    Compare(Operand, Comparison, Operand),
    Matches(Operand, Pattern),
}

/// What a query in a filter begins at.
#[derive(Debug, Clone, Copy)]
pub(super) enum From {
    Root,
    Current,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Comparison {
    Eq,
    Ne,
    Lt,
    Lte,
    Gt,
    Gte,
}

/// What gives one value, or nothing.
#[derive(Debug)]
pub(super) enum Operand {
    Literal(Literal),
    /// A singular query.
    Query(From, Query),
    Length(Box<Operand>),
    Count(From, Query),
    /// The node's value if there is exactly one.
    Value(From, Query),
}

#[derive(Debug)]
pub(super) enum Literal {
    Null,
    Bool(bool),
    Text(String),
    /// A number that is whole and small, as most are: it compares without being taken apart.
    Whole(i64),
    Number(Decimal),
}

#[derive(Debug)]
pub(super) enum Pattern {
    Written(SizedRegex),
    /// A literal that is no text: nothing matches.
    Never,
    /// From the document.
    Foreign(Operand, Extent),
}

/// Reads a path.
pub(super) fn parse(text: &str, patterns: Patterns) -> Result<Query, PathError> {
    mistakes::check_text(text)?;
    let tokens = lex::tokens(text)?;
    mistakes::check_tokens(text, &tokens)?;
    let tree = parse_json_path(&masked(text, &tokens)).map_err(|error| syntax(text, &tokens, &error))?;
    let mut planner = Planner {
        text,
        patterns,
        numbers: tokens.iter().filter(|token| token.kind == TokenKind::Number).collect::<Vec<_>>().into_iter(),
        calls: calls(&tokens),
    };
    planner.query(&tree.segments)
}

/// The text with every number that the parser would refuse or round replaced by one of the same length that it takes.
/// The planner reads numbers from the text itself, so none of these values is ever used.
fn masked(text: &str, tokens: &[Token]) -> String {
    let mut masked = text.to_owned();
    for token in tokens.iter().filter(|token| token.kind == TokenKind::Number && token.span.len() > 15) {
        let sign = if text.get(token.span.clone()).is_some_and(|number| number.starts_with('-')) { "-" } else { "" };
        let zeros = "0".repeat(token.span.len().saturating_sub(sign.len() + 2));
        if !is_index(text, token) {
            masked.replace_range(token.span.clone(), &format!("{sign}0.{zeros}"));
        }
    }
    masked
}

/// Whether a long number is a whole one that the parser reads exactly: an index can be no other.
fn is_index(text: &str, token: &Token) -> bool {
    let number = text.get(token.span.clone()).and_then(|number| number.parse::<i64>().ok());
    number.is_some_and(|number| number.unsigned_abs() < 1 << 53)
}

/// Where the function names stand, in order.
fn calls(tokens: &[Token]) -> std::vec::IntoIter<usize> {
    let calls: Vec<usize> = tokens
        .windows(2)
        .filter_map(|pair| match pair {
            [name, paren] if name.kind == TokenKind::Name && paren.kind == TokenKind::ParenOpen => {
                Some(name.span.start)
            }
            _ => None,
        })
        .collect();
    calls.into_iter()
}

/// What the parser refused, at the first token it could not place.
fn syntax(text: &str, tokens: &[Token], error: &JsonPathError) -> PathError {
    let offset = match error {
        JsonPathError::PestError(error) => match error.location {
            pest::error::InputLocation::Pos(at) | pest::error::InputLocation::Span((at, _)) => at,
        },
        _ => 0,
    };
    match tokens.iter().find(|token| token.span.end > offset) {
        Some(token) if offset > 0 => {
            let word = text.get(token.span.clone()).unwrap_or_default();
            PathError::new(token.span.start, format!("`{word}` can't stand here"))
        }
        _ if offset > 0 => PathError::new(text.len(), "the path ends too early"),
        _ => PathError::new(0, "this is no JSONPath"),
    }
}

/// Walks the parser's tree in the order of the text, which is how its numbers and calls find their tokens.
struct Planner<'t> {
    text: &'t str,
    patterns: Patterns,
    numbers: std::vec::IntoIter<&'t Token>,
    calls: std::vec::IntoIter<usize>,
}

impl Planner<'_> {
    fn query(&mut self, segments: &[model::Segment]) -> Result<Query, PathError> {
        let segments = segments.iter().map(|segment| self.segment(segment, false)).collect::<Result<Vec<_>, _>>()?;
        let singular = segments.iter().all(|segment| {
            !segment.descend && matches!(segment.selectors.as_slice(), [Selector::Name(_) | Selector::Index(_)])
        });
        Ok(Query { segments, singular })
    }

    fn segment(&mut self, segment: &model::Segment, descend: bool) -> Result<Segment, PathError> {
        let selectors = match segment {
            model::Segment::Descendant(segment) => return self.segment(segment, true),
            model::Segment::Selector(selector) => vec![self.selector(selector)?],
            model::Segment::Selectors(selectors) => {
                selectors.iter().map(|selector| self.selector(selector)).collect::<Result<_, _>>()?
            }
        };
        Ok(Segment { descend, selectors })
    }

    fn selector(&mut self, selector: &model::Selector) -> Result<Selector, PathError> {
        Ok(match selector {
            model::Selector::Name(name) => Selector::Name(name.clone()),
            model::Selector::Wildcard => Selector::Wildcard,
            model::Selector::Index(_) => Selector::Index(self.index()?),
            model::Selector::Slice(start, end, step) => {
                let mut part = |part: &Option<i64>| part.map(|_| self.index()).transpose();
                let (start, end, step) = (part(start)?, part(end)?, part(step)?);
                Selector::Slice(Slice { start, end, step: step.unwrap_or(1) })
            }
            model::Selector::Filter(filter) => Selector::Filter(self.filter(filter)?),
        })
    }

    /// The next number of the text, and where it stands.
    fn number(&mut self) -> Result<(&str, usize), PathError> {
        let token = self.numbers.next();
        token
            .and_then(|token| Some((self.text.get(token.span.clone())?, token.span.start)))
            .ok_or_else(|| PathError::new(0, "a number is missing"))
    }

    fn index(&mut self) -> Result<i64, PathError> {
        let (number, at) = self.number()?;
        number.parse().map_err(|_| PathError::new(at, format!("`{number}` is no index")))
    }

    fn filter(&mut self, filter: &model::Filter) -> Result<Filter, PathError> {
        match filter {
            model::Filter::Or(filters) => self.filters(filters).map(Filter::Any),
            model::Filter::And(filters) => self.filters(filters).map(Filter::All),
            model::Filter::Atom(atom) => self.atom(atom),
        }
    }

    fn filters(&mut self, filters: &[model::Filter]) -> Result<Vec<Filter>, PathError> {
        filters.iter().map(|filter| self.filter(filter)).collect()
    }

    fn atom(&mut self, atom: &model::FilterAtom) -> Result<Filter, PathError> {
        let (filter, not) = match atom {
            model::FilterAtom::Filter { expr, not } => (self.filter(expr)?, *not),
            model::FilterAtom::Test { expr, not } => (self.test(expr)?, *not),
            model::FilterAtom::Comparison(comparison) => (self.comparison(comparison)?, false),
        };
        Ok(if not { Filter::Not(Box::new(filter)) } else { filter })
    }

    fn test(&mut self, test: &model::Test) -> Result<Filter, PathError> {
        Ok(match test {
            model::Test::RelQuery(segments) => Filter::Exists(From::Current, self.query(segments)?),
            model::Test::AbsQuery(query) => Filter::Exists(From::Root, self.query(&query.segments)?),
            model::Test::Function(function) => return self.logical(function),
        })
    }

    /// A function by itself must be true or false.
    fn logical(&mut self, function: &model::TestFunction) -> Result<Filter, PathError> {
        let at = self.called();
        match function {
            model::TestFunction::Match(text, pattern) => self.matches(at, text, pattern, Extent::Whole),
            model::TestFunction::Search(text, pattern) => self.matches(at, text, pattern, Extent::Part),
            other => {
                let name = name(other);
                Err(PathError::new(at, format!("`{name}(…)` gives a value, which is neither true nor false"))
                    .hint(format!("compare it: `{name}(…) > 0`")))
            }
        }
    }

    /// Where the next call stands.
    fn called(&mut self) -> usize {
        self.calls.next().unwrap_or(0)
    }

    fn matches(
        &mut self,
        at: usize,
        text: &model::FnArg,
        pattern: &model::FnArg,
        extent: Extent,
    ) -> Result<Filter, PathError> {
        let name = if extent == Extent::Whole { "match" } else { "search" };
        let text = self.value_argument(at, name, text)?;
        let pattern = match self.value_argument(at, name, pattern)? {
            Operand::Literal(Literal::Text(pattern)) => Pattern::Written(
                functions::compile(&pattern, extent)
                    .map_err(|why| PathError::new(at, format!("`{pattern}` is no pattern: {why}")))?,
            ),
            Operand::Literal(_) => Pattern::Never,
            operand if self.patterns == Patterns::Anywhere => Pattern::Foreign(operand, extent),
            _ => {
                return Err(PathError::new(at, format!("the pattern of `{name}(…)` must be written in the path"))
                    .hint("a pattern from the event would be the sender's code; write it in quotes"));
            }
        };
        Ok(Filter::Matches(text, pattern))
    }

    fn comparison(&mut self, comparison: &model::Comparison) -> Result<Filter, PathError> {
        let operator = match comparison {
            model::Comparison::Eq(..) => Comparison::Eq,
            model::Comparison::Ne(..) => Comparison::Ne,
            model::Comparison::Lt(..) => Comparison::Lt,
            model::Comparison::Lte(..) => Comparison::Lte,
            model::Comparison::Gt(..) => Comparison::Gt,
            model::Comparison::Gte(..) => Comparison::Gte,
        };
        let (left, right) = comparison.vals();
        Ok(Filter::Compare(self.comparable(left)?, operator, self.comparable(right)?))
    }

    fn comparable(&mut self, comparable: &model::Comparable) -> Result<Operand, PathError> {
        match comparable {
            model::Comparable::Literal(literal) => Ok(Operand::Literal(self.literal(literal)?)),
            model::Comparable::Function(function) => self.value(function),
            model::Comparable::SingularQuery(query) => self.singular(query),
        }
    }

    fn singular(&mut self, query: &model::SingularQuery) -> Result<Operand, PathError> {
        let (from, segments) = match query {
            model::SingularQuery::Current(segments) => (From::Current, segments),
            model::SingularQuery::Root(segments) => (From::Root, segments),
        };
        let selector = |segment: &model::SingularQuerySegment| {
            Ok(match segment {
                model::SingularQuerySegment::Name(name) => Selector::Name(name.clone()),
                model::SingularQuerySegment::Index(_) => Selector::Index(self.index()?),
            })
        };
        let selectors: Vec<Selector> = segments.iter().map(selector).collect::<Result<_, PathError>>()?;
        let segments =
            selectors.into_iter().map(|selector| Segment { descend: false, selectors: vec![selector] }).collect();
        Ok(Operand::Query(from, Query { segments, singular: true }))
    }

    fn literal(&mut self, literal: &model::Literal) -> Result<Literal, PathError> {
        Ok(match literal {
            model::Literal::Null => Literal::Null,
            model::Literal::Bool(truth) => Literal::Bool(*truth),
            model::Literal::String(text) => Literal::Text(text.clone()),
            model::Literal::Int(_) | model::Literal::Float(_) => {
                let (number, at) = self.number()?;
                match (number.parse(), Decimal::parse(number)) {
                    (Ok(whole), _) => Literal::Whole(whole),
                    (_, Some(decimal)) => Literal::Number(decimal),
                    _ => return Err(PathError::new(at, "the exponent of this number is too large")),
                }
            }
        })
    }

    /// A function that gives a value.
    fn value(&mut self, function: &model::TestFunction) -> Result<Operand, PathError> {
        let at = self.called();
        match function {
            model::TestFunction::Length(argument) => {
                Ok(Operand::Length(Box::new(self.value_argument(at, "length", argument)?)))
            }
            model::TestFunction::Count(argument) => {
                self.nodes_argument(at, "count", argument).map(|(from, query)| Operand::Count(from, query))
            }
            model::TestFunction::Value(argument) => {
                self.nodes_argument(at, "value", argument).map(|(from, query)| Operand::Value(from, query))
            }
            other => {
                let name = name(other);
                Err(PathError::new(at, format!("`{name}(…)` is true or false, and gives no value")))
            }
        }
    }

    /// An argument of ValueType: a literal, a singular query, or a function that gives a value.
    fn value_argument(&mut self, at: usize, name: &str, argument: &model::FnArg) -> Result<Operand, PathError> {
        let (from, segments) = match argument {
            model::FnArg::Literal(literal) => return self.literal(literal).map(Operand::Literal),
            model::FnArg::Filter(_) => {
                return Err(PathError::new(at, format!("`{name}(…)` takes a value, not a comparison")));
            }
            model::FnArg::Test(test) => match &**test {
                model::Test::Function(function) => return self.value(function),
                model::Test::RelQuery(segments) => (From::Current, segments),
                model::Test::AbsQuery(query) => (From::Root, &query.segments),
            },
        };
        let query = self.query(segments)?;
        if query.singular {
            return Ok(Operand::Query(from, query));
        }
        let hint = match name {
            "length" => "to count what is selected, use `count(…)`",
            _ => "for the one that is selected, use `value(…)`",
        };
        Err(PathError::new(at, format!("`{name}(…)` takes one value, and this can select several")).hint(hint))
    }

    /// An argument of NodesType: a query.
    fn nodes_argument(&mut self, at: usize, name: &str, argument: &model::FnArg) -> Result<(From, Query), PathError> {
        if let model::FnArg::Test(test) = argument {
            match &**test {
                model::Test::RelQuery(segments) => return Ok((From::Current, self.query(segments)?)),
                model::Test::AbsQuery(query) => return Ok((From::Root, self.query(&query.segments)?)),
                model::Test::Function(_) => {}
            }
        }
        Err(PathError::new(at, format!("`{name}(…)` takes a path")).hint(format!("write `{name}(@.name)`")))
    }
}

fn name(function: &model::TestFunction) -> &str {
    match function {
        model::TestFunction::Custom(name, _) => name,
        model::TestFunction::Length(_) => "length",
        model::TestFunction::Value(_) => "value",
        model::TestFunction::Count(_) => "count",
        model::TestFunction::Search(..) => "search",
        model::TestFunction::Match(..) => "match",
    }
}
