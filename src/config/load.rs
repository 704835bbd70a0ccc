//! From files to a snapshot, or to all their problems.
