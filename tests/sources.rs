//! Signatures and normalising: every scheme verifies what it signs, and refuses all else.
