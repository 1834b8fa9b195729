//! Who is told when something is unwell, and how often.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use chrono::TimeDelta;
use kabar::Platform;
use kabar::core::{
    InstallationScope, Mail, MailError, Mailer, PageRequest, Secret, Store, Timestamp,
};
use kabar::devices::health::DayCounts;
use kabar::devices::repo::Note;
use kabar::devices::{DevicesUse, Registration};
use kabar::events::{EventsWork, Position};
use kabar::operations::{AccountAlerts, Checked, Disk, ProviderAlerts, Space};
use kabar_storage::testing::{TestDatabase, each_database};
use kabar_testkit::accounts::{grant, provider};
use kabar_testkit::devices::{Fleet, registration};
use kabar_testkit::{SeqIds, TestClock};

const SCOPE: InstallationScope = InstallationScope::system("test");

#[derive(Default)]
struct Post(Mutex<Vec<Mail>>);

#[async_trait]
impl Mailer for Post {
    async fn send(&self, mail: &Mail) -> Result<(), MailError> {
        self.0.lock().unwrap().push(mail.clone());
        Ok(())
    }
}

/// A disk whose free space the test sets, in percent.
struct Plate(Mutex<u64>);

impl Disk for Plate {
    fn space(&self) -> Option<Space> {
        Some(Space { free: *self.0.lock().unwrap(), total: 100 })
    }
}

struct Ward {
    platform: Platform,
    test: TestDatabase,
    clock: Arc<TestClock>,
    post: Arc<Post>,
    plate: Arc<Plate>,
    _folder: tempfile::TempDir,
}

impl Ward {
    async fn new(test: TestDatabase) -> Self {
        let (clock, post) = (Arc::new(TestClock::default()), Arc::new(Post::default()));
        let (plate, folder) = (Arc::new(Plate(Mutex::new(50))), tempfile::tempdir().unwrap());
        let platform = Self::platform(&test, &clock, &post, &plate, folder.path(), 50_000).await;
        Self { platform, test, clock, post, plate, _folder: folder }
    }

    async fn platform(
        test: &TestDatabase,
        clock: &Arc<TestClock>,
        post: &Arc<Post>,
        plate: &Arc<Plate>,
        folder: &std::path::Path,
        ids: u64,
    ) -> Platform {
        Platform::builder()
            .open_database(test.database.clone())
            .files(folder)
            .clock(clock.clone())
            .ids(Arc::new(SeqIds::after(ids)))
            .mailer(post.clone())
            .disk(plate.clone())
            .build()
            .await
            .unwrap()
    }

    /// Checks each minute, for so many minutes.
    async fn minutes(&self, count: usize) -> Checked {
        let mut all = Checked::default();
        for _ in 0..count {
            self.clock.advance(TimeDelta::minutes(1));
            let checked = self.platform.watch().check().await.unwrap();
            all.raised += checked.raised;
            all.over += checked.over;
            // Mails that wait would be unwell themselves.
            self.platform.drain().await.unwrap();
        }
        all
    }

    fn mails(&self) -> Vec<(String, String)> {
        let mut mails = self.post.0.lock().unwrap();
        mails.drain(..).map(|mail| (mail.to, mail.subject)).collect()
    }

    /// The alerts in the log. On PostgreSQL other tests may hold events back for a while.
    async fn events(&self, wanted: usize) -> Vec<String> {
        let store: &dyn Store<dyn EventsWork> = &self.test.database;
        let mut ticks = tokio::time::interval(Duration::from_millis(20));
        for _ in 0..1_500 {
            ticks.tick().await;
            let work = store.read().await.unwrap();
            let all = work.events().read_all(SCOPE, Position::default(), 200).await.unwrap();
            let alerts = all.into_iter().filter(|event| event.kind.starts_with("alert."));
            let alerts: Vec<String> =
                alerts.map(|event| format!("{} {}", event.kind, event.data["condition"])).collect();
            if alerts.len() >= wanted {
                return alerts;
            }
        }
        panic!("the log does not hold {wanted} alerts");
    }
}

#[tokio::test]
async fn a_device_that_stays_down_is_told_once_and_when_it_is_well_again() {
    each_database(|test| async move {
        let ward = Ward::new(test).await;
        let shared = Arc::new(ward.test.database.clone());
        let fleet = Fleet::new(shared.clone(), shared);
        let account = fleet.tenancy.account("Shop").await;
        let new = Registration { credential: Some(Secret::from("x")), ..registration("7001") };
        fleet.devices.register(&grant(account), new, None).await.unwrap();
        let device = ward.test.database.a_device().await;
        let settings =
            AccountAlerts { emails: vec!["Ops@Shop.example".into()], ..AccountAlerts::default() };
        ward.platform.watch().set_account_settings(&grant(account), settings).await.unwrap();

        // A short outage is nobody's concern.
        ward.test.database.set_device_state(device, "disconnected").await;
        assert_eq!(ward.minutes(3).await.raised, 0);
        ward.test.database.set_device_state(device, "connected").await;
        assert_eq!(ward.minutes(10).await, Checked::default());

        ward.test.database.set_device_state(device, "disconnected").await;
        assert_eq!(ward.minutes(60).await.raised, 1, "told once, however long it lasts");
        let to = "ops@shop.example".to_owned();
        assert_eq!(ward.mails(), [(to.clone(), "[Kabar] Alert: device_down".to_owned())]);
        let list = ward.platform.watch().list(&grant(account), PageRequest::default()).await;
        assert_eq!(list.unwrap().items.len(), 1);

        // A flap within the calm is no end, and a return within the rest is not told again.
        ward.test.database.set_device_state(device, "connected").await;
        assert_eq!(ward.minutes(3).await.over, 0);
        ward.test.database.set_device_state(device, "disconnected").await;
        assert_eq!(ward.minutes(3).await, Checked::default());
        ward.test.database.set_device_state(device, "connected").await;
        assert_eq!(ward.minutes(8).await.over, 1);
        ward.test.database.set_device_state(device, "disconnected").await;
        assert_eq!(ward.minutes(15).await.raised, 0, "it rests");
        assert_eq!(ward.minutes(20).await.raised, 1, "it rested");
        assert_eq!(
            ward.mails().into_iter().map(|(_, subject)| subject).collect::<Vec<_>>(),
            ["[Kabar] Over: device_down", "[Kabar] Alert: device_down"]
        );
        assert_eq!(
            ward.events(3).await,
            [
                "alert.raised \"device_down\"",
                "alert.cleared \"device_down\"",
                "alert.raised \"device_down\""
            ]
        );
    })
    .await;
}

#[tokio::test]
async fn a_device_that_may_be_banned_is_told_with_its_event() {
    each_database(|test| async move {
        let ward = Ward::new(test).await;
        let shared = Arc::new(ward.test.database.clone());
        let fleet = Fleet::new(shared.clone(), shared.clone());
        let account = fleet.tenancy.account("Shop").await;
        let quiet = AccountAlerts { mail: false, ..AccountAlerts::default() };
        ward.platform.watch().set_account_settings(&grant(account), quiet).await.unwrap();
        let sessions = kabar_testkit::sessions::Sessions { fleet, vault: shared };
        let device = sessions.device(account).await;
        ward.test.database.set_device_state(device.uuid(), "connected").await;
        let note = async |counts| {
            let now = kabar::core::Clock::now(&*ward.clock);
            let store: &dyn Store<dyn DevicesUse> = &ward.test.database;
            let work = store.begin().await.unwrap();
            work.device_days(SCOPE).add(&[Note::at(device, now, counts)]).await.unwrap();
            work.commit().await.unwrap();
        };
        note(DayCounts { refused: 1, sent: 9, ..DayCounts::default() }).await;
        assert_eq!(ward.minutes(6).await.raised, 0, "worth watching, not an alert");
        note(DayCounts { banned: 1, ..DayCounts::default() }).await;
        assert_eq!(ward.minutes(6).await.raised, 1);
        assert_eq!(ward.events(1).await, ["alert.raised \"device_health\""]);
        // A week later it is remembered, a month later forgotten.
        ward.clock.advance(TimeDelta::days(7));
        assert_eq!(ward.minutes(12).await.over, 1);
        ward.clock.advance(TimeDelta::days(30));
        ward.minutes(6).await;
        let store: &dyn Store<dyn EventsWork> = &ward.test.database;
        let mut ticks = tokio::time::interval(Duration::from_millis(20));
        for _ in 0..1_500 {
            ticks.tick().await;
            let work = store.read().await.unwrap();
            let all = work.events().read_all(SCOPE, Position::default(), 500).await.unwrap();
            let told = all.into_iter().filter(|event| event.kind == "device.health");
            let told: Vec<(String, String)> = told
                .map(|event| (event.data["previous"].to_string(), event.data["health"].to_string()))
                .collect();
            if told.len() < 4 {
                continue;
            }
            let words = |from: &str, to: &str| (format!("\"{from}\""), format!("\"{to}\""));
            let expected = [
                words("good", "watch"),
                words("watch", "poor"),
                words("poor", "watch"),
                words("watch", "good"),
            ];
            assert_eq!(told, expected);
            return;
        }
        panic!("the log does not tell how the device was");
    })
    .await;
}

#[tokio::test]
async fn neither_a_restart_nor_a_second_node_tells_twice() {
    each_database(|test| async move {
        let ward = Ward::new(test).await;
        let folder = tempfile::tempdir().unwrap();
        let other =
            Ward::platform(&ward.test, &ward.clock, &ward.post, &ward.plate, folder.path(), 90_000)
                .await;
        let settings =
            ProviderAlerts { emails: vec!["ops@example.com".into()], ..ProviderAlerts::default() };
        ward.platform.watch().set_provider_settings(provider(), settings).await.unwrap();
        *ward.plate.0.lock().unwrap() = 5;
        let mut raised = 0;
        for _ in 0..5 {
            ward.clock.advance(TimeDelta::minutes(1));
            // Both at the same time.
            let (one, two) = tokio::join!(ward.platform.watch().check(), other.watch().check());
            raised += one.map_or(0, |done| done.raised) + two.map_or(0, |done| done.raised);
        }
        assert_eq!(raised, 1);
        ward.platform.drain().await.unwrap();
        let told = ward.mails();
        assert_eq!(told, [("ops@example.com".to_owned(), "[Kabar] Alert: disk_low".to_owned())]);
        let health = other.watch().health(SCOPE).await.unwrap();
        assert_eq!(health.findings.len(), 1);
    })
    .await;
}

#[tokio::test]
async fn a_queue_that_stands_still_is_found() {
    each_database(|test| async move {
        let ward = Ward::new(test).await;
        let shared = Arc::new(ward.test.database.clone());
        let fleet = Fleet::new(shared.clone(), shared);
        let account = fleet.tenancy.account("Shop").await;
        fleet.devices.register(&grant(account), registration("7001"), None).await.unwrap();
        let device = ward.test.database.a_device().await;
        let start: Timestamp = kabar::core::Clock::now(&*ward.clock);
        let micros = start.timestamp_micros();
        let quiet = AccountAlerts { mail: false, ..AccountAlerts::default() };
        ward.platform.watch().set_account_settings(&grant(account), quiet).await.unwrap();
        // One that waits for a reason until tomorrow, and one that could go.
        ward.test.database.a_lane(device, micros + 86_400_000_000).await;
        for _ in 0..30 {
            ward.clock.advance(TimeDelta::minutes(1));
            assert_eq!(ward.platform.watch().check().await.unwrap(), Checked::default());
        }
        ward.test.database.a_lane(device, micros).await;
        ward.clock.advance(TimeDelta::minutes(1));
        assert_eq!(ward.platform.watch().check().await.unwrap().raised, 1);
        assert_eq!(ward.events(1).await, ["alert.raised \"outbox_stuck\""]);
        assert!(ward.mails().is_empty(), "no mail was wanted");
    })
    .await;
}
