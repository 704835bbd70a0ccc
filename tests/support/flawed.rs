//! Something goes wrong on the way to a store: where the planner loads what it must know, and where it commits.

use std::sync::Arc;
use std::time::Duration;

use fanfare::planner::{Keys, Plan};
use fanfare::store::{Answer, Error, Store};

use crate::support::wrapped::{Call, Way, Wrapped};

/// What becomes of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    Well,
    /// It never returns: who called dies of it.
    Hangs,
    /// It is not done.
    Fails,
    /// It is done so much later.
    Late(Duration),
}

impl Fate {
    async fn befall(self) -> Result<(), Error> {
        match self {
            Self::Well => Ok(()),
            Self::Hangs => std::future::pending().await,
            Self::Fails => Err(Error::Unavailable("PostgreSQL did not answer within 5 s".into())),
            Self::Late(by) => {
                tokio::time::sleep(by).await;
                Ok(())
            }
        }
    }
}

type Hook<T> = Box<dyn Fn(&T) -> Fate + Send + Sync>;

/// What goes wrong.
pub struct Flawed {
    load: Hook<Keys>,
    commit: Hook<Plan>,
}

impl Flawed {
    /// What becomes of loading.
    pub fn loading(store: &Arc<dyn Store>, load: impl Fn(&Keys) -> Fate + Send + Sync + 'static) -> Wrapped<Self> {
        let way = Self { load: Box::new(load), commit: Box::new(|_| Fate::Well) };
        Wrapped { store: store.clone(), way }
    }

    /// What becomes of committing.
    pub fn committing(store: &Arc<dyn Store>, commit: impl Fn(&Plan) -> Fate + Send + Sync + 'static) -> Wrapped<Self> {
        let way = Self { load: Box::new(|_| Fate::Well), commit: Box::new(commit) };
        Wrapped { store: store.clone(), way }
    }
}

impl Way for Flawed {
    fn meet<'a>(&'a self, call: Call<'a>) -> Answer<'a, ()> {
        let fate = match call {
            Call::Load(keys) => (self.load)(keys),
            Call::Commit(plan) => (self.commit)(plan),
            _ => Fate::Well,
        };
        Box::pin(fate.befall())
    }
}
