//! What happens to a message after it was accepted: statuses, and the customer's answer.

use std::sync::Arc;

use serde_json::Value;
use tokio::sync::mpsc;

use crate::accounts::Number;
use crate::clock::pause;
use crate::customers::Customer;
use crate::directory::Route;
use crate::faults::FaultEffect;
use crate::graph_error::{title, webhook_error};
use crate::inbound::{Inbound, InboundContent};
use crate::messages::DeliveryStatus;
use crate::webhooks::courier::{Payload, Ticket, Update};
use crate::webhooks::envelope::{StatusReport, pricing, status};
use crate::world::World;

/// Everything known about an accepted message on its way.
pub(crate) struct Journey {
    pub(crate) waba_id: String,
    pub(crate) number: Number,
    pub(crate) customer: Customer,
    pub(crate) wamid: Arc<str>,
    pub(crate) kind: String,
    pub(crate) reference: Option<Arc<str>>,
    /// Category, for templates.
    pub(crate) template_category: Option<String>,
    pub(crate) window_open: bool,
    /// Code it will fail with.
    pub(crate) failure: Option<u32>,
    /// The text a customer would see, for their answer.
    pub(crate) text: String,
    /// Webhook faults that struck.
    pub(crate) faults: Vec<FaultEffect>,
    /// Without any wait: statuses are to arrive before the answer.
    pub(crate) at_once: bool,
}

/// Starts a message on its way.
pub(crate) fn depart(world: &Arc<World>, journey: Journey, witness: Option<mpsc::Sender<()>>) {
    let ticket = world.courier.ticket();
    let watched = ticket.witnessed(witness);
    let era = Arc::clone(&ticket.era);
    let world = Arc::clone(world);
    let courier = Arc::clone(&world);
    courier.courier.spawn(&era, async move {
        travel(&world, &journey, watched).await;
        if journey.failure.is_none() && journey.kind != "reaction" {
            answer(&world, &journey).await;
        }
        drop(ticket);
    });
}

/// The statuses still to come, with the wait before each in milliseconds.
fn stages(world: &World, journey: &Journey) -> Vec<(DeliveryStatus, u64)> {
    let settings = world.settings();
    let wait = |range| {
        if journey.at_once { 0 } else { world.dice.delay(range) }
    };
    let step = || wait(settings.delivery_delay_ms);
    if journey.failure.is_some() {
        return vec![(DeliveryStatus::Failed, step())];
    }
    let mut stages = vec![(DeliveryStatus::Sent, step())];
    if journey.kind != "reaction" {
        stages.push((DeliveryStatus::Delivered, step()));
        if journey.customer.reads.unwrap_or(settings.reads) {
            stages.push((DeliveryStatus::Read, wait(settings.read_delay_ms)));
        }
    }
    if journey.faults.iter().any(|fault| matches!(fault, FaultEffect::Reorder)) {
        stages.reverse();
    }
    stages
}

async fn travel(world: &Arc<World>, journey: &Journey, ticket: Ticket) {
    pause(extra_delay(&journey.faults)).await;
    let silent = journey.faults.iter().any(|fault| matches!(fault, FaultEffect::Lose));
    for (stage, wait) in stages(world, journey) {
        pause(wait).await;
        world.messages().advance(&journey.wamid, stage);
        if !silent {
            report(world, journey, stage, &ticket);
        }
    }
}

/// Queues the webhook of a status, as often as a fault wants it.
fn report(world: &World, journey: &Journey, stage: DeliveryStatus, ticket: &Ticket) {
    let priced = matches!(stage, DeliveryStatus::Sent | DeliveryStatus::Delivered);
    let report = StatusReport {
        wamid: &journey.wamid,
        status: stage,
        now_secs: world.clock.now_secs(),
        reference: journey.reference.as_deref(),
        pricing: priced.then(|| pricing(journey.template_category.as_deref(), journey.window_open)),
        error: journey.failure.map(failure),
    };
    let change = status(&journey.number, &journey.customer, report);
    let update = Update {
        route: Route::Number {
            waba_id: journey.waba_id.clone(),
            phone_number_id: journey.number.id.clone(),
        },
        payload: Payload::Change(change),
        ticket: ticket.clone(),
    };
    for _ in 0..copies(&journey.faults) {
        world.courier.send(&journey.customer.number, update.clone());
    }
}

fn failure(code: u32) -> Value {
    let details = match code {
        131_047 => {
            "Message failed to send because more than 24 hours have passed since the customer \
             last replied to this number."
        }
        131_026 => "Message Undeliverable.",
        _ => title(code),
    };
    webhook_error(code, details)
}

/// How often a webhook is posted under these faults.
pub(crate) fn copies(faults: &[FaultEffect]) -> u32 {
    let wanted = faults.iter().filter_map(|fault| match fault {
        FaultEffect::Duplicate { copies } => Some(*copies),
        _ => None,
    });
    wanted.max().unwrap_or(1).max(1)
}

/// How much later webhooks come under these faults, in milliseconds.
pub(crate) fn extra_delay(faults: &[FaultEffect]) -> u64 {
    faults.iter().map(|fault| if let FaultEffect::Delay { ms } = fault { *ms } else { 0 }).sum()
}

/// The customer's automatic answer, if there is one.
async fn answer(world: &Arc<World>, journey: &Journey) {
    let customer = &journey.customer;
    let Some(template) = world.people().next_answer(customer) else {
        return;
    };
    pause(customer.reply_delay_ms).await;
    let body = template.replace("{name}", &customer.name).replace("{text}", &journey.text);
    let mut inbound = Inbound::new(&customer.number, InboundContent::Text { body });
    inbound.phone_number_id = Some(journey.number.id.clone());
    if let Err(error) = world.customer_says(inbound) {
        tracing::warn!(%error, "automatic answer not sent");
    }
}
