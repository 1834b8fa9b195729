//! Proving a credential to its channel, and keeping what the network told.

use kabar_channel::ports::DeviceFacts;
use kabar_channel::{Channels, SendError};
use kabar_core::PhoneNumber;

use crate::device::Device;

/// Asks the device's channel whether the credential controls the device. A channel without such a
/// check believes it.
///
/// # Errors
/// What the channel says; [`SendError::DeviceDown`] when there is no such channel.
pub(crate) async fn prove(channels: &Channels, device: &Device) -> Result<DeviceFacts, SendError> {
    let link = device.link();
    match channels.of(&link)?.check() {
        Some(port) => port.check(&link).await,
        None => Ok(DeviceFacts::default()),
    }
}

/// Whether the network refused the credential, rather than being unable to answer now.
pub(crate) const fn is_refusal(error: &SendError) -> bool {
    matches!(error, SendError::Refused { .. } | SendError::DeviceDown { .. })
}

/// Keeps what the network told; what it did not tell stays as it was.
pub(crate) fn apply(device: &mut Device, facts: DeviceFacts) {
    let phone = facts.display_phone.as_deref().and_then(phone);
    device.phone = phone.or(device.phone.take());
    device.verified_name = facts.verified_name.or(device.verified_name.take());
    device.quality = facts.quality.or(device.quality.take());
    device.portfolio = facts.portfolio.or(device.portfolio.take());
}

/// A number as it is shown, always with its country code, `+` or not.
fn phone(shown: &str) -> Option<PhoneNumber> {
    let digits: String = shown.chars().filter(char::is_ascii_digit).collect();
    PhoneNumber::from_digits(&digits).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shown_numbers_are_read_by_their_digits() {
        let read = phone("+1 (555) 010-0199").expect("is a number");
        assert_eq!(read.as_str(), "+15550100199");
        assert_eq!(phone("62 812-3456-789").unwrap().digits(), "628123456789");
        assert_eq!(phone("none"), None);
    }
}
