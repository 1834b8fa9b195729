//! Many callers, one unit of work: calls that come while another batch is being carried out share
//! the next one. A caller that goes away takes nothing with it: the work is done by a task.
//!
//! Callers that were answered together come back together. So after a batch the worker waits until
//! most of them are there again, for a millisecond at most: a unit of work costs nearly the same for
//! two calls as for thirty. Whoever calls alone never waits.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, oneshot};

/// Items of one batch at most.
const MOST: usize = 128;
/// Items of a batch from which on the next one is waited for.
const COMPANY: usize = 4;
/// Items that wait before another worker begins: few large units of work cost less than many small
/// ones, but one that is stuck must not keep everybody.
const CROWD: usize = 64;
/// How long, at most.
const PATIENCE: Duration = Duration::from_millis(1);

type Answers<R> = Pin<Box<dyn Future<Output = Vec<R>> + Send>>;
type Work<T, R> = dyn Fn(Vec<T>) -> Answers<R> + Send + Sync;

struct Waiting<T, R> {
    item: T,
    answer: oneshot::Sender<R>,
}

struct Queue<T, R> {
    waiting: Vec<Waiting<T, R>>,
    workers: usize,
    /// How many a worker waits for, if one does.
    enough: Option<usize>,
    full: Arc<Notify>,
}

/// Collects items and hands them to at most so many workers, batch by batch. Cheap to clone.
pub(crate) struct Gather<T, R> {
    queue: Arc<Mutex<Queue<T, R>>>,
    work: Arc<Work<T, R>>,
    workers: usize,
}

impl<T, R> Clone for Gather<T, R> {
    fn clone(&self) -> Self {
        let (queue, work) = (Arc::clone(&self.queue), Arc::clone(&self.work));
        Self { queue, work, workers: self.workers }
    }
}

impl<T: Send + 'static, R: Send + 'static> Gather<T, R> {
    /// `work` gets the items of a batch and gives one answer each, in their order.
    pub(crate) fn new<F>(workers: usize, work: impl Fn(Vec<T>) -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = Vec<R>> + Send + 'static,
    {
        let work: Arc<Work<T, R>> = Arc::new(move |items| Box::pin(work(items)));
        let (enough, full) = (None, Arc::default());
        let queue = Queue { waiting: Vec::new(), workers: 0, enough, full };
        Self { queue: Arc::new(Mutex::new(queue)), work, workers }
    }

    /// Puts an item into the next batch and returns its answer; `None` if the batch ended without
    /// one.
    pub(crate) async fn submit(&self, item: T) -> Option<R> {
        let (answer, answered) = oneshot::channel();
        let is_short_of_workers = {
            let mut queue = lock(&self.queue);
            queue.waiting.push(Waiting { item, answer });
            if queue.enough.is_some_and(|enough| queue.waiting.len() >= enough) {
                queue.enough = None;
                queue.full.notify_one();
            }
            let crowded = queue.waiting.len() >= CROWD && queue.workers < self.workers;
            let short = queue.workers == 0 || crowded;
            queue.workers += usize::from(short);
            short
        };
        if is_short_of_workers {
            let worker = Worker { queue: Arc::clone(&self.queue), retired: false };
            tokio::spawn(worker.run(Arc::clone(&self.work)));
        }
        answered.await.ok()
    }
}

/// Counted in [`Queue::workers`] until it ends, however it does.
struct Worker<T, R> {
    queue: Arc<Mutex<Queue<T, R>>>,
    retired: bool,
}

impl<T, R> Worker<T, R> {
    async fn run(mut self, work: Arc<Work<T, R>>) {
        while let Some((items, answers)) = self.take() {
            let company = items.len();
            for (answer, done) in answers.into_iter().zip(work(items).await) {
                // A caller that went away needs no answer.
                let _ = answer.send(done);
            }
            if company >= COMPANY {
                self.wait_for(company * 3 / 4).await;
            }
        }
    }

    /// Waits until so many callers are there, but not for long.
    async fn wait_for(&self, enough: usize) {
        let full = {
            let mut queue = lock(&self.queue);
            if queue.waiting.len() >= enough {
                return;
            }
            queue.enough = Some(enough);
            Arc::clone(&queue.full)
        };
        let _ = tokio::time::timeout(PATIENCE, full.notified()).await;
        lock(&self.queue).enough = None;
    }

    /// The next batch; `None` when there is nothing left, and the worker is counted out at the same
    /// moment, so that whoever comes next starts another.
    fn take(&mut self) -> Option<(Vec<T>, Vec<oneshot::Sender<R>>)> {
        let mut queue = lock(&self.queue);
        if queue.waiting.is_empty() {
            queue.workers -= 1;
            self.retired = true;
            return None;
        }
        let count = queue.waiting.len().min(MOST);
        Some(queue.waiting.drain(..count).map(|waiting| (waiting.item, waiting.answer)).unzip())
    }
}

impl<T, R> Drop for Worker<T, R> {
    fn drop(&mut self) {
        if !self.retired {
            lock(&self.queue).workers -= 1;
        }
    }
}

fn lock<Q>(queue: &Mutex<Q>) -> MutexGuard<'_, Q> {
    queue.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn items_share_batches_and_get_their_own_answers() {
        let batches = Arc::new(Mutex::new(Vec::new()));
        let seen = Arc::clone(&batches);
        let gather = Gather::new(1, move |items: Vec<u32>| {
            lock(&seen).push(items.len());
            async move {
                tokio::task::yield_now().await;
                items.into_iter().map(|item| item * 2).collect()
            }
        });
        let answers = futures_util::future::join_all((0..300).map(|n| gather.submit(n))).await;
        assert_eq!(answers, (0..300).map(|n| Some(n * 2)).collect::<Vec<_>>());
        assert_eq!(lock(&batches).iter().sum::<usize>(), 300);
        assert!(lock(&batches).len() < 10);
    }

    #[tokio::test]
    async fn a_worker_that_panics_is_replaced() {
        let gather = Gather::new(1, |items: Vec<u32>| async move {
            assert!(!items.contains(&7), "on purpose");
            items
        });
        assert_eq!(gather.submit(7).await, None);
        tokio::task::yield_now().await;
        assert_eq!(gather.submit(8).await, Some(8));
    }
}
