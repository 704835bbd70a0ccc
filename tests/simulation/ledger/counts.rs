//! How much there was of everything, in one seed or in many.

/// How much there was.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Counts {
    pub sent: u64,
    pub accepted: u64,
    pub deliveries: u64,
    pub attempts: u64,
    pub repeats: u64,
    pub dead: u64,
    pub cancelled: u64,
    /// Processes that died, and that were held up.
    pub deaths: u64,
    pub pauses: u64,
    /// Main tasks that died while their process lived.
    pub tasks: u64,
    /// Calls of the store; of these, those that failed, and those that did all and whose answer was lost.
    pub calls: u64,
    pub failed: u64,
    pub unanswered: u64,
    /// Times that the clocks jumped, and that other files were taken up.
    pub jumps: u64,
    pub reloads: u64,
    /// Links that people confirmed.
    pub links: u64,
}

impl std::ops::AddAssign for Counts {
    fn add_assign(&mut self, other: Self) {
        let Self { sent, accepted, deliveries, attempts, repeats, dead, cancelled, deaths, pauses, .. } = self;
        *sent += other.sent;
        *accepted += other.accepted;
        *deliveries += other.deliveries;
        *attempts += other.attempts;
        *repeats += other.repeats;
        *dead += other.dead;
        *cancelled += other.cancelled;
        *deaths += other.deaths;
        *pauses += other.pauses;
        self.tasks += other.tasks;
        self.calls += other.calls;
        self.failed += other.failed;
        self.unanswered += other.unanswered;
        self.jumps += other.jumps;
        self.reloads += other.reloads;
        self.links += other.links;
    }
}
