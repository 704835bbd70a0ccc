//! Every channel and every message: golden files, verdicts, leaks.
