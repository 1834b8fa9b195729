//! The roads in and out on SQLite: what a message costs alone, and what it costs in company.
//!
//! Read the figures as ratios within one run: a thousand messages in one call against one message a
//! call, a short backlog against a long one.
#![expect(clippy::expect_used, reason = "a bench that cannot be set up is no bench")]

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;
use divan::counter::ItemsCount;
use divan::{Bencher, black_box};
use kabar::accounts::NewAccount;
use kabar::channel::{
    Accepted, Capabilities, Channel, ChannelKind, ChannelPorts, Content, DeviceLink, Outgoing,
    Prepared, SendError,
};
use kabar::cloud_api::webhook;
use kabar::core::permission::{SendMessages, WriteAccounts, WriteDevices};
use kabar::core::{DeviceId, Grant, Principal};
use kabar::devices::{Registration, installation_app};
use kabar::messaging::{NewMessage, To};
use kabar::{KeyRing, Platform};
use tempfile::TempDir;
use tokio::runtime::Runtime;

fn main() {
    divan::main();
}

/// Takes everything at once.
struct Void;

#[async_trait]
impl Channel for Void {
    fn kind(&self) -> ChannelKind {
        ChannelKind::CLOUD_API
    }

    fn capabilities(&self, _: &DeviceLink) -> Capabilities {
        Capabilities { in_flight: 256, ..Capabilities::text_only() }
    }

    async fn prepare(&self, _: &DeviceLink, message: &Outgoing) -> Result<Prepared, SendError> {
        Prepared::of(&message.content)
    }

    async fn transmit(
        &self,
        _: &DeviceLink,
        message: &Outgoing,
        _: &Prepared,
    ) -> Result<Accepted, SendError> {
        Ok(Accepted::new(message.id.to_string()))
    }
}

struct Bench {
    runtime: Runtime,
    platform: Option<Platform>,
    grant: Grant<SendMessages>,
    device: DeviceId,
    next: AtomicU64,
    _folder: TempDir,
}

/// Connections are closed inside the runtime that opened them.
impl Drop for Bench {
    fn drop(&mut self) {
        let _inside = self.runtime.enter();
        self.platform.take();
    }
}

impl Bench {
    fn platform(&self) -> &Platform {
        self.platform.as_ref().expect("it is taken when the bench ends")
    }

    fn new() -> Self {
        let runtime = Runtime::new().expect("a runtime");
        let folder = tempfile::tempdir().expect("a folder");
        let (platform, grant, device) = runtime.block_on(async {
            let url = format!("sqlite:{}/kabar.db", folder.path().display());
            let platform = Platform::builder()
                .database(url.parse().expect("an address"))
                .keys(KeyRing::generate().0)
                .files(folder.path().join("files"))
                .channel(ChannelPorts::new(Arc::new(Void)))
                .build()
                .await
                .expect("a platform");
            let me = Principal::system("bench");
            let all = me.grant_installation::<WriteAccounts>().expect("may");
            let made = platform.accounts().create(all, NewAccount::named("Bench"), None).await;
            let account = made.expect("an account").account.id;
            let write = me.grant::<WriteDevices>(Some(account)).expect("may");
            let new = Registration::new("Bench", ChannelKind::CLOUD_API, "1")
                .under("2")
                .with_credential("token".into());
            let device = platform.devices().register(&write, new, None).await.expect("a device");
            let grant = me.grant::<SendMessages>(Some(account)).expect("may");
            (platform, grant, device.device.id)
        });
        Self {
            runtime,
            platform: Some(platform),
            grant,
            device,
            next: AtomicU64::new(0),
            _folder: folder,
        }
    }

    fn messages(&self, count: usize) -> Vec<NewMessage> {
        let from = self.next.fetch_add(count as u64, Ordering::Relaxed);
        (from..from + count as u64)
            .map(|n| {
                let phone = format!("+62812{n:09}").parse().expect("a number");
                NewMessage::new(self.device, To::Phone(phone), Content::text("hello"))
            })
            .collect()
    }

    fn send(&self, count: usize) {
        let messages = self.messages(count);
        let sent = self.platform().messages().send_many(&self.grant, messages, None);
        self.runtime.block_on(sent).expect("queued");
    }

    fn drain(&self) {
        let drained = self.runtime.block_on(self.platform().drain());
        drained.expect("drained");
    }

    /// A body with messages from people who never wrote before.
    fn body(&self, count: usize) -> String {
        let from = self.next.fetch_add(count as u64, Ordering::Relaxed);
        let messages: Vec<String> = (from..from + count as u64)
            .map(|n| {
                format!(
                    r#"{{"from":"62813{n:09}","id":"wamid.{n}","timestamp":"1790000000","type":"text","text":{{"body":"hello"}}}}"#
                )
            })
            .collect();
        format!(
            r#"{{"object":"whatsapp_business_account","entry":[{{"id":"2","changes":[{{"field":"messages","value":{{"metadata":{{"phone_number_id":"1"}},"messages":[{}]}}}}]}}]}}"#,
            messages.join(",")
        )
    }
}

/// Taking messages into the outbox, each with a contact and a conversation of its own.
#[divan::bench(args = [1, 10, 100, 1000], sample_count = 20)]
fn send_many(bencher: Bencher<'_, '_>, count: usize) {
    let bench = Bench::new();
    bencher.counter(ItemsCount::new(count)).bench_local(|| bench.send(count));
}

/// From the outbox through the channel to `sent`.
#[divan::bench(args = [1, 100, 1000], sample_count = 10)]
fn dispatch(bencher: Bencher<'_, '_>, count: usize) {
    let bench = Bench::new();
    bencher
        .counter(ItemsCount::new(count))
        .with_inputs(|| bench.send(count))
        .bench_local_values(|()| bench.drain());
}

/// One message out while so many others wait for tomorrow: claiming looks at no backlog.
#[divan::bench(args = [0, 1_000, 10_000], sample_count = 20)]
fn dispatch_one_with_backlog(bencher: Bencher<'_, '_>, backlog: usize) {
    let bench = Bench::new();
    let tomorrow = bench.platform().clock().now() + std::time::Duration::from_hours(24);
    for _ in 0..backlog / 1_000 {
        let mut messages = bench.messages(1_000);
        for message in &mut messages {
            message.due_at = Some(tomorrow);
        }
        let sent = bench.platform().messages().send_many(&bench.grant, messages, None);
        bench.runtime.block_on(sent).expect("queued");
    }
    bencher.with_inputs(|| bench.send(1)).bench_local_values(|()| bench.drain());
}

/// Decoding and storing a webhook of so many messages from strangers.
#[divan::bench(args = [1, 10, 100, 1000], sample_count = 10)]
fn accept(bencher: Bencher<'_, '_>, count: usize) {
    let bench = Bench::new();
    let intake = bench.platform().intake();
    bencher.counter(ItemsCount::new(count)).with_inputs(|| bench.body(count)).bench_local_values(
        |body| {
            let now = bench.platform().clock().now();
            let batch = webhook::decode(installation_app(), body.as_bytes(), now);
            black_box(bench.runtime.block_on(intake.accept(batch)).expect("stored"));
        },
    );
}
