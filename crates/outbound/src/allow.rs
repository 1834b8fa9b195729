//! What may be reached although it is private.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use ipnet::IpNet;

/// A network, or a host by its name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AllowEntry {
    /// A network, like `10.1.0.0/16`, or one address.
    Net(IpNet),
    /// A host, like `n8n.internal`: wherever its name leads.
    Host(String),
    /// The hosts below a name, like `*.svc.cluster.local`; kept without the star.
    Below(String),
}

/// A text that is no entry of an allow-list.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is neither a network (10.1.0.0/16), nor an address, nor a host (n8n.internal, *.local)"
)]
pub struct ParseAllowError(String);

impl FromStr for AllowEntry {
    type Err = ParseAllowError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let text = text.trim();
        if let Ok(net) = text.parse::<IpNet>() {
            return Ok(Self::Net(net));
        }
        if let Ok(address) = text.trim_matches(['[', ']']).parse::<IpAddr>() {
            return Ok(Self::Net(IpNet::from(address)));
        }
        let named = |text: &str| {
            let labels = |label: &str| {
                !label.is_empty()
                    && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
            };
            let letters = text.bytes().any(|b| b.is_ascii_alphabetic());
            (letters && text.split('.').all(labels)).then(|| text.to_ascii_lowercase())
        };
        let wrong = || ParseAllowError(text.chars().take(64).collect());
        match text.strip_prefix('*') {
            Some(rest) => {
                let name = rest.strip_prefix('.').and_then(named);
                name.map(|name| Self::Below(format!(".{name}"))).ok_or_else(wrong)
            }
            None => named(text).map(Self::Host).ok_or_else(wrong),
        }
    }
}

impl fmt::Display for AllowEntry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Net(net) => net.fmt(f),
            Self::Host(host) => f.write_str(host),
            Self::Below(suffix) => write!(f, "*{suffix}"),
        }
    }
}

/// What may be reached although it is private. Empty unless somebody says otherwise.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AllowList(Vec<AllowEntry>);

impl FromIterator<AllowEntry> for AllowList {
    fn from_iter<I: IntoIterator<Item = AllowEntry>>(entries: I) -> Self {
        Self(entries.into_iter().collect())
    }
}

impl AllowList {
    /// Reads entries.
    ///
    /// # Errors
    /// The first that is none.
    pub fn parse<'a>(texts: impl IntoIterator<Item = &'a str>) -> Result<Self, ParseAllowError> {
        texts.into_iter().map(str::parse).collect()
    }

    /// Whether an address is in one of the networks.
    pub fn has_address(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        self.0.iter().any(|entry| matches!(entry, AllowEntry::Net(net) if net.contains(&address)))
    }

    /// Whether a host is named, alone or by what it is below.
    pub fn has_host(&self, host: &str) -> bool {
        let host = host.trim_end_matches('.').to_ascii_lowercase();
        self.0.iter().any(|entry| match entry {
            AllowEntry::Net(_) => false,
            AllowEntry::Host(name) => *name == host,
            AllowEntry::Below(suffix) => host.ends_with(suffix.as_str()),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_are_read_and_found() {
        let list = AllowList::parse(["10.1.0.0/16", "::1", "n8n.internal", "*.cluster.local"]);
        let list = list.expect("entries");
        let address = |text: &str| list.has_address(text.parse().expect("an address"));
        assert!(address("10.1.2.3") && address("::1") && address("::ffff:10.1.2.3"));
        assert!(!address("10.2.0.1") && !address("127.0.0.1"));
        assert!(list.has_host("N8N.internal.") && list.has_host("a.b.cluster.local"));
        assert!(!list.has_host("cluster.local") && !list.has_host("xn8n.internal"));
        assert!(!list.has_host("evilcluster.local"));
    }

    #[test]
    fn sloppy_entries_are_refused() {
        for text in ["", "*", "*.", "10.0.0.0/33", "a..b", "http://x", "1.2.3", "a b", "*a.b"] {
            assert!(text.parse::<AllowEntry>().is_err(), "{text}");
        }
    }
}
