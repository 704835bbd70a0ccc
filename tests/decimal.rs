//! Exact decimals.
