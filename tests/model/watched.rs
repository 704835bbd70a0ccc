//! A store under watch: each plan that is committed through it is held against the reference.

use std::future::ready;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use fanfare::planner::{Plan, Sweep};
use fanfare::rules::RuleSet;
use fanfare::store::{Answer, Error, PlannerLease, Store, Waiting};
use jiff::Timestamp;

use super::against::{Against, Doing, Planned};
use crate::support::wrapped::{Call, Way};

/// What is seen, and outlives the store.
pub struct Watch {
    pub against: Mutex<Against>,
    /// The rules in force.
    pub rules: Mutex<Arc<RuleSet>>,
    doing: Mutex<Doing>,
    /// Whether the next commits are lost on the way.
    pub loses: AtomicBool,
    pub wrong: Mutex<Vec<String>>,
    /// How many deliveries were made.
    pub said: Mutex<u64>,
}

impl Watch {
    pub fn new(against: Against, rules: Arc<RuleSet>) -> Arc<Self> {
        Arc::new(Self {
            against: Mutex::new(against),
            rules: Mutex::new(rules),
            doing: Mutex::new(Doing::Plans),
            loses: AtomicBool::new(false),
            wrong: Mutex::default(),
            said: Mutex::default(),
        })
    }

    fn planned(&self, plan: &Plan, waiting: &Waiting, now: Timestamp) {
        let rules = self.rules.lock().unwrap();
        let planned =
            Planned { rules: &rules, doing: *self.doing.lock().unwrap(), now, waiting, plan, may_be_part: false };
        if !self.wrong.lock().unwrap().is_empty() {
            return;
        }
        let wrong = self.against.lock().unwrap().planned(&planned);
        self.wrong.lock().unwrap().extend(wrong);
        *self.said.lock().unwrap() += plan.deliveries.len() as u64;
    }
}

impl Way for Arc<Watch> {
    fn meet<'a>(&'a self, call: Call<'a>) -> Answer<'a, ()> {
        let doing = match call {
            Call::Load(keys) => Some(Doing::of_keys(keys)),
            Call::Docs(Sweep::CASES) => Some(Doing::Sweeps),
            _ => None,
        };
        if let Some(doing) = doing {
            *self.doing.lock().unwrap() = doing;
        }
        Box::pin(ready(Ok(())))
    }

    fn commit<'a>(&'a self, store: &'a dyn Store, lease: PlannerLease, plan: Plan, now: Timestamp) -> Answer<'a, u64> {
        Box::pin(async move {
            if self.loses.load(Ordering::Relaxed) {
                return Err(Error::Unavailable("lost".into()));
            }
            let mut waiting = store.waiting(now, 4096).await?;
            for entry in &mut waiting.entries {
                entry.item = entry.item.clone().read();
            }
            let new = store.commit(&lease, plan.clone(), now).await?;
            self.planned(&plan, &waiting, now);
            let count = plan.deliveries.len() as u64;
            if new != count {
                self.wrong.lock().unwrap().push(format!("{count} deliveries were planned, and {new} were new"));
            }
            Ok(new)
        })
    }
}
