//! Fanfare.

// Layer 0, words.
pub mod clock;
pub mod decimal;
pub mod delivery;
pub mod event;
pub mod json;
pub mod pace;
pub mod notes;
pub mod path;
pub mod problem;
pub mod secret;
pub mod yaml;
// Layer 1, languages.
pub mod message;
pub mod rules;
pub mod source;
// Layer 2.
pub mod planner;
// Layer 3.
pub mod store;
// Layer 4.
pub mod channels;
// Layer 5.
pub mod config;
// Layer 6.
pub mod steps;
// Layer 7.
pub mod admin;
pub mod cli;
