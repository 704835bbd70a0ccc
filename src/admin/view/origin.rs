//! Where something was asked from.

/// Where something was asked from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Origin {
    /// The page.
    Page,
    /// The command line.
    Command,
    /// Another program.
    Api,
}

impl Origin {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Page, Self::Command, Self::Api];

    /// In one word.
    pub fn name(self) -> &'static str {
        match self {
            Self::Page => "page",
            Self::Command => "command",
            Self::Api => "api",
        }
    }
}
