//! The keys of links, as this process knows them: made where there are none, renewed when they are old, and kept at hand so
//! that guesses cost no look into the store.

use std::sync::Arc;

use arc_swap::ArcSwap;
use jiff::{SignedDuration, Timestamp};

use crate::clock::plus;
use crate::config::Snapshot;
use crate::config::prepare::Tokens;
use crate::planner::Keys;
use crate::planner::Plan;
use crate::planner::links::{LinkKeys, Linking, Unguessable};
use crate::planner::loaded::DocChange;
use crate::steps::Live;
use crate::store;
use crate::store::{PlannerLease, Store};

/// Keys that were read longer ago are read again: so long links work elsewhere that somebody ended here.
const KNOWN_FOR: SignedDuration = SignedDuration::from_secs(5);

/// The keys as they were read last.
#[derive(Debug)]
pub struct Ring {
    known: ArcSwap<Option<Known>>,
    reading: tokio::sync::Mutex<()>,
    /// Nobody follows the links of rehearsals: what they send holds no token.
    pub is_hidden: bool,
    /// Where keys come from: the system, but in a simulation, which is the same each time. `None` where there are none.
    pub draw: fn() -> Option<Unguessable>,
}

impl Default for Ring {
    fn default() -> Self {
        Self { known: ArcSwap::default(), reading: tokio::sync::Mutex::default(), is_hidden: false, draw: unguessable }
    }
}

#[derive(Debug)]
struct Known {
    keys: Option<Arc<LinkKeys>>,
    read: Timestamp,
}

impl Ring {
    /// One of a rehearsal.
    pub fn hidden() -> Self {
        Self { is_hidden: true, ..Self::default() }
    }

    fn at_hand(&self, now: Timestamp) -> Option<Option<Arc<LinkKeys>>> {
        let known = self.known.load_full();
        let known = Option::as_ref(&known).filter(|known| known.read <= now && now < plus(known.read, KNOWN_FOR))?;
        Some(known.keys.clone())
    }

    fn learn(&self, keys: Option<LinkKeys>, now: Timestamp) -> Option<Arc<LinkKeys>> {
        let keys = keys.map(Arc::new);
        self.known.store(Arc::new(Some(Known { keys: keys.clone(), read: now })));
        keys
    }

    /// The keys, from the store once in a while only, however many ask.
    ///
    /// # Errors
    /// What reading ran into.
    pub async fn some(&self, store: &dyn Store, now: Timestamp) -> Result<Option<Arc<LinkKeys>>, store::Error> {
        if let Some(keys) = self.at_hand(now) {
            return Ok(keys);
        }
        let _turn = self.reading.lock().await;
        match self.at_hand(now) {
            Some(keys) => Ok(keys),
            None => self.newest(store, now).await,
        }
    }

    /// The keys as the store has them.
    ///
    /// # Errors
    /// What reading ran into.
    pub async fn newest(&self, store: &dyn Store, now: Timestamp) -> Result<Option<Arc<LinkKeys>>, store::Error> {
        let wanted = Keys { one: [LinkKeys::key()].into(), ..Keys::default() };
        let mut loaded = store.load(&wanted).await?;
        let text = loaded.docs.remove(&LinkKeys::key());
        Ok(self.learn(text.and_then(|text| serde_json::from_str(&text).ok()), now))
    }
}

/// Bytes from the system that nobody can guess.
fn unguessable() -> Option<Unguessable> {
    let mut bytes = [0; 32];
    let provider = rustls::crypto::aws_lc_rs::default_provider();
    provider.secure_random.fill(&mut bytes).ok()?;
    Some(Unguessable(bytes))
}

/// What planning needs for links; nothing where none are wanted, or no key was made yet.
pub fn linking(live: &Live, snapshot: &Snapshot) -> Option<Linking> {
    let links = snapshot.settings.links.as_ref()?;
    let known = live.links.known.load_full();
    let seed = Option::as_ref(&known)?.keys.as_ref()?.seed;
    Some(Linking { seed, expires: links.expires, fresh: (live.links.draw)()? })
}

/// Sees to it that there is a key, and that it is not too old, before messages with links are planned.
pub(super) async fn keep(
    live: &Live,
    lease: &PlannerLease,
    snapshot: &Snapshot,
    now: Timestamp,
) -> Result<(), store::Error> {
    let Some(links) = &snapshot.settings.links else { return Ok(()) };
    let draw = live.links.draw;
    let next = match live.links.some(&*live.store, now).await? {
        None => draw().zip(draw()).map(|(seed, fresh)| LinkKeys::begin(seed, fresh, now)),
        Some(keys) if keys.is_old(now) => draw().map(|fresh| keys.renewed(fresh, links.expires, now)),
        Some(_) => None,
    };
    let Some(next) = next else { return Ok(()) };
    let text = serde_json::to_string(&next).unwrap_or_default();
    let doc = DocChange { key: LinkKeys::key(), text: Some(text), events: Vec::new() };
    live.store.commit(lease, Plan { docs: vec![doc], ..Plan::default() }, now).await?;
    live.links.learn(Some(next), now);
    Ok(())
}

/// What the links of a message are made with.
pub(super) async fn tokens(live: &Live, now: Timestamp) -> Result<Tokens, store::Error> {
    if live.links.is_hidden {
        return Ok(Tokens::Hidden);
    }
    let keys = live.links.newest(&*live.store, now).await?;
    Ok(keys.map_or(Tokens::None, Tokens::By))
}
