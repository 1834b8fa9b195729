//! Making, changing and removing broadcasts.

use std::collections::BTreeSet;

use kabar_channel::{FieldError, fit};
use kabar_contacts::Numbers;
use kabar_core::permission::WriteBroadcasts;
use kabar_core::{BroadcastId, ContactId, DeviceId, Grant, Once, Scope};
use kabar_devices::Device;
use kabar_events::BroadcastStep;

use super::recipient::{Addressee, NewRecipient, RecipientTarget, Source};
use super::rows::{add_rows, contact_targets, country, devices, number};
use super::service::{BroadcastError, Broadcasts, Standing};
use super::{
    Broadcast, BroadcastMessage, BroadcastPatch, BroadcastState, BroadcastUse, Course,
    MOST_AT_ONCE, NewBroadcast, Plan, Start, Step,
};
use crate::template::service::content_problems;

/// Devices of one broadcast, at most.
const SENDERS: usize = 100;
/// The largest weight of a device.
const WEIGHT: u32 = 100;
/// Groups, tags and contacts that an audience names, at most; larger audiences are groups.
const NAMED: usize = 1_000;
/// The most characters of a reference.
const REFERENCE: usize = 200;
/// Variables of one recipient, and characters of a value, at most.
const VARIABLES: usize = 50;
const VALUE: usize = 1_000;

impl Broadcasts {
    /// Makes a broadcast.
    ///
    /// # Errors
    /// [`BroadcastError::Invalid`].
    pub async fn create(
        &self,
        grant: &Grant<WriteBroadcasts>,
        new: NewBroadcast,
        once: Option<&Once>,
    ) -> Result<Standing, BroadcastError> {
        let scope = grant.scope();
        let now = self.clock.now();
        let work = self.store.begin().await?;
        if let Some(once) = once
            && let Some(id) = once.recall::<BroadcastId>(&*work).await?
        {
            let found = work.broadcasts(scope).get(id).await?;
            return self.standing(&*work, scope, found.ok_or(BroadcastError::NotFound)?).await;
        }
        let mut plan = new.plan;
        normalise_tags(&mut plan)?;
        let mut broadcast = Broadcast {
            id: self.ids.id(),
            account: scope.account(),
            name: new.name.trim().to_owned(),
            state: BroadcastState::Draft,
            reason: None,
            plan,
            schedule: None,
            course: Course::default(),
            attempt: 1,
            run: 0,
            started_at: None,
            ended_at: None,
            created_at: now,
            updated_at: now,
        };
        self.check(&*work, scope, &broadcast).await?;
        work.broadcasts(scope).insert(&broadcast).await?;
        self.enter(&*work, scope, &mut broadcast, &new.recipients).await?;
        self.record(&*work, scope, &broadcast, BroadcastStep::Created, "broadcast.create").await?;
        match new.start {
            Start::No => {}
            start => self.set_out(&*work, &mut broadcast, start).await?,
        }
        work.broadcasts(scope).update(&broadcast).await?;
        if let Some(once) = once {
            once.remember(&*work, &broadcast.id, now).await?;
        }
        let standing = self.standing(&*work, scope, broadcast).await?;
        work.commit().await?;
        self.wake_all();
        Ok(standing)
    }

    /// Adds recipients to a draft. Those that are there already become rows that say so.
    ///
    /// # Errors
    /// [`BroadcastError::NotFound`], [`BroadcastError::WrongState`], [`BroadcastError::Invalid`].
    pub async fn add_recipients(
        &self,
        grant: &Grant<WriteBroadcasts>,
        id: BroadcastId,
        recipients: &[NewRecipient],
        once: Option<&Once>,
    ) -> Result<Standing, BroadcastError> {
        let scope = grant.scope();
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
        if broadcast.state != BroadcastState::Draft {
            let problem = "recipients are added while it is a draft; change it to make it one";
            return Err(BroadcastError::WrongState { state: broadcast.state, problem });
        }
        if recipients.is_empty() {
            return Err(BroadcastError::field("recipients", "must hold at least one recipient"));
        }
        self.enter(&*work, scope, &mut broadcast, recipients).await?;
        broadcast.updated_at = self.clock.now();
        work.broadcasts(scope).update(&broadcast).await?;
        if let Some(once) = once {
            once.remember(&*work, &id, broadcast.updated_at).await?;
        }
        let standing = self.standing(&*work, scope, broadcast).await?;
        work.commit().await?;
        Ok(standing)
    }

    /// Changes what a broadcast is to do, and makes it a draft again: its audience is gathered and
    /// checked anew. Recipients that were named stay.
    ///
    /// # Errors
    /// [`BroadcastError::NotFound`], [`BroadcastError::WrongState`], [`BroadcastError::Invalid`].
    pub async fn update(
        &self,
        grant: &Grant<WriteBroadcasts>,
        id: BroadcastId,
        patch: BroadcastPatch,
    ) -> Result<Standing, BroadcastError> {
        let scope = grant.scope();
        let work = self.store.begin().await?;
        let found = work.broadcasts(scope).lock(id).await?;
        let mut broadcast = found.ok_or(BroadcastError::NotFound)?;
        let never_started = broadcast.started_at.is_none();
        let failed = broadcast.state == BroadcastState::Failed && never_started;
        if !(broadcast.state.is_editable() || failed) {
            let problem = "only a draft, or one that was not started yet, can be changed";
            return Err(BroadcastError::WrongState { state: broadcast.state, problem });
        }
        apply(&mut broadcast, patch);
        normalise_tags(&mut broadcast.plan)?;
        self.check(&*work, scope, &broadcast).await?;
        if broadcast.state != BroadcastState::Draft {
            let gathered = [Source::Contact, Source::File];
            work.recipients(scope).clear(id, &gathered).await?;
        }
        broadcast.state = BroadcastState::Draft;
        broadcast.reason = None;
        broadcast.ended_at = None;
        broadcast.schedule = None;
        broadcast.run += 1;
        broadcast.course.step = Step::Begin;
        broadcast.course.content = None;
        broadcast.course.start_when_ready = false;
        broadcast.updated_at = self.clock.now();
        work.broadcasts(scope).update(&broadcast).await?;
        self.record(&*work, scope, &broadcast, BroadcastStep::Changed, "broadcast.update").await?;
        let standing = self.standing(&*work, scope, broadcast).await?;
        work.commit().await?;
        Ok(standing)
    }

    /// Removes a broadcast that does not run, with its recipients. Its messages stay.
    ///
    /// # Errors
    /// [`BroadcastError::NotFound`], [`BroadcastError::WrongState`].
    pub async fn remove(
        &self,
        grant: &Grant<WriteBroadcasts>,
        id: BroadcastId,
    ) -> Result<(), BroadcastError> {
        let scope = grant.scope();
        let work = self.store.begin().await?;
        let found = work.broadcasts(scope).lock(id).await?;
        let broadcast = found.ok_or(BroadcastError::NotFound)?;
        if !(broadcast.state.is_editable() || broadcast.state.is_final()) {
            let problem = "cancel it first";
            return Err(BroadcastError::WrongState { state: broadcast.state, problem });
        }
        work.broadcasts(scope).remove(id).await?;
        self.record(&*work, scope, &broadcast, BroadcastStep::Removed, "broadcast.remove").await?;
        Ok(work.commit().await?)
    }

    /// Named recipients become rows.
    async fn enter(
        &self,
        work: &(dyn BroadcastUse + '_),
        scope: Scope,
        broadcast: &mut Broadcast,
        new: &[NewRecipient],
    ) -> Result<(), BroadcastError> {
        check_recipients(new)?;
        if new.is_empty() {
            return Ok(());
        }
        let numbers = Numbers::of(country(work, scope).await?);
        let ids: Vec<ContactId> = new
            .iter()
            .filter_map(|recipient| match recipient.to {
                Addressee::Contact(id) => Some(id),
                Addressee::Number(_) => None,
            })
            .collect();
        let known = contact_targets(work, scope, &ids).await?;
        let absent = |id: &ContactId| !known.contains_key(id);
        if let Some(index) = new
            .iter()
            .position(|recipient| matches!(&recipient.to, Addressee::Contact(id) if absent(id)))
        {
            let field = format!("recipients[{index}].contact_id");
            return Err(BroadcastError::field(field, "no such contact"));
        }
        let rows = new
            .iter()
            .map(|recipient| {
                let target = match &recipient.to {
                    Addressee::Number(text) => number(text, &numbers),
                    Addressee::Contact(id) => {
                        known.get(id).cloned().unwrap_or(RecipientTarget::Contact(*id))
                    }
                };
                (target, recipient.variables.clone())
            })
            .collect();
        let now = self.clock.now();
        add_rows(work, scope, broadcast, Source::Named, rows, now).await?;
        Ok(())
    }

    /// Whether a broadcast can be carried out, as far as that can be told before its recipients
    /// are known.
    async fn check(
        &self,
        work: &(dyn BroadcastUse + '_),
        scope: Scope,
        broadcast: &Broadcast,
    ) -> Result<(), BroadcastError> {
        let plan = &broadcast.plan;
        let mut problems = Vec::new();
        if let Err(invalid) = kabar_accounts::check::name("name", &broadcast.name) {
            problems.push(FieldError::new(invalid.field, invalid.problem));
        }
        problems.extend(plan_problems(plan));
        let devices = devices(work, scope, plan).await?;
        for (index, sender) in plan.senders.iter().enumerate() {
            if !devices.iter().any(|device| device.id == sender.device) {
                let field = format!("senders[{index}].device_id");
                problems.push(FieldError::new(field, "no such device"));
            }
        }
        if let Some(file) = &plan.audience.file
            && work.media(scope).existing(&[file.media]).await?.is_empty()
        {
            problems.push(FieldError::new("audience.file.media_id", "no such file"));
        }
        if contact_targets(work, scope, &plan.audience.contacts).await?.len()
            < plan.audience.contacts.iter().collect::<BTreeSet<_>>().len()
        {
            problems.push(FieldError::new("audience.contacts", "no such contact"));
        }
        let groups: BTreeSet<_> = plan.audience.groups.iter().collect();
        if work.groups(scope).by_ids(&plan.audience.groups).await?.len() < groups.len() {
            problems.push(FieldError::new("audience.groups", "no such group"));
        }
        problems.extend(self.message_problems(work, scope, plan, &devices).await?);
        if problems.is_empty() { Ok(()) } else { Err(BroadcastError::Invalid(problems)) }
    }

    async fn message_problems(
        &self,
        work: &(dyn BroadcastUse + '_),
        scope: Scope,
        plan: &Plan,
        devices: &[Device],
    ) -> Result<Vec<FieldError>, BroadcastError> {
        let content = match &plan.message {
            BroadcastMessage::Content(content) => content.clone(),
            BroadcastMessage::Template(id) => match work.templates(scope).get(*id).await? {
                Some(template) => template.content,
                None => return Ok(vec![FieldError::new("template_id", "no such template")]),
            },
        };
        let mut problems = content_problems(work, scope, &content).await?;
        for device in devices {
            let Some(ports) = self.channels.get(&device.channel) else { continue };
            let capabilities = ports.channel().capabilities(&device.link());
            if let Err(fields) = fit(content.clone(), &capabilities, plan.fallback) {
                problems.extend(fields.into_iter().map(|error| {
                    FieldError::new(format!("content.{}", error.field), error.problem)
                }));
                break;
            }
        }
        Ok(problems)
    }
}

fn apply(broadcast: &mut Broadcast, patch: BroadcastPatch) {
    let BroadcastPatch {
        name,
        message,
        senders,
        audience,
        purpose,
        fallback,
        skip_outside_window,
        reference,
    } = patch;
    let plan = &mut broadcast.plan;
    if let Some(name) = name {
        name.trim().clone_into(&mut broadcast.name);
    }
    if let Some(message) = message {
        plan.message = message;
    }
    if let Some(senders) = senders {
        plan.senders = senders;
    }
    if let Some(audience) = audience {
        plan.audience = audience;
    }
    plan.purpose = purpose.unwrap_or(plan.purpose);
    plan.fallback = fallback.unwrap_or(plan.fallback);
    plan.skip_outside_window = skip_outside_window.unwrap_or(plan.skip_outside_window);
    if let Some(reference) = reference {
        plan.reference = reference;
    }
}

/// Tags are compared as they are stored.
fn normalise_tags(plan: &mut Plan) -> Result<(), BroadcastError> {
    for tag in &mut plan.audience.tags {
        *tag = kabar_contacts::tag::normalised(tag)
            .map_err(|problem| BroadcastError::field("audience.tags", problem))?;
    }
    Ok(())
}

/// What can be said of a plan by looking at it alone.
fn plan_problems(plan: &Plan) -> Vec<FieldError> {
    let mut problems = Vec::new();
    let mut add = |field: &str, problem: String| problems.push(FieldError::new(field, problem));
    let devices: BTreeSet<DeviceId> = plan.devices().into_iter().collect();
    if plan.senders.is_empty() || plan.senders.len() > SENDERS {
        add("senders", format!("must hold 1 to {SENDERS} devices"));
    } else if devices.len() < plan.senders.len() {
        add("senders", "must name each device once".to_owned());
    }
    if plan.senders.iter().any(|sender| !(1..=WEIGHT).contains(&sender.weight)) {
        add("senders", format!("must have weights of 1 to {WEIGHT}"));
    }
    let audience = &plan.audience;
    for (field, count) in [
        ("audience.groups", audience.groups.len()),
        ("audience.tags", audience.tags.len()),
        ("audience.contacts", audience.contacts.len()),
    ] {
        if count > NAMED {
            add(field, format!("must hold at most {NAMED}; put them into a group"));
        }
    }
    if let Some(reference) = &plan.reference
        && (reference.is_empty()
            || reference.chars().count() > REFERENCE
            || reference.chars().any(char::is_control))
    {
        add("reference", format!("must have 1 to {REFERENCE} characters, none of them control"));
    }
    problems
}

fn check_recipients(new: &[NewRecipient]) -> Result<(), BroadcastError> {
    if new.len() > MOST_AT_ONCE {
        let problem = format!(
            "holds {} recipients; give at most {MOST_AT_ONCE} at once, or a file",
            new.len()
        );
        return Err(BroadcastError::field("recipients", problem));
    }
    let too_much = |recipient: &NewRecipient| {
        recipient.variables.len() > VARIABLES
            || recipient.variables.iter().any(|(name, value)| {
                name.chars().count() > VARIABLES
                    || value.chars().count() > VALUE
                    || value.contains('\0')
                    || name.contains('\0')
            })
    };
    match new.iter().position(too_much) {
        Some(index) => {
            let problem = format!(
                "must hold at most {VARIABLES} values of at most {VALUE} characters, without NUL"
            );
            Err(BroadcastError::field(format!("recipients[{index}].variables"), problem))
        }
        None => Ok(()),
    }
}
