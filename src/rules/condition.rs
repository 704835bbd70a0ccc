//! The `when` of a rule.

/// A compiled condition.
#[derive(Debug)]
pub struct Condition {}
