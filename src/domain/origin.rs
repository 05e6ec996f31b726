//! Whom a request is counted against: the client's address as the proxies that are trusted saw it.
//!
//! Guards: a header is believed only as far as trusted proxies wrote it, read from its end; what cannot be read ends the
//! walk, at the last hop that could be. An address is an [`Origin`] before anything keeps it. Leaves counting to
//! [`super::limit`].

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;

use ipnet::IpNet;
use serde::{Deserialize, Serialize};

use super::id::words;
use super::refusal::Malformed;

words! {
    /// The header in which the proxy in front of the server says whom it speaks for.
    ForwardedHeader {
        /// A list of addresses.
        XForwardedFor = "x-forwarded-for",
        /// The standard's header (RFC 7239).
        Forwarded = "forwarded",
    }
}

/// A proxy, or a network of them, whose word on the client's address is taken: `192.0.2.1`, `10.0.0.0/8`, `fd00::/8`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct TrustedProxy(IpNet);

/// Everybody behind one address: a hash under a key that only the running process has. Never printed.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Origin([u8; 16]);

impl TrustedProxy {
    /// Tells whether an address is one of it.
    pub fn is(&self, address: IpAddr) -> bool {
        self.0.contains(&address)
    }
}

impl FromStr for TrustedProxy {
    type Err = Malformed;

    fn from_str(text: &str) -> Result<Self, Malformed> {
        let rule =
            Malformed::new("a trusted proxy is an address or a network, for example \"127.0.0.1\" or \"10.0.0.0/8\"");
        match text.parse::<IpAddr>() {
            Ok(address) => Ok(Self(IpNet::from(address))),
            Err(_) => text.parse().map(Self).map_err(|_| rule),
        }
    }
}

impl TryFrom<String> for TrustedProxy {
    type Error = Malformed;

    fn try_from(text: String) -> Result<Self, Malformed> {
        text.parse()
    }
}

impl From<TrustedProxy> for String {
    fn from(proxy: TrustedProxy) -> Self {
        proxy.0.to_string()
    }
}

impl Origin {
    /// Takes the keyed hash of [`network`].
    pub const fn from_hash(hash: [u8; 16]) -> Self {
        Self(hash)
    }
}

impl fmt::Debug for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Origin(..)")
    }
}

/// Returns the address of the client: who connects, or, while that is a trusted proxy, the hop it names.
///
/// `lines` are the values of the header in their order. Only its end was written by proxies; its beginning is the client's.
pub fn client<'a>(
    peer: IpAddr,
    trusted: &[TrustedProxy],
    header: ForwardedHeader,
    lines: impl DoubleEndedIterator<Item = &'a str>,
) -> IpAddr {
    let is_trusted = |address: IpAddr| trusted.iter().any(|proxy| proxy.is(address));
    let mut client = peer.to_canonical();
    // Split without regard to quotes: a quote that the client opened must not swallow what the proxy wrote after it.
    for hop in lines.rev().flat_map(|line| line.rsplit(',')) {
        if !is_trusted(client) {
            break;
        }
        let Some(address) = node(hop, header) else { break };
        client = address;
    }
    client
}

/// Returns what of an address is counted as one: an IPv4 address, or the first 64 bits of an IPv6 one, which is what
/// one connection is given.
pub fn network(address: IpAddr) -> u128 {
    match address.to_canonical() {
        IpAddr::V4(address) => address.to_ipv6_mapped().to_bits(),
        IpAddr::V6(address) => address.to_bits() >> 64 << 64,
    }
}

/// Reads one hop.
fn node(hop: &str, header: ForwardedHeader) -> Option<IpAddr> {
    let text = match header {
        ForwardedHeader::XForwardedFor => hop.trim(),
        ForwardedHeader::Forwarded => {
            let named = |pair: &str| {
                let (name, value) = pair.split_once('=')?;
                name.trim().eq_ignore_ascii_case("for").then(|| value.trim().to_owned())
            };
            return address(hop.split(';').find_map(named)?.trim_matches('"'));
        }
    };
    address(text)
}

/// Reads an address with or without a port and brackets.
fn address(text: &str) -> Option<IpAddr> {
    let bare = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(text);
    let with_port = || text.parse::<SocketAddr>().ok().map(|socket| socket.ip());
    bare.parse().ok().or_else(with_port).map(|address: IpAddr| address.to_canonical())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    fn seen(peer: &str, header: ForwardedHeader, lines: &[&str]) -> String {
        let trusted = ["127.0.0.1", "10.0.0.0/8", "fd00::/8"].map(|text| text.parse().unwrap());
        client(ip(peer), &trusted, header, lines.iter().copied()).to_string()
    }

    #[test]
    fn a_stranger_says_nothing_about_where_they_are() {
        for header in ForwardedHeader::ALL {
            assert_eq!(seen("192.0.2.9", *header, &["198.51.100.1", "for=198.51.100.1"]), "192.0.2.9");
            assert_eq!(seen("127.0.0.1", *header, &[]), "127.0.0.1");
        }
        let nobody = client(ip("127.0.0.1"), &[], ForwardedHeader::XForwardedFor, ["192.0.2.1"].into_iter());
        assert_eq!(nobody, ip("127.0.0.1"));
    }

    #[test]
    fn the_last_hop_that_is_not_ours_is_the_client() {
        for (lines, client) in [
            (&["192.0.2.1"][..], "192.0.2.1"),
            // What stands before it was written by the client.
            (&["203.0.113.7, 192.0.2.1"], "192.0.2.1"),
            (&["203.0.113.7", "192.0.2.1, 10.1.2.3"], "192.0.2.1"),
            (&["10.9.9.9"], "10.9.9.9"),
            (&["192.0.2.1:4711"], "192.0.2.1"),
            (&["2001:db8::1"], "2001:db8::1"),
            (&["[2001:db8::1]:4711"], "2001:db8::1"),
            (&["::ffff:192.0.2.1"], "192.0.2.1"),
            (&["203.0.113.7, nonsense"], "127.0.0.1"),
            (&["203.0.113.7, nonsense, 10.1.2.3"], "10.1.2.3"),
        ] {
            assert_eq!(seen("127.0.0.1", ForwardedHeader::XForwardedFor, lines), client, "{lines:?}");
            assert_eq!(seen("::ffff:127.0.0.1", ForwardedHeader::XForwardedFor, lines), client, "{lines:?}");
        }
    }

    #[test]
    fn the_standards_header_is_read_by_the_same_rule() {
        for (lines, client) in [
            (&["for=192.0.2.1;proto=https;by=10.0.0.1"][..], "192.0.2.1"),
            (&["For=\"[2001:db8::1]:4711\""], "2001:db8::1"),
            (&["for=203.0.113.7, for=192.0.2.1;proto=https, for=10.1.2.3"], "192.0.2.1"),
            // A quote left open by the client hides nothing.
            (&["for=\"203.0.113.7, for=192.0.2.1"], "192.0.2.1"),
            (&["for=203.0.113.7, for=_hidden"], "127.0.0.1"),
            (&["192.0.2.1"], "127.0.0.1"),
        ] {
            assert_eq!(seen("127.0.0.1", ForwardedHeader::Forwarded, lines), client, "{lines:?}");
        }
    }

    #[test]
    fn a_customers_whole_network_is_one() {
        assert_eq!(network(ip("2001:db8:1:2::1")), network(ip("2001:db8:1:2:ffff:ffff:ffff:ffff")));
        assert_ne!(network(ip("2001:db8:1:2::1")), network(ip("2001:db8:1:3::1")));
        assert_eq!(network(ip("192.0.2.1")), network(ip("::ffff:192.0.2.1")));
        assert_ne!(network(ip("192.0.2.1")), network(ip("192.0.2.2")));
        assert_ne!(network(ip("192.0.2.1")), network(ip("::1")));
    }

    #[test]
    fn a_proxy_is_an_address_or_a_network() {
        assert!("127.0.0.1".parse::<TrustedProxy>().unwrap().is(ip("127.0.0.1")));
        assert!("fd00::/8".parse::<TrustedProxy>().unwrap().is(ip("fd00::1")));
        for odd in ["", "proxy.example.org", "10.0.0.0/33", "127.0.0.1:80"] {
            assert!(odd.parse::<TrustedProxy>().is_err(), "{odd}");
        }
    }
}
