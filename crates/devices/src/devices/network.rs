//! What a device's network is asked: who is on it, and which groups the device is in.

use kabar_accounts::Invalid;
use kabar_channel::ports::{GroupInfo, Listing};
use kabar_channel::{ChannelPorts, DeviceLink, Recipient};
use kabar_core::permission::SendMessages;
use kabar_core::{DeviceId, Grant, PhoneNumber};

use super::{DeviceError, Devices};

/// Numbers that are looked up at once, at most. Looking many up is what networks ban for.
pub const MOST_NUMBERS: usize = 50;

impl Devices {
    /// Whether numbers are on the device's network, in their order; [`MOST_NUMBERS`] at most.
    ///
    /// # Errors
    /// [`DeviceError::Invalid`] for none or too many, and for a channel that does not tell;
    /// [`DeviceError::NotFound`], [`DeviceError::Check`].
    pub async fn look_up(
        &self,
        grant: &Grant<SendMessages>,
        id: DeviceId,
        numbers: &[PhoneNumber],
    ) -> Result<Vec<Listing>, DeviceError> {
        if numbers.is_empty() || numbers.len() > MOST_NUMBERS {
            let problem = format!("must be 1 to {MOST_NUMBERS} numbers");
            return Err(Invalid::new("numbers", problem).into());
        }
        let (link, ports) = self.network(grant, id).await?;
        let directory = ports.directory().ok_or_else(cannot)?;
        directory.look_up(&link, numbers).await.map_err(DeviceError::Check)
    }

    /// Where the profile picture of a number is, for a while; `None` when there is none, or none for
    /// us.
    ///
    /// # Errors
    /// As [`Devices::look_up`].
    pub async fn picture(
        &self,
        grant: &Grant<SendMessages>,
        id: DeviceId,
        of: PhoneNumber,
    ) -> Result<Option<String>, DeviceError> {
        let (link, ports) = self.network(grant, id).await?;
        let directory = ports.directory().ok_or_else(cannot)?;
        let of = Recipient { phone: Some(of), ..Recipient::default() };
        directory.picture(&link, &of).await.map_err(DeviceError::Check)
    }

    /// The groups that the device is in, by name.
    ///
    /// # Errors
    /// [`DeviceError::Invalid`] for a channel that does not tell; [`DeviceError::NotFound`],
    /// [`DeviceError::Check`].
    pub async fn groups(
        &self,
        grant: &Grant<SendMessages>,
        id: DeviceId,
    ) -> Result<Vec<GroupInfo>, DeviceError> {
        let (link, ports) = self.network(grant, id).await?;
        let groups = ports.groups().ok_or_else(cannot)?;
        groups.groups(&link).await.map_err(DeviceError::Check)
    }

    async fn network(
        &self,
        grant: &Grant<SendMessages>,
        id: DeviceId,
    ) -> Result<(DeviceLink, &ChannelPorts), DeviceError> {
        let device = self.find(grant.scope(), id).await?;
        let ports = self.channels.get(&device.channel);
        let ports = ports.ok_or_else(|| DeviceError::NoSuchChannel(device.channel.clone()))?;
        Ok((device.link(), ports))
    }
}

fn cannot() -> DeviceError {
    Invalid::new("id", "the device's channel does not tell that; paired devices do").into()
}
