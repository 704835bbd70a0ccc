//! One binary for all tests: one link instead of a dozen.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod path;
mod authors;
mod backfill;
mod decimal;
mod yaml;
mod problem;
mod sources;
mod rules;
mod message;
mod planner;
mod store;
mod channels;
mod check;
mod wire;
mod shipped;
mod schema;
// A reading of the documentation, not an interface.
#[allow(clippy::too_many_arguments)]
mod model;
mod simulation;
mod docs;
mod layers;
mod tidy;
mod admin;
mod alive;
mod crash;
mod deploy;
mod doctor;
mod faults;
mod fuzz;
mod idle;
mod ingest;
mod instructions;
mod leaks;
mod links;
mod reload;
mod replicas;
mod restore;
mod stories;
mod support;
mod trial;
