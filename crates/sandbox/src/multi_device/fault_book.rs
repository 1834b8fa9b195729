//! The faults that may still strike.

use super::address::Endpoint;
use super::error::{MultiDeviceError, Outcome};
use super::faults::{ActiveDeviceFault, DeviceFault, DeviceFaultEffect, DeviceFaultPoint};
use crate::random::Dice;

/// Active faults, oldest first.
#[derive(Debug, Default)]
pub(crate) struct FaultBook {
    last_id: u64,
    active: Vec<ActiveDeviceFault>,
}

impl FaultBook {
    pub(crate) fn add(&mut self, fault: DeviceFault) -> Outcome<u64> {
        if !fits(&fault) {
            let text = format!("effect {:?} does not fit {:?}", fault.effect, fault.on);
            return Err(MultiDeviceError::Invalid(text));
        }
        if fault.probability.is_some_and(|p| !(0.0..=1.0).contains(&p)) {
            return Err(MultiDeviceError::Invalid("probability is from 0 to 1".to_owned()));
        }
        self.last_id += 1;
        if fault.times != Some(0) {
            self.active.push(ActiveDeviceFault { id: self.last_id, fault, struck: 0 });
        }
        Ok(self.last_id)
    }

    pub(crate) fn list(&self) -> Vec<ActiveDeviceFault> {
        self.active.clone()
    }

    pub(crate) fn clear(&mut self) {
        self.active.clear();
    }

    /// The first fault that strikes this device here, counted off.
    pub(crate) fn strike(
        &mut self,
        on: DeviceFaultPoint,
        who: &Endpoint,
        dice: &Dice,
    ) -> Option<DeviceFaultEffect> {
        if self.active.is_empty() {
            return None;
        }
        let effect = self.active.iter_mut().find_map(|active| active.strike(on, who, dice));
        self.active.retain(|active| active.fault.times != Some(0));
        effect
    }
}

impl ActiveDeviceFault {
    fn strike(
        &mut self,
        on: DeviceFaultPoint,
        who: &Endpoint,
        dice: &Dice,
    ) -> Option<DeviceFaultEffect> {
        let fault = &mut self.fault;
        let here = fault.on == on
            && fault.account.as_deref().is_none_or(|number| number == &*who.number)
            && fault.device.is_none_or(|device| device == who.device)
            && fault.probability.is_none_or(|probability| dice.chance(probability));
        if !here {
            return None;
        }
        if fault.after > 0 {
            fault.after -= 1;
            return None;
        }
        fault.times = fault.times.map(|times| times.saturating_sub(1));
        self.struck += 1;
        Some(fault.effect.clone())
    }
}

fn fits(fault: &DeviceFault) -> bool {
    use DeviceFaultEffect as Effect;
    use DeviceFaultPoint as Point;
    let handed_over = matches!(fault.on, Point::Deliver | Point::Receipt);
    match fault.effect {
        Effect::Failure { .. } => fault.on == Point::Login,
        Effect::LoseAck | Effect::AckError { .. } => fault.on == Point::Send,
        Effect::LoseAnswer => fault.on == Point::Request,
        Effect::Duplicate { copies } => handed_over && copies > 1,
        Effect::Lose => handed_over,
        Effect::Corrupt => fault.on == Point::Deliver,
        Effect::StreamError { .. }
        | Effect::Replaced
        | Effect::Drop { .. }
        | Effect::HalfOpen { .. }
        | Effect::SlowLink { .. } => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn who(number: &str, device: u16) -> Endpoint {
        Endpoint::new(&number.into(), device)
    }

    #[test]
    fn strikes_in_scope_after_n_and_so_often() {
        let dice = Dice::seeded(1);
        let mut book = FaultBook::default();
        let fault = DeviceFault::on(DeviceFaultPoint::Send, DeviceFaultEffect::LoseAck);
        book.add(fault.account("1").device(2).after(1).times(2)).unwrap();
        let mut strike = |who: Endpoint| book.strike(DeviceFaultPoint::Send, &who, &dice).is_some();
        assert!(!strike(who("2", 2)), "another account");
        assert!(!strike(who("1", 1)), "another device");
        assert!(!strike(who("1", 2)), "the first passes");
        assert!(strike(who("1", 2)));
        assert!(strike(who("1", 2)));
        assert!(!strike(who("1", 2)), "used up");
    }

    #[test]
    fn effects_are_refused_where_they_make_no_sense() {
        let mut book = FaultBook::default();
        let wrong = DeviceFault::on(DeviceFaultPoint::Login, DeviceFaultEffect::Corrupt);
        assert!(book.add(wrong).is_err());
        let wrong =
            DeviceFault::on(DeviceFaultPoint::Deliver, DeviceFaultEffect::Duplicate { copies: 1 });
        assert!(book.add(wrong).is_err());
    }
}
