//! Strict YAML and its problems.
