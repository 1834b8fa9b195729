//! The platform and its builder.

use std::path::PathBuf;
use std::sync::Arc;

use kabar_accounts::{Accounts, KeyAuthenticator, Keys, Users};
use kabar_automation::{AnswerJob, AutomationUse, Rules};
use kabar_channel::{ChannelPorts, Channels, Intake};
use kabar_cloud_api::{CloudApi, GraphConfig, GraphError};
use kabar_contacts::Contacts;
use kabar_core::{Clock, IdSource, Store, SystemClock, SystemIds, Wake};
use kabar_devices::{Authenticator, Devices, MetaApps};
use kabar_events::EventsWork;
use kabar_jobs::{Job, JobsWork, LocalWake, Runner, RunnerSettings};
use kabar_messaging::{
    BlobStore, Conversations, Dispatcher, DispatcherSettings, FetchMedia, MediaFiles,
    MessageIntake, Messages, RoadWork,
};
use kabar_storage::{Database, DatabaseUrl, FolderBlobs, KeyRing, OpenError};

use crate::running::Running;

/// Why a platform cannot be built.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BuildError {
    /// Neither `database` nor `open_database` was called.
    #[error("a platform needs a database: call `database` on the builder")]
    NoDatabase,
    /// `database` was called without `keys`.
    #[error("a platform needs keys to seal secrets with: call `keys` on the builder")]
    NoKeys,
    /// The database cannot be opened or migrated.
    #[error(transparent)]
    Database(#[from] OpenError),
    /// The folder for files cannot be used.
    #[error("the folder for files cannot be used")]
    Files(#[source] std::io::Error),
    /// The Cloud API channel cannot be set up.
    #[error("the Cloud API channel cannot be set up")]
    CloudApi(#[source] GraphError),
}

/// Puts a platform together. Everything but the database and the keys has a default: files beside
/// the process in `data/files`, Meta's own Graph API, the system's clock and randomness.
#[derive(Default)]
pub struct PlatformBuilder {
    url: Option<DatabaseUrl>,
    keys: Option<KeyRing>,
    database: Option<Database>,
    files: Option<PathBuf>,
    blobs: Option<Arc<dyn BlobStore>>,
    graph: GraphConfig,
    channels: Channels,
    clock: Option<Arc<dyn Clock>>,
    ids: Option<Arc<dyn IdSource>>,
    wake: Option<Arc<dyn Wake>>,
    dispatcher: DispatcherSettings,
    runner: RunnerSettings,
    unmigrated: bool,
}

impl PlatformBuilder {
    /// The database to open; needs [`PlatformBuilder::keys`].
    #[must_use]
    pub fn database(mut self, url: DatabaseUrl) -> Self {
        self.url = Some(url);
        self
    }

    /// The keys that secrets are sealed under.
    #[must_use]
    pub fn keys(mut self, keys: KeyRing) -> Self {
        self.keys = Some(keys);
        self
    }

    /// A database that is open already, instead of `database` and `keys`.
    #[must_use]
    pub fn open_database(mut self, database: Database) -> Self {
        self.database = Some(database);
        self
    }

    /// Does not bring the schema up to date: somebody else does, or did.
    #[must_use]
    pub fn without_migrations(mut self) -> Self {
        self.unmigrated = true;
        self
    }

    /// The folder for files.
    #[must_use]
    pub fn files(mut self, folder: impl Into<PathBuf>) -> Self {
        self.files = Some(folder.into());
        self
    }

    /// Another store for files, instead of a folder.
    #[must_use]
    pub fn blobs(mut self, blobs: Arc<dyn BlobStore>) -> Self {
        self.blobs = Some(blobs);
        self
    }

    /// Where Meta's Graph API is, and in which version: the sandbox, a proxy, or Meta itself.
    #[must_use]
    pub fn graph(mut self, graph: GraphConfig) -> Self {
        self.graph = graph;
        self
    }

    /// A channel of one's own; it replaces one of the same kind.
    #[must_use]
    pub fn channel(mut self, ports: ChannelPorts) -> Self {
        self.channels.insert(ports);
        self
    }

    /// Another clock.
    #[must_use]
    pub fn clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = Some(clock);
        self
    }

    /// Another source of ids and randomness.
    #[must_use]
    pub fn ids(mut self, ids: Arc<dyn IdSource>) -> Self {
        self.ids = Some(ids);
        self
    }

    /// Another way to wake sleepers, over several nodes.
    #[must_use]
    pub fn wake(mut self, wake: Arc<dyn Wake>) -> Self {
        self.wake = Some(wake);
        self
    }

    /// How the dispatcher works.
    #[must_use]
    pub fn dispatcher(mut self, settings: DispatcherSettings) -> Self {
        self.dispatcher = settings;
        self
    }

    /// How the job runner works.
    #[must_use]
    pub fn runner(mut self, settings: RunnerSettings) -> Self {
        self.runner = settings;
        self
    }

    /// Opens the database, brings its schema up to date, and composes the platform. Nothing runs
    /// before [`Platform::start`].
    ///
    /// # Errors
    /// [`BuildError`].
    pub async fn build(mut self) -> Result<Platform, BuildError> {
        let database = self.take_database().await?;
        if !self.unmigrated {
            database.migrate().await?;
        }
        let clock = self.clock.take().unwrap_or_else(|| Arc::new(SystemClock));
        let ids = self.ids.take().unwrap_or_else(|| Arc::new(SystemIds::default()));
        let wake = self.wake.take().unwrap_or_else(|| Arc::new(LocalWake::default()));
        let base = Base { database, clock, ids, wake };
        let blobs = self.take_blobs()?;
        let media = MediaFiles::new(base.road(), blobs, base.clock(), base.ids());
        let mut channels = Channels::default();
        let cloud = CloudApi::new(self.graph.clone(), Arc::new(media.clone()), base.clock())
            .map_err(BuildError::CloudApi)?;
        channels.insert(Arc::new(cloud).ports());
        channels.extend(self.channels);
        Ok(Platform::compose(base, media, channels, self.dispatcher, self.runner))
    }

    async fn take_database(&mut self) -> Result<Database, BuildError> {
        if let Some(database) = self.database.take() {
            return Ok(database);
        }
        let url = self.url.take().ok_or(BuildError::NoDatabase)?;
        let keys = self.keys.take().ok_or(BuildError::NoKeys)?;
        Ok(Database::open(&url, keys).await?)
    }

    fn take_blobs(&mut self) -> Result<Arc<dyn BlobStore>, BuildError> {
        if let Some(blobs) = self.blobs.take() {
            return Ok(blobs);
        }
        let folder = self.files.take().unwrap_or_else(|| PathBuf::from("data/files"));
        Ok(Arc::new(FolderBlobs::open(&folder).map_err(BuildError::Files)?))
    }
}

/// What every service is made from.
#[derive(Clone)]
struct Base {
    database: Database,
    clock: Arc<dyn Clock>,
    ids: Arc<dyn IdSource>,
    wake: Arc<dyn Wake>,
}

impl Base {
    fn store<W>(&self) -> Arc<dyn Store<W>>
    where
        Database: Store<W>,
        W: kabar_core::Work + ?Sized + 'static,
    {
        Arc::new(self.database.clone())
    }

    fn road(&self) -> Arc<dyn Store<dyn RoadWork>> {
        self.store()
    }

    fn clock(&self) -> Arc<dyn Clock> {
        Arc::clone(&self.clock)
    }

    fn ids(&self) -> Arc<dyn IdSource> {
        Arc::clone(&self.ids)
    }

    fn wake(&self) -> Arc<dyn Wake> {
        Arc::clone(&self.wake)
    }
}

/// A WhatsApp platform. Cheap to clone.
#[derive(Clone)]
pub struct Platform {
    base: Base,
    channels: Channels,
    accounts: Accounts,
    users: Users,
    keys: Keys,
    authenticator: Authenticator,
    devices: Devices,
    meta_apps: MetaApps,
    contacts: Contacts,
    messages: Messages,
    conversations: Conversations,
    media: MediaFiles,
    rules: Rules,
    intake: MessageIntake,
    dispatcher: Dispatcher,
    runner: Arc<Runner>,
}

impl Platform {
    /// Begins to put a platform together.
    pub fn builder() -> PlatformBuilder {
        PlatformBuilder::default()
    }

    fn compose(
        base: Base,
        media: MediaFiles,
        channels: Channels,
        dispatcher: DispatcherSettings,
        runner: RunnerSettings,
    ) -> Self {
        let (clock, ids, wake) = (base.clock(), base.ids(), base.wake());
        let messages =
            Messages::new(base.road(), channels.clone(), base.clock(), base.ids(), base.wake());
        let automation: Arc<dyn Store<dyn AutomationUse>> = base.store();
        let answers =
            AnswerJob::new(Arc::clone(&automation), messages.clone(), base.clock(), base.wake());
        let jobs: [Arc<dyn Job>; 2] =
            [Arc::new(answers), Arc::new(FetchMedia::new(media.clone(), channels.clone()))];
        let jobs_store: Arc<dyn Store<dyn JobsWork>> = base.store();
        Self {
            accounts: Accounts::new(base.store(), base.clock(), base.ids()),
            users: Users::new(base.store(), base.clock(), base.ids()),
            keys: Keys::new(base.store(), base.clock(), base.ids()),
            authenticator: Authenticator::new(
                KeyAuthenticator::new(base.store(), base.clock()),
                base.store(),
            ),
            devices: Devices::new(base.store(), channels.clone(), base.clock(), base.ids()),
            meta_apps: MetaApps::new(base.store(), base.clock(), base.ids()),
            contacts: Contacts::new(base.store(), base.clock(), base.ids()),
            conversations: Conversations::new(base.road(), channels.clone(), base.clock()),
            rules: Rules::new(automation, channels.clone(), base.clock(), base.ids()),
            intake: MessageIntake::new(base.road(), base.clock(), base.ids(), base.wake()),
            dispatcher: Dispatcher::new(
                base.road(),
                channels.clone(),
                clock,
                &*ids,
                Arc::clone(&wake),
                dispatcher,
            ),
            runner: Arc::new(Runner::new(jobs_store, jobs, base.clock(), wake, runner)),
            messages,
            media,
            channels,
            base,
        }
    }

    /// Starts sending, answering and fetching in the background.
    pub fn start(&self) -> Running {
        Running::start(self)
    }

    /// Carries out everything that is due now, until nothing is: for tests, and for programs that
    /// run by hand. Do not call it while the platform runs.
    ///
    /// # Errors
    /// What storage says.
    pub async fn drain(&self) -> Result<(), kabar_core::StoreError> {
        loop {
            let sent = self.dispatcher.drain().await?;
            let ran = self.runner.drain().await?;
            self.intake.settle_parked().await?;
            if sent == 0 && ran == 0 {
                return Ok(());
            }
        }
    }

    /// The tenants.
    pub const fn accounts(&self) -> &Accounts {
        &self.accounts
    }

    /// The people.
    pub const fn users(&self) -> &Users {
        &self.users
    }

    /// The API keys.
    pub const fn keys(&self) -> &Keys {
        &self.keys
    }

    /// From a bearer credential to a principal.
    pub const fn authenticator(&self) -> &Authenticator {
        &self.authenticator
    }

    /// The devices.
    pub const fn devices(&self) -> &Devices {
        &self.devices
    }

    /// The Meta apps.
    pub const fn meta_apps(&self) -> &MetaApps {
        &self.meta_apps
    }

    /// The contacts.
    pub const fn contacts(&self) -> &Contacts {
        &self.contacts
    }

    /// The messages.
    pub const fn messages(&self) -> &Messages {
        &self.messages
    }

    /// The conversations.
    pub const fn conversations(&self) -> &Conversations {
        &self.conversations
    }

    /// The files.
    pub const fn media(&self) -> &MediaFiles {
        &self.media
    }

    /// The autoreply rules.
    pub const fn rules(&self) -> &Rules {
        &self.rules
    }

    /// The channels.
    pub const fn channels(&self) -> &Channels {
        &self.channels
    }

    /// The way in, for channels.
    pub fn intake(&self) -> Arc<dyn Intake> {
        Arc::new(self.intake.clone())
    }

    /// The database.
    pub const fn database(&self) -> &Database {
        &self.base.database
    }

    /// The event log, to read.
    pub fn events(&self) -> Arc<dyn Store<dyn EventsWork>> {
        self.base.store()
    }

    /// The clock.
    pub fn clock(&self) -> Arc<dyn Clock> {
        self.base.clock()
    }

    pub(crate) const fn dispatcher(&self) -> &Dispatcher {
        &self.dispatcher
    }

    pub(crate) const fn runner(&self) -> &Arc<Runner> {
        &self.runner
    }

    pub(crate) const fn message_intake(&self) -> &MessageIntake {
        &self.intake
    }
}
