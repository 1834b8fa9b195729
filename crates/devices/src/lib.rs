//! A tenant's WhatsApp numbers and Meta apps.

pub mod device;
pub mod repo;

pub use device::{Device, DeviceSettings, DeviceState, NewDevice, UncertainPolicy};
pub use repo::{DeviceRegistry, DeviceRepo, DevicesWork};
