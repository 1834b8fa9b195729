//! The state behind one sandbox. Each part has its own short-lived lock; none is held across an
//! await.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use serde_json::Value;
use tokio_util::sync::CancellationToken;

use crate::clock::SandboxClock;
use crate::config::{SandboxConfig, Settings};
use crate::customers::{Customer, CustomerPatch};
use crate::directory::Directory;
use crate::error::SandboxError;
use crate::fault_book::FaultBook;
use crate::limits::Limits;
use crate::media::{MediaStore, uploaded};
use crate::message_log::MessageLog;
use crate::messages::{MessageFilter, SentMessage};
use crate::overview::{Overview, ResetScope};
use crate::people::People;
use crate::random::{Dice, system_seed};
use crate::speaking::HeldBack;
use crate::templates::Template;
use crate::webhooks::courier::Courier;

/// Everything the Graph side, the control side and the handle share.
pub(crate) struct World {
    pub(crate) config: SandboxConfig,
    pub(crate) base_url: String,
    pub(crate) public_url: String,
    pub(crate) clock: SandboxClock,
    /// Draws ids, delays and probabilities.
    pub(crate) dice: Dice,
    /// Cancelled when the sandbox stops.
    pub(crate) closing: CancellationToken,
    pub(crate) courier: Courier,
    pub(crate) held_back: HeldBack,
    settings: Mutex<Arc<Settings>>,
    directory: Mutex<Directory>,
    people: Mutex<People>,
    messages: Mutex<MessageLog>,
    media: Mutex<MediaStore>,
    faults: Mutex<FaultBook>,
    limits: Mutex<Limits>,
}

impl World {
    pub(crate) fn new(
        config: SandboxConfig,
        base_url: String,
        courier: Courier,
        closing: CancellationToken,
    ) -> Result<Self, SandboxError> {
        let seed = match config.seed {
            Some(seed) => seed,
            None => system_seed()?,
        };
        let world = Self {
            public_url: config
                .public_url
                .as_deref()
                .map_or_else(|| base_url.clone(), |url| url.trim_end_matches('/').to_owned()),
            base_url,
            clock: SandboxClock::default(),
            dice: Dice::seeded(seed),
            closing,
            courier,
            held_back: HeldBack::default(),
            settings: Mutex::default(),
            directory: Mutex::default(),
            people: Mutex::default(),
            messages: Mutex::new(MessageLog::new(config.max_messages)),
            media: Mutex::default(),
            faults: Mutex::default(),
            limits: Mutex::default(),
            config,
        };
        world.seed_setup()?;
        Ok(world)
    }

    fn seed_setup(&self) -> Result<(), SandboxError> {
        self.set_settings(self.config.settings.clone());
        let mut directory = Directory::seeded(self.clock.now_ms());
        if let Some(webhook) = &self.config.webhook {
            directory.save_webhook(webhook)?;
        }
        *self.directory() = directory;
        Ok(())
    }

    pub(crate) fn settings(&self) -> Arc<Settings> {
        Arc::clone(&lock(&self.settings))
    }

    pub(crate) fn set_settings(&self, settings: Settings) {
        *lock(&self.settings) = Arc::new(settings);
    }

    pub(crate) fn directory(&self) -> MutexGuard<'_, Directory> {
        lock(&self.directory)
    }

    pub(crate) fn people(&self) -> MutexGuard<'_, People> {
        lock(&self.people)
    }

    pub(crate) fn messages(&self) -> MutexGuard<'_, MessageLog> {
        lock(&self.messages)
    }

    pub(crate) fn media(&self) -> MutexGuard<'_, MediaStore> {
        lock(&self.media)
    }

    pub(crate) fn faults(&self) -> MutexGuard<'_, FaultBook> {
        lock(&self.faults)
    }

    pub(crate) fn limits(&self) -> MutexGuard<'_, Limits> {
        lock(&self.limits)
    }

    pub(crate) fn advance_clock(&self, by: Duration) -> u64 {
        self.clock.advance(by);
        self.clock.now_ms()
    }

    pub(crate) fn put_customer(
        &self,
        number: &str,
        patch: CustomerPatch,
    ) -> Result<Customer, SandboxError> {
        let now_ms = self.clock.now_ms();
        let customer = self.people().patch(number, patch, now_ms);
        customer.ok_or_else(|| SandboxError::not_found("customer", number))
    }

    /// Accepted messages; a recipient may be named by any of the customer's ids.
    pub(crate) fn list_messages(&self, filter: &MessageFilter) -> Vec<SentMessage> {
        let mut filter = filter.clone();
        if let Some(to) = &mut filter.to
            && let Some(customer) = self.people().find(to)
        {
            customer.number.clone_into(to);
        }
        self.messages().list(&filter)
    }

    pub(crate) fn add_template(
        &self,
        waba_id: &str,
        template: &Value,
    ) -> Result<Template, SandboxError> {
        let template = Template::read(self.dice.graph_id(), template)
            .ok_or_else(|| SandboxError::Invalid("a template needs a name".to_owned()))?;
        self.directory().add_template(waba_id, template.clone())?;
        Ok(template)
    }

    pub(crate) fn store_media(
        &self,
        phone_number_id: &str,
        mime_type: &str,
        data: Bytes,
    ) -> Result<String, SandboxError> {
        if self.directory().home(phone_number_id).is_none() {
            return Err(SandboxError::not_found("number", phone_number_id));
        }
        let file = uploaded(phone_number_id, mime_type, data, self.clock.now_ms());
        Ok(self.media().put(file, &self.dice))
    }

    pub(crate) fn overview(&self) -> Overview {
        let (accounts, callback_url) = {
            let directory = self.directory();
            (directory.accounts(), directory.default_callback())
        };
        Overview {
            base_url: self.base_url.clone(),
            now_ms: self.clock.now_ms(),
            accepted: self.messages().accepted(),
            customers: self.people().len(),
            media: self.media().len(),
            webhooks: self.courier.counts(),
            faults: self.faults().list().len(),
            accounts,
            callback_url,
            settings: Settings::clone(&self.settings()),
        }
    }

    pub(crate) fn reset(&self, scope: ResetScope) -> Result<(), SandboxError> {
        self.courier.reset();
        self.held_back.clear();
        *self.faults() = FaultBook::default();
        *self.people() = People::default();
        *self.messages() = MessageLog::new(self.config.max_messages);
        *self.media() = MediaStore::default();
        *self.limits() = Limits::default();
        self.clock.reset();
        match scope {
            ResetScope::Traffic => Ok(()),
            ResetScope::All => self.seed_setup(),
        }
    }
}

/// A poisoned lock only says that a thread panicked; the data are still whole.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
