//! Counts of messages, and for how long things are kept.

mod retention;
mod sums;
mod tallies;

use kabar_core::InstallationScope;
use kabar_insights::InsightsWork;
use kabar_insights::repo::{Reach, RetentionRepo, SumRepo, TallyRepo};

use crate::unit::Unit;

impl InsightsWork for Unit {
    fn tallies(&self, _scope: InstallationScope) -> Box<dyn TallyRepo + '_> {
        Box::new(tallies::SeaTallies { unit: self })
    }

    fn sums(&self, reach: Reach) -> Box<dyn SumRepo + '_> {
        Box::new(sums::SeaSums { unit: self, reach })
    }

    fn retention(&self, _scope: InstallationScope) -> Box<dyn RetentionRepo + '_> {
        Box::new(retention::SeaRetention { unit: self })
    }
}
