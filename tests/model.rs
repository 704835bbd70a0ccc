//! A reference for what rules mean, written apart from the planner, and what is held against it.

pub mod due;
pub mod reference;
pub mod spec;
