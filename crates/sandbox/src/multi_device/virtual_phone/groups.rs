//! What a phone does about groups.

use wacore_binary::Jid;

use super::{VirtualPhone, group_id, people};
use crate::multi_device::address::Endpoint;
use crate::multi_device::error::MultiDeviceError;
use crate::multi_device::groups::MemberChange;

impl VirtualPhone {
    /// Creates a group and answers its address.
    ///
    /// # Errors
    /// [`MultiDeviceError::NotFound`] if a number is not on WhatsApp.
    pub fn create_group(&self, subject: &str, others: &[&str]) -> Result<String, MultiDeviceError> {
        self.shared.change(|state| {
            let others = people(state, others)?;
            let id = state.create_group(&Endpoint::phone(&self.number), subject, &others)?;
            Ok(Jid::group(id).to_string())
        })
    }

    /// Changes who is in a group, or who its admins are; the phone's own rank is not asked for.
    ///
    /// # Errors
    /// [`MultiDeviceError::NotFound`].
    pub fn change_group(
        &self,
        group: &str,
        change: MemberChange,
        members: &[&str],
    ) -> Result<(), MultiDeviceError> {
        self.shared.change(|state| {
            let members = people(state, members)?;
            let id = group_id(group)?;
            state.change_members(&Endpoint::phone(&self.number), &id, change, &members)?;
            Ok(())
        })
    }

    /// Leaves a group.
    ///
    /// # Errors
    /// [`MultiDeviceError::NotFound`].
    pub fn leave(&self, group: &str) -> Result<(), MultiDeviceError> {
        self.change_group(group, MemberChange::Remove, &[&self.number])
    }

    /// Joins a group.
    ///
    /// # Errors
    /// [`MultiDeviceError::NotFound`].
    pub fn join(&self, group: &str) -> Result<(), MultiDeviceError> {
        self.change_group(group, MemberChange::Add, &[&self.number])
    }
}
