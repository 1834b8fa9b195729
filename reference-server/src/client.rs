//! From which address a request comes.
//!
//! A server behind proxies sees the last proxy's address; the client's stands in a header that anybody
//! can send. So the header counts only where a trusted proxy wrote it: its entries are read from the
//! right, and the first that is no trusted proxy is the client.
//!
//! Only one header is read, the one that the proxies are known to write. A proxy that writes
//! `X-Forwarded-For` passes a `Forwarded` of the client's own making on unchanged, and the other way
//! round.

use std::net::{IpAddr, SocketAddr};

use kabar::accounts::{Client, Networks};
use poem::http::header;
use poem::{FromRequest, Request, RequestBody};
use serde::{Deserialize, Serialize};

/// The address that a request comes from; `None` where there is none, like on a Unix socket.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ClientAddress(pub Option<IpAddr>);

/// The header in which proxies tell for whom they ask.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ProxyHeader {
    /// `X-Forwarded-For`: most proxies.
    #[default]
    XForwardedFor,
    /// `Forwarded` (RFC 7239).
    Forwarded,
}

/// The proxies in front of the server. Without any, no header counts.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Proxies {
    /// Their addresses.
    pub trusted: Networks,
    /// The header that they write.
    pub header: ProxyHeader,
}

impl ClientAddress {
    /// The address of a request that went through [`app`](crate::app).
    pub fn of(request: &Request) -> Self {
        request.data::<Self>().copied().unwrap_or_default()
    }
}

impl<'a> FromRequest<'a> for ClientAddress {
    async fn from_request(request: &'a Request, _: &mut RequestBody) -> poem::Result<Self> {
        Ok(Self::of(request))
    }
}

/// From where somebody asks, and with which program.
#[derive(Debug, Clone)]
pub struct Whence(pub Client);

impl<'a> FromRequest<'a> for Whence {
    async fn from_request(request: &'a Request, _: &mut RequestBody) -> poem::Result<Self> {
        let address = ClientAddress::of(request).0;
        let agent = request.header(header::USER_AGENT).map(str::to_owned);
        Ok(Self(Client { address, agent }))
    }
}

/// Reads one line of a header: each hop that it names, `None` for what is no address.
type Reader = fn(&str) -> Vec<Option<IpAddr>>;

impl Proxies {
    /// The address that a request comes from.
    pub fn client(&self, request: &Request) -> ClientAddress {
        let peer = request.remote_addr().as_socket_addr().map(SocketAddr::ip);
        let (name, read): (_, Reader) = match self.header {
            ProxyHeader::XForwardedFor => ("x-forwarded-for", plain),
            ProxyHeader::Forwarded => ("forwarded", forwarded),
        };
        let lines = request.headers().get_all(name).iter();
        let hops = lines.flat_map(|line| match line.to_str() {
            Ok(text) => read(text),
            Err(_) => vec![None],
        });
        ClientAddress(self.walk(peer, &hops.collect::<Vec<_>>()))
    }

    /// From the peer backwards, as long as whom we stand at is trusted and names somebody.
    fn walk(&self, peer: Option<IpAddr>, hops: &[Option<IpAddr>]) -> Option<IpAddr> {
        if self.trusted.is_empty() {
            return peer.map(|peer| peer.to_canonical());
        }
        let mut here = peer.map(|peer| peer.to_canonical());
        for hop in hops.iter().rev() {
            // Whoever comes over a Unix socket is on this machine, like a proxy.
            let is_proxy = here.is_none_or(|here| self.trusted.contains(here));
            match hop {
                Some(hop) if is_proxy => here = Some(hop.to_canonical()),
                _ => break,
            }
        }
        here
    }
}

/// `203.0.113.7, [2001:db8::1]:4711, …`
fn plain(line: &str) -> Vec<Option<IpAddr>> {
    line.split(',').map(node).collect()
}

/// `for=203.0.113.7;proto=https, for="[2001:db8::1]:4711", …`
fn forwarded(line: &str) -> Vec<Option<IpAddr>> {
    let of = |element: &str| {
        let mut pairs = element.split(';').filter_map(|pair| pair.split_once('='));
        let (_, value) = pairs.find(|(name, _)| name.trim().eq_ignore_ascii_case("for"))?;
        node(value.trim().trim_matches('"'))
    };
    // No address holds a comma or semicolon, so quotes need no closer look: what they hide is
    // read as an entry that names nobody, and stops the walk.
    line.split(',').map(of).collect()
}

/// An address, with or without a port.
fn node(text: &str) -> Option<IpAddr> {
    let text = text.trim();
    let bare = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    text.parse()
        .or_else(|_| text.parse::<SocketAddr>().map(|address| address.ip()))
        .ok()
        .or_else(|| bare?.parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn proxies(header: ProxyHeader, trusted: &[&str]) -> Proxies {
        Proxies { trusted: Networks::parse(trusted).expect("are networks"), header }
    }

    fn walked(proxies: &Proxies, peer: Option<&str>, line: &str) -> Option<String> {
        let hops = match proxies.header {
            ProxyHeader::XForwardedFor => plain(line),
            ProxyHeader::Forwarded => forwarded(line),
        };
        let peer = peer.map(|peer| peer.parse().expect("an address"));
        let hops = if line.is_empty() { Vec::new() } else { hops };
        proxies.walk(peer, &hops).map(|address| address.to_string())
    }

    #[test]
    fn the_rightmost_hop_that_is_no_proxy_is_the_client() {
        let two = proxies(ProxyHeader::XForwardedFor, &["10.0.0.0/8", "2001:db8:ffff::/48"]);
        for (peer, line, client) in [
            ("198.51.100.1", "203.0.113.7", "198.51.100.1"),
            ("10.0.0.1", "", "10.0.0.1"),
            ("10.0.0.1", "203.0.113.7", "203.0.113.7"),
            ("::ffff:10.0.0.1", "::ffff:203.0.113.7", "203.0.113.7"),
            ("10.0.0.1", "1.1.1.1, 203.0.113.7, 10.0.0.2", "203.0.113.7"),
            ("10.0.0.1", "203.0.113.7:4711", "203.0.113.7"),
            ("10.0.0.1", "[2001:db8::1]:4711", "2001:db8::1"),
            ("10.0.0.1", "2001:db8::1, 2001:db8:ffff::1", "2001:db8::1"),
            // What says nothing stops the walk at whom we trust.
            ("10.0.0.1", "1.1.1.1, unknown", "10.0.0.1"),
            ("10.0.0.1", "1.1.1.1, ", "10.0.0.1"),
            ("10.0.0.1", "10.0.0.3, 10.0.0.2", "10.0.0.3"),
        ] {
            assert_eq!(walked(&two, Some(peer), line).as_deref(), Some(client), "{peer} {line}");
        }
        assert_eq!(walked(&two, None, "1.1.1.1").as_deref(), Some("1.1.1.1"));
        assert_eq!(walked(&two, None, ""), None);
    }

    #[test]
    fn without_trusted_proxies_no_header_counts() {
        let none = proxies(ProxyHeader::XForwardedFor, &[]);
        assert_eq!(walked(&none, Some("10.0.0.1"), "1.1.1.1").as_deref(), Some("10.0.0.1"));
        assert_eq!(walked(&none, None, "1.1.1.1"), None);
    }

    #[test]
    fn forwarded_is_read_as_rfc_7239_writes_it() {
        let one = proxies(ProxyHeader::Forwarded, &["10.0.0.1"]);
        for (line, client) in [
            ("for=203.0.113.7;proto=https;by=10.0.0.1", "203.0.113.7"),
            ("For=\"[2001:db8::1]:4711\"", "2001:db8::1"),
            ("for=1.1.1.1, proto=http; FOR=203.0.113.7", "203.0.113.7"),
            ("for=1.1.1.1, for=_hidden", "10.0.0.1"),
            ("for=1.1.1.1, for=\"a,b\"", "10.0.0.1"),
            ("for=1.1.1.1, proto=http", "10.0.0.1"),
        ] {
            assert_eq!(walked(&one, Some("10.0.0.1"), line).as_deref(), Some(client), "{line}");
        }
    }
}
