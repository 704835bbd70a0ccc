//! Ways to be broken: what the simulation must notice within few seeds, or it is not to be trusted.
//!
//! Each is put between the program and its store, its wire, its log or its tasks, so that the program itself stays as it is.

/// What is wrong with the world below the program.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Breakage {
    /// Nothing.
    #[default]
    None,
    /// The right to plan is given to whoever asks.
    PlannersShare,
    /// The right to carry out a delivery ends as soon as it was given.
    ClaimsOverlap,
    /// An event is answered before it is durable.
    CommitAfterAnswer,
    /// Whether an event is known is looked up before the transaction that appends it.
    DedupeOutside,
    /// An outcome is recorded whoever holds the claim by now.
    OutcomeWithoutToken,
    /// Each attempt has a key of its own.
    RetryWithoutKey,
    /// A main task that dies is not started anew.
    NobodyWatches,
    /// A log that can't be written is everybody's trouble.
    LogPanics,
    /// What a delivery waits for its destination's breaker doesn't count in `give_up`.
    WaitingForgiven,
    /// The timers that look whether a message is late are not kept.
    LatenessForgotten,
}

impl Breakage {
    pub const ALL: [Breakage; 10] = [
        Breakage::PlannersShare,
        Breakage::ClaimsOverlap,
        Breakage::CommitAfterAnswer,
        Breakage::DedupeOutside,
        Breakage::OutcomeWithoutToken,
        Breakage::RetryWithoutKey,
        Breakage::NobodyWatches,
        Breakage::LogPanics,
        Breakage::WaitingForgiven,
        Breakage::LatenessForgotten,
    ];
}
