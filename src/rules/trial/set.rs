//! `set:` of a step: a value at a path, where what is missing on the way is made.

use std::sync::Arc;

use serde_json::{Map, Value};

use super::super::value::kind_of;
use crate::path::{Path, PathPart};
use crate::problem::{Location, Problem};

/// A value that is put into a body.
#[derive(Debug, Clone)]
pub(super) struct Setting {
    /// Where: members and indices only.
    pub path: Arc<Path>,
    /// What.
    pub value: Value,
    /// Where the path stands.
    pub place: Location,
}

impl Setting {
    /// Puts the value there. Members and lists that are missing, or null, are made; a list grows by one element at most.
    pub fn apply(&self, body: &mut Value) -> Result<(), Box<Problem>> {
        let mut node = body;
        let mut passed = String::from("$");
        for part in self.path.parts() {
            node = match part {
                PathPart::Member(name) => {
                    let map = self.map(node, &passed)?;
                    passed.push('.');
                    passed.push_str(name);
                    map.entry(name).or_insert(Value::Null)
                }
                PathPart::Index(index) => {
                    let list = self.list(node, &passed)?;
                    let len = list.len();
                    let at = usize::try_from(if index < 0 { index + len as i64 } else { index }).ok();
                    if at == Some(len) {
                        list.push(Value::Null);
                    }
                    passed.push_str(&format!("[{index}]"));
                    at.and_then(|at| list.get_mut(at)).ok_or_else(|| self.beyond(&passed, len))?
                }
                PathPart::Several => return Err(self.wrong("it may select several values")),
            };
        }
        *node = self.value.clone();
        Ok(())
    }

    fn map<'v>(&self, node: &'v mut Value, passed: &str) -> Result<&'v mut Map<String, Value>, Box<Problem>> {
        if node.is_null() {
            *node = Value::Object(Map::new());
        }
        let kind = kind_of(node);
        node.as_object_mut().ok_or_else(|| self.wrong(&format!("`{passed}` is {kind}, which has no members")))
    }

    fn list<'v>(&self, node: &'v mut Value, passed: &str) -> Result<&'v mut Vec<Value>, Box<Problem>> {
        if node.is_null() {
            *node = Value::Array(Vec::new());
        }
        let kind = kind_of(node);
        node.as_array_mut().ok_or_else(|| self.wrong(&format!("`{passed}` is {kind}, which has no elements")))
    }

    fn beyond(&self, passed: &str, len: usize) -> Box<Problem> {
        let problem = self.wrong(&format!("`{passed}` is not there: the list has {len} elements"));
        Box::new(problem.hint(format!("the next one is `[{len}]`; or set the whole list")))
    }

    fn wrong(&self, why: &str) -> Box<Problem> {
        Box::new(Problem::error("wrong-set", format!("`{}` can't be set: {why}", self.path)).at(&self.place))
    }
}
