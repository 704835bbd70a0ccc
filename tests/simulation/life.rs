//! The life of a simulated process: it runs, is paused, or is dead; and what it runs does so only while it lives.

use std::collections::BTreeMap;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};

use tokio::sync::Notify;

/// What a task panics with that is meant to die while its process lives.
pub struct Killed;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    Runs,
    Paused,
    Dead,
}

/// Whether a process lives.
pub struct Life {
    state: Mutex<State>,
    /// Told when it dies.
    pub died: Notify,
}

struct State {
    stage: Stage,
    wakers: BTreeMap<u64, Waker>,
    last: u64,
    panicked: bool,
}

impl Life {
    pub fn new() -> Arc<Self> {
        let state = State { stage: Stage::Runs, wakers: BTreeMap::new(), last: 0, panicked: false };
        Arc::new(Self { state: Mutex::new(state), died: Notify::new() })
    }

    pub fn stage(&self) -> Stage {
        self.state.lock().unwrap().stage
    }

    pub fn has_panicked(&self) -> bool {
        self.state.lock().unwrap().panicked
    }

    /// Changes how it is; the dead stay dead. Everything of it looks up.
    pub fn turn(&self, stage: Stage) {
        let mut state = self.state.lock().unwrap();
        if state.stage == Stage::Dead {
            return;
        }
        state.stage = stage;
        std::mem::take(&mut state.wakers).into_values().for_each(Waker::wake);
        if stage == Stage::Dead {
            self.died.notify_one();
        }
    }

    /// Ends the process at this very step: anyone who calls goes no further.
    pub async fn end(&self) -> ! {
        self.turn(Stage::Dead);
        loop {
            std::future::pending::<()>().await;
        }
    }

    /// What goes on only while it runs; `None` if it died before the end.
    pub fn bind<F: Future>(self: &Arc<Self>, inner: F) -> Bound<F> {
        let mut state = self.state.lock().unwrap();
        state.last += 1;
        Bound { inner: Some(Box::pin(inner)), life: self.clone(), number: state.last }
    }
}

/// Something that a process does.
pub struct Bound<F> {
    inner: Option<Pin<Box<F>>>,
    life: Arc<Life>,
    number: u64,
}

impl<F: Future> Future for Bound<F> {
    type Output = Option<F::Output>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.get_mut();
        {
            let mut state = this.life.state.lock().unwrap();
            match state.stage {
                Stage::Dead => {
                    drop(state);
                    this.inner = None;
                    return Poll::Ready(None);
                }
                stage => {
                    state.wakers.insert(this.number, cx.waker().clone());
                    if stage == Stage::Paused {
                        return Poll::Pending;
                    }
                }
            }
        }
        let Some(inner) = &mut this.inner else { return Poll::Ready(None) };
        let polled = catch_unwind(AssertUnwindSafe(|| inner.as_mut().poll(cx)));
        match polled {
            Ok(_) if this.life.stage() == Stage::Dead => {
                this.inner = None;
                Poll::Ready(None)
            }
            Ok(polled) => polled.map(Some),
            // Anyone who watches it sees it.
            Err(panic) if panic.is::<Killed>() => resume_unwind(panic),
            Err(_) => {
                this.life.state.lock().unwrap().panicked = true;
                this.inner = None;
                this.life.turn(Stage::Dead);
                Poll::Ready(None)
            }
        }
    }
}

impl<F> Drop for Bound<F> {
    fn drop(&mut self) {
        self.life.state.lock().unwrap().wakers.remove(&self.number);
    }
}
