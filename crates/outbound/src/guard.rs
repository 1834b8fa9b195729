//! Which addresses may be reached.

use std::net::IpAddr;

use url::{Host, Url};

use crate::address::is_public;
use crate::allow::AllowList;

/// The highest port below which only the web's own are open: what listens there is a service of the
/// system (RFC 6335, section 6).
const SYSTEM_PORTS: u16 = 1023;
/// The system ports that may be reached.
const WEB_PORTS: [u16; 2] = [80, 443];

/// Why an address may not be reached.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AddressError {
    /// Neither `http` nor `https`.
    #[error("the scheme `{0}` cannot be used; use https")]
    Scheme(String),
    /// `http`, where only `https` is allowed.
    #[error("only https is allowed here")]
    Insecure,
    /// A user name or password inside.
    #[error("must not hold a user name or password; send them in a header")]
    Credentials,
    /// No host.
    #[error("has no host")]
    NoHost,
    /// A system port that is not the web's.
    #[error("port {0} cannot be used; use 443, 80, or one above {SYSTEM_PORTS}")]
    Port(u16),
    /// An address that is not on the public internet.
    #[error("leads to an address that is not on the public internet")]
    Private,
    /// A name without any address.
    #[error("the host has no address")]
    NoAddress,
}

/// Says which addresses may be reached.
#[derive(Debug, Clone, Default)]
pub struct Guard {
    allow: AllowList,
    https_only: bool,
}

impl Guard {
    /// A guard that lets through what is public, and what is on the list.
    pub const fn new(allow: AllowList, https_only: bool) -> Self {
        Self { allow, https_only }
    }

    /// Checks what an address says of itself. Names are checked where they are resolved.
    ///
    /// # Errors
    /// [`AddressError`].
    pub fn check(&self, url: &Url) -> Result<(), AddressError> {
        match url.scheme() {
            "http" if self.https_only => return Err(AddressError::Insecure),
            "http" | "https" => {}
            scheme => return Err(AddressError::Scheme(scheme.chars().take(32).collect())),
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(AddressError::Credentials);
        }
        let allowed = match url.host().ok_or(AddressError::NoHost)? {
            Host::Domain("") => return Err(AddressError::NoHost),
            Host::Domain(name) => self.allow.has_host(name),
            Host::Ipv4(address) => self.check_literal(IpAddr::V4(address))?,
            Host::Ipv6(address) => self.check_literal(IpAddr::V6(address))?,
        };
        let port = url.port_or_known_default().ok_or(AddressError::NoHost)?;
        if port <= SYSTEM_PORTS && !WEB_PORTS.contains(&port) && !allowed {
            return Err(AddressError::Port(port));
        }
        Ok(())
    }

    /// Whether the address is on the list; public ones need not be.
    fn check_literal(&self, address: IpAddr) -> Result<bool, AddressError> {
        let allowed = self.allow.has_address(address);
        if allowed || is_public(address) { Ok(allowed) } else { Err(AddressError::Private) }
    }

    /// Checks what a name leads to: one private answer among public ones refuses them all.
    ///
    /// # Errors
    /// [`AddressError::NoAddress`], [`AddressError::Private`].
    pub fn check_answers(&self, host: &str, answers: &[IpAddr]) -> Result<(), AddressError> {
        if answers.is_empty() {
            return Err(AddressError::NoAddress);
        }
        let fits = |address: &IpAddr| is_public(*address) || self.allow.has_address(*address);
        if self.allow.has_host(host) || answers.iter().all(fits) {
            Ok(())
        } else {
            Err(AddressError::Private)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(guard: &Guard, text: &str) -> Result<(), AddressError> {
        guard.check(&text.parse().expect("a URL"))
    }

    #[test]
    fn private_addresses_are_known_in_every_spelling() {
        let guard = Guard::default();
        for text in [
            "http://127.0.0.1/",
            "http://127.1/",
            "http://2130706433/",
            "http://0x7f000001/",
            "http://0x7f.1/",
            "http://0177.0.0.1/",
            "http://017700000001/",
            "http://127.0.0.1./",
            "http://%31%32%37.0.0.1/",
            "http://１２７.0.0.1/",
            "http://[::1]/",
            "http://[::ffff:127.0.0.1]/",
            "http://[::ffff:7f00:1]/",
            "http://[64:ff9b::7f00:1]/",
            "http://[fd00:ec2::254]/",
            "https://169.254.169.254/latest/",
            "http://0/",
            "http://10.0.0.1:8080/",
        ] {
            assert_eq!(check(&guard, text), Err(AddressError::Private), "{text}");
        }
    }

    #[test]
    fn odd_addresses_are_refused() {
        let guard = Guard::default();
        for (text, error) in [
            ("ftp://example.com/", AddressError::Scheme("ftp".to_owned())),
            ("file:///etc/passwd", AddressError::Scheme("file".to_owned())),
            ("https://user@example.com/", AddressError::Credentials),
            ("https://:secret@example.com/", AddressError::Credentials),
            ("https://example.com:22/", AddressError::Port(22)),
            ("http://example.com:25/", AddressError::Port(25)),
        ] {
            assert_eq!(check(&guard, text), Err(error), "{text}");
        }
        let strict = Guard::new(AllowList::default(), true);
        assert_eq!(check(&strict, "http://example.com/"), Err(AddressError::Insecure));
        for text in ["https://example.com/", "http://example.com:8080/x?y", "https://1.1.1.1/"] {
            assert_eq!(check(&guard, text), Ok(()), "{text}");
        }
    }

    #[test]
    fn one_private_answer_spoils_them_all() {
        let guard = Guard::new(AllowList::parse(["10.9.0.0/16", "inside"]).expect("a list"), false);
        let answers = |texts: &[&str]| -> Vec<IpAddr> {
            texts.iter().map(|text| text.parse().expect("an address")).collect()
        };
        let check = |host, texts: &[&str]| guard.check_answers(host, &answers(texts));
        assert_eq!(check("a", &["1.1.1.1", "10.9.0.1"]), Ok(()));
        assert_eq!(check("a", &["1.1.1.1", "10.8.0.1"]), Err(AddressError::Private));
        assert_eq!(check("inside", &["192.168.0.1"]), Ok(()));
        assert_eq!(check("a", &[]), Err(AddressError::NoAddress));
    }
}
