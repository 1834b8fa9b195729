//! What a phone does short of writing, and what it is told to be.

use wacore_binary::Jid;

use super::{VirtualPhone, chat, person};
use crate::multi_device::address::{Addressing, Endpoint};
use crate::multi_device::error::MultiDeviceError;
use crate::multi_device::phone::{Chat, PhoneHabits};
use crate::multi_device::stanza::element;

/// What a person does in a chat short of writing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Typing {
    /// Types.
    Composing,
    /// Records a voice message.
    Recording,
    /// Has stopped.
    Paused,
}

impl VirtualPhone {
    /// Types, records or stops.
    ///
    /// # Errors
    /// [`MultiDeviceError::Invalid`] if `to` is no chat.
    pub fn type_in(&self, to: &str, typing: Typing) -> Result<(), MultiDeviceError> {
        let node = match typing {
            Typing::Composing => element("composing"),
            Typing::Recording => element("composing").attr("media", "audio"),
            Typing::Paused => element("paused"),
        };
        self.shared.change(|state| {
            let to = match chat(state, to)? {
                Chat::Group(id) => Jid::group(id),
                Chat::Person(number) => {
                    let mode = state.account(&self.number)?.addressing;
                    state.user_jid(&number, mode)?
                }
            };
            state.route_chatstate(&Endpoint::phone(&self.number), &to, vec![node.build()])
        })
    }

    /// Shows as online or not.
    ///
    /// # Errors
    /// Never in practice.
    pub fn set_online(&self, online: bool) -> Result<(), MultiDeviceError> {
        self.act(|_, phone| {
            phone.online = online;
            Ok(())
        })?;
        self.shared.change(|state| state.tell_watchers(&self.number));
        Ok(())
    }

    /// Sets what the phone does of its own accord.
    ///
    /// # Errors
    /// Never in practice.
    pub fn set_habits(&self, habits: PhoneHabits) -> Result<(), MultiDeviceError> {
        self.act(|_, phone| {
            phone.habits = habits;
            Ok(())
        })
    }

    /// Blocks or unblocks a number: what it sends does not arrive.
    ///
    /// # Errors
    /// [`MultiDeviceError::NotFound`] if the number is not on WhatsApp.
    pub fn set_blocked(&self, number: &str, blocked: bool) -> Result<(), MultiDeviceError> {
        self.shared.change(|state| {
            let other = person(state, number)?;
            let list = &mut state.account_mut(&self.number)?.blocked;
            if blocked {
                list.insert(other)
            } else {
                list.remove(&other)
            };
            Ok(())
        })
    }

    /// Sets the name that goes with messages of the phone.
    ///
    /// # Errors
    /// Never in practice.
    pub fn set_name(&self, name: &str) -> Result<(), MultiDeviceError> {
        self.shared.change(|state| {
            name.clone_into(&mut state.account_mut(&self.number)?.name);
            Ok(())
        })
    }

    /// Sets or removes the profile picture.
    ///
    /// # Errors
    /// Never in practice.
    pub fn set_picture(&self, image: Option<Vec<u8>>) -> Result<(), MultiDeviceError> {
        self.shared.change(|state| {
            let picture = image.map(|image| state.keep_picture(image));
            state.account_mut(&self.number)?.picture = picture;
            Ok(())
        })
    }

    /// Moves the account from numbers to LIDs, in the middle of whatever conversation.
    ///
    /// # Errors
    /// If a companion has no keys left to be told with.
    pub fn migrate_to_lid(&self) -> Result<(), MultiDeviceError> {
        self.act(|state, phone| phone.migrate(state))
    }

    /// By which name the phone addresses people.
    ///
    /// # Errors
    /// Never in practice.
    pub fn addressing(&self) -> Result<Addressing, MultiDeviceError> {
        self.shared.look(|state| state.account(&self.number).map(|account| account.addressing))
    }
}
