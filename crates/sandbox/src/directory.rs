//! Who owns what: apps, accounts, numbers, tokens, templates, profiles.

use std::collections::{BTreeMap, HashMap};

use serde_json::{Map, Value};

use crate::accounts::{Account, NewAccount, NewNumber, Number};
use crate::config::{
    DEFAULT_APP_ID, DEFAULT_APP_SECRET, DEFAULT_BUSINESS_ID, DEFAULT_DISPLAY_PHONE_NUMBER,
    DEFAULT_PHONE_NUMBER_ID, DEFAULT_TOKEN, DEFAULT_VERIFY_TOKEN, DEFAULT_WABA_ID,
};
use crate::error::SandboxError;
use crate::graph_error::GraphError;
use crate::random::{Dice, fingerprint};
use crate::templates::{Template, seeds};
use crate::webhooks::WebhookConfig;

/// An app: the owner of a callback and of the secret that signs.
#[derive(Debug, Clone)]
pub(crate) struct App {
    pub(crate) secret: String,
    pub(crate) verify_token: String,
    pub(crate) callback_url: Option<String>,
}

impl Default for App {
    fn default() -> Self {
        Self {
            secret: DEFAULT_APP_SECRET.to_owned(),
            verify_token: DEFAULT_VERIFY_TOKEN.to_owned(),
            callback_url: None,
        }
    }
}

/// What an access token opens.
#[derive(Debug, Clone)]
pub(crate) struct Grant {
    waba_id: String,
    pub(crate) expired: bool,
    pub(crate) issued_at_ms: u64,
}

impl Grant {
    pub(crate) fn waba_id(&self) -> &str {
        &self.waba_id
    }
}

/// What an authenticated call may touch.
#[derive(Debug, Clone)]
pub(crate) struct Access {
    pub(crate) waba_id: String,
}

/// Where webhooks about something go.
#[derive(Debug, Clone)]
pub(crate) enum Route {
    /// Updates about a number of an account.
    Number { waba_id: String, phone_number_id: String },
    /// Straight to an app's callback.
    App(String),
}

/// A resolved route.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Target {
    pub(crate) url: String,
    pub(crate) secret: String,
}

/// All owners and belongings.
#[derive(Debug, Default)]
pub(crate) struct Directory {
    apps: HashMap<String, App>,
    accounts: BTreeMap<String, Account>,
    /// WABA of each phone number id.
    homes: HashMap<String, String>,
    tokens: HashMap<String, Grant>,
    templates: HashMap<String, Vec<Template>>,
    profiles: HashMap<String, Map<String, Value>>,
}

impl Directory {
    /// The seeded account with its app, number, token and templates.
    pub(crate) fn seeded(now_ms: u64) -> Self {
        let mut directory = Self::default();
        directory.apps.insert(DEFAULT_APP_ID.to_owned(), App::default());
        let account = NewAccount {
            waba_id: Some(DEFAULT_WABA_ID.to_owned()),
            name: Some("Sandbox Shop".to_owned()),
            business_id: Some(DEFAULT_BUSINESS_ID.to_owned()),
            token: Some(DEFAULT_TOKEN.to_owned()),
            numbers: vec![NewNumber {
                phone_number_id: Some(DEFAULT_PHONE_NUMBER_ID.to_owned()),
                display_phone_number: Some(DEFAULT_DISPLAY_PHONE_NUMBER.to_owned()),
                verified_name: Some("Sandbox Shop".to_owned()),
                unregistered: false,
            }],
            ..NewAccount::default()
        };
        // All ids are given, so the dice decide nothing and nothing can collide.
        let seeded = directory.add_account(account, &Dice::seeded(0), now_ms);
        debug_assert!(seeded.is_ok(), "the seeded account is whole");
        directory
    }

    pub(crate) fn accounts(&self) -> Vec<Account> {
        self.accounts.values().map(|account| self.with_tokens(account)).collect()
    }

    pub(crate) fn account(&self, waba_id: &str) -> Option<Account> {
        self.accounts.get(waba_id).map(|account| self.with_tokens(account))
    }

    pub(crate) fn account_mut(&mut self, waba_id: &str) -> Option<&mut Account> {
        self.accounts.get_mut(waba_id)
    }

    fn with_tokens(&self, account: &Account) -> Account {
        let valid = |(token, grant): (&String, &Grant)| {
            (grant.waba_id == account.waba_id && !grant.expired).then(|| token.clone())
        };
        let mut tokens: Vec<_> = self.tokens.iter().filter_map(valid).collect();
        tokens.sort();
        Account { tokens, ..account.clone() }
    }

    pub(crate) fn add_account(
        &mut self,
        new: NewAccount,
        dice: &Dice,
        now_ms: u64,
    ) -> Result<Account, SandboxError> {
        let waba_id = new.waba_id.unwrap_or_else(|| dice.graph_id());
        if self.accounts.contains_key(&waba_id) {
            return Err(SandboxError::Exists { kind: "account", id: waba_id });
        }
        if let Some(token) = new.token.as_ref().filter(|token| self.tokens.contains_key(*token)) {
            return Err(SandboxError::Exists { kind: "token", id: token.clone() });
        }
        let app_id = new.app_id.unwrap_or_else(|| DEFAULT_APP_ID.to_owned());
        let app = self.apps.entry(app_id.clone()).or_default();
        if let Some(secret) = new.app_secret {
            app.secret = secret;
        }
        let account = Account {
            waba_id: waba_id.clone(),
            name: new.name.unwrap_or_else(|| format!("Account {waba_id}")),
            business_id: new.business_id.unwrap_or_else(|| dice.graph_id()),
            app_id,
            subscribed: !new.unsubscribed,
            override_callback_uri: None,
            numbers: Vec::new(),
            tokens: Vec::new(),
        };
        self.accounts.insert(waba_id.clone(), account);
        let numbers = if new.numbers.is_empty() { vec![NewNumber::default()] } else { new.numbers };
        for number in numbers {
            self.add_number(&waba_id, number, dice)?;
        }
        self.add_token(&waba_id, new.token, dice, now_ms)?;
        self.seed_templates(&waba_id);
        self.account(&waba_id).ok_or_else(|| SandboxError::not_found("account", waba_id))
    }

    /// Template ids derive from what they name, so that they stay the same between runs.
    fn seed_templates(&mut self, waba_id: &str) {
        let templates = seeds().into_iter().filter_map(|seed| {
            let names = format!("{waba_id}{}{}", seed.get("name")?, seed.get("language")?);
            let id = 1_000_000_000_000_000 + fingerprint(&names) % 1_000_000_000_000_000;
            Template::read(id.to_string(), &seed)
        });
        let templates = templates.collect();
        self.templates.insert(waba_id.to_owned(), templates);
    }

    pub(crate) fn add_number(
        &mut self,
        waba_id: &str,
        new: NewNumber,
        dice: &Dice,
    ) -> Result<Number, SandboxError> {
        let id = new.phone_number_id.unwrap_or_else(|| dice.graph_id());
        if self.homes.contains_key(&id) {
            return Err(SandboxError::Exists { kind: "number", id });
        }
        let account = self
            .accounts
            .get_mut(waba_id)
            .ok_or_else(|| SandboxError::not_found("account", waba_id))?;
        let number = Number {
            id: id.clone(),
            display_phone_number: new
                .display_phone_number
                .unwrap_or_else(|| format!("1555{:07}", dice.next() % 10_000_000)),
            verified_name: new.verified_name.unwrap_or_else(|| account.name.clone()),
            registered: !new.unregistered,
            override_callback_uri: None,
        };
        account.numbers.push(number.clone());
        self.homes.insert(id, waba_id.to_owned());
        Ok(number)
    }

    pub(crate) fn add_token(
        &mut self,
        waba_id: &str,
        token: Option<String>,
        dice: &Dice,
        now_ms: u64,
    ) -> Result<String, SandboxError> {
        if !self.accounts.contains_key(waba_id) {
            return Err(SandboxError::not_found("account", waba_id));
        }
        let token =
            token.unwrap_or_else(|| format!("EAAG{:016x}{:016x}", dice.next(), dice.next()));
        let grant = Grant { waba_id: waba_id.to_owned(), expired: false, issued_at_ms: now_ms };
        self.tokens.insert(token.clone(), grant);
        Ok(token)
    }

    pub(crate) fn expire_token(&mut self, token: &str) -> Result<(), SandboxError> {
        let grant =
            self.tokens.get_mut(token).ok_or_else(|| SandboxError::not_found("token", "given"))?;
        grant.expired = true;
        Ok(())
    }

    pub(crate) fn grant(&self, token: &str) -> Option<&Grant> {
        self.tokens.get(token)
    }

    /// Checks a token.
    pub(crate) fn access(&self, token: &str) -> Result<Access, GraphError> {
        match self.tokens.get(token) {
            None => Err(GraphError::token(
                "Invalid OAuth access token - Cannot parse access token",
                None,
            )),
            Some(grant) if grant.expired => Err(GraphError::token(
                "Error validating access token: Session has expired on Saturday, 01-Jan-22 00:00:00 \
                 PST. The current time is Sunday, 02-Jan-22 00:00:00 PST.",
                Some(463),
            )),
            Some(grant) => Ok(Access { waba_id: grant.waba_id.clone() }),
        }
    }

    /// A number, if the token reaches it.
    pub(crate) fn number(&self, access: &Access, id: &str) -> Option<&Number> {
        self.number_of(&access.waba_id, id)
    }

    pub(crate) fn number_of(&self, waba_id: &str, id: &str) -> Option<&Number> {
        self.accounts.get(waba_id)?.numbers.iter().find(|number| number.id == id)
    }

    pub(crate) fn number_mut(&mut self, access: &Access, id: &str) -> Option<&mut Number> {
        let account = self.accounts.get_mut(&access.waba_id)?;
        account.numbers.iter_mut().find(|number| number.id == id)
    }

    /// The account a number lives in.
    pub(crate) fn home(&self, phone_number_id: &str) -> Option<&str> {
        self.homes.get(phone_number_id).map(String::as_str)
    }

    pub(crate) fn profile(&mut self, phone_number_id: &str) -> &mut Map<String, Value> {
        let blank = || {
            let texts = [("about", "Hey there! I am using WhatsApp."), ("vertical", "UNDEFINED")];
            texts.map(|(key, text)| (key.to_owned(), text.into())).into_iter().collect()
        };
        self.profiles.entry(phone_number_id.to_owned()).or_insert_with(blank)
    }

    pub(crate) fn templates(&self, waba_id: &str) -> &[Template] {
        self.templates.get(waba_id).map_or(&[], Vec::as_slice)
    }

    pub(crate) fn templates_mut(&mut self, waba_id: &str) -> &mut Vec<Template> {
        self.templates.entry(waba_id.to_owned()).or_default()
    }

    /// Adds a template, replacing one of the same name and language.
    pub(crate) fn add_template(
        &mut self,
        waba_id: &str,
        template: Template,
    ) -> Result<(), SandboxError> {
        if !self.accounts.contains_key(waba_id) {
            return Err(SandboxError::not_found("account", waba_id));
        }
        let templates = self.templates_mut(waba_id);
        templates.retain(|it| (&it.name, &it.language) != (&template.name, &template.language));
        templates.push(template);
        Ok(())
    }

    pub(crate) fn app(&self, id: &str) -> Option<&App> {
        self.apps.get(id)
    }

    pub(crate) fn default_callback(&self) -> Option<String> {
        self.apps.get(DEFAULT_APP_ID)?.callback_url.clone()
    }

    /// Saves secret and verify token, and the callback.
    pub(crate) fn save_webhook(&mut self, config: &WebhookConfig) -> Result<(), SandboxError> {
        url::Url::parse(&config.callback_url)
            .map_err(|error| SandboxError::Invalid(format!("callback_url: {error}")))?;
        let app = self.prepare_app(config);
        app.callback_url = Some(config.callback_url.clone());
        Ok(())
    }

    /// Saves secret and verify token only, as the handshake needs them first.
    pub(crate) fn prepare_app(&mut self, config: &WebhookConfig) -> &mut App {
        let id = config.app_id.as_deref().unwrap_or(DEFAULT_APP_ID);
        let app = self.apps.entry(id.to_owned()).or_default();
        if let Some(secret) = &config.app_secret {
            app.secret.clone_from(secret);
        }
        if let Some(token) = &config.verify_token {
            app.verify_token.clone_from(token);
        }
        app
    }

    pub(crate) fn clear_callback(&mut self, app_id: &str) {
        if let Some(app) = self.apps.get_mut(app_id) {
            app.callback_url = None;
        }
    }

    /// Where a webhook goes now: the number's own callback, else the account's, else the app's.
    pub(crate) fn resolve(&self, route: &Route) -> Option<Target> {
        let (app_id, own) = match route {
            Route::App(app_id) => (app_id, None),
            Route::Number { waba_id, phone_number_id } => {
                let account = self.accounts.get(waba_id).filter(|account| account.subscribed)?;
                let number = self.number_of(waba_id, phone_number_id);
                let own = number.and_then(|number| number.override_callback_uri.as_ref());
                (&account.app_id, own.or(account.override_callback_uri.as_ref()))
            }
        };
        let app = self.apps.get(app_id)?;
        let url = own.or(app.callback_url.as_ref())?.clone();
        Some(Target { url, secret: app.secret.clone() })
    }
}
