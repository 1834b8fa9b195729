//! How much one node does, and how much two do. Shown, not judged.

use std::time::{Duration, Instant};

use futures_util::StreamExt as _;
use futures_util::stream;
use kabar_sandbox::MessageFilter;

use crate::database::Place;
use crate::story::{Nodes, Wake};

/// Messages of one call.
const CALL: usize = 20;
/// Calls at the same time.
const CALLERS: usize = 8;

/// Messages that are measured.
pub(crate) fn messages() -> usize {
    std::env::var("KABAR_NODES_MESSAGES").ok().and_then(|text| text.parse().ok()).unwrap_or(1_000)
}

/// Sends messages over every node until all have arrived; says how quick that was.
pub(crate) async fn measure(place: Place, count: usize) -> String {
    let nodes = Nodes::start(place, &Wake::Postgres, count).await;
    nodes.webhooks_to(0).await;
    let wanted = messages() / CALL * CALL;
    let began = Instant::now();
    stream::iter(0..wanted / CALL)
        .for_each_concurrent(CALLERS, |call| {
            let nodes = &nodes;
            async move {
                let body = nodes.messages(call * CALL, CALL);
                let api = &nodes.apis[call % nodes.apis.len()];
                api.post("/messages", &body, &format!("call-{call}")).await;
            }
        })
        .await;
    let accepted = began.elapsed();
    let mut arrived = nodes.sandbox.messages(&MessageFilter::default());
    while arrived.len() < wanted {
        assert!(began.elapsed() < Duration::from_mins(5), "{} arrived", arrived.len());
        tokio::time::sleep(Duration::from_millis(50)).await;
        arrived = nodes.sandbox.messages(&MessageFilter::default());
    }
    let took = began.elapsed();
    let mut customers: Vec<String> = arrived.into_iter().map(|message| message.customer).collect();
    customers.sort_unstable();
    customers.dedup();
    assert_eq!(customers.len(), wanted, "each recipient got one");
    let rate = |took: Duration| f64::from(u32::try_from(wanted).unwrap()) / took.as_secs_f64();
    let told = format!(
        "{count} node(s): {wanted} messages accepted at {:.0}/s, arrived at {:.0}/s",
        rate(accepted),
        rate(took)
    );
    nodes.stop().await;
    told
}
