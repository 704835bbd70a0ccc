//! Rules: parsing, judging, their problems.
