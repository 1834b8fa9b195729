//! Which addresses are on the public internet.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// IPv4 blocks that are nobody's server on the public internet: the IANA special-purpose registry
/// (RFC 6890 and its updates), multicast, and the one public address that clouds answer themselves.
const SPECIAL_V4: [([u8; 4], u32); 20] = [
    ([0, 0, 0, 0], 8),          // this network, RFC 791
    ([10, 0, 0, 0], 8),         // private, RFC 1918
    ([100, 64, 0, 0], 10),      // carrier-grade NAT, RFC 6598
    ([127, 0, 0, 0], 8),        // loopback, RFC 1122
    ([168, 63, 129, 16], 32),   // Azure's host, which answers with credentials
    ([169, 254, 0, 0], 16),     // link-local, RFC 3927, and the metadata of clouds
    ([172, 16, 0, 0], 12),      // private, RFC 1918
    ([192, 0, 0, 0], 24),       // protocol assignments, RFC 6890
    ([192, 0, 2, 0], 24),       // documentation, RFC 5737
    ([192, 31, 196, 0], 24),    // AS112, RFC 7535
    ([192, 52, 193, 0], 24),    // AMT, RFC 7450
    ([192, 88, 99, 0], 24),     // 6to4 relays, RFC 7526
    ([192, 168, 0, 0], 16),     // private, RFC 1918
    ([192, 175, 48, 0], 24),    // AS112, RFC 7534
    ([198, 18, 0, 0], 15),      // benchmarks, RFC 2544
    ([198, 51, 100, 0], 24),    // documentation, RFC 5737
    ([203, 0, 113, 0], 24),     // documentation, RFC 5737
    ([224, 0, 0, 0], 4),        // multicast, RFC 5771
    ([240, 0, 0, 0], 4),        // reserved, RFC 1112
    ([255, 255, 255, 255], 32), // broadcast, RFC 919
];

/// IPv6 blocks inside the global unicast block that lead somewhere else, or nowhere.
const SPECIAL_V6: [([u16; 3], u32); 5] = [
    ([0x2001, 0, 0], 23), // protocol assignments with Teredo and ORCHID, RFC 2928
    ([0x2001, 0x0db8, 0], 32), // documentation, RFC 3849
    ([0x2002, 0, 0], 16), // 6to4: an IPv4 address in disguise, RFC 3056
    ([0x2620, 0x4f, 0x8000], 48), // AS112, RFC 7534
    ([0x3fff, 0, 0], 20), // documentation, RFC 9637
];

/// Whether a server on the public internet can have this address. IPv4 in the clothes of IPv6 is
/// judged as what it is; other translations (NAT64, 6to4, Teredo) are refused, as is everything
/// outside of `2000::/3`, the only block that is handed out (RFC 4291, section 2.4).
pub fn is_public(address: IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(address) => v4_is_public(address),
        IpAddr::V6(address) => v6_is_public(address),
    }
}

fn v4_is_public(address: Ipv4Addr) -> bool {
    let bits = address.to_bits();
    !SPECIAL_V4.iter().any(|(block, length)| {
        let mask = u32::MAX << (32 - length);
        bits & mask == u32::from_be_bytes(*block) & mask
    })
}

fn v6_is_public(address: Ipv6Addr) -> bool {
    let bits = address.to_bits();
    let global = bits >> 125 == 1;
    global
        && !SPECIAL_V6.iter().any(|([one, two, three], length)| {
            let block = Ipv6Addr::new(*one, *two, *three, 0, 0, 0, 0, 0).to_bits();
            let mask = u128::MAX << (128 - length);
            bits & mask == block & mask
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_public_is_known_in_every_dress() {
        for text in [
            "0.0.0.0",
            "0.1.2.3",
            "10.0.0.1",
            "100.64.0.1",
            "100.100.100.200",
            "127.0.0.1",
            "127.255.255.254",
            "168.63.129.16",
            "169.254.169.254",
            "172.16.0.1",
            "172.31.255.255",
            "192.0.0.1",
            "192.0.2.1",
            "192.88.99.1",
            "192.168.1.1",
            "198.18.0.1",
            "198.19.255.255",
            "198.51.100.1",
            "203.0.113.1",
            "224.0.0.1",
            "239.255.255.255",
            "240.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "::127.0.0.1",
            "::ffff:127.0.0.1",
            "::ffff:10.0.0.1",
            "::ffff:169.254.169.254",
            "64:ff9b::7f00:1",
            "64:ff9b:1::1",
            "100::1",
            "2001::1",
            "2001:0:4136:e378:8000:63bf:3fff:fdd2",
            "2001:10::1",
            "2001:20::1",
            "2001:db8::1",
            "2002:7f00:1::1",
            "2002:a00:1::1",
            "3fff::1",
            "5f00::1",
            "fc00::1",
            "fd00:ec2::254",
            "fe80::1",
            "fec0::1",
            "ff02::1",
            "2620:4f:8000::1",
        ] {
            assert!(!is_public(text.parse().expect("an address")), "{text}");
        }
    }

    #[test]
    fn what_is_public_stays_in_reach() {
        for text in [
            "1.1.1.1",
            "8.8.8.8",
            "9.255.255.255",
            "11.0.0.1",
            "100.63.255.255",
            "100.128.0.1",
            "126.255.255.255",
            "128.0.0.1",
            "172.15.255.255",
            "172.32.0.1",
            "192.0.1.1",
            "192.167.255.255",
            "198.17.255.255",
            "198.20.0.1",
            "223.255.255.255",
            "::ffff:8.8.8.8",
            "2001:4860:4860::8888",
            "2400:cb00::1",
            "2606:4700::1111",
            "2a00:1450:4001::1",
        ] {
            assert!(is_public(text.parse().expect("an address")), "{text}");
        }
    }
}
