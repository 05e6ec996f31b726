//! From where a request comes, for counting: the peer, or whom a trusted proxy speaks for.
//!
//! Guards: an address leaves this file only as an [`Origin`]. Leaves the rule about headers
//! to `domain::origin`.

use std::convert::Infallible;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;

use crate::app::App;
use crate::domain::origin::{self, Origin};

/// Who connected; put on every request of a connection.
#[derive(Clone, Copy)]
pub(super) struct Peer(pub(super) IpAddr);

/// As whom the sender of a request is counted.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sender(pub(crate) Origin);

impl FromRequestParts<Arc<App>> for Sender {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, Infallible> {
        // Without a connection there is no peer: what is then counted is counted as one.
        let peer = parts.extensions.get::<Peer>().map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |peer| peer.0);
        let header = app.config.forwarded_header;
        let values = parts.headers.get_all(header.as_str());
        // A value that is no text ends the walk as an unreadable hop does.
        let lines: Vec<&str> = values.iter().map(|value| value.to_str().unwrap_or_default()).collect();
        let client = origin::client(peer, &app.config.trusted_proxies, header, lines.into_iter());
        Ok(Self(app.strangers.origin(client)))
    }
}
