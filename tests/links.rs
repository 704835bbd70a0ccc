//! Links of messages, and what PagerDuty tells: people act on a case from where they are.

mod channels;
mod desk;
mod follow;
mod guesses;
mod offers;
mod pagerduty;
mod tokens;
