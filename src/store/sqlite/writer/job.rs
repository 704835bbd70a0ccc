//! What the writer is asked to do, and how it answers.

use tokio::sync::oneshot;

use super::WriterState;
use crate::store::sqlite::inbox::Arrival;
use crate::store::{Appended, Error};

/// Something to do for a caller who waits.
pub(in crate::store::sqlite) enum Job {
    /// Append an event: the common one, so it has no box and no savepoint.
    Append(Box<Arrival>, oneshot::Sender<Result<Appended, Error>>),
    /// Anything else.
    Task(Box<dyn Task>),
    /// The end: answered when the file is closed.
    Close(oneshot::Sender<()>),
}

/// A piece of work within a transaction. It may be run again, if the transaction it was run in was rolled back.
pub(in crate::store::sqlite) trait Task: Send {
    /// Does it. An error undoes it, and only it.
    fn run(&mut self, state: &mut WriterState) -> Result<(), Error>;
    /// Answers, when it is known what became of the transaction.
    fn answer(self: Box<Self>, fate: Result<(), Error>);
    /// What it asks of the disk.
    fn needs(&self) -> Needs;
}

/// What a piece of work asks of the disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::store::sqlite) enum Needs {
    /// It is answered when it is on the disk; a full disk refuses it, since it takes something in.
    Room,
    /// It is answered when it is on the disk.
    Sync,
    /// It survives the process at once, and a power failure once anything after it is on the disk. For what is done again
    /// where it was lost: only what was in flight then is sent twice.
    Order,
}

impl Job {
    pub(super) fn needs(&self) -> Needs {
        match self {
            Job::Append(..) => Needs::Room,
            Job::Task(task) => task.needs(),
            Job::Close(_) => Needs::Sync,
        }
    }
}

/// A closure as a task.
pub(in crate::store::sqlite) struct Asked<T, F> {
    work: F,
    needs: Needs,
    outcome: Option<Result<T, Error>>,
    reply: oneshot::Sender<Result<T, Error>>,
}

impl<T, F> Asked<T, F>
where
    T: Send + 'static,
    F: FnMut(&mut WriterState) -> Result<T, Error> + Send + 'static,
{
    /// The job, and where its answer comes.
    pub fn job(needs: Needs, work: F) -> (Job, oneshot::Receiver<Result<T, Error>>) {
        let (reply, answer) = oneshot::channel();
        (Job::Task(Box::new(Self { work, needs, outcome: None, reply })), answer)
    }
}

impl<T, F> Task for Asked<T, F>
where
    T: Send,
    F: FnMut(&mut WriterState) -> Result<T, Error> + Send,
{
    fn run(&mut self, state: &mut WriterState) -> Result<(), Error> {
        let outcome = (self.work)(state);
        let result = outcome.as_ref().map(|_| ()).map_err(Clone::clone);
        self.outcome = Some(outcome);
        result
    }

    fn answer(self: Box<Self>, fate: Result<(), Error>) {
        let answer = match (self.outcome, fate) {
            (Some(outcome), Ok(())) => outcome,
            // Anyone who asked may be gone: nobody is left to tell.
            (_, Err(error)) => Err(error),
            (None, Ok(())) => Err(Error::Unavailable("not done".into())),
        };
        let _ = self.reply.send(answer);
    }

    fn needs(&self) -> Needs {
        self.needs
    }
}

/// An event that is being appended, and what that came to.
pub(super) struct Append {
    pub arrival: Box<Arrival>,
    pub reply: oneshot::Sender<Result<Appended, Error>>,
    pub result: Result<Appended, Error>,
}

/// What a job came to within the transaction; who is answered waits for the commit.
pub(super) enum Done {
    Append(oneshot::Sender<Result<Appended, Error>>, Result<Appended, Error>),
    Task(Box<dyn Task>, Result<(), Error>),
}

impl Done {
    pub(super) fn answer(self, fate: &Result<(), Error>) {
        match self {
            // Anyone who asked may be gone: nobody is left to tell.
            Done::Append(reply, result) => drop(reply.send(fate.clone().and(result))),
            Done::Task(task, own) => task.answer(own.and_then(|()| fate.clone())),
        }
    }
}
