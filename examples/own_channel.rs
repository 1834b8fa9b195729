//! A channel of one's own: implement it, hand it to the builder, and the outbox, retries, lanes and
//! history work on it like on the others.

use std::sync::Arc;

use async_trait::async_trait;
use kabar::prelude::*;

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
    let all = me.grant_installation::<permission::WriteAccounts>()?;
    let made = platform.accounts().create(all, NewAccount::named("Printers"), None).await?;
    let account = Some(made.account.id);
    let desk = Registration::new("Desk", ChannelKind::new("paper"), "desk-1");
    let made = platform.devices().register(&me.grant(account)?, desk, None).await?;
    let to = To::Phone("+6281230000001".parse()?);
    let note = NewMessage::new(made.device.id, to, Content::text("On paper"));
    let sent = platform.messages().send_many(&me.grant(account)?, vec![note], None).await?;
    platform.drain().await?;
    let note = sent.messages.first().ok_or("nothing was queued")?.id;
    let message = platform.messages().get(&me.grant(account)?, note).await?;
    assert_eq!(message.status, Status::Sent);
    Ok(())
}
