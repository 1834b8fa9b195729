//! The platform: every service over one database.

mod builder;

use crate::running::Running;
use crate::wholesale::Wholesale;
use kabar_accounts::{
    Accounts, KeyAuthenticator, Keys, LoginSettings, Logins, Passwords, RecentKeys, Users,
};
use kabar_automation::{AnswerJob, AutomationUse, Rules};
use kabar_channel::{Channels, Intake};
use kabar_contacts::{
    CarryOutImport, Contacts, ContactsSource, Groups, Imports, OptOuts, ReadImport, Tags,
};
use kabar_core::{Clock, IdSource, Mailer, Store, Wake};
use kabar_devices::{Authenticator, Devices, MetaApps, PacingRules, RecentDevices};
use kabar_events::{Begin, EventFilter, EventTail, EventsWork, Follow, FollowError, Reach};
use kabar_exports::{Exports, Source, WriteExport};
use kabar_insights::{HistorySource, Projector, Retention, Statistics};
use kabar_jobs::{Job, JobsWork, MailsWork, Runner, RunnerSettings, SendMail};
use kabar_messaging::pacing::Pacing;
use kabar_messaging::{
    BlobStore, Broadcasts, Bulks, ConfirmPreference, Conversations, Dispatcher, DispatcherSettings,
    EraseContact, Erasures, FetchMedia, MediaFiles, MergeContacts, Merges, MessageIntake, Messages,
    PersonalExports, PersonalSource, RoadWork, Templates,
};
use kabar_operations::{Disk, Watch};
use kabar_outbound::{Outbound, Proxies};
use kabar_storage::Database;
use kabar_webhooks::{
    Deliverer, DelivererSettings, Deliveries, ResendJob, TellOwner, Webhooks, WebhooksUse,
};
use std::sync::Arc;

pub use builder::{BuildError, PlatformBuilder};

/// How people get in.
struct Entrance {
    passwords: Passwords,
    settings: Arc<LoginSettings>,
}

/// How the background work is done.
struct Workers {
    dispatcher: DispatcherSettings,
    runner: RunnerSettings,
    mailer: Option<Arc<dyn Mailer>>,
    disk: Arc<dyn Disk>,
    webhook_road: WebhookRoad,
    intake: MessageIntake,
    proxies: Proxies,
    #[cfg(feature = "qr-session")]
    paired: Option<kabar_qr_session::Supervisor>,
}

/// What every service is made from.
#[derive(Clone)]
pub(crate) struct Base {
    database: Database,
    blobs: Arc<dyn BlobStore>,
    clock: Arc<dyn Clock>,
    ids: Arc<dyn IdSource>,
    wake: Arc<dyn Wake>,
    tail: EventTail,
}

impl Base {
    pub(crate) fn store<W>(&self) -> Arc<dyn Store<W>>
    where
        Database: Store<W>,
        W: kabar_core::Work + ?Sized + 'static,
    {
        Arc::new(self.database.clone())
    }

    pub(crate) fn road(&self) -> Arc<dyn Store<dyn RoadWork>> {
        self.store()
    }

    pub(crate) fn blobs(&self) -> Arc<dyn BlobStore> {
        Arc::clone(&self.blobs)
    }

    pub(crate) fn clock(&self) -> Arc<dyn Clock> {
        Arc::clone(&self.clock)
    }

    pub(crate) fn ids(&self) -> Arc<dyn IdSource> {
        Arc::clone(&self.ids)
    }

    pub(crate) fn wake(&self) -> Arc<dyn Wake> {
        Arc::clone(&self.wake)
    }

    fn exports(&self) -> Exports {
        Exports::new(self.store(), self.blobs(), self.clock(), self.ids(), self.wake())
    }

    fn merges(&self) -> Merges {
        Merges::new(self.road(), self.clock(), self.ids(), self.wake())
    }

    fn erasures(&self) -> Erasures {
        Erasures::new(self.store(), self.clock(), self.ids(), self.wake())
    }

    fn imports(&self) -> Imports {
        Imports::new(self.store(), self.blobs(), self.clock(), self.ids(), self.wake())
    }

    /// The job that writes exports, with the source of each kind.
    fn write_export(&self) -> WriteExport {
        let sources: Vec<Arc<dyn Source>> = vec![
            Arc::new(ContactsSource::new(self.store())),
            Arc::new(PersonalSource::new(self.road())),
            Arc::new(HistorySource::new(self.road())),
        ];
        WriteExport::new(self.store(), self.blobs(), self.clock(), sources)
    }
}

/// What webhooks are made from.
#[derive(Clone)]
struct WebhookRoad {
    webhooks: Webhooks,
    deliveries: Deliveries,
    deliverer: Deliverer,
}

impl WebhookRoad {
    fn new(base: &Base, outbound: Outbound, settings: DelivererSettings) -> Self {
        let store: Arc<dyn Store<dyn WebhooksUse>> = base.store();
        let (clock, ids, wake) = (base.clock(), base.ids(), base.wake());
        let guard = outbound.guard().clone();
        Self {
            webhooks: Webhooks::new(Arc::clone(&store), guard, base.clock(), base.ids()),
            deliveries: Deliveries::new(Arc::clone(&store), base.clock(), base.ids(), base.wake()),
            deliverer: Deliverer::new(store, outbound, clock, ids, wake, settings),
        }
    }
}

/// A WhatsApp platform. Cheap to clone: servers hand one to every request.
#[derive(Clone)]
pub struct Platform(Arc<Services>);

/// What a platform consists of.
struct Services {
    base: Base,
    channels: Channels,
    accounts: Accounts,
    users: Users,
    logins: Logins,
    keys: Keys,
    authenticator: Authenticator,
    devices: Devices,
    meta_apps: MetaApps,
    pacing_rules: PacingRules,
    contacts: Contacts,
    groups: Groups,
    tags: Tags,
    opt_outs: OptOuts,
    imports: Imports,
    exports: Exports,
    personal_data: PersonalExports,
    merges: Merges,
    erasures: Erasures,
    messages: Messages,
    wholesale: Wholesale,
    conversations: Conversations,
    pacing: Pacing,
    media: MediaFiles,
    rules: Rules,
    watch: Watch,
    statistics: Statistics,
    projector: Projector,
    retention: Retention,
    intake: MessageIntake,
    dispatcher: Dispatcher,
    runner: Arc<Runner>,
    webhook_road: WebhookRoad,
    #[cfg(feature = "qr-session")]
    paired: Option<kabar_qr_session::Supervisor>,
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
        entrance: Entrance,
        workers: Workers,
    ) -> Self {
        let (clock, ids, wake) = (base.clock(), base.ids(), base.wake());
        let recent_devices = RecentDevices::default();
        let messages =
            Messages::new(base.road(), channels.clone(), base.clock(), base.ids(), base.wake())
                .with_recent(recent_devices.clone());
        let automation: Arc<dyn Store<dyn AutomationUse>> = base.store();
        let answers =
            AnswerJob::new(Arc::clone(&automation), messages.clone(), base.clock(), base.wake());
        let recent = RecentKeys::default();
        let mails: Arc<dyn Store<dyn MailsWork>> = base.store();
        let webhooks: Arc<dyn Store<dyn WebhooksUse>> = base.store();
        let mut jobs: Vec<Arc<dyn Job>> = vec![
            Arc::new(answers),
            Arc::new(FetchMedia::new(media.clone(), channels.clone())),
            Arc::new(SendMail::new(mails, workers.mailer.clone())),
            Arc::new(ConfirmPreference::new(base.road(), messages.clone(), base.wake())),
            Arc::new(base.write_export()),
            Arc::new(ResendJob::new(Arc::clone(&webhooks), base.clock())),
            Arc::new(TellOwner::new(webhooks, workers.mailer.clone())),
            Arc::new(MergeContacts::new(base.merges())),
            Arc::new(EraseContact::new(base.erasures(), base.blobs())),
            Arc::new(ReadImport::new(base.store(), base.blobs(), base.clock())),
            Arc::new(CarryOutImport::new(base.store(), base.blobs(), base.clock(), base.ids())),
        ];
        let (wholesale, more_jobs) = Wholesale::compose(&base, &media, &channels, &messages);
        jobs.extend(more_jobs);
        let jobs_store: Arc<dyn Store<dyn JobsWork>> = base.store();
        Self(Arc::new(Services {
            accounts: Accounts::new(base.store(), base.clock(), base.ids())
                .with_recent(recent.clone())
                .with_settings(Arc::clone(&entrance.settings)),
            users: Users::new(base.store(), base.clock(), base.ids())
                .with_settings(Arc::clone(&entrance.settings)),
            logins: Logins::new(
                base.store(),
                base.clock(),
                base.ids(),
                entrance.passwords,
                entrance.settings,
            ),
            keys: Keys::new(base.store(), base.clock(), base.ids(), recent.clone()),
            authenticator: Authenticator::new(
                KeyAuthenticator::new(base.store(), base.clock(), recent),
                base.store(),
            ),
            devices: Devices::new(base.store(), channels.clone(), base.clock(), base.ids())
                .with_recent(recent_devices)
                .with_proxies(workers.proxies),
            meta_apps: MetaApps::new(base.store(), base.clock(), base.ids()),
            pacing_rules: PacingRules::new(base.store(), base.clock(), base.ids()),
            pacing: Pacing::new(base.road(), channels.clone(), base.clock()),
            contacts: Contacts::new(base.store(), base.clock(), base.ids()),
            groups: Groups::new(base.store(), base.clock(), base.ids()),
            tags: Tags::new(base.store(), base.clock()),
            opt_outs: OptOuts::new(base.store(), base.clock(), base.ids()),
            imports: base.imports(),
            exports: base.exports(),
            personal_data: PersonalExports::new(base.road(), base.exports()),
            merges: base.merges(),
            erasures: base.erasures(),
            conversations: Conversations::new(base.road(), channels.clone(), base.clock()),
            rules: Rules::new(automation, channels.clone(), base.clock(), base.ids()),
            watch: Watch::new(base.store(), workers.disk, base.clock(), base.ids()),
            statistics: Statistics::new(base.store(), base.clock()),
            projector: Projector::new(base.store()),
            retention: Retention::new(base.store(), media.clone(), base.clock(), base.ids()),
            intake: workers.intake,
            #[cfg(feature = "qr-session")]
            paired: workers.paired,
            dispatcher: Dispatcher::new(
                base.road(),
                channels.clone(),
                clock,
                ids,
                Arc::clone(&wake),
                workers.dispatcher,
            ),
            runner: Arc::new(Runner::new(jobs_store, jobs, base.clock(), wake, workers.runner)),
            wholesale,
            webhook_road: workers.webhook_road,
            messages,
            media,
            channels,
            base,
        }))
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
            let sent = self.0.dispatcher.drain().await?;
            let ran = self.0.runner.drain().await?;
            self.0.intake.settle_parked().await?;
            let followed = self.0.wholesale.broadcasts.follow().await?;
            let delivered = self.0.webhook_road.deliverer.drain().await?;
            if sent == 0 && ran == 0 && followed == 0 && delivered == 0 {
                self.0.projector.drain().await?;
                return Ok(());
            }
        }
    }

    /// When something in the outbox that waits may move next; `None` when nothing waits. For
    /// simulations that move the clock themselves, between two calls of [`Platform::drain`].
    ///
    /// # Errors
    /// What storage says.
    pub async fn next_due(&self) -> Result<Option<kabar_core::Timestamp>, kabar_core::StoreError> {
        self.0.dispatcher.next_due().await
    }

    /// Removes deliveries of webhooks that have been kept for long enough; a running platform does so
    /// by itself. Returns how many.
    ///
    /// # Errors
    /// What storage says.
    pub async fn prune_webhooks(&self) -> Result<u64, kabar_core::StoreError> {
        self.0.webhook_road.deliverer.prune().await
    }

    /// The sessions of paired devices that this process runs, if it does.
    #[cfg(feature = "qr-session")]
    pub fn sessions(&self) -> Option<&kabar_qr_session::Supervisor> {
        self.0.paired.as_ref()
    }

    /// The tenants.
    pub fn accounts(&self) -> &Accounts {
        &self.0.accounts
    }

    /// Quiet hours and frequency caps.
    pub fn pacing_rules(&self) -> &PacingRules {
        &self.0.pacing_rules
    }

    /// How fast devices send, and why messages wait.
    pub fn pacing(&self) -> &Pacing {
        &self.0.pacing
    }

    /// The people.
    pub fn users(&self) -> &Users {
        &self.0.users
    }

    /// Logging in: registration, sessions, passwords, one-time codes.
    pub fn logins(&self) -> &Logins {
        &self.0.logins
    }

    /// The API keys.
    pub fn keys(&self) -> &Keys {
        &self.0.keys
    }

    /// From a bearer credential to a principal.
    pub fn authenticator(&self) -> &Authenticator {
        &self.0.authenticator
    }

    /// The devices.
    pub fn devices(&self) -> &Devices {
        &self.0.devices
    }

    /// The Meta apps.
    pub fn meta_apps(&self) -> &MetaApps {
        &self.0.meta_apps
    }

    /// The contacts.
    pub fn contacts(&self) -> &Contacts {
        &self.0.contacts
    }

    /// The groups of contacts.
    pub fn groups(&self) -> &Groups {
        &self.0.groups
    }

    /// The tags of contacts.
    pub fn tags(&self) -> &Tags {
        &self.0.tags
    }

    /// The registry of opt-outs.
    pub fn opt_outs(&self) -> &OptOuts {
        &self.0.opt_outs
    }

    /// The imports of contacts.
    pub fn imports(&self) -> &Imports {
        &self.0.imports
    }

    /// The exports.
    pub fn exports(&self) -> &Exports {
        &self.0.exports
    }

    /// Exports of everything that is known of one contact.
    pub fn personal_data(&self) -> &PersonalExports {
        &self.0.personal_data
    }

    /// Contacts that become one.
    pub fn merges(&self) -> &Merges {
        &self.0.merges
    }

    /// Contacts that are erased.
    pub fn erasures(&self) -> &Erasures {
        &self.0.erasures
    }

    /// The messages.
    pub fn messages(&self) -> &Messages {
        &self.0.messages
    }

    /// What is done to many messages at once.
    pub fn bulks(&self) -> &Bulks {
        &self.0.wholesale.bulks
    }

    /// The message templates.
    pub fn templates(&self) -> &Templates {
        &self.0.wholesale.templates
    }

    /// The broadcasts.
    pub fn broadcasts(&self) -> &Broadcasts {
        &self.0.wholesale.broadcasts
    }

    /// The conversations.
    pub fn conversations(&self) -> &Conversations {
        &self.0.conversations
    }

    /// The files.
    pub fn media(&self) -> &MediaFiles {
        &self.0.media
    }

    /// The autoreply rules.
    pub fn rules(&self) -> &Rules {
        &self.0.rules
    }

    /// How the installation is, and who is told when it is unwell.
    pub fn watch(&self) -> &Watch {
        &self.0.watch
    }

    /// The webhook endpoints.
    pub fn webhooks(&self) -> &Webhooks {
        &self.0.webhook_road.webhooks
    }

    /// What went to webhook endpoints.
    pub fn deliveries(&self) -> &Deliveries {
        &self.0.webhook_road.deliveries
    }

    /// The statistics.
    pub fn statistics(&self) -> &Statistics {
        &self.0.statistics
    }

    /// Keeps the statistics; [`Platform::start`] runs it.
    pub fn projector(&self) -> &Projector {
        &self.0.projector
    }

    /// For how long things are kept; [`Platform::start`] removes what is older each hour.
    pub fn retention(&self) -> &Retention {
        &self.0.retention
    }

    /// The channels.
    pub fn channels(&self) -> &Channels {
        &self.0.channels
    }

    /// The way in, for channels.
    pub fn intake(&self) -> Arc<dyn Intake> {
        Arc::new(self.0.intake.clone())
    }

    /// The database.
    pub fn database(&self) -> &Database {
        &self.0.base.database
    }

    /// The event log, to read.
    pub fn events(&self) -> Arc<dyn Store<dyn EventsWork>> {
        self.0.base.store()
    }

    /// Follows the events as they happen, from a position on: see [`Follow`]. On every node, whichever
    /// node they happen on.
    ///
    /// # Errors
    /// [`FollowError`].
    pub async fn follow(
        &self,
        reach: Reach,
        filter: EventFilter,
        begin: Begin,
    ) -> Result<Follow, FollowError> {
        self.0.base.tail.follow(reach, filter, begin).await
    }

    /// Those who follow the events: to end them for a stop in good order.
    pub fn tail(&self) -> &EventTail {
        &self.0.base.tail
    }

    /// The clock.
    pub fn clock(&self) -> Arc<dyn Clock> {
        self.0.base.clock()
    }

    pub(crate) fn dispatcher(&self) -> &Dispatcher {
        &self.0.dispatcher
    }

    pub(crate) fn runner(&self) -> &Arc<Runner> {
        &self.0.runner
    }

    pub(crate) fn deliverer(&self) -> &Deliverer {
        &self.0.webhook_road.deliverer
    }

    pub(crate) fn message_intake(&self) -> &MessageIntake {
        &self.0.intake
    }
}
