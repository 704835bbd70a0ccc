//! Channels' own formats.
