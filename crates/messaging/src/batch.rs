//! Many callers, one unit of work: whoever comes first carries the others' items along.

use std::future::Future;
use std::sync::{Mutex, PoisonError};

use tokio::sync::oneshot;

/// Items of one batch at most.
const MOST: usize = 256;

struct Waiting<T, R> {
    item: T,
    answer: oneshot::Sender<R>,
}

/// Collects items while a batch is being worked on, and hands all of them to the next one.
pub(crate) struct Batcher<T, R> {
    waiting: Mutex<Vec<Waiting<T, R>>>,
    turn: tokio::sync::Mutex<()>,
}

impl<T, R> Default for Batcher<T, R> {
    fn default() -> Self {
        Self { waiting: Mutex::default(), turn: tokio::sync::Mutex::default() }
    }
}

impl<T, R> Batcher<T, R> {
    /// Puts an item into the next batch and returns its answer. `work` gets the items of the batch
    /// and gives one answer each, in their order. `None` if the batch was dropped half-way.
    pub(crate) async fn submit<F>(&self, item: T, work: impl Fn(Vec<T>) -> F) -> Option<R>
    where
        F: Future<Output = Vec<R>>,
    {
        let (answer, mut answered) = oneshot::channel();
        self.lock().push(Waiting { item, answer });
        loop {
            let turn = self.turn.lock().await;
            match answered.try_recv() {
                Ok(done) => return Some(done),
                Err(oneshot::error::TryRecvError::Closed) => return None,
                Err(oneshot::error::TryRecvError::Empty) => {}
            }
            let (items, answers) = self.take();
            for (answer, done) in answers.into_iter().zip(work(items).await) {
                // A caller that went away needs no answer.
                let _ = answer.send(done);
            }
            drop(turn);
        }
    }

    fn take(&self) -> (Vec<T>, Vec<oneshot::Sender<R>>) {
        let mut waiting = self.lock();
        let count = waiting.len().min(MOST);
        waiting.drain(..count).map(|waiting| (waiting.item, waiting.answer)).unzip()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<Waiting<T, R>>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
