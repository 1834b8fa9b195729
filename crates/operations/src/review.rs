//! The health of paired devices, looked at now and then.

use chrono::TimeDelta;
use kabar_core::{StoreError, Timestamp};
use kabar_devices::HealthWord;
use kabar_devices::health::{MEMORY, assess, day_of};
use kabar_devices::repo::Patient;
use kabar_events::{Fact, NewEvent};

use crate::repo::OperationsUse;
use crate::watch::{SCOPE, SLACK};

/// How often devices are looked at: their figures are sums of days.
const PERIOD: TimeDelta = TimeDelta::minutes(5);
/// Devices that are looked at together.
const TOGETHER: u16 = 500;
const NAME: &str = "health";

/// Looks at the devices to which something happened yesterday or today, and at those that were not
/// well, unless somebody did within the last [`PERIOD`]. What changed is stored, and told.
pub(crate) async fn due(work: &(dyn OperationsUse + '_), now: Timestamp) -> Result<(), StoreError> {
    if !work.operations(SCOPE).take_turn(NAME, now, now - PERIOD + SLACK).await? {
        return Ok(());
    }
    let today = day_of(now);
    let mut after = None;
    loop {
        let mut days = work.device_days(SCOPE);
        let patients = days.patients(today - 1, today - MEMORY, after, TOGETHER).await?;
        drop(days);
        after = patients.last().map(|patient| patient.device);
        note(work, &patients, today, now).await?;
        if patients.len() < usize::from(TOGETHER) {
            return Ok(());
        }
    }
}

async fn note(
    work: &(dyn OperationsUse + '_),
    patients: &[Patient],
    today: i64,
    now: Timestamp,
) -> Result<(), StoreError> {
    let (mut found, mut events) = (Vec::new(), Vec::new());
    for patient in patients {
        let word = assess(&patient.days, today).word;
        // A device at which nobody looked yet is taken to have been well.
        let previous = patient.word.unwrap_or(HealthWord::Good);
        if patient.word != Some(word) {
            found.push((patient.device, word));
        }
        if word != previous {
            let fact = Fact::DeviceHealth {
                device_id: patient.device,
                health: word.to_string(),
                previous: previous.to_string(),
            };
            events.push(NewEvent { account: patient.account, at: now, fact });
        }
    }
    work.device_days(SCOPE).set_health(&found).await?;
    work.events().append(&events).await
}
