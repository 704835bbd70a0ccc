//! What tests share: receivers that behave like the real services, and a program under test.
// A receiver offers all that any test may want of it.
#![allow(dead_code)]

pub mod browser;
pub mod by_hand;
pub use crate::channels::judges::{
    discord as discord_peer, pagerduty as pagerduty_peer, slack as slack_peer, telegram as telegram_peer,
};

pub mod app;
pub mod cli;
pub mod fault;
pub mod flawed;
pub mod folder;
pub mod http_peer;
pub mod leak;
pub mod load;
pub mod mime;
pub mod parsing;
pub mod postgres;
pub mod process;
pub mod raw;
pub mod sending;
pub mod smtp_peer;
pub mod tls;
pub mod trap;
pub mod wrapped;
