//! The whole platform inside another program, without a server: an account, a device on the Cloud
//! API (here: the sandbox), a rule, a message out, a message in, and its answer.

use kabar::accounts::NewAccount;
use kabar::automation::{Matching, NewRule, Response};
use kabar::channel::{ChannelKind, Content};
use kabar::cloud_api::{GraphConfig, webhook};
use kabar::core::{
    PageRequest, Principal,
    permission::{ReadMessages, SendMessages, WriteAccounts, WriteDevices, WriteRules},
};
use kabar::devices::{Registration, installation_app};
use kabar::messaging::{MessageFilter, NewMessage, To};
use kabar::{KeyRing, Platform};
use kabar_sandbox::{
    CustomerPatch, DEFAULT_PHONE_NUMBER_ID, DEFAULT_TOKEN, DEFAULT_WABA_ID, Sandbox, SandboxConfig,
};

#[tokio::main]
pub(crate) async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let (folder, sandbox) = (
        tempfile::tempdir()?,
        Sandbox::start(SandboxConfig::default()).await?,
    );
    sandbox.put_customer(
        "6281230000001",
        CustomerPatch {
            window_open: Some(true),
            ..CustomerPatch::default()
        },
    )?;
    let platform = Platform::builder()
        .database(format!("sqlite:{}/kabar.db", folder.path().display()).parse()?)
        .keys(KeyRing::generate().0)
        .files(folder.path().join("files"))
        .graph(GraphConfig {
            base_url: sandbox.base_url().parse()?,
            ..GraphConfig::default()
        })
        .build()
        .await?;
    let me = Principal::system("my-program");
    let new = NewAccount::named("Warung Kabar");
    let account = platform
        .accounts()
        .create(me.grant_installation::<WriteAccounts>()?, new, None)
        .await?
        .account
        .id;
    let cloud = Registration::new(
        "Front desk",
        ChannelKind::CLOUD_API,
        DEFAULT_PHONE_NUMBER_ID,
    )
    .under(DEFAULT_WABA_ID)
    .with_credential(DEFAULT_TOKEN.into());
    let device = platform
        .devices()
        .register(&me.grant::<WriteDevices>(Some(account))?, cloud, None)
        .await?
        .device
        .id;
    let rule = NewRule::answering(
        device,
        Matching::begin(["order <item>"]),
        Response::text("One {item}, coming up!"),
    );
    platform
        .rules()
        .create(&me.grant::<WriteRules>(Some(account))?, rule, None)
        .await?;
    let hello = NewMessage::new(
        device,
        To::Phone("+6281230000001".parse()?),
        Content::text("Hello from Rust"),
    );
    platform
        .messages()
        .send_many(&me.grant::<SendMessages>(Some(account))?, vec![hello], None)
        .await?;
    // What Meta would post to a webhook, handed over by hand.
    let body = format!(
        r#"{{"object":"whatsapp_business_account","entry":[{{"id":"{DEFAULT_WABA_ID}","changes":[{{"field":"messages","value":{{"metadata":{{"phone_number_id":"{DEFAULT_PHONE_NUMBER_ID}"}},"messages":[{{"from":"6281230000001","id":"wamid.1","timestamp":"1790000000","type":"text","text":{{"body":"Order rawon"}}}}]}}}}]}}]}}"#
    );
    platform
        .intake()
        .accept(webhook::decode(
            installation_app(),
            body.as_bytes(),
            platform.clock().now(),
        ))
        .await?;
    platform.drain().await?; // a long-running program calls platform.start() instead
    let talk = platform
        .messages()
        .list(
            &me.grant::<ReadMessages>(Some(account))?,
            &MessageFilter::default(),
            PageRequest::default(),
        )
        .await?;
    for message in talk.items.iter().rev() {
        println!(
            "{:>3} {:<9} {}",
            message.direction,
            message.status,
            message.body.words().unwrap_or_default()
        );
    }
    assert_eq!(
        sandbox
            .messages(&kabar_sandbox::MessageFilter::default())
            .len(),
        2,
        "the greeting and the answer arrived"
    );
    Ok(())
}
