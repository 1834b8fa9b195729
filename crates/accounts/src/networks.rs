//! Lists of network addresses: from where a credential works, whose word about others counts.

use std::fmt;
use std::net::IpAddr;

use ipnet::IpNet;
use serde::{Deserialize, Serialize};

use crate::check::Invalid;

/// Entries of a list, at most.
pub const NETWORKS_MOST: usize = 100;

/// A text that is no address and no network.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is no IP address and no network; write it like 203.0.113.7, 203.0.113.0/24 or \
     2001:db8::/32"
)]
pub struct BadNetwork(String);

/// Addresses and networks, IPv4 and IPv6. An IPv4 address that is written inside IPv6
/// (`::ffff:203.0.113.7`) is the IPv4 address.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Vec<String>", into = "Vec<String>")]
pub struct Networks(Vec<IpNet>);

impl Networks {
    /// Reads a list.
    ///
    /// # Errors
    /// [`BadNetwork`] with the first entry that is none.
    pub fn parse<T: AsRef<str>>(texts: &[T]) -> Result<Self, BadNetwork> {
        texts.iter().map(|text| network(text.as_ref())).collect::<Result<_, _>>().map(Self)
    }

    /// Reads a list that a person typed: at most [`NETWORKS_MOST`] entries.
    ///
    /// # Errors
    /// [`Invalid`] with the given field.
    pub fn checked<T: AsRef<str>>(field: &'static str, texts: &[T]) -> Result<Self, Invalid> {
        if texts.len() > NETWORKS_MOST {
            let problem = format!("must have at most {NETWORKS_MOST} entries");
            return Err(Invalid::new(field, problem));
        }
        Self::parse(texts).map_err(|error| Invalid::new(field, error.to_string()))
    }

    /// Whether nothing is listed.
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether an address is listed.
    pub fn contains(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        self.0.iter().any(|network| network.contains(&address))
    }

    /// Whether somebody may come from an address: an empty list lets everybody in, any other only
    /// those whose address is known and listed.
    pub fn allows(&self, address: Option<IpAddr>) -> bool {
        self.is_empty() || address.is_some_and(|address| self.contains(address))
    }

    /// The entries, as they are written.
    pub fn texts(&self) -> Vec<String> {
        self.0.iter().map(ToString::to_string).collect()
    }
}

/// An address is the network of it alone.
fn network(text: &str) -> Result<IpNet, BadNetwork> {
    let text = text.trim();
    if let Ok(address) = text.parse::<IpAddr>() {
        return Ok(IpNet::from(address.to_canonical()));
    }
    match text.parse::<IpNet>() {
        Ok(network) => Ok(canonical(network)),
        Err(_) => Err(BadNetwork(text.chars().take(64).collect())),
    }
}

/// `::ffff:a.b.c.d/96+n` is `a.b.c.d/n`.
fn canonical(network: IpNet) -> IpNet {
    let inner = match network {
        IpNet::V6(v6) => v6.network().to_ipv4_mapped().zip(v6.prefix_len().checked_sub(96)),
        IpNet::V4(_) => None,
    };
    inner
        .and_then(|(address, length)| IpNet::new(address.into(), length).ok())
        .unwrap_or(network)
        .trunc()
}

impl fmt::Display for Networks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.texts().join(", "))
    }
}

impl TryFrom<Vec<String>> for Networks {
    type Error = BadNetwork;

    fn try_from(texts: Vec<String>) -> Result<Self, BadNetwork> {
        Self::parse(&texts)
    }
}

impl From<Networks> for Vec<String> {
    fn from(networks: Networks) -> Self {
        networks.texts()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().expect("an address")
    }

    #[test]
    fn addresses_and_networks_are_read() {
        let list = ["203.0.113.7", "10.1.2.3/8", "2001:db8::/32", "::ffff:192.0.2.0/120"];
        let list = Networks::parse(&list).expect("are networks");
        assert_eq!(list.texts(), ["203.0.113.7/32", "10.0.0.0/8", "2001:db8::/32", "192.0.2.0/24"]);
        for inside in
            ["203.0.113.7", "::ffff:203.0.113.7", "10.255.0.1", "2001:db8::1", "192.0.2.9"]
        {
            assert!(list.contains(ip(inside)), "{inside}");
        }
        for outside in ["203.0.113.8", "11.0.0.1", "2001:db9::1", "::1"] {
            assert!(!list.contains(ip(outside)), "{outside}");
        }
        for wrong in ["", "x", "1.2.3", "1.2.3.4/33", "::/129", "1.2.3.4 /8", "example.com"] {
            assert!(Networks::parse(&[wrong]).is_err(), "{wrong}");
        }
    }

    #[test]
    fn an_empty_list_allows_everybody_and_another_nobody_unknown() {
        assert!(Networks::default().allows(None));
        let list = Networks::parse(&["::1"]).expect("is an address");
        assert!(list.allows(Some(ip("::1"))));
        assert!(!list.allows(None));
        let many = vec!["::1"; NETWORKS_MOST + 1];
        assert_eq!(Networks::checked("x", &many).unwrap_err().field, "x");
    }
}
