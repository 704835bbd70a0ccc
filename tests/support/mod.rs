//! What tests share: receivers that behave like the real services, and a program under test.
