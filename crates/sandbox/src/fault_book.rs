//! The faults that may still strike.

use crate::error::SandboxError;
use crate::faults::{ActiveFault, Fault, FaultEffect, FaultPoint};
use crate::people::customer_key;
use crate::random::Dice;

/// Active faults, oldest first.
#[derive(Debug, Default)]
pub(crate) struct FaultBook {
    last_id: u64,
    active: Vec<ActiveFault>,
}

impl FaultBook {
    pub(crate) fn add(&mut self, mut fault: Fault) -> Result<u64, SandboxError> {
        if !fits(&fault) {
            let text = format!("effect {:?} does not fit {:?}", fault.effect, fault.on);
            return Err(SandboxError::Invalid(text));
        }
        if fault.probability.is_some_and(|p| !(0.0..=1.0).contains(&p)) {
            return Err(SandboxError::Invalid("probability is from 0 to 1".to_owned()));
        }
        fault.to = fault.to.as_deref().map(customer_key);
        self.last_id += 1;
        if fault.times != Some(0) {
            self.active.push(ActiveFault { id: self.last_id, fault, struck: 0 });
        }
        Ok(self.last_id)
    }

    pub(crate) fn list(&self) -> Vec<ActiveFault> {
        self.active.clone()
    }

    pub(crate) fn clear(&mut self) {
        self.active.clear();
    }

    /// The first fault that strikes here, counted off.
    pub(crate) fn strike(&mut self, at: Place<'_>, dice: &Dice) -> Option<FaultEffect> {
        self.active.iter_mut().find_map(|active| active.strike(at, dice)).inspect(|_| self.tidy())
    }

    /// All faults that strike here, counted off.
    pub(crate) fn strike_all(&mut self, at: Place<'_>, dice: &Dice) -> Vec<FaultEffect> {
        if self.active.is_empty() {
            return Vec::new();
        }
        let struck = self.active.iter_mut().filter_map(|active| active.strike(at, dice)).collect();
        self.tidy();
        struck
    }

    fn tidy(&mut self) {
        self.active.retain(|active| active.fault.times != Some(0));
    }
}

/// Where a fault could strike right now.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Place<'a> {
    pub(crate) point: FaultPoint,
    pub(crate) phone_number_id: Option<&'a str>,
    /// Number or BSUID of the customer: any of these may be named.
    pub(crate) customer: &'a [&'a str],
}

impl ActiveFault {
    fn strike(&mut self, at: Place<'_>, dice: &Dice) -> Option<FaultEffect> {
        let fault = &mut self.fault;
        let here = fault.on == at.point
            && fault.to.as_ref().is_none_or(|to| at.customer.contains(&to.as_str()))
            && fault
                .phone_number_id
                .as_ref()
                .is_none_or(|id| at.phone_number_id == Some(id.as_str()))
            && fault.probability.is_none_or(|probability| dice.chance(probability));
        if !here {
            return None;
        }
        fault.times = fault.times.map(|times| times.saturating_sub(1));
        self.struck += 1;
        Some(fault.effect.clone())
    }
}

fn fits(fault: &Fault) -> bool {
    use FaultEffect as Effect;
    let webhook = matches!(fault.on, FaultPoint::Statuses | FaultPoint::Inbound);
    match fault.effect {
        Effect::Error { .. }
        | Effect::Http { .. }
        | Effect::Hang { .. }
        | Effect::Close { .. }
        | Effect::Late { .. } => !webhook,
        Effect::Fail { .. } | Effect::StatusFirst => fault.on == FaultPoint::Send,
        Effect::Duplicate { .. } | Effect::Reorder | Effect::Delay { .. } | Effect::Lose => webhook,
    }
}
