//! Event globs.

/// One or several globs, with those that take away.
#[derive(Debug, Clone, Default)]
pub struct Globs {}

impl Globs {
    /// Whether this type is meant. Own events (`fanfare.…`, source `fanfare`) are reached only by a glob that begins
    /// with `fanfare.`.
    pub fn accept(&self, kind: &str, own: bool) -> bool {
        todo!("{kind} {own}")
    }
}
