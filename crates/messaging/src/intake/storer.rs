//! Storing batches, alone or many in one unit of work.

use std::sync::Arc;

use kabar_channel::{Batch, ChannelEvent, IntakeReport, RawBody};
use kabar_core::{AccountId, Clock, IdSource, Store, StoreError, Topic, Wake};

use super::{MOST, Road, SCOPE, Sorted, TRIES, add, devices_of, quarantine, raw_row};
use crate::repo::{RawRow, RoadWork};

/// What storing batches needs.
#[derive(Clone)]
pub(super) struct Storer {
    pub(super) store: Arc<dyn Store<dyn RoadWork>>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) ids: Arc<dyn IdSource>,
    pub(super) wake: Arc<dyn Wake>,
}

/// What one unit of work stores.
#[derive(Clone, Copy)]
struct Load<'a> {
    events: &'a [&'a ChannelEvent],
    raw: &'a [&'a RawBody],
    within: Option<AccountId>,
}

impl Storer {
    /// Stores batches of the same confines in one unit of work where that goes, and else one by
    /// one. Of batches that shared a unit of work the first gets its report, the others an empty
    /// one.
    pub(super) async fn together(
        &self,
        batches: Vec<Batch>,
    ) -> Vec<Result<IntakeReport, StoreError>> {
        let mut reports: Vec<Option<IntakeReport>> = vec![None; batches.len()];
        let mut confines: Vec<Option<AccountId>> = batches.iter().map(|b| b.within).collect();
        confines.sort_unstable();
        confines.dedup();
        for within in confines {
            let alike = batches.iter().filter(|batch| batch.within == within);
            if alike.clone().count() < 2 {
                continue;
            }
            let events: Vec<&ChannelEvent> = alike.clone().flat_map(|b| &b.events).collect();
            let raw: Vec<&RawBody> = alike.filter_map(|b| b.raw.as_ref()).collect();
            // What fails together is tried alone, where the fault is found.
            if let Ok(report) = self.store(Load { events: &events, raw: &raw, within }).await {
                let own = batches.iter().zip(&mut reports).filter(|(b, _)| b.within == within);
                let each =
                    std::iter::once(report).chain(std::iter::repeat(IntakeReport::default()));
                own.zip(each).for_each(|((_, slot), report)| *slot = Some(report));
            }
        }
        let mut done = Vec::with_capacity(batches.len());
        for (batch, report) in batches.iter().zip(reports) {
            done.push(match report {
                Some(report) => Ok(report),
                None => self.one(batch).await,
            });
        }
        self.wake_all();
        done
    }

    /// Stores one batch; what it holds that cannot be stored is kept raw.
    pub(super) async fn one(&self, batch: &Batch) -> Result<IntakeReport, StoreError> {
        let raw: Vec<&RawBody> = batch.raw.iter().collect();
        let events: Vec<&ChannelEvent> = batch.events.iter().collect();
        let within = batch.within;
        let mut report = IntakeReport::default();
        if events.is_empty() {
            report = self.store(Load { events: &[], raw: &raw, within }).await?;
        }
        // Every chunk repeats safely, so a batch that breaks off half-way is simply delivered again.
        for (index, events) in events.chunks(MOST).enumerate() {
            let raw: &[&RawBody] = if index == 0 { &raw } else { &[] };
            let load = Load { events, raw, within };
            let stored = match self.store(load).await {
                Err(error) if !error.is_transient() => self.singly(load, &error).await,
                stored => stored,
            };
            add(&mut report, stored?);
        }
        self.wake_all();
        Ok(report)
    }

    fn wake_all(&self) {
        for topic in [Topic::Jobs, Topic::Outbox, Topic::Events] {
            self.wake.wake(topic);
        }
    }

    async fn store(&self, load: Load<'_>) -> Result<IntakeReport, StoreError> {
        let mut tries = 1;
        loop {
            match self.try_store(load).await {
                Err(StoreError::Contended(_)) if tries < TRIES => tries += 1,
                done => return done,
            }
        }
    }

    async fn try_store(&self, load: Load<'_>) -> Result<IntakeReport, StoreError> {
        let began = std::time::Instant::now();
        let now = self.clock.now();
        let work = self.store.begin().await?;
        if !load.raw.is_empty() {
            let raw: Vec<RawRow> =
                load.raw.iter().map(|raw| raw_row(raw, &*self.ids, now)).collect();
            work.inbox(SCOPE).keep_raw(&raw).await?;
        }
        let mut sorted = Sorted::default();
        let devices = devices_of(&*work, load.events, load.within).await?;
        for event in load.events {
            sorted.add(event, &devices, &*self.ids, now);
        }
        let road = Road { work: &*work, ids: &*self.ids, now, within: load.within };
        let report = road.store(sorted).await?;
        work.commit().await?;
        crate::measure::taken_in(&report, began.elapsed());
        Ok(report)
    }

    /// Stores items one by one; what cannot be stored is kept raw.
    async fn singly(&self, load: Load<'_>, cause: &StoreError) -> Result<IntakeReport, StoreError> {
        tracing::warn!(error = cause as &dyn std::error::Error, "intake.singly");
        let mut report = self.store(Load { events: &[], within: None, ..load }).await?;
        for event in load.events {
            let alone = Load { events: &[*event], raw: &[], within: load.within };
            match self.store(alone).await {
                Ok(one) => add(&mut report, one),
                Err(error) if error.is_transient() => return Err(error),
                Err(error) => {
                    let work = self.store.begin().await?;
                    let now = self.clock.now();
                    let row = quarantine(event, &error.to_string(), None, &*self.ids, now);
                    work.inbox(SCOPE).quarantine(&[row]).await?;
                    work.commit().await?;
                    report.quarantined += 1;
                }
            }
        }
        Ok(report)
    }
}
