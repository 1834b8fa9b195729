//! What a restored installation must not do by itself: a backup does not know what was sent after it
//! was made.

use kabar_core::{StoreError, Timestamp};
use sea_orm::{ConnectionTrait as _, DatabaseTransaction, Statement};

use crate::convert::micros;
use crate::error::store;
use crate::messaging::is_new_contact;

/// Jobs whose effect leaves the house.
const SENDING_JOBS: &[&str] = &[
    kabar_messaging::ANSWER_JOB,
    "broadcasts.start",
    "messages.bulk",
    "messaging.confirm_preference",
];

/// Takes what was due out of the line. Such a message stays *uncertain*, with its reason: a status
/// of the network still settles it, and its tenant can send it again or cancel it. What is due later
/// stays in its line. Returns how many messages were held.
pub(super) async fn outbox(work: &DatabaseTransaction, now: Timestamp) -> Result<u64, StoreError> {
    let now = micros(now);
    let held = run(
        work,
        &format!(
            "UPDATE messages SET status = 'uncertain', stage = NULL, queued = false, \
             held_until = NULL, reason_code = 'restored', \
             reason_text = 'a backup was restored, which does not know whether it was sent since', \
             updated_at = {now} WHERE queued AND due_at <= {now}"
        ),
    )
    .await?;
    // What is left in line gets its lane again.
    run(work, "DELETE FROM lanes").await?;
    run(
        work,
        "INSERT INTO lanes (device_id, contact_id, account_id, priority, ready_at, fence) \
         SELECT device_id, contact_id, account_id, MIN(priority), MIN(due_at), 0 \
         FROM messages WHERE queued GROUP BY device_id, contact_id, account_id",
    )
    .await?;
    let known = super::columns(work).await?;
    if known.contains(&("lanes".to_owned(), "new_contact".to_owned())) {
        let new = is_new_contact("lanes");
        run(work, &format!("UPDATE lanes SET new_contact = TRUE WHERE {new}")).await?;
    }
    let names: Vec<String> = SENDING_JOBS.iter().map(|name| format!("'{name}'")).collect();
    run(
        work,
        &format!(
            "UPDATE jobs SET buried = true, error = 'held: a backup was restored' \
             WHERE NOT buried AND ready_at <= {now} AND name IN ({})",
            names.join(", ")
        ),
    )
    .await?;
    if known.contains(&("broadcasts".to_owned(), "state".to_owned())) {
        // Its recipients that are in no message yet may have got one since.
        run(work, "UPDATE broadcasts SET state = 'paused' WHERE state = 'running'").await?;
    }
    if known.contains(&("session_leases".to_owned(), "wanted".to_owned())) {
        // The phone knows it as one device: where the original still runs, both would lose.
        run(work, "UPDATE session_leases SET wanted = FALSE").await?;
    }
    Ok(held)
}

async fn run(work: &DatabaseTransaction, sql: &str) -> Result<u64, StoreError> {
    let statement = Statement::from_string(work.get_database_backend(), sql.to_owned());
    let done = work.execute_raw(statement).await.map_err(store)?;
    Ok(done.rows_affected())
}
