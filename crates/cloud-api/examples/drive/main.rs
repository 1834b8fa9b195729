//! Makes every call of this crate once, against any Graph: the sandbox, or a proxy that checks
//! what passes through it.
//!
//! ```text
//! cargo run -p kabar-cloud-api --example drive -- http://127.0.0.1:4010 wamid.… ID.…
//! ```
//!
//! The arguments are the address, the id of a customer's message (to answer, react to and mark as
//! read) and that customer's business-scoped user id. Ids and token are those that the sandbox
//! starts with. Exits with 1 when a call fails, after trying all of them.

mod contents;
mod files;

use std::error::Error;
use std::fmt::Display;
use std::process::ExitCode;
use std::sync::Arc;

use kabar_channel::ports::ReadReceipts as _;
use kabar_channel::ports::{DeviceCheck as _, IncomingMedia as _, MetaTemplates as _};
use kabar_channel::{
    Channel as _, ChannelKind, Content, DeviceLink, MessageKey, Outgoing, Recipient, SendError,
};
use kabar_cloud_api::{CloudApi, GraphConfig};
use kabar_core::{AccountId, DeviceId, MessageId, PhoneNumber, Secret, SystemClock};
use url::Url;
use uuid::Uuid;

use crate::files::Files;

const TOKEN: &str = "sandbox-token";
const NUMBER: &str = "106540352242922";
const WABA: &str = "102290129340398";
const CUSTOMER: &str = "+6281234567890";

type Failure = Box<dyn Error>;

struct Arguments {
    graph: Url,
    wamid: String,
    user_id: String,
}

fn arguments() -> Result<Arguments, Failure> {
    let mut given = std::env::args().skip(1);
    let mut next = |what: &str| given.next().ok_or_else(|| format!("{what} is missing"));
    Ok(Arguments {
        graph: Url::parse(&next("the address of Graph")?)?,
        wamid: next("the id of a customer's message")?,
        user_id: next("a business-scoped user id")?,
    })
}

/// The channel under way, and how it went.
struct Drive {
    cloud: CloudApi,
    files: Arc<Files>,
    device: DeviceLink,
    sent: u128,
    calls: u32,
    failed: u32,
}

impl Drive {
    fn new(graph: Url) -> Result<Self, Failure> {
        let files = Arc::new(Files::default());
        let config = GraphConfig { base_url: graph, ..GraphConfig::default() };
        Ok(Self {
            cloud: CloudApi::new(config, files.clone(), Arc::new(SystemClock))?,
            files,
            device: DeviceLink {
                device: DeviceId::from(Uuid::from_u128(1)),
                account: AccountId::from(Uuid::from_u128(2)),
                channel: ChannelKind::CLOUD_API,
                address: NUMBER.to_owned(),
                parent: Some(WABA.to_owned()),
                token: Some(Secret::from(TOKEN)),
                fence: 1,
            },
            sent: 0,
            calls: 0,
            failed: 0,
        })
    }

    fn note<T, E: Display>(&mut self, what: &str, outcome: Result<T, E>) -> Option<T> {
        self.calls += 1;
        match outcome {
            Ok(value) => {
                println!("ok      {what}");
                Some(value)
            }
            Err(error) => {
                self.failed += 1;
                println!("FAILED  {what}: {error}");
                None
            }
        }
    }

    async fn send(
        &mut self,
        what: &str,
        to: Recipient,
        content: Content,
        reply_to: Option<MessageKey>,
    ) {
        self.sent += 1;
        let message = Outgoing {
            id: MessageId::from(Uuid::from_u128(self.sent)),
            attempt: 1,
            to,
            content,
            reply_to,
            wire_id: None,
        };
        let outcome = self.prepare_and_transmit(&message).await;
        self.note(what, outcome);
    }

    async fn prepare_and_transmit(&self, message: &Outgoing) -> Result<(), SendError> {
        let prepared = self.cloud.prepare(&self.device, message).await?;
        self.cloud.transmit(&self.device, message, &prepared).await?;
        Ok(())
    }

    async fn messages(&mut self, wamid: &str, user_id: &str) -> Result<(), Failure> {
        let to =
            Recipient { phone: Some(PhoneNumber::parse(CUSTOMER, None)?), ..Recipient::default() };
        for (what, content) in contents::all()? {
            self.send(what, to.clone(), content, None).await;
        }
        let target = Some(MessageKey::id(wamid));
        let answer = Content::text("An answer");
        self.send("quoted reply", to.clone(), answer, target.clone()).await;
        for (what, emoji) in [("reaction", "👍"), ("reaction taken back", "")] {
            let emoji = emoji.to_owned();
            let content = Content::Reaction { emoji };
            self.send(what, to.clone(), content, target.clone()).await;
        }
        let person = Recipient { bsuid: Some(user_id.to_owned()), ..Recipient::default() };
        let text = Content::text("Hello, whatever your number");
        self.send("text by user id", person, text, None).await;
        Ok(())
    }

    async fn reads(&mut self, wamid: &str) {
        let (chat, keys) = (Recipient::default(), [MessageKey::id(wamid)]);
        for (what, typing) in [("mark read", false), ("mark read and type", true)] {
            let outcome = self.cloud.mark_read(&self.device, &chat, &keys, typing).await;
            self.note(what, outcome);
        }
    }

    async fn media(&mut self) {
        let Some(media) = self.files.wire_id(files::id(files::IMAGE)) else {
            self.note::<(), _>("media", Err("no file was uploaded"));
            return;
        };
        let fetched = self.cloud.fetch(&self.device, &media).await;
        self.note("media look-up and download", fetched);
        let token = Secret::from(TOKEN);
        let deleted = self.cloud.graph().delete_media(&token, NUMBER, &media);
        let deleted = deleted.await;
        self.note("media delete", deleted);
    }

    async fn account(&mut self) {
        let token = Secret::from(TOKEN);
        let checked = self.cloud.check(&self.device).await;
        self.note("check of the device", checked);
        let templates = self.cloud.approved(&self.device).await;
        self.note("approved templates", templates);
        let number = self.cloud.graph().phone_number(&token, NUMBER).await;
        self.note("phone number", number);
        let numbers = self.cloud.graph().phone_numbers(&token, WABA).await;
        self.note("phone numbers", numbers);
        let waba = self.cloud.graph().waba(&token, WABA).await;
        self.note("business account", waba);
        let apps = self.cloud.graph().subscribed_apps(&token, WABA).await;
        self.note("subscribed apps", apps);
        let ended = self.cloud.graph().unsubscribe(&token, WABA).await;
        self.note("unsubscribe", ended);
        let begun = self.cloud.graph().subscribe(&token, WABA).await;
        self.note("subscribe", begun);
    }
}

#[tokio::main]
async fn main() -> Result<ExitCode, Failure> {
    let Arguments { graph, wamid, user_id } = arguments()?;
    let mut drive = Drive::new(graph)?;
    drive.messages(&wamid, &user_id).await?;
    drive.reads(&wamid).await;
    drive.media().await;
    drive.account().await;
    println!("{} calls, {} failed", drive.calls, drive.failed);
    Ok(ExitCode::from(u8::from(drive.failed > 0)))
}
