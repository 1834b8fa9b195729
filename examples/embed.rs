//! The whole platform inside another program, without a server: an account, a device on the Cloud
//! API (here: the sandbox), a rule, a message out, a message in, and its answer.

use kabar::prelude::*;
use kabar::{cloud_api::webhook, devices::installation_app};
use kabar_sandbox::{CustomerPatch, MessageFilter as Got, Sandbox, SandboxConfig};
use kabar_sandbox::{DEFAULT_PHONE_NUMBER_ID, DEFAULT_TOKEN, DEFAULT_WABA_ID};

/// What Meta posts to a webhook when a customer writes.
const ORDER: &str = r#"{"object":"whatsapp_business_account","entry":[{"changes":[{"field":"messages",
    "value":{"metadata":{"phone_number_id":"106540352242922"},"messages":[{"from":"6281230000001",
    "id":"wamid.1","timestamp":"1790000000","type":"text","text":{"body":"Order rawon"}}]}}]}]}"#;

#[tokio::main]
pub(crate) async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let (folder, sandbox) = (tempfile::tempdir()?, Sandbox::start(SandboxConfig::default()).await?);
    let open = CustomerPatch { window_open: Some(true), ..CustomerPatch::default() };
    sandbox.put_customer("6281230000001", open)?;
    let platform = Platform::builder()
        .database(format!("sqlite:{}/kabar.db", folder.path().display()).parse()?)
        .keys(KeyRing::generate().0)
        .files(folder.path().join("files"))
        .graph(GraphConfig { base_url: sandbox.base_url().parse()?, ..GraphConfig::default() })
        .build()
        .await?;
    let me = Principal::system("my-program");
    let all = me.grant_installation::<permission::WriteAccounts>()?;
    let made = platform.accounts().create(all, NewAccount::named("Warung Kabar"), None).await?;
    let account = Some(made.account.id);
    let desk = Registration::new("Front desk", ChannelKind::CLOUD_API, DEFAULT_PHONE_NUMBER_ID)
        .under(DEFAULT_WABA_ID)
        .with_credential(DEFAULT_TOKEN.into());
    let made = platform.devices().register(&me.grant(account)?, desk, None).await?;
    let (order, answer) =
        (Matching::begin(["order <item>"]), Response::text("One {item}, coming up!"));
    let rule = NewRule::answering(made.device.id, order, answer);
    platform.rules().create(&me.grant(account)?, rule, None).await?;
    let to = To::Phone("+6281230000001".parse()?);
    let hello = NewMessage::new(made.device.id, to, Content::text("Hello from Rust"));
    platform.messages().send_many(&me.grant(account)?, vec![hello], None).await?;
    let batch = webhook::decode(installation_app(), ORDER.as_bytes(), platform.clock().now());
    platform.intake().accept(batch).await?;
    platform.drain().await?; // a long-running program calls platform.start() instead
    let newest = PageRequest::default();
    let talk =
        platform.messages().list(&me.grant(account)?, &MessageFilter::default(), newest).await?;
    for message in talk.items.iter().rev() {
        println!("{:>3} {:<9} {:?}", message.direction, message.status, message.body.words());
    }
    assert_eq!(sandbox.messages(&Got::default()).len(), 2, "the greeting and the answer arrived");
    Ok(())
}
