//! How a server is started.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use super::address::Addressing;

/// How a [`super::MultiDevice`] is started.
#[derive(Debug, Clone)]
pub struct MultiDeviceConfig {
    /// Where clients connect by WebSocket. Default: an ephemeral loopback port.
    pub bind: SocketAddr,
    /// Where media and the control API are served. Default: an ephemeral loopback port.
    pub http_bind: SocketAddr,
    /// Folder of the server's keys; absent ones are generated. None: keys for this run only, after
    /// which minted and paired sessions fall back to the full handshake.
    pub key_folder: Option<PathBuf>,
    /// `host:port` that clients are told to fetch media from. Default: the HTTP listener's. Clients
    /// always put `https://` before it.
    pub media_host: Option<String>,
    /// Whether a number nobody has introduced is on WhatsApp (an account is made up for it).
    /// Default: yes.
    pub unknown_numbers_exist: bool,
    /// How the phones of new accounts address people; `Lid` tells their companions at pairing that
    /// the account is migrated. Default: `Pn`.
    pub addressing: Addressing,
    /// How members of new groups are addressed. Default: `Lid`, as in all new groups of today.
    pub group_addressing: Addressing,
    /// One-time pre-keys of a minted session. Default 30; a client uploads more when few are left.
    pub minted_prekeys: u32,
    /// Seed of probabilities and invented ids. Keys are always random. Default: a random seed.
    pub seed: Option<u64>,
}

impl Default for MultiDeviceConfig {
    fn default() -> Self {
        let loopback = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        Self {
            bind: loopback,
            http_bind: loopback,
            key_folder: None,
            media_host: None,
            unknown_numbers_exist: true,
            addressing: Addressing::Pn,
            group_addressing: Addressing::Lid,
            minted_prekeys: 30,
            seed: None,
        }
    }
}
