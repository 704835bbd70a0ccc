//! The one sender, against servers that behave badly.
