//! Hints to the other replicas, by NOTIFY on a connection of their own.
//!
//! Outside every transaction that somebody waits for, since NOTIFY takes a lock over the whole server at commit, and so
//! few that they cost nothing. Losing one, or all of them, as behind a pooler, costs the others a second: they look again
//! by themselves.

use std::collections::BTreeSet;
use std::time::Duration;

use tokio::sync::mpsc::{Receiver, Sender, channel};
use tokio::task::JoinHandle;
use tokio_postgres::AsyncMessage;

use super::connect::Address;
use crate::store::threads::Running;
use crate::store::{Error, Hint};

/// Who notifies waits so long for more to say, and says it once.
const GATHER: Duration = Duration::from_millis(20);

/// After a connection was lost.
const AGAIN: Duration = Duration::from_secs(5);

/// How many wait to be told or heard; what comes beyond is for nothing, since it says the same.
const QUEUE: usize = 16;

/// Where hints go and come from.
pub(super) struct Hints {
    told: Sender<Hint>,
    heard: tokio::sync::Mutex<Receiver<Hint>>,
    task: JoinHandle<()>,
}

impl Hints {
    /// Starts to tell and to listen.
    pub fn start(address: Address, running: Running) -> Self {
        let (told, to_tell) = channel(QUEUE);
        let (hear, heard) = channel(QUEUE);
        let task = tokio::spawn(async move {
            let _running = running;
            run(address, to_tell, hear).await;
        });
        Self { told, heard: tokio::sync::Mutex::new(heard), task }
    }

    /// Where to tell others.
    pub fn teller(&self) -> Sender<Hint> {
        self.told.clone()
    }

    /// Tells the others.
    pub fn tell(&self, hint: Hint) {
        let _ = self.told.try_send(hint);
    }

    /// Ends when another tells.
    pub async fn hear(&self) -> Hint {
        match self.heard.lock().await.recv().await {
            Some(hint) => hint,
            None => std::future::pending().await,
        }
    }
}

impl Drop for Hints {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn run(address: Address, mut to_tell: Receiver<Hint>, hear: Sender<Hint>) {
    // Its own words come back to everybody who listens.
    let me = format!("{:016x}", fastrand::u64(..));
    loop {
        // What went wrong is known to those who need the store for more than hints.
        let _ = connected(&address, &me, &mut to_tell, &hear).await;
        tokio::time::sleep(AGAIN).await;
    }
}

async fn connected(
    address: &Address,
    me: &str,
    to_tell: &mut Receiver<Hint>,
    hear: &Sender<Hint>,
) -> Result<(), Error> {
    let (client, mut connection) = address.config.connect(address.tls.clone()).await?;
    let (me_too, hear) = (me.to_owned(), hear.clone());
    let mut listening = tokio::spawn(async move {
        while let Some(Ok(message)) = std::future::poll_fn(|context| connection.poll_message(context)).await {
            if let AsyncMessage::Notification(said) = message
                && let Some((who, what)) = said.payload().split_once(' ')
                && who != me_too
            {
                let hint = if what == "plan" { Hint::Plan } else { Hint::Dispatch };
                let _ = hear.try_send(hint);
            }
        }
    });
    let talking = async {
        client.batch_execute("LISTEN fanfare").await?;
        while let Some(first) = to_tell.recv().await {
            tokio::time::sleep(GATHER).await;
            let mut all = BTreeSet::from([first]);
            while let Ok(more) = to_tell.try_recv() {
                all.insert(more);
            }
            for hint in all {
                let what = if hint == Hint::Plan { "plan" } else { "dispatch" };
                client.batch_execute(&format!("NOTIFY fanfare, '{me} {what}'")).await?;
            }
        }
        Ok(())
    };
    let talked = tokio::select! {
        talked = talking => talked,
        // The connection was lost, and with it what others tell.
        _ = &mut listening => Ok(()),
    };
    listening.abort();
    talked
}
