//! A verb of the store panics, hangs or fails when it is asked to: on the way between the program and its real store.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use fanfare::steps::Live;
use fanfare::store::{Answer, Error};
use tokio::sync::Notify;

use crate::support::wrapped::{Call, Way, Wrapped};

/// What a verb does instead of its work.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Act {
    /// Panics, once.
    PanicsOnce,
    /// Panics each time.
    Panics,
    /// Answers only when it is let go.
    Hangs,
    /// Fails each time.
    Fails,
}

/// What is on the way.
pub struct Trap {
    acts: Mutex<BTreeMap<&'static str, Act>>,
    changed: Notify,
    hanging: AtomicUsize,
}

impl Trap {
    /// Puts one before the store that these steps share; nothing is amiss yet.
    pub fn before(live: &mut Arc<Live>) -> Arc<Self> {
        let live = Arc::get_mut(live).expect("nothing runs yet");
        let trap = Arc::new(Self { acts: Mutex::default(), changed: Notify::new(), hanging: AtomicUsize::new(0) });
        live.store = Arc::new(Wrapped { store: live.store.clone(), way: trap.clone() });
        trap
    }

    /// From now on the verb does this: `tell`, `lease`, `ledger`, `claim` or `waiting_destinations`.
    pub fn set(&self, verb: &'static str, act: Act) {
        self.acts.lock().unwrap().insert(verb, act);
    }

    /// All is well again.
    pub fn clear(&self) {
        self.acts.lock().unwrap().clear();
        self.changed.notify_waiters();
    }

    /// How often something was made to hang.
    pub fn hung(&self) -> usize {
        self.hanging.load(Ordering::SeqCst)
    }
}

impl Way for Arc<Trap> {
    fn meet<'a>(&'a self, call: Call<'a>) -> Answer<'a, ()> {
        Box::pin(async move {
            let verb = call.verb();
            loop {
                let changed = self.changed.notified();
                let act = self.acts.lock().unwrap().get(verb).copied();
                match act {
                    None => return Ok(()),
                    Some(Act::PanicsOnce) => {
                        self.acts.lock().unwrap().remove(verb);
                        panic!("`{verb}` is a trap");
                    }
                    Some(Act::Panics) => panic!("`{verb}` is a trap"),
                    Some(Act::Hangs) => {
                        self.hanging.fetch_add(1, Ordering::SeqCst);
                        changed.await;
                    }
                    Some(Act::Fails) => return Err(Error::Unavailable(format!("`{verb}` is a trap"))),
                }
            }
        })
    }
}
