//! A sandbox, a server on SQLite in a folder that goes away, and the way between them.

use std::error::Error;
use std::net::SocketAddr;

use kabar::core::{ExposeSecret as _, Secret};
#[cfg(feature = "qr-session")]
use kabar_sandbox::multi_device::{MultiDevice, MultiDeviceConfig};
use kabar_sandbox::{
    DEFAULT_APP_SECRET, DEFAULT_VERIFY_TOKEN, Sandbox, SandboxConfig, WebhookConfig,
};
use kabar_server::webhooks;
use tempfile::TempDir;

#[cfg(feature = "qr-session")]
use crate::config::PairedConfig;
use crate::config::{Config, GraphSettings, MetaAppConfig, WebhooksConfig};
use crate::serve::{FolderLock, Serving, build_platform, configure};

/// Both sides of the demo.
pub(super) struct Town {
    pub(super) sandbox: Sandbox,
    /// WhatsApp for paired phones.
    #[cfg(feature = "qr-session")]
    pub(super) whatsapp: MultiDevice,
    pub(super) admin_key: Secret,
    serving: Serving,
    _lock: FolderLock,
    folder: TempDir,
}

impl Town {
    /// Starts both sides and introduces them to each other.
    pub(super) async fn start(
        listen: SocketAddr,
        sandbox: SocketAddr,
    ) -> Result<Self, Box<dyn Error>> {
        let sandbox = start_sandbox(sandbox).await?;
        #[cfg(feature = "qr-session")]
        let whatsapp = MultiDevice::start(MultiDeviceConfig::default()).await?;
        let folder = tempfile::Builder::new().prefix("kabar-demo-").tempdir()?;
        let config = Config {
            listen: free(listen),
            data: folder.path().to_owned(),
            shutdown_seconds: 10,
            graph: GraphSettings {
                base_url: sandbox.base_url().parse()?,
                ..GraphSettings::default()
            },
            meta_app: Some(MetaAppConfig {
                app_secret: Secret::from(DEFAULT_APP_SECRET),
                verify_token: Secret::from(DEFAULT_VERIFY_TOKEN),
            }),
            // The demo's own receiver is on this machine.
            webhooks: WebhooksConfig {
                allow: vec!["127.0.0.1".to_owned()],
                ..WebhooksConfig::default()
            },
            #[cfg(feature = "qr-session")]
            paired: PairedConfig {
                url: Some(whatsapp.ws_url().parse()?),
                media_url: Some(whatsapp.media_url().parse()?),
                // Any will do for the sandbox; looking the newest up would need the internet.
                version: Some("2.3000.1030000000".to_owned()),
                sandbox: true,
                ..PairedConfig::default()
            },
            ..Config::default()
        };
        let (platform, lock) = build_platform(&config).await?;
        configure(&platform, &config).await?;
        let access = platform.accounts().create_provider_admin("demo@localhost").await?;
        let serving = Serving::start(platform, &config).await?;
        let town = Self {
            sandbox,
            #[cfg(feature = "qr-session")]
            whatsapp,
            admin_key: access.secret,
            serving,
            _lock: lock,
            folder,
        };
        town.connect_webhooks().await?;
        Ok(town)
    }

    /// Registers our webhook at the sandbox, with Meta's handshake.
    async fn connect_webhooks(&self) -> Result<(), Box<dyn Error>> {
        let callback =
            format!("{}{}", self.base_url(), webhooks::path(kabar::devices::installation_app()));
        let handshake = self.sandbox.set_webhook(WebhookConfig::new(callback)).await?;
        if handshake.passed {
            Ok(())
        } else {
            Err(format!("the webhook handshake failed: {handshake:?}").into())
        }
    }

    /// Where the server is.
    pub(super) fn base_url(&self) -> String {
        format!("http://{}", self.serving.address())
    }

    /// Says where everything is, and how to get in.
    pub(super) fn introduce(&self) {
        println!("\nThe server      {}", self.base_url());
        println!("  API           {}/api/docs", self.base_url());
        println!("  provider key  {}", self.admin_key.expose_secret());
        println!("The sandbox     {}", self.sandbox.base_url());
        println!("  control       {}/control/state", self.sandbox.base_url());
        println!("The database    {}", self.folder.path().join("kabar.db").display());
    }

    /// Stops both sides and removes the folder.
    pub(super) async fn stop(self) -> Result<(), Box<dyn Error>> {
        self.serving.stop().await?;
        self.sandbox.stop().await;
        #[cfg(feature = "qr-session")]
        self.whatsapp.stop().await;
        self.folder.close()?;
        Ok(())
    }
}

async fn start_sandbox(wanted: SocketAddr) -> Result<Sandbox, Box<dyn Error>> {
    let config = SandboxConfig { bind: free(wanted), ..SandboxConfig::default() };
    Ok(Sandbox::start(config).await?)
}

/// The address, or the same with a free port if somebody listens there already.
fn free(wanted: SocketAddr) -> SocketAddr {
    match std::net::TcpListener::bind(wanted) {
        Ok(_) => wanted,
        Err(_) => SocketAddr::new(wanted.ip(), 0),
    }
}
