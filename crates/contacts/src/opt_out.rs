//! Who wants no messages: the registry, its history, and the words that people write.
//!
//! A stop stands on the contact, where every send sees it, and outlives the contact: when a contact
//! that stopped messages is removed or erased, a hash of its identities is kept, and a new contact
//! with one of them inherits the stop.

use async_trait::async_trait;
use kabar_core::{AccountId, ContactId, MessageId, Page, PageRequest, StoreError, Timestamp};
use kabar_rules::{Keyword, MatchKind, Rule, RuleSet};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use uuid::Uuid;

use crate::check::invalid;
use crate::contact::{IdentityKey, IdentityKind};
use crate::service::ContactError;
use crate::words::words;

/// The most words of one list.
const WORDS: usize = 100;
/// The most characters of a word: a longer message is no such word.
pub const LONGEST_WORD: usize = 64;
/// The most characters of a confirmation.
const REPLY: usize = 1_000;

words! {
    /// What a contact stopped. The wider is the greater.
    StopScope:
    /// Marketing messages.
    Marketing = "marketing",
    /// Everything but one-time passwords and answers to what it wrote.
    Everything = "everything",
}

words! {
    /// How we know.
    PreferenceSource:
    /// The contact wrote a stop or start word.
    Message = "message",
    /// Somebody of the tenant noted it.
    Hand = "hand",
    /// It was in an imported file.
    Import = "import",
    /// The network told (Meta's `user_preferences`).
    Network = "network",
    /// It came with a contact that was merged.
    Merge = "merge",
    /// The same person had stopped before, as a contact that is gone.
    Former = "former",
}

words! {
    /// What changed.
    PreferenceChange:
    /// Messages were stopped.
    Stopped = "stopped",
    /// Messages are wanted again.
    Resumed = "resumed",
    /// The contact agreed to messages.
    Consented = "consented",
    /// It took that back.
    Withdrawn = "withdrawn",
}

/// A stop as it stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stop {
    /// What was stopped.
    pub scope: StopScope,
    /// How we know.
    pub source: PreferenceSource,
    /// Since when.
    pub at: Timestamp,
}

/// An entry of the history.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PreferenceEntry {
    /// Its id.
    pub id: Uuid,
    /// Whose preference.
    pub contact: ContactId,
    /// What changed.
    pub change: PreferenceChange,
    /// What was stopped.
    pub scope: Option<StopScope>,
    /// How we know.
    pub source: PreferenceSource,
    /// The word that was written, or where the contact agreed.
    pub detail: Option<String>,
    /// The message that held the word.
    pub message: Option<MessageId>,
    /// Who noted it.
    pub actor: String,
    /// When.
    pub at: Timestamp,
}

/// How an account listens for stop words.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct OptOutSettings {
    /// A message that is one of these stops messages.
    pub stop_words: Vec<String>,
    /// A message that is one of these wants them again.
    pub start_words: Vec<String>,
    /// What a stop word stops.
    pub scope: StopScope,
    /// What is answered to a stop word that stopped something.
    pub stop_reply: Option<String>,
    /// What is answered to a start word that changed something.
    pub start_reply: Option<String>,
}

/// Stop words in Indonesian, English, Malay, Spanish, Portuguese, German, French, Italian, Dutch,
/// Turkish, Arabic and Hindi: what people write who want no more, and nothing that they write for
/// another reason ("cancel", "end" and "no" are left out for that).
const STOP_WORDS: &[&str] = &[
    "stop",
    "stop promo",
    "stop promotions",
    "stop all",
    "unsubscribe",
    "opt out",
    "opt-out",
    "optout",
    "berhenti",
    "berhenti berlangganan",
    "stop promosi",
    "henti",
    "hentikan",
    "unreg",
    "parar",
    "baja",
    "cancelar suscripcion",
    "cancelar suscripción",
    "sair",
    "descadastrar",
    "stopp",
    "abmelden",
    "abbestellen",
    "arret",
    "arrêt",
    "désabonner",
    "desabonner",
    "disiscrivi",
    "annulla iscrizione",
    "afmelden",
    "dur",
    "aboneliği iptal et",
    "إيقاف",
    "الغاء الاشتراك",
    "إلغاء الاشتراك",
    "बंद करें",
];
/// The same the other way round.
const START_WORDS: &[&str] = &[
    "start",
    "unstop",
    "subscribe",
    "opt in",
    "opt-in",
    "optin",
    "mulai",
    "langganan",
    "berlangganan",
    "mula",
    "alta",
    "suscribir",
    "assinar",
    "anmelden",
    "abonnieren",
    "s'abonner",
    "iscrivimi",
    "aanmelden",
    "başla",
    "اشتراك",
    "शुरू करें",
];

impl Default for OptOutSettings {
    fn default() -> Self {
        let owned = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect();
        Self {
            stop_words: owned(STOP_WORDS),
            start_words: owned(START_WORDS),
            scope: StopScope::Marketing,
            stop_reply: None,
            start_reply: None,
        }
    }
}

/// The words of an account, compiled.
pub type PreferenceWords = RuleSet<PreferenceChange>;

impl OptOutSettings {
    /// The words, ready to be compared with whole messages: case, spaces and punctuation do not
    /// matter, as in rules.
    ///
    /// # Errors
    /// [`ContactError::Invalid`] when a word cannot be compared.
    pub fn compiled(&self) -> Result<PreferenceWords, ContactError> {
        let rule = |change, words: &[String]| Rule::new(change, MatchKind::Exact, words.to_vec());
        let lists = [
            (PreferenceChange::Stopped, &self.stop_words),
            (PreferenceChange::Resumed, &self.start_words),
        ];
        let rules = lists
            .into_iter()
            .filter(|(_, words)| !words.is_empty())
            .map(|(change, words)| rule(change, words));
        RuleSet::compile(rules).map_err(|error| invalid("stop_words", error.to_string()))
    }

    pub(crate) fn check(&self) -> Result<(), ContactError> {
        for (field, words) in [("stop_words", &self.stop_words), ("start_words", &self.start_words)]
        {
            if words.len() > WORDS {
                return Err(invalid(field, format!("has more than {WORDS} words")));
            }
            for (index, word) in words.iter().enumerate() {
                if let Some(problem) = word_problem(word) {
                    return Err(invalid(&format!("{field}[{index}]"), problem));
                }
            }
        }
        if self.stop_words.is_empty() {
            return Err(invalid("stop_words", "must hold a word: people must be able to stop"));
        }
        self.check_apart()?;
        for (field, reply) in [("stop_reply", &self.stop_reply), ("start_reply", &self.start_reply)]
        {
            let long = |text: &String| text.trim().is_empty() || text.chars().count() > REPLY;
            if reply.as_ref().is_some_and(long) {
                return Err(invalid(field, format!("must have 1 to {REPLY} characters")));
            }
        }
        Ok(())
    }

    /// No word may mean both.
    fn check_apart(&self) -> Result<(), ContactError> {
        let only_stop = Self { start_words: Vec::new(), ..self.clone() }.compiled()?;
        let both = self.start_words.iter().position(|word| only_stop.first_match(word).is_some());
        match both {
            Some(index) => {
                Err(invalid(&format!("start_words[{index}]"), "is a stop word, too; take one away"))
            }
            None => self.compiled().map(|_| ()),
        }
    }
}

fn word_problem(word: &str) -> Option<String> {
    let count = word.chars().count();
    if word.trim().is_empty() || count > LONGEST_WORD || word.chars().any(char::is_control) {
        return Some(format!("must be 1 to {LONGEST_WORD} characters on one line"));
    }
    match Keyword::parse(word) {
        Ok(keyword) if keyword.captures().next().is_none() => None,
        Ok(_) => Some("must hold no <variable>".to_owned()),
        Err(problem) => Some(problem.to_string()),
    }
}

/// What stays of an identity whose contact is gone: nobody reads the number from it, but the same
/// number gives the same hash.
pub fn suppression_hash(account: AccountId, key: &IdentityKey) -> [u8; 32] {
    let mut hash = Sha256::new();
    hash.update(b"kabar suppression");
    hash.update(account.uuid().as_bytes());
    for part in [key.kind.as_str(), &key.namespace, &key.value] {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part);
    }
    hash.finalize().into()
}

/// Whether a stop is bound to such an identity: a username is anybody's tomorrow.
pub(crate) const fn outlives(kind: IdentityKind) -> bool {
    matches!(
        kind,
        IdentityKind::Phone | IdentityKind::Bsuid | IdentityKind::Lid | IdentityKind::WaId
    )
}

/// A tenant's registry of preferences.
#[async_trait]
pub trait PreferenceRepo: Send {
    /// Stops messages to contacts where they are not stopped so widely yet; returns those.
    async fn stop(
        &mut self,
        contacts: &[ContactId],
        stop: Stop,
    ) -> Result<Vec<ContactId>, StoreError>;

    /// Lets messages go to contacts again; returns those to whom they were stopped.
    async fn resume(
        &mut self,
        contacts: &[ContactId],
        at: Timestamp,
    ) -> Result<Vec<ContactId>, StoreError>;

    /// Stores since when contacts agree to messages and where they did; `None` takes it back.
    /// Returns those that exist.
    async fn consent(
        &mut self,
        contacts: &[ContactId],
        given: Option<&str>,
        at: Timestamp,
    ) -> Result<Vec<ContactId>, StoreError>;

    /// Writes the history.
    async fn note(&mut self, entries: &[PreferenceEntry]) -> Result<(), StoreError>;

    /// The history, newest first: of one contact, or of all.
    async fn history(
        &mut self,
        contact: Option<ContactId>,
        page: PageRequest,
    ) -> Result<Page<PreferenceEntry>, StoreError>;

    /// The account's own settings, if it made any.
    async fn settings(&mut self) -> Result<Option<OptOutSettings>, StoreError>;

    /// Stores the account's settings.
    async fn save_settings(
        &mut self,
        settings: &OptOutSettings,
        at: Timestamp,
    ) -> Result<(), StoreError>;

    /// Keeps a stop beyond its contact.
    async fn suppress(
        &mut self,
        hashes: &[[u8; 32]],
        scope: StopScope,
        at: Timestamp,
    ) -> Result<(), StoreError>;
}
