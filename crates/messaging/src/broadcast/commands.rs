//! Setting a broadcast in motion, and stopping it.

use kabar_core::permission::WriteBroadcasts;
use kabar_core::{BroadcastId, Grant, Once, Scope, StoreError, Timestamp};
use kabar_events::BroadcastStep;
use kabar_jobs::NewJob;

use super::counts::settled;
use super::feed::FEED_JOB;
use super::line::{Fate, put_back, withdraw};
use super::prepare::PREPARE_JOB;
use super::service::{BroadcastError, Broadcasts, Standing, TRIES, counts};
use super::start::START_JOB;
use super::{Broadcast, BroadcastState, BroadcastUse, Course, Motion, Schedule, Start, Step};

/// What is asked of a broadcast.
#[derive(Debug, Clone, Copy)]
enum Command {
    Prepare,
    Start,
    Schedule(Schedule),
    Pause,
    Resume,
    Cancel,
    Retry,
}

impl Broadcasts {
    /// Gathers and checks the recipients of a draft, in the background. A broadcast that is ready is
    /// prepared anew.
    ///
    /// # Errors
    /// [`BroadcastError::NotFound`], [`BroadcastError::WrongState`].
    pub async fn prepare(
        &self,
        grant: &Grant<WriteBroadcasts>,
        id: BroadcastId,
    ) -> Result<Standing, BroadcastError> {
        self.carry_out(grant, id, Command::Prepare, None).await
    }

    /// Starts a broadcast now; a draft is prepared first.
    ///
    /// # Errors
    /// [`BroadcastError::NotFound`], [`BroadcastError::WrongState`].
    pub async fn start(
        &self,
        grant: &Grant<WriteBroadcasts>,
        id: BroadcastId,
    ) -> Result<Standing, BroadcastError> {
        self.carry_out(grant, id, Command::Start, None).await
    }

    /// Lets a broadcast start at a time, or at another one than before.
    ///
    /// # Errors
    /// [`BroadcastError::NotFound`], [`BroadcastError::WrongState`], [`BroadcastError::Invalid`]
    /// when the time is past.
    pub async fn schedule(
        &self,
        grant: &Grant<WriteBroadcasts>,
        id: BroadcastId,
        schedule: Schedule,
    ) -> Result<Standing, BroadcastError> {
        self.carry_out(grant, id, Command::Schedule(schedule), None).await
    }

    /// Stops sending until it is resumed. What a node has in its hands is still sent.
    ///
    /// # Errors
    /// [`BroadcastError::NotFound`], [`BroadcastError::WrongState`].
    pub async fn pause(
        &self,
        grant: &Grant<WriteBroadcasts>,
        id: BroadcastId,
    ) -> Result<Standing, BroadcastError> {
        self.carry_out(grant, id, Command::Pause, None).await
    }

    /// Goes on with a broadcast that is paused.
    ///
    /// # Errors
    /// [`BroadcastError::NotFound`], [`BroadcastError::WrongState`].
    pub async fn resume(
        &self,
        grant: &Grant<WriteBroadcasts>,
        id: BroadcastId,
    ) -> Result<Standing, BroadcastError> {
        self.carry_out(grant, id, Command::Resume, None).await
    }

    /// Ends a broadcast; whoever has no message yet gets none.
    ///
    /// # Errors
    /// [`BroadcastError::NotFound`], [`BroadcastError::WrongState`].
    pub async fn cancel(
        &self,
        grant: &Grant<WriteBroadcasts>,
        id: BroadcastId,
    ) -> Result<Standing, BroadcastError> {
        self.carry_out(grant, id, Command::Cancel, None).await
    }

    /// Sends again to those recipients of a completed broadcast whose message failed or expired.
    ///
    /// # Errors
    /// [`BroadcastError::NotFound`], [`BroadcastError::WrongState`].
    pub async fn retry(
        &self,
        grant: &Grant<WriteBroadcasts>,
        id: BroadcastId,
        once: Option<&Once>,
    ) -> Result<Standing, BroadcastError> {
        self.carry_out(grant, id, Command::Retry, once).await
    }

    async fn carry_out(
        &self,
        grant: &Grant<WriteBroadcasts>,
        id: BroadcastId,
        command: Command,
        once: Option<&Once>,
    ) -> Result<Standing, BroadcastError> {
        let mut tries = 1;
        loop {
            match self.try_carry_out(grant.scope(), id, command, once).await {
                Err(error) if error.is_contended() && tries < TRIES => tries += 1,
                done => return done,
            }
        }
    }

    async fn try_carry_out(
        &self,
        scope: Scope,
        id: BroadcastId,
        command: Command,
        once: Option<&Once>,
    ) -> Result<Standing, BroadcastError> {
        let now = self.clock.now();
        let work = self.store.begin().await?;
        let repeated = match once {
            Some(once) => once.recall::<BroadcastId>(&*work).await?.is_some(),
            None => false,
        };
        let found = work.broadcasts(scope).lock(id).await?;
        let mut broadcast = found.ok_or(BroadcastError::NotFound)?;
        if repeated {
            return self.standing(&*work, scope, broadcast).await;
        }
        let Some((step, action)) = self.obey(&*work, scope, &mut broadcast, command, now).await?
        else {
            // It is so already.
            return self.standing(&*work, scope, broadcast).await;
        };
        broadcast.updated_at = now;
        work.broadcasts(scope).update(&broadcast).await?;
        if let Some(once) = once {
            once.remember(&*work, &id, now).await?;
        }
        self.record(&*work, scope, &broadcast, step, action).await?;
        let standing = self.standing(&*work, scope, broadcast).await?;
        work.commit().await?;
        self.wake_all();
        Ok(standing)
    }

    /// Brings a locked broadcast into the state that is asked for; `None` when it is in it already.
    async fn obey(
        &self,
        work: &(dyn BroadcastUse + '_),
        scope: Scope,
        broadcast: &mut Broadcast,
        command: Command,
        now: Timestamp,
    ) -> Result<Option<(BroadcastStep, &'static str)>, BroadcastError> {
        use BroadcastState as S;
        use BroadcastStep as B;
        let done = match (command, broadcast.state) {
            (Command::Prepare, S::Draft | S::Ready) => {
                self.set_out(work, broadcast, Start::Prepare).await?;
                (B::Changed, "broadcast.prepare")
            }
            (Command::Start, S::Draft) => {
                self.set_out(work, broadcast, Start::Now).await?;
                (B::Changed, "broadcast.start")
            }
            (Command::Start, S::Preparing) => {
                broadcast.course.start_when_ready = true;
                broadcast.schedule = None;
                (B::Changed, "broadcast.start")
            }
            (Command::Start, S::Ready | S::Scheduled) => {
                broadcast.schedule = None;
                self.set_moving(work, scope, broadcast, now).await?;
                (B::Started, "broadcast.start")
            }
            (Command::Schedule(schedule), S::Draft) => {
                self.set_out(work, broadcast, Start::At(schedule)).await?;
                (B::Scheduled, "broadcast.schedule")
            }
            (Command::Schedule(schedule), S::Preparing) => {
                check_time(schedule, now)?;
                broadcast.course.start_when_ready = false;
                broadcast.schedule = Some(schedule);
                (B::Scheduled, "broadcast.schedule")
            }
            (Command::Schedule(schedule), S::Ready | S::Scheduled) => {
                check_time(schedule, now)?;
                self.await_time(work, broadcast, schedule).await?;
                (B::Scheduled, "broadcast.schedule")
            }
            (Command::Pause, S::Running) => {
                broadcast.state = S::Paused;
                broadcast.run += 1;
                withdraw(work, scope, broadcast.id, Fate::Pause, now).await?;
                (B::Paused, "broadcast.pause")
            }
            (Command::Resume, S::Paused) => {
                broadcast.reason = None;
                put_back(work, scope, broadcast.id, now).await?;
                self.set_moving(work, scope, broadcast, now).await?;
                (B::Resumed, "broadcast.resume")
            }
            (
                Command::Cancel,
                S::Draft | S::Preparing | S::Ready | S::Scheduled | S::Running | S::Paused,
            ) => {
                broadcast.state = S::Cancelled;
                broadcast.run += 1;
                broadcast.ended_at = Some(now);
                withdraw(work, scope, broadcast.id, Fate::Cancel, now).await?;
                (B::Cancelled, "broadcast.cancel")
            }
            (Command::Retry, S::Completed) => {
                broadcast.attempt += 1;
                broadcast.ended_at = None;
                self.set_moving(work, scope, broadcast, now).await?;
                (B::Retried, "broadcast.retry")
            }
            (Command::Prepare, S::Preparing)
            | (Command::Start | Command::Resume, S::Running)
            | (Command::Pause, S::Paused)
            | (Command::Cancel, S::Cancelled) => return Ok(None),
            (command, state) => return Err(wrong(command, state)),
        };
        Ok(Some(done))
    }

    /// Begins to prepare, and notes what is to follow.
    pub(super) async fn set_out(
        &self,
        work: &(dyn BroadcastUse + '_),
        broadcast: &mut Broadcast,
        start: Start,
    ) -> Result<(), BroadcastError> {
        let now = self.clock.now();
        if let Start::At(schedule) = start {
            check_time(schedule, now)?;
            broadcast.schedule = Some(schedule);
        }
        let course = &broadcast.course;
        broadcast.course = Course {
            next_position: course.next_position,
            start_when_ready: matches!(start, Start::Now),
            step: Step::Begin,
            ..Course::default()
        };
        broadcast.state = BroadcastState::Preparing;
        broadcast.run += 1;
        Ok(self.enqueue(work, broadcast, PREPARE_JOB, now).await?)
    }

    /// Begins to send, or to send again.
    pub(super) async fn set_moving(
        &self,
        work: &(dyn BroadcastUse + '_),
        scope: Scope,
        broadcast: &mut Broadcast,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let progress = counts(work, scope, broadcast.id).await?.progress();
        broadcast.state = BroadcastState::Running;
        broadcast.run += 1;
        broadcast.started_at.get_or_insert(now);
        broadcast.course.moving_since = Some((now, settled(&progress)));
        self.enqueue(work, broadcast, FEED_JOB, now).await
    }

    /// Waits for its time.
    pub(super) async fn await_time(
        &self,
        work: &(dyn BroadcastUse + '_),
        broadcast: &mut Broadcast,
        schedule: Schedule,
    ) -> Result<(), StoreError> {
        broadcast.state = BroadcastState::Scheduled;
        broadcast.schedule = Some(schedule);
        broadcast.run += 1;
        self.enqueue(work, broadcast, START_JOB, schedule.at).await
    }

    /// Enqueues a job of the broadcast's present motion.
    pub(super) async fn enqueue(
        &self,
        work: &(dyn BroadcastUse + '_),
        broadcast: &Broadcast,
        name: &'static str,
        due_at: Timestamp,
    ) -> Result<(), StoreError> {
        let payload = Motion { broadcast_id: broadcast.id, run: broadcast.run };
        let payload =
            serde_json::to_value(payload).map_err(|error| StoreError::Refused(Box::new(error)))?;
        let job = NewJob {
            id: self.ids.id(),
            name,
            account: Some(broadcast.account),
            order: None,
            payload,
            due_at,
        };
        work.jobs().enqueue(&[job]).await
    }
}

fn check_time(schedule: Schedule, now: Timestamp) -> Result<(), BroadcastError> {
    if schedule.at > now {
        return Ok(());
    }
    Err(BroadcastError::field("start.local_time", "is past; give a later time, or start it now"))
}

fn wrong(command: Command, state: BroadcastState) -> BroadcastError {
    let problem = match command {
        Command::Prepare => "only a draft can be prepared",
        Command::Start => "it can be started once; resume it if it is paused",
        Command::Schedule(_) => "only one that was not started yet can be scheduled",
        Command::Pause => "only one that is running can be paused",
        Command::Resume => "only one that is paused can be resumed",
        Command::Cancel => "it has ended",
        Command::Retry => "only a completed one can be retried",
    };
    BroadcastError::WrongState { state, problem }
}
