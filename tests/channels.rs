//! Every channel against its judge, and every message: golden files, hostile values, verdicts, leaks, and whole cases over
//! the wire.
//!
//! What is under test is every row of `channels::ALL`, built from its own example, and every further destination in
//! `channels/destinations/`. A new kind or a new message file is picked up by itself; its goldens are then missing, and
//! the failure says how to make them.

mod any;
mod cases;
mod destinations;
mod discord;
mod elsewhere;
mod email;
mod golden;
mod google_chat;
mod hostile;
mod house;
mod incident_io;
mod jsm;
pub mod judges;
mod leaks;
mod mattermost;
mod ntfy;
mod overrides;
mod pagerduty;
mod peers;
mod rates;
mod rocketchat;
mod slack;
mod suite;
mod teams;
mod telegram;
mod twilio;
mod verdicts;
