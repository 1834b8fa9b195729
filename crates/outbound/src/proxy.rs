//! Proxies that tenants name.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use reqwest::Proxy;
use url::{Host, Url};

use crate::guard::{AddressError, Guard};
use crate::resolve::Resolve;

/// Schemes of proxies, with the port that each has when none is named (RFC 9110 names 80 for `http`;
/// IANA gave 1080 to SOCKS).
const SCHEMES: [(&str, u16); 3] = [("http", 80), ("socks5", 1080), ("socks5h", 1080)];

/// The address of a proxy, with whom it lets in.
#[derive(Clone, PartialEq, Eq)]
pub struct ProxyAddress {
    url: Url,
    port: u16,
}

/// A text that is no address of a proxy, or of one that must not be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ProxyError {
    /// It cannot be read.
    #[error("is no address of a proxy; write it like socks5://user:password@host:1080")]
    Unreadable,
    /// Not a kind of proxy that can be used.
    #[error("the scheme `{0}` cannot be used; use socks5, socks5h or http")]
    Scheme(String),
    /// More than host, port, user and password.
    #[error("must end after host and port")]
    Surplus,
    /// It must not be reached.
    #[error(transparent)]
    Address(#[from] AddressError),
    /// Nobody knows where it is.
    #[error("the name of its host cannot be looked up")]
    Unknown,
    /// The HTTP client takes it for none.
    #[error("the HTTP client cannot use it")]
    Unusable,
}

impl ProxyAddress {
    /// Reads an address: `socks5://user:password@host:1080`, `http://host:3128`.
    ///
    /// # Errors
    /// [`ProxyError`].
    pub fn parse(text: &str) -> Result<Self, ProxyError> {
        let url: Url = text.parse().map_err(|_| ProxyError::Unreadable)?;
        let known = SCHEMES.iter().find(|(scheme, _)| *scheme == url.scheme());
        let (_, usual) =
            known.ok_or_else(|| ProxyError::Scheme(url.scheme().chars().take(32).collect()))?;
        if url.host_str().is_none_or(str::is_empty) {
            return Err(AddressError::NoHost.into());
        }
        let ends = matches!(url.path(), "" | "/") && url.query().is_none();
        if !ends || url.fragment().is_some() {
            return Err(ProxyError::Surplus);
        }
        let port = url.port().unwrap_or(*usual);
        Ok(Self { url, port })
    }

    /// What may be shown of it: no user, no password.
    pub fn shown(&self) -> String {
        let host = self.url.host_str().unwrap_or_default();
        format!("{}://{host}:{}", self.url.scheme(), self.port)
    }

    /// The host, and its address if it is one in numbers. Schemes that the web does not know leave
    /// hosts unread, so it is read here.
    fn host(&self) -> (String, Option<IpAddr>) {
        let text = self.url.host_str().unwrap_or_default();
        let address = match Host::parse(text) {
            Ok(Host::Ipv4(address)) => Some(IpAddr::V4(address)),
            Ok(Host::Ipv6(address)) => Some(IpAddr::V6(address)),
            Ok(Host::Domain(_)) | Err(_) => None,
        };
        (text.to_owned(), address)
    }

    /// The same proxy at one of the addresses that its name has.
    fn at(&self, address: IpAddr) -> Option<String> {
        let mut user = String::new();
        if !self.url.username().is_empty() || self.url.password().is_some() {
            let password = self.url.password().unwrap_or_default();
            user = format!("{}:{password}@", self.url.username());
        }
        let place = SocketAddr::new(address, self.port);
        let pinned = format!("{}://{user}{place}", self.url.scheme());
        pinned.parse::<Url>().ok().map(String::from)
    }
}

impl std::fmt::Debug for ProxyAddress {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("ProxyAddress").field(&self.shown()).finish()
    }
}

/// Which proxies may be used, and where they are.
#[derive(Clone)]
pub struct Proxies {
    guard: Arc<Guard>,
    resolver: Arc<dyn Resolve>,
}

impl std::fmt::Debug for Proxies {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Proxies").field("guard", &self.guard).finish_non_exhaustive()
    }
}

impl Proxies {
    /// Proxies that a guard lets through.
    pub const fn new(guard: Arc<Guard>, resolver: Arc<dyn Resolve>) -> Self {
        Self { guard, resolver }
    }

    /// Checks what an address says of itself. A name is checked whenever it is used.
    ///
    /// # Errors
    /// [`ProxyError::Address`].
    pub fn check(&self, proxy: &ProxyAddress) -> Result<(), ProxyError> {
        match proxy.host() {
            (host, Some(address)) => Ok(self.guard.check_answers(&host, &[address])?),
            (_, None) => Ok(()),
        }
    }

    /// The proxy as an HTTP client uses it: at an address that was looked up and checked now.
    ///
    /// # Errors
    /// [`ProxyError`].
    pub async fn open(&self, proxy: &ProxyAddress) -> Result<Proxy, ProxyError> {
        let (host, address) = proxy.host();
        let answers = match address {
            Some(address) => vec![address],
            None => self.resolver.resolve(&host).await.map_err(|_| ProxyError::Unknown)?,
        };
        self.guard.check_answers(&host, &answers)?;
        let address = answers.first().and_then(|address| proxy.at(*address));
        let address = address.ok_or(ProxyError::Unusable)?;
        Proxy::all(address).map_err(|_| ProxyError::Unusable)
    }
}

#[cfg(test)]
mod tests {
    use std::io;

    use async_trait::async_trait;

    use super::*;
    use crate::allow::AllowList;

    struct Names(Vec<IpAddr>);

    #[async_trait]
    impl Resolve for Names {
        async fn resolve(&self, _: &str) -> io::Result<Vec<IpAddr>> {
            Ok(self.0.clone())
        }
    }

    fn proxies(answers: &[&str]) -> Proxies {
        let answers = answers.iter().map(|text| text.parse().unwrap()).collect();
        Proxies::new(Arc::new(Guard::default()), Arc::new(Names(answers)))
    }

    fn read(text: &str) -> ProxyAddress {
        ProxyAddress::parse(text).unwrap_or_else(|error| panic!("{text}: {error}"))
    }

    #[test]
    fn what_is_shown_holds_no_secret() {
        for (text, shown) in [
            ("socks5://ann:s3cret@proxy.example", "socks5://proxy.example:1080"),
            ("socks5h://proxy.example:9050", "socks5h://proxy.example:9050"),
            ("http://ann:s3cret@93.184.216.34:3128/", "http://93.184.216.34:3128"),
            ("socks5://[2606:4700::1111]:1", "socks5://[2606:4700::1111]:1"),
        ] {
            let address = read(text);
            assert_eq!(address.shown(), shown);
            assert!(!format!("{address:?}").contains("s3cret"));
        }
    }

    #[test]
    fn what_is_no_proxy_is_told_why() {
        for text in
            ["", "proxy.example", "socks5://", "http://", "ftp://a", "https://a:1", "http://a/b"]
        {
            ProxyAddress::parse(text).expect_err(text);
        }
        let surplus = ProxyAddress::parse("socks5://a:1?user=b").unwrap_err();
        assert_eq!(surplus, ProxyError::Surplus);
    }

    #[test]
    fn addresses_in_numbers_are_checked_when_they_are_set() {
        let proxies = proxies(&[]);
        for text in [
            "socks5://127.0.0.1:1080",
            "socks5://[::1]",
            "http://10.0.0.1:3128",
            "socks5h://0x7f.1",
            "socks5://2130706433",
            "socks5://[::ffff:127.0.0.1]:1",
        ] {
            assert_eq!(
                proxies.check(&read(text)),
                Err(ProxyError::Address(AddressError::Private)),
                "{text}"
            );
        }
        assert_eq!(proxies.check(&read("socks5://1.1.1.1")), Ok(()));
        let own: AllowList = AllowList::parse(["10.0.0.0/8"]).unwrap();
        let allowing = Proxies { guard: Arc::new(Guard::new(own, false)), ..proxies };
        assert_eq!(allowing.check(&read("http://10.0.0.1:3128")), Ok(()));
    }

    #[tokio::test]
    async fn names_are_checked_when_they_are_used() {
        let proxy = read("socks5://ann:p%40ss@proxy.example:1080");
        proxies(&["93.184.216.34"]).open(&proxy).await.unwrap();
        assert_eq!(
            proxy.at("93.184.216.34".parse().unwrap()).as_deref(),
            Some("socks5://ann:p%40ss@93.184.216.34:1080"),
            "it is reached where it was checked, and the password stays as it was written"
        );
        let private = proxies(&["93.184.216.34", "127.0.0.1"]).open(&proxy).await;
        assert_eq!(private.unwrap_err(), ProxyError::Address(AddressError::Private));
        let nowhere = proxies(&[]).open(&proxy).await;
        assert_eq!(nowhere.unwrap_err(), ProxyError::Address(AddressError::NoAddress));
    }
}
