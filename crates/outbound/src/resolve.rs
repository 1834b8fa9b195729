//! Looking names up, and the place where what they lead to is checked.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use async_trait::async_trait;

use crate::guard::Guard;

/// Looks names up.
#[async_trait]
pub trait Resolve: Send + Sync {
    /// Every address of a host.
    ///
    /// # Errors
    /// When nobody knows.
    async fn resolve(&self, host: &str) -> io::Result<Vec<IpAddr>>;
}

/// The system's resolver.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemResolver;

#[async_trait]
impl Resolve for SystemResolver {
    async fn resolve(&self, host: &str) -> io::Result<Vec<IpAddr>> {
        let answers = tokio::net::lookup_host((host, 0)).await?;
        Ok(answers.map(|answer| answer.ip()).collect())
    }
}

/// What the HTTP client asks before each new connection. It connects to what this answers and looks
/// nothing up itself.
pub(crate) struct GuardedResolver {
    pub(crate) resolver: Arc<dyn Resolve>,
    pub(crate) guard: Arc<Guard>,
}

impl reqwest::dns::Resolve for GuardedResolver {
    fn resolve(&self, name: reqwest::dns::Name) -> reqwest::dns::Resolving {
        let (resolver, guard) = (Arc::clone(&self.resolver), Arc::clone(&self.guard));
        Box::pin(async move {
            let answers = resolver.resolve(name.as_str()).await?;
            guard.check_answers(name.as_str(), &answers)?;
            // The client puts the port of the URL in.
            let answers = answers.into_iter().map(|address| SocketAddr::new(address, 0));
            Ok(Box::new(answers) as reqwest::dns::Addrs)
        })
    }
}
