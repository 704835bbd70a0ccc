//! The planner: event sequences in, plans out.
