//! The builder: what a platform is made from, and its defaults.

use kabar_accounts::{LoginSettings, PasswordCost, Passwords};
use kabar_channel::{ChannelPorts, Channels};
use kabar_cloud_api::{CloudApi, GraphConfig, GraphError};
use kabar_core::{Clock, IdSource, Mailer, SystemClock, SystemIds, Wake};
use kabar_events::{EventTail, TailSettings};
use kabar_jobs::{LocalWake, RunnerSettings};
use kabar_messaging::{BlobStore, DispatcherSettings, MediaFiles, MessageIntake};
use kabar_operations::Disk;
use kabar_outbound::{Outbound, OutboundSettings, Proxies, Resolve, SystemResolver};
use kabar_storage::{Database, DatabaseUrl, DiskOf, FolderBlobs, KeyRing, OpenError};
use kabar_webhooks::DelivererSettings;
use std::path::PathBuf;
use std::sync::Arc;

use super::{Base, Entrance, Platform, WebhookRoad, Workers};

/// The folder for files where none is named.
const FILES: &str = "data/files";

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
    /// Passwords cannot be hashed at the cost that was asked for.
    #[error("passwords cannot be hashed")]
    Passwords(#[source] kabar_accounts::password::PasswordError),
    /// The Cloud API channel cannot be set up.
    #[error("the Cloud API channel cannot be set up")]
    CloudApi(#[source] GraphError),
    /// The channel of paired devices cannot be set up.
    #[cfg(feature = "qr-session")]
    #[error("the channel of paired devices cannot be set up")]
    Paired(#[source] kabar_qr_session::SetUpError),
    /// The client that webhooks go out with cannot be set up.
    #[error("the client for webhooks cannot be set up: {0}")]
    Outbound(String),
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
    mailer: Option<Arc<dyn Mailer>>,
    disk: Option<Arc<dyn Disk>>,
    logins: LoginSettings,
    password_cost: PasswordCost,
    dispatcher: DispatcherSettings,
    runner: RunnerSettings,
    tail: TailSettings,
    deliverer: DelivererSettings,
    outbound: OutboundSettings,
    resolver: Option<Arc<dyn Resolve>>,
    #[cfg(feature = "qr-session")]
    paired: Option<kabar_qr_session::QrSettings>,
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

    /// With paired devices, the unofficial channel: this process runs sessions.
    #[cfg(feature = "qr-session")]
    #[must_use]
    pub fn paired(mut self, settings: kabar_qr_session::QrSettings) -> Self {
        self.paired = Some(settings);
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

    /// Where e-mails go. Without a mailer they are dropped, with a warning: nobody can register, and
    /// forgotten passwords stay so.
    #[must_use]
    pub fn mailer(mut self, mailer: Arc<dyn Mailer>) -> Self {
        self.mailer = Some(mailer);
        self
    }

    /// Another way to tell the space of the disk than that of the folder for files.
    #[must_use]
    pub fn disk(mut self, disk: Arc<dyn Disk>) -> Self {
        self.disk = Some(disk);
        self
    }

    /// How people log in, and what they are told by mail.
    #[must_use]
    pub fn logins(mut self, settings: LoginSettings) -> Self {
        self.logins = settings;
        self
    }

    /// What hashing a password costs; what OWASP asks for when nothing is said. A stored hash of
    /// another cost is renewed when its owner logs in.
    #[must_use]
    pub fn password_cost(mut self, cost: PasswordCost) -> Self {
        self.password_cost = cost;
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

    /// How those who follow the events are served.
    #[must_use]
    pub fn tail(mut self, settings: TailSettings) -> Self {
        self.tail = settings;
        self
    }

    /// How webhooks are delivered.
    #[must_use]
    pub fn deliverer(mut self, settings: DelivererSettings) -> Self {
        self.deliverer = settings;
        self
    }

    /// Where webhooks may go.
    #[must_use]
    pub fn outbound(mut self, settings: OutboundSettings) -> Self {
        self.outbound = settings;
        self
    }

    /// Another way to look the names of webhook endpoints up.
    #[must_use]
    pub fn resolver(mut self, resolver: Arc<dyn Resolve>) -> Self {
        self.resolver = Some(resolver);
        self
    }

    /// Opens the database, brings its schema up to date, and composes the platform. Nothing runs
    /// before [`Platform::start`].
    ///
    /// # Errors
    /// [`BuildError`].
    pub async fn build(self) -> Result<Platform, BuildError> {
        // On the heap, so that the futures of those who build stay small.
        Box::pin(self.put_together()).await
    }

    async fn put_together(mut self) -> Result<Platform, BuildError> {
        let database = self.take_database().await?;
        if !self.unmigrated {
            database.migrate().await?;
        }
        let clock = self.clock.take().unwrap_or_else(|| Arc::new(SystemClock));
        let ids = self.ids.take().unwrap_or_else(|| Arc::new(SystemIds::default()));
        let wake = self.wake.take().unwrap_or_else(|| Arc::new(LocalWake::default()));
        let database = database.waking(Arc::clone(&wake));
        let tail = EventTail::new(Arc::new(database.clone()), Arc::clone(&wake), self.tail);
        let disk = self.take_disk();
        let blobs = self.take_blobs()?;
        let base = Base { database, blobs, clock, ids, wake, tail };
        let media = MediaFiles::new(base.road(), base.blobs(), base.clock(), base.ids());
        let mut channels = Channels::default();
        let cloud = CloudApi::new(self.graph.clone(), Arc::new(media.clone()), base.clock())
            .map_err(BuildError::CloudApi)?;
        channels.insert(Arc::new(cloud).ports());
        let intake =
            MessageIntake::new(base.road(), base.clock(), base.ids(), Arc::clone(&base.wake));
        let resolver = self.resolver.take().unwrap_or_else(|| Arc::new(SystemResolver));
        let outbound = Outbound::new(self.outbound, Arc::clone(&resolver))
            .map_err(|error| BuildError::Outbound(error.to_string()))?;
        let proxies = Proxies::new(Arc::new(outbound.guard().clone()), resolver);
        #[cfg(feature = "qr-session")]
        let paired = match self.paired.take() {
            Some(settings) => {
                let proxies = proxies.clone();
                let ways = Ways { settings, proxies };
                Some(sessions(&base, &media, &intake, ways, &mut channels)?)
            }
            None => None,
        };
        channels.extend(self.channels);
        let webhook_road = WebhookRoad::new(&base, outbound, self.deliverer);
        let passwords =
            Passwords::new(self.password_cost, &*base.ids).map_err(BuildError::Passwords)?;
        let entrance = Entrance { passwords, settings: Arc::new(self.logins) };
        let workers = Workers {
            dispatcher: self.dispatcher,
            runner: self.runner,
            mailer: self.mailer,
            disk,
            webhook_road,
            intake,
            proxies,
            #[cfg(feature = "qr-session")]
            paired,
        };
        Ok(Platform::compose(base, media, channels, entrance, workers))
    }

    async fn take_database(&mut self) -> Result<Database, BuildError> {
        if let Some(database) = self.database.take() {
            return Ok(database);
        }
        let url = self.url.take().ok_or(BuildError::NoDatabase)?;
        let keys = self.keys.take().ok_or(BuildError::NoKeys)?;
        Ok(Database::open(&url, keys).await?)
    }

    fn take_disk(&mut self) -> Arc<dyn Disk> {
        let folder = || self.files.clone().unwrap_or_else(|| PathBuf::from(FILES));
        self.disk.take().unwrap_or_else(|| Arc::new(DiskOf(folder())))
    }

    fn take_blobs(&mut self) -> Result<Arc<dyn BlobStore>, BuildError> {
        if let Some(blobs) = self.blobs.take() {
            return Ok(blobs);
        }
        let folder = self.files.take().unwrap_or_else(|| PathBuf::from(FILES));
        Ok(Arc::new(FolderBlobs::open(&folder).map_err(BuildError::Files)?))
    }
}

/// How sessions reach WhatsApp.
#[cfg(feature = "qr-session")]
struct Ways {
    settings: kabar_qr_session::QrSettings,
    proxies: Proxies,
}

/// The supervisor of this process's sessions; its channel joins the others.
#[cfg(feature = "qr-session")]
fn sessions(
    base: &Base,
    media: &MediaFiles,
    intake: &MessageIntake,
    Ways { settings, proxies }: Ways,
    channels: &mut Channels,
) -> Result<kabar_qr_session::Supervisor, BuildError> {
    let parts = kabar_qr_session::Parts {
        store: base.store(),
        vault: Arc::new(base.database.clone()),
        intake: Arc::new(intake.clone()),
        media: Arc::new(media.clone()),
        clock: base.clock(),
        ids: base.ids(),
        wake: base.wake(),
        node: base.ids.next(),
        proxies,
        settings,
    };
    let (supervisor, channel) =
        kabar_qr_session::Supervisor::new(parts).map_err(BuildError::Paired)?;
    let channel = Arc::new(channel);
    let ports = ChannelPorts::new(Arc::<kabar_qr_session::QrChannel>::clone(&channel))
        .with_read_receipts(Arc::<kabar_qr_session::QrChannel>::clone(&channel))
        .with_directory(Arc::<kabar_qr_session::QrChannel>::clone(&channel))
        .with_groups(Arc::<kabar_qr_session::QrChannel>::clone(&channel))
        .with_incoming_media(channel);
    channels.insert(ports);
    Ok(supervisor)
}
