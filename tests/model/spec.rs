//! Rules as plain data: what the reference reads, and the YAML that Fanfare reads.

/// Milliseconds, of a moment or of a span.
pub type Ms = i64;

pub const SECOND: Ms = 1000;
pub const MINUTE: Ms = 60 * SECOND;
pub const HOUR: Ms = 60 * MINUTE;
pub const DAY: Ms = 24 * HOUR;

/// A rule. Its key, wherever it needs one, is `$.data.key`.
#[derive(Debug, Clone, Default)]
pub struct Spec {
    /// What stays the same when it is renamed.
    pub line: &'static str,
    pub name: &'static str,
    pub formerly: Vec<&'static str>,
    pub events: Vec<&'static str>,
    /// `missing:` in place of `events:`, for so long.
    pub missing: Option<Ms>,
    pub case: bool,
    pub closed_by: Vec<&'static str>,
    pub closes_after: Option<Ms>,
    pub actions: Vec<Action>,
    pub on_close: Vec<Action>,
}

/// An action.
#[derive(Debug, Clone, Default)]
pub struct Action {
    pub name: &'static str,
    pub to: Vec<&'static str>,
    pub once: bool,
    pub after: Option<Ms>,
    pub repeat: Option<Ms>,
    /// `at:` so long before `$.data.date`.
    pub before: Option<Ms>,
    pub throttle: Option<Throttle>,
    pub digest: Option<Digest>,
    pub hours: Option<Hours>,
}

/// `throttle:`, by key.
#[derive(Debug, Clone, Copy)]
pub struct Throttle {
    pub max: usize,
    pub every: Ms,
    pub rest_digest: bool,
}

/// `digest:`, by key.
#[derive(Debug, Clone, Copy)]
pub struct Digest {
    pub every: Ms,
    pub limit: usize,
}

/// `hours:`, in UTC, every day.
#[derive(Debug, Clone, Copy)]
pub struct Hours {
    pub from: i64,
    pub to: i64,
    pub drop: bool,
}

impl Hours {
    /// When the window opens next, if it is closed.
    pub fn closed_until(self, now: Ms) -> Option<Ms> {
        let (midnight, time) = (now.div_euclid(DAY) * DAY, now.rem_euclid(DAY));
        let (from, to) = (self.from * HOUR, self.to * HOUR);
        let open = if from < to { from <= time && time < to } else { from <= time || time < to };
        let today = midnight + from;
        (!open).then_some(if today > now { today } else { today + DAY })
    }
}

impl Action {
    pub fn new(name: &'static str, to: &[&'static str]) -> Self {
        Self { name, to: to.to_vec(), ..Self::default() }
    }

    /// Whether it waits for a time of its case.
    pub fn is_timed(&self) -> bool {
        self.after.is_some() || self.before.is_some()
    }

    /// What its timer goes by: a change of it moves the timer. Nothing where it has none.
    pub fn times(&self) -> Option<(Option<Ms>, Option<Ms>, Option<Ms>)> {
        let times = (self.after, self.repeat, self.before);
        (times != (None, None, None)).then_some(times)
    }

    fn yaml(&self, out: &mut String) {
        out.push_str(&format!("      - name: {}\n        to: {}\n", self.name, flow(&self.to)));
        out.push_str(&format!("        text: '{} {{{{ event.id }}}}'\n", self.name));
        let mut key = |name: &str, value: Option<String>| {
            if let Some(value) = value {
                out.push_str(&format!("        {name}: {value}\n"));
            }
        };
        key("once", self.once.then(|| "true".into()));
        key("after", self.after.map(seconds));
        key("repeat", self.repeat.map(seconds));
        key("at", self.before.map(|span| format!("{} before $.data.date", seconds(span))));
        key(
            "throttle",
            self.throttle.map(|throttle| {
                let rest = if throttle.rest_digest { "digest" } else { "drop" };
                format!("{{per: $.data.key, max: {}, every: {}, rest: {rest}}}", throttle.max, seconds(throttle.every))
            }),
        );
        key(
            "digest",
            self.digest.map(|digest| {
                format!("{{per: $.data.key, every: {}, limit: {}}}", seconds(digest.every), digest.limit)
            }),
        );
        key(
            "hours",
            self.hours.map(|hours| {
                let outside = if hours.drop { "drop" } else { "hold" };
                format!(
                    "{{days: mon-sun, from: \"{:02}:00\", to: \"{:02}:00\", timezone: UTC, outside: {outside}}}",
                    hours.from, hours.to
                )
            }),
        );
    }
}

fn seconds(span: Ms) -> String {
    format!("{}s", span / SECOND)
}

fn flow(words: &[&str]) -> String {
    let quoted: Vec<String> = words.iter().map(|word| format!("'{word}'")).collect();
    format!("[{}]", quoted.join(", "))
}

impl Spec {
    /// The action with this name, of a match or of a close.
    pub fn action(&self, name: &str) -> Option<&Action> {
        self.actions.iter().chain(&self.on_close).find(|action| action.name == name)
    }

    fn yaml(&self, out: &mut String) {
        out.push_str(&format!("  - name: {}\n", self.name));
        if !self.formerly.is_empty() {
            out.push_str(&format!("    formerly: {}\n", flow(&self.formerly)));
        }
        match self.missing {
            Some(span) => {
                out.push_str(&format!("    missing: {{events: {}, for: {}}}\n", flow(&self.events), seconds(span)));
            }
            None => out.push_str(&format!("    events: {}\n", flow(&self.events))),
        }
        if self.case {
            out.push_str("    case: $.data.key\n");
        }
        if !self.closed_by.is_empty() {
            out.push_str(&format!("    closed_by: {}\n", flow(&self.closed_by)));
        }
        if let Some(span) = self.closes_after {
            out.push_str(&format!("    closes_after: {}\n", seconds(span)));
        }
        for (name, actions) in [("actions", &self.actions), ("on_close", &self.on_close)] {
            if !actions.is_empty() {
                out.push_str(&format!("    {name}:\n"));
                actions.iter().for_each(|action| action.yaml(out));
            }
        }
    }
}

/// A rules file that says the same.
pub fn yaml(specs: &[Spec]) -> String {
    let mut out = "rules:\n".to_owned();
    specs.iter().for_each(|spec| spec.yaml(&mut out));
    out
}
