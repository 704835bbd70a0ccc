//! What is reported before a template is needed.
