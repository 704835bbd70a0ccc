//! Fanfare: a notification router for record labels.
//!
//! The way of an event, one direction, a durable hand-over between the steps:
//!
//! ```text
//! receive ──commit──▶ inbox ──plan──▶ deliveries ──dispatch──▶ attempts
//! verify               │   rules, cases, throttles,      │  render, send, retry,
//! normalise            │   digests, hours, mutes:        │  rate, breaker, fallback
//! 2xx after fsync      │   one transaction a batch       │
//! ```
//!
//! The modules stand in layer order: each uses only those above it, and siblings in a layer stay strangers.
//! `tests/layers.rs` holds the exact table; `ARCHITECTURE.md` walks one event through all of it.
//!
//! | layer | modules | does I/O |
//! |---|---|---|
//! | 0 words | `clock` … `pace`, `telemetry` | `telemetry` logs |
//! | 1 languages | [`source`], [`rules`], [`message`] | no |
//! | 2 planner | [`planner`], [`links`] | no |
//! | 3 store | [`store`] | yes |
//! | 4 channels | [`channels`] | its `wire` only |
//! | 5 config | [`config`] | files |
//! | 6 lints | [`lint`] | no |
//! | 7 listeners | [`server`] | yes |
//! | 8 steps | [`steps`] | yes |
//! | 9 rehearsals | [`rehearse`]: the steps on a store in memory, a clock that is moved, a wire that records | no |
//! | 10 surfaces | [`admin`], [`cli`] | yes |

// 0, words.
pub mod clock;
pub mod secret;
pub mod problem;
pub mod yaml;
pub mod decimal;
pub mod locale;
pub mod codes;
pub mod json;
pub mod path;
pub mod event;
pub mod delivery;
pub mod pace;
pub mod telemetry;

// 1, languages.
pub mod source;
pub mod rules;
pub mod message;

// 2, what is known in, what to do out.
pub mod planner;

// 2, how people answer a message.
pub mod links;

// 3, where everything durable is.
pub mod store;

// 4, the ways out.
pub mod channels;

// 5, what is in force.
pub mod config;

// 6, what is legal and surely not meant.
pub mod lint;

// 7, who gets in, for how long, and at what cost.
pub mod server;

// 8, the running parts.
pub mod steps;

// 9, the running parts without the world.
pub mod rehearse;

// 10, what people and programs see.
pub mod admin;
pub mod cli;
