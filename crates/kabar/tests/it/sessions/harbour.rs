//! A platform with paired devices, and a WhatsApp for them to be paired with.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use kabar::Platform;
use kabar::channel::Content;
use kabar::channel::content::{Location, Media, MediaRef, Poll};
use kabar::channel::ports::MediaFile;
use kabar::core::{
    AccountId, Clock, DeviceId, MediaId, MessageId, PageRequest, SystemClock, Timestamp,
};
use kabar::devices::{Device, DeviceSettings, DeviceState, NewPaired};
use kabar::messaging::pacing::DeviceHealth;
use kabar::messaging::{Direction, Message, MessageFilter, NewMessage, Status, To};
use kabar::outbound::{AllowList, OutboundSettings};
use kabar::qr_session::QrSettings;
use kabar_sandbox::multi_device::{
    DeviceFault, DeviceFaultEffect, DeviceFaultPoint, MultiDevice, MultiDeviceConfig, VirtualPhone,
};
use kabar_storage::testing::{TestDatabase, each_database};
use kabar_testkit::accounts::{grant, new_account, provider};

/// For how long a test waits for something that is to happen.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);
/// Between two looks.
const LOOK: Duration = Duration::from_millis(20);
/// A version of WhatsApp Web, so that nobody is asked for the newest.
const VERSION: (u32, u32, u32) = (2, 3_000, 1_030_000_000);

/// A platform with paired devices.
#[derive(Clone)]
pub(crate) struct Harbour {
    pub(crate) platform: Platform,
    pub(crate) whatsapp: MultiDevice,
    pub(crate) account: AccountId,
    pub(crate) database: TestDatabase,
    folder: Arc<tempfile::TempDir>,
}

/// A paired device and its phone.
pub(crate) struct Ship {
    pub(crate) device: DeviceId,
    pub(crate) phone: VirtualPhone,
}

impl Ship {
    pub(crate) fn number(&self) -> &str {
        self.phone.number()
    }
}

/// Runs a test in a harbour on each database.
pub(crate) async fn each_harbour<F>(test: impl Fn(Harbour) -> F + Clone + Send + Sync + 'static)
where
    F: Future<Output = ()> + Send + 'static,
{
    each_database(move |database| {
        let test = test.clone();
        async move {
            let harbour = Harbour::new(database).await;
            let whatsapp = harbour.whatsapp.clone();
            test(harbour).await;
            whatsapp.stop().await;
        }
    })
    .await;
}

async fn platform(
    database: kabar::Database,
    whatsapp: &MultiDevice,
    folder: &std::path::Path,
) -> Platform {
    let settings = QrSettings {
        url: Some(whatsapp.ws_url()),
        media_url: Some(whatsapp.media_url()),
        version: Some(VERSION),
        sandbox: true,
        ..QrSettings::default()
    };
    // Proxies of tests are on this machine.
    let allow = AllowList::parse(["127.0.0.1"]).unwrap();
    let outbound = OutboundSettings { allow, ..OutboundSettings::default() };
    let builder = Platform::builder().open_database(database).files(folder);
    builder.outbound(outbound).paired(settings).build().await.expect("the platform is built")
}

impl Harbour {
    async fn new(database: TestDatabase) -> Self {
        let whatsapp = MultiDevice::start(MultiDeviceConfig::default()).await.unwrap();
        let folder = Arc::new(tempfile::tempdir().unwrap());
        let platform = platform(database.database.clone(), &whatsapp, folder.path()).await;
        let made = platform.accounts().create(provider(), new_account("Toko"), None).await;
        let account = made.expect("an account").account.id;
        Self { platform, whatsapp, account, database, folder }
    }

    /// A second platform on the same database, as another node has it.
    pub(crate) async fn another(&self) -> Platform {
        platform(self.database.reopened().await, &self.whatsapp, self.folder.path()).await
    }

    /// A device with a minted session, connected.
    pub(crate) async fn ship(&self, number: &str) -> Ship {
        let phone = self.whatsapp.phone(number).unwrap();
        let session = serde_json::to_vec(&phone.mint().unwrap()).unwrap();
        let mut settings = DeviceSettings::default();
        settings.pacing.per_second = Some(0);
        let new = NewPaired { name: "Toko".to_owned(), settings, accept_risk: true, proxy: None };
        let devices = self.platform.devices();
        let made = devices.add_paired(&grant(self.account), new, None).await.unwrap();
        let device = made.device.id;
        let sessions = self.platform.sessions().expect("sessions run here");
        sessions.bring_in(&grant(self.account), device, &session).await.unwrap();
        devices.connect(&grant(self.account), device).await.unwrap();
        let connected = self.until_state(device, DeviceState::Connected).await;
        assert_eq!(connected.phone.as_ref().map(kabar::core::PhoneNumber::digits), Some(number));
        Ship { device, phone }
    }

    pub(crate) async fn send(&self, from: DeviceId, to: &str, content: Content) -> MessageId {
        let content = self.stored(content).await;
        let to = To::Phone(format!("+{to}").parse().unwrap());
        let messages = vec![NewMessage::new(from, to, content)];
        let queued = self.platform.messages().send_many(&grant(self.account), messages, None).await;
        queued.expect("it is taken").messages[0].id
    }

    /// Answers or reacts to a message in a group.
    pub(crate) async fn answer(
        &self,
        from: DeviceId,
        group: &str,
        to: MessageId,
        content: Content,
    ) -> MessageId {
        let new = NewMessage::new(from, To::Group(group.to_owned()), content);
        let messages = vec![NewMessage { reply_to: Some(to), ..new }];
        let queued = self.platform.messages().send_many(&grant(self.account), messages, None).await;
        queued.expect("it is taken").messages[0].id
    }

    pub(crate) async fn text(&self, from: DeviceId, to: &str, body: &str) -> MessageId {
        self.send(from, to, Content::text(body)).await
    }

    /// A content whose file is stored.
    async fn stored(&self, content: Content) -> Content {
        let Content::Image(media) = content else { return content };
        let file = MediaFile {
            bytes: Bytes::from_static(b"\xff\xd8\xff\xe0 a picture"),
            mime: "image/jpeg".to_owned(),
            filename: Some("a.jpg".to_owned()),
        };
        let stored = self.platform.media().upload(&grant(self.account), file, None).await;
        Content::Image(Media { media: MediaRef::Stored(stored.expect("a file").id), ..media })
    }

    /// One of each kind that needs no file from elsewhere.
    pub(crate) fn contents() -> Vec<(Content, &'static str)> {
        let nowhere = MediaRef::Link("https://files.example/a.jpg".parse().unwrap());
        let place = Location {
            latitude: -6.2,
            longitude: 106.8,
            name: Some("Toko".to_owned()),
            address: None,
        };
        let poll = Poll {
            question: "Soto atau rawon?".to_owned(),
            options: vec!["Soto".to_owned(), "Rawon".to_owned()],
            selectable: 1,
        };
        vec![
            (Content::text("halo"), "a text"),
            (Content::Image(Media::new(nowhere)), "a picture"),
            (Content::Location(place), "a place"),
            (Content::Poll(poll), "a poll"),
        ]
    }

    /// Looks until something is so.
    pub(crate) async fn until<F>(&self, what: &str, is_so: impl Fn() -> F)
    where
        F: Future<Output = bool>,
    {
        let looked = tokio::time::timeout(PATIENCE * 2, async {
            let mut looks = tokio::time::interval(LOOK);
            loop {
                looks.tick().await;
                if is_so().await {
                    return;
                }
            }
        });
        assert!(looked.await.is_ok(), "in vain: {what}");
    }

    pub(crate) async fn until_state(&self, device: DeviceId, state: DeviceState) -> Device {
        let get = || async {
            self.platform.devices().get(&grant(self.account), device).await.expect("a device")
        };
        self.until(&format!("the device is {state}"), || async { get().await.state == state })
            .await;
        get().await
    }

    pub(crate) async fn until_status(&self, id: MessageId, status: Status) -> Message {
        let get = || async {
            self.platform.messages().get(&grant(self.account), id).await.expect("a message")
        };
        let reached = || async {
            let message = get().await;
            assert_ne!(message.status, Status::Failed, "{:?}", message.reason);
            message.status == status
        };
        let what = format!("the message is {status}");
        let looked = tokio::time::timeout(PATIENCE, self.until(&what, reached)).await;
        let message = get().await;
        assert!(looked.is_ok(), "in vain: {what}, it is {} {:?}", message.status, message.reason);
        message
    }

    /// WhatsApp refuses the next message of a device with a code, and new chats for so many seconds.
    pub(crate) fn refuse(&self, ship: &Ship, code: u16, lasts: Option<u64>) {
        let effect = DeviceFaultEffect::AckError { code, lasts };
        let fault = DeviceFault::on(DeviceFaultPoint::Send, effect).account(ship.number());
        self.whatsapp.add_fault(fault).unwrap();
    }

    /// A message as a face shows it, once it is held for this reason.
    pub(crate) async fn until_held(&self, id: MessageId, code: &str) -> Message {
        let get = || async {
            let found = self.platform.messages().get(&grant(self.account), id).await.unwrap();
            let pacing = self.platform.pacing();
            pacing.explain(&grant(self.account), vec![found]).await.unwrap().remove(0)
        };
        let held = || async {
            let message = get().await;
            let why = message.reason.as_ref().map(|reason| reason.code.as_str());
            message.status == Status::Held && why == Some(code)
        };
        self.until(&format!("the message is held: {code}"), held).await;
        get().await
    }

    pub(crate) async fn health(&self, device: DeviceId) -> DeviceHealth {
        self.platform.pacing().health(&grant(self.account), device).await.unwrap()
    }

    /// The platform's clock is the system's.
    pub(crate) fn now() -> Timestamp {
        Clock::now(&SystemClock)
    }

    /// The bytes of a stored file.
    pub(crate) async fn file(&self, id: MediaId) -> Bytes {
        self.platform.media().open(&grant(self.account), id).await.expect("a file").1
    }

    pub(crate) async fn received(&self) -> Vec<Message> {
        let filter = MessageFilter { direction: Some(Direction::In), ..MessageFilter::default() };
        let page = PageRequest::new(Some(PageRequest::MOST), None);
        let found = self.platform.messages().list(&grant(self.account), &filter, page).await;
        let mut items = found.unwrap().items;
        items.reverse();
        items
    }

    pub(crate) async fn until_received(&self, count: usize) -> Vec<Message> {
        self.until("messages came in", || async { self.received().await.len() >= count }).await;
        self.received().await
    }
}
