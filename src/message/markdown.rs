//! From Markdown to blocks, values kept as text.
