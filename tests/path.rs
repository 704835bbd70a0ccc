//! JSONPath, by its compliance suite and by our own cases.
