//! A reference for what rules mean, written apart from the planner, and what is held against it.

pub mod against;
pub mod due;
mod found;
mod histories;
pub mod reference;
mod scripts;
pub mod spec;
mod watched;
