//! A channel of one's own: implement three methods, hand it to the builder, and the outbox, retries,
//! lanes and history work on it like on the others.

use std::sync::Arc;

use async_trait::async_trait;
use kabar::accounts::NewAccount;
use kabar::channel::{
    Accepted, Capabilities, Channel, ChannelKind, ChannelPorts, Content, DeviceLink, Outgoing,
    Prepared, SendError,
};
use kabar::core::{
    Principal,
    permission::{ReadMessages, SendMessages, WriteAccounts, WriteDevices},
};
use kabar::devices::Registration;
use kabar::messaging::{NewMessage, Status, To};
use kabar::{KeyRing, Platform};

/// Prints instead of sending.
struct Paper;

#[async_trait]
impl Channel for Paper {
    fn kind(&self) -> ChannelKind {
        ChannelKind::new("paper")
    }

    fn capabilities(&self, _: &DeviceLink) -> Capabilities {
        Capabilities::text_only()
    }

    async fn prepare(&self, _: &DeviceLink, message: &Outgoing) -> Result<Prepared, SendError> {
        Prepared::of(&message.content)
    }

    async fn transmit(
        &self,
        device: &DeviceLink,
        message: &Outgoing,
        prepared: &Prepared,
    ) -> Result<Accepted, SendError> {
        println!("{} sends {}", device.address, prepared.json());
        Ok(Accepted::new(format!("paper-{}", message.id)))
    }
}

#[tokio::main]
pub(crate) async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let folder = tempfile::tempdir()?;
    let platform = Platform::builder()
        .database(format!("sqlite:{}/kabar.db", folder.path().display()).parse()?)
        .keys(KeyRing::generate().0)
        .files(folder.path().join("files"))
        .channel(ChannelPorts::new(Arc::new(Paper)))
        .build()
        .await?;
    let me = Principal::system("my-program");
    let new = NewAccount::named("Printers");
    let account = platform
        .accounts()
        .create(me.grant_installation::<WriteAccounts>()?, new, None)
        .await?
        .account
        .id;
    let desk = Registration::new("Desk", ChannelKind::new("paper"), "desk-1");
    let device = platform
        .devices()
        .register(&me.grant::<WriteDevices>(Some(account))?, desk, None)
        .await?
        .device
        .id;
    let note = NewMessage::new(
        device,
        To::Phone("+6281230000001".parse()?),
        Content::text("On paper"),
    );
    let sent = platform
        .messages()
        .send_many(&me.grant::<SendMessages>(Some(account))?, vec![note], None)
        .await?;
    platform.drain().await?;
    let message = platform
        .messages()
        .get(
            &me.grant::<ReadMessages>(Some(account))?,
            sent.messages.first().ok_or("nothing was queued")?.id,
        )
        .await?;
    assert_eq!(message.status, Status::Sent);
    Ok(())
}
