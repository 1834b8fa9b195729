//! `kabar serve`: the platform behind its HTTP face, until it is stopped.

use std::error::Error;
use std::fs::File;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use kabar::accounts::LoginSettings;
use kabar::cloud_api::GraphConfig;
use kabar::core::{ExposeSecret as _, Wake};
use kabar::events::TailSettings;
use kabar::jobs::{LocalWake, RunnerSettings};
use kabar::messaging::DispatcherSettings;
use kabar::{Database, DatabaseUrl, Platform, PostgresWake};
use kabar_server::metrics::{self, MetricsAccess};
use kabar_server::{app, metrics_app};
use kabar_wake_nats::NatsWake;
use poem::Server;
use poem::listener::{Acceptor as _, Listener as _, TcpListener};
use tokio_util::sync::CancellationToken;

use crate::config::{Config, WakeChoice};
use crate::mailer;

/// A connection over which nothing goes for so long is closed; streams have a heartbeat well below.
const IDLE: Duration = Duration::from_secs(90);
/// How often what histograms collected is put in order.
const UPKEEP: Duration = Duration::from_secs(5);

/// Held while a process uses an SQLite file: a second one would wait for its locks in vain.
pub(crate) type FolderLock = Option<File>;

/// Runs the server until the process is told to stop.
pub(crate) async fn run(config: Config) -> Result<(), Box<dyn Error>> {
    open_many_files();
    let (platform, _lock) = build_platform(&config).await?;
    configure(&platform, &config).await?;
    first_start(&platform, &config).await?;
    let stop = CancellationToken::new();
    let signal = stop.clone();
    tokio::spawn(async move {
        stopped().await;
        signal.cancel();
    });
    let serving = Serving::start(platform, &config).await?;
    println!("kabar listens on http://{}", serving.address());
    stop.cancelled().await;
    tracing::info!("server.stopping");
    serving.stop().await
}

/// Every request, webhook and paired session is a socket, and shells give a process 1,024 files unless it
/// asks for more.
fn open_many_files() {
    match rlimit::increase_nofile_limit(u64::MAX) {
        Ok(most) => tracing::debug!(most, "server.files"),
        Err(error) => tracing::warn!(%error, "server.files"),
    }
}

/// A server at work.
pub(crate) struct Serving {
    platform: Platform,
    running: kabar::Running,
    address: SocketAddr,
    stop: CancellationToken,
    http: tokio::task::JoinHandle<std::io::Result<()>>,
    patience: Duration,
}

impl Serving {
    /// Begins to listen, and to work.
    pub(crate) async fn start(platform: Platform, config: &Config) -> Result<Self, Box<dyn Error>> {
        let listener = TcpListener::bind(config.listen);
        let acceptor = listener
            .into_acceptor()
            .await
            .map_err(|error| format!("cannot listen on {}: {error}", config.listen))?;
        let address = acceptor
            .local_addr()
            .first()
            .and_then(|address| address.0.as_socket_addr().copied())
            .unwrap_or(config.listen);
        let app = app(platform.clone(), config.face()?);
        let running = platform.start();
        let stop = CancellationToken::new();
        let patience = Duration::from_secs(config.shutdown_seconds);
        let told = stop.clone().cancelled_owned();
        let server = Server::new_with_acceptor(acceptor).idle_timeout(IDLE);
        let http = tokio::spawn(server.run_with_graceful_shutdown(app, told, Some(patience)));
        serve_metrics(&platform, config, &stop).await?;
        Ok(Self { platform, running, address, stop, http, patience })
    }

    /// Where it listens.
    pub(crate) const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Takes nothing new, finishes what is in flight, and closes the database.
    pub(crate) async fn stop(self) -> Result<(), Box<dyn Error>> {
        self.stop.cancel();
        // Streams of events go on for ever otherwise.
        self.platform.tail().close();
        self.http.await??;
        if tokio::time::timeout(self.patience, self.running.stop()).await.is_err() {
            // What is claimed is taken over at the next start; what is being sent becomes uncertain.
            tracing::warn!("server.stop: what was in flight did not end in time");
        }
        self.platform.authenticator().settled().await;
        self.platform.database().close().await;
        Ok(())
    }
}

/// Looks after the metrics, and serves them on a listener of their own if there is one.
async fn serve_metrics(
    platform: &Platform,
    config: &Config,
    stop: &CancellationToken,
) -> Result<(), Box<dyn Error>> {
    let told = stop.clone();
    tokio::spawn(async move {
        let mut ticks = tokio::time::interval(UPKEEP);
        while told.run_until_cancelled(ticks.tick()).await.is_some() {
            metrics::upkeep();
        }
    });
    let Some(listen) = config.metrics.listen else { return Ok(()) };
    let acceptor = TcpListener::bind(listen)
        .into_acceptor()
        .await
        .map_err(|error| format!("cannot listen on {listen}: {error}"))?;
    let access = MetricsAccess { token: config.metrics.token.clone(), open: true };
    let app = metrics_app(platform.clone(), access);
    let server = Server::new_with_acceptor(acceptor).idle_timeout(IDLE);
    let told = stop.clone().cancelled_owned();
    tokio::spawn(server.run_with_graceful_shutdown(app, told, None));
    Ok(())
}

/// Opens the database and puts the platform together.
pub(crate) async fn build_platform(
    config: &Config,
) -> Result<(Platform, FolderLock), Box<dyn Error>> {
    let (database, lock) = open_database(config).await?;
    let graph = GraphConfig {
        base_url: config.graph.base_url.clone(),
        version: config.graph.version.clone(),
        timeout: Duration::from_secs(config.graph.timeout_seconds),
        ..GraphConfig::default()
    };
    let dispatcher = DispatcherSettings {
        lease: Duration::from_millis(config.dispatch.lease_ms),
        parallel: config.dispatch.parallel,
        poll: Duration::from_millis(config.poll_ms),
    };
    let runner =
        RunnerSettings { poll: Duration::from_millis(config.poll_ms), ..RunnerSettings::default() };
    let tail = TailSettings {
        poll: Duration::from_millis(config.poll_ms),
        followers: config.events.streams,
    };
    let builder = Platform::builder();
    #[cfg(feature = "qr-session")]
    let builder = match config.paired.settings()? {
        Some(settings) => builder.paired(settings),
        None => builder,
    };
    let platform = builder
        .open_database(database)
        .files(config.data.join("files"))
        .graph(graph)
        .dispatcher(dispatcher)
        .mailer(mailer::of(config)?)
        .runner(runner)
        .tail(tail)
        .wake(wake(config).await?)
        .outbound(config.webhooks.outbound()?)
        .deliverer(config.webhooks.deliverer())
        .logins(LoginSettings {
            registration: config.registration,
            public_url: config.public_url.clone(),
            name: config.name.clone(),
        })
        .build()
        .await?;
    Ok((platform, lock))
}

/// What wakes this node, and lets it wake others.
async fn wake(config: &Config) -> Result<Arc<dyn Wake>, Box<dyn Error>> {
    Ok(match config.wake()? {
        WakeChoice::Local => Arc::new(LocalWake::default()),
        WakeChoice::Postgres(url) => Arc::new(PostgresWake::start(url.expose_secret())),
        WakeChoice::Nats { address, prefix } => {
            Arc::new(NatsWake::connect(address.expose_secret(), &prefix).await?)
        }
    })
}

/// Opens the database; an SQLite file is locked against a second process.
pub(crate) async fn open_database(
    config: &Config,
) -> Result<(Database, FolderLock), Box<dyn Error>> {
    std::fs::create_dir_all(&config.data)?;
    let url = config.database()?;
    let lock = match &url {
        DatabaseUrl::Sqlite(file) => {
            if let Some(folder) = file.parent() {
                std::fs::create_dir_all(folder)?;
            }
            Some(lock(&file.with_extension("lock"))?)
        }
        _ => None,
    };
    let durability = config.durability.into();
    Ok((Database::open_with(&url, config.key_ring()?, durability).await?, lock))
}

fn lock(path: &std::path::Path) -> Result<File, Box<dyn Error>> {
    let file = File::options().create(true).truncate(false).write(true).open(path)?;
    file.try_lock().map_err(|error| {
        format!("another kabar uses this database: {} is locked ({error})", path.display())
    })?;
    Ok(file)
}

/// Brings the installation in line with its configuration.
pub(crate) async fn configure(platform: &Platform, config: &Config) -> Result<(), Box<dyn Error>> {
    if let Some(app) = &config.meta_app {
        platform.meta_apps().ensure_installation_app(&app.app_secret, &app.verify_token).await?;
    }
    Ok(())
}

/// Makes the first administrator, and prints what is shown only once.
async fn first_start(platform: &Platform, config: &Config) -> Result<(), Box<dyn Error>> {
    if let Some(access) = platform.accounts().ensure_provider(&config.admin_email).await? {
        println!(
            "This is the first start. The provider's administrator is {}.",
            config.admin_email
        );
        println!("Its API key, shown this once: {}", access.secret.expose_secret());
        if let Some(token) = platform.logins().password_token(&config.admin_email).await? {
            let token = token.expose_secret();
            println!(
                "To log in with a password, POST it with this token, which works for a day, to"
            );
            println!("/api/v1/auth/password/reset: {token}");
        }
    }
    Ok(())
}

/// Returns when the process is told to stop.
pub(crate) async fn stopped() {
    let interrupt = tokio::signal::ctrl_c();
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        if let Ok(mut terminate) = signal(SignalKind::terminate()) {
            tokio::select! {
                _ = interrupt => {}
                _ = terminate.recv() => {}
            }
            return;
        }
    }
    let _ = interrupt.await;
}
