//! Conversations, messages, lanes, and what could not be placed.

mod broadcast;
mod bulk;
mod conversation;
mod entity;
mod history;
mod inbox;
mod media;
mod message;
mod outbox;
mod pacing;
mod person;
mod row;
mod template;

use kabar_core::{InstallationScope, Scope};
use kabar_messaging::MessagesWork;
use kabar_messaging::PersonRepo;
use kabar_messaging::pacing::repo::PacingRepo;
use kabar_messaging::repo::{ConversationRepo, InboxRepo, MediaRepo, MessageRepo, OutboxRepo};

use crate::unit::Unit;

pub(crate) use outbox::{EACH_DEVICE, firsts, is_new_contact};

impl MessagesWork for Unit {
    fn messages(&self, scope: Scope) -> Box<dyn MessageRepo + '_> {
        Box::new(message::SeaMessages { unit: self, scope })
    }

    fn conversations(&self, scope: Scope) -> Box<dyn ConversationRepo + '_> {
        Box::new(conversation::SeaConversations { unit: self, scope })
    }

    fn media(&self, scope: Scope) -> Box<dyn MediaRepo + '_> {
        Box::new(media::SeaMedia { unit: self, scope })
    }

    fn person(&self, scope: Scope) -> Box<dyn PersonRepo + '_> {
        Box::new(person::SeaPerson { unit: self, scope })
    }

    fn outbox(&self, _scope: InstallationScope) -> Box<dyn OutboxRepo + '_> {
        Box::new(outbox::SeaOutbox { unit: self })
    }

    fn inbox(&self, _scope: InstallationScope) -> Box<dyn InboxRepo + '_> {
        Box::new(inbox::SeaInbox { unit: self })
    }

    fn pacing(&self, _scope: InstallationScope) -> Box<dyn PacingRepo + '_> {
        Box::new(pacing::SeaPacing { unit: self })
    }
}
