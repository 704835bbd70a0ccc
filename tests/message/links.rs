//! Link targets, and URLs with values.
