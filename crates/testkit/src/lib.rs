//! Test clock, sequential ids, builders and contract suites of Kabar.
//!
//! A contract suite is an async function that takes a store and panics where the store breaks its
//! word. Storage runs each of them on every database.

pub mod accounts;
pub mod clock;
pub mod devices;
pub mod ids;
pub mod insights;
pub mod road;
pub mod sessions;

pub use clock::TestClock;
pub use ids::SeqIds;
