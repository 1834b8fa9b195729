//! What a phone has received, and waiting for it.

use std::time::Duration;

use super::VirtualPhone;
use crate::multi_device::error::MultiDeviceError;
use crate::multi_device::phone::{PhoneFailure, PhoneMessage, PhoneReceipt, open_file};
use crate::multi_device::state::State;

impl VirtualPhone {
    /// Everything the phone could read, oldest first; repetitions are counted, not listed.
    pub fn messages(&self) -> Vec<PhoneMessage> {
        self.look(|phone| phone.log.messages().to_vec()).unwrap_or_default()
    }

    /// The file of a message that was received, decrypted.
    ///
    /// # Errors
    /// [`MultiDeviceError::NotFound`] for an unknown message or one whose file is not on this
    /// server, [`MultiDeviceError::Invalid`] for one without a file.
    pub fn download(&self, id: &str) -> Result<Vec<u8>, MultiDeviceError> {
        let found = self.look(|phone| phone.log.find(id).cloned())?;
        let message = found.ok_or_else(|| MultiDeviceError::not_found("message", id))?;
        open_file(&self.shared.media, id, &message.message)
    }

    /// What it could not read.
    pub fn failures(&self) -> Vec<PhoneFailure> {
        self.look(|phone| phone.log.failures().to_vec()).unwrap_or_default()
    }

    /// Receipts about what the phone or its companions sent.
    pub fn receipts(&self) -> Vec<PhoneReceipt> {
        self.look(|phone| phone.log.receipts().to_vec()).unwrap_or_default()
    }

    /// Who was seen typing (`composing`, `recording`, `paused`), oldest first.
    pub fn typing(&self) -> Vec<(String, String)> {
        self.look(|phone| phone.log.typing().to_vec()).unwrap_or_default()
    }

    /// Waits for a message that suits.
    ///
    /// # Errors
    /// [`MultiDeviceError::TimedOut`].
    pub async fn wait_for(
        &self,
        what: &str,
        patience: Duration,
        suits: impl Fn(&PhoneMessage) -> bool,
    ) -> Result<PhoneMessage, MultiDeviceError> {
        let find = |state: &State| {
            let messages = state.phone(&self.number).ok()?.log.messages();
            messages.iter().find(|message| suits(message)).cloned()
        };
        self.shared.wait_until(what, patience, find).await
    }

    /// Waits for a text.
    ///
    /// # Errors
    /// [`MultiDeviceError::TimedOut`].
    pub async fn wait_for_text(
        &self,
        body: &str,
        patience: Duration,
    ) -> Result<PhoneMessage, MultiDeviceError> {
        self.wait_for(body, patience, |message| message.text() == Some(body)).await
    }

    /// Waits for a receipt that suits.
    ///
    /// # Errors
    /// [`MultiDeviceError::TimedOut`].
    pub async fn wait_for_receipt(
        &self,
        what: &str,
        patience: Duration,
        suits: impl Fn(&PhoneReceipt) -> bool,
    ) -> Result<PhoneReceipt, MultiDeviceError> {
        let find = |state: &State| {
            let receipts = state.phone(&self.number).ok()?.log.receipts();
            receipts.iter().find(|receipt| suits(receipt)).cloned()
        };
        self.shared.wait_until(what, patience, find).await
    }
}
