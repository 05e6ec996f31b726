//! The body of a git request: unpacked if it is gzip, and never more than its limit.
//!
//! Guards: a small body cannot become a large one; what counts is the size after unpacking. Leaves its meaning to `serve`.

use std::io::{self, Write};
use std::pin::Pin;

use bytes::{Bytes, BytesMut};
use flate2::write::GzDecoder;
use futures_util::{Stream, StreamExt};

/// Packed bytes fed to the unpacker at once, so that one step cannot grow beyond a few MiB.
const STEP: usize = 4 * 1024;

/// How a request's body is packed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Encoding {
    /// As it is.
    #[default]
    Plain,
    /// Gzip, as git packs bodies over 1 KiB.
    Gzip,
}

impl Encoding {
    /// Reads a `Content-Encoding` header; none if it names anything else.
    pub fn from_header(value: Option<&str>) -> Option<Self> {
        match value.map(str::trim) {
            None | Some("" | "identity") => Some(Self::Plain),
            Some("gzip" | "x-gzip") => Some(Self::Gzip),
            Some(_) => None,
        }
    }
}

/// Why a body could not be read to its end.
#[derive(Debug)]
pub(super) enum BodyError {
    /// More bytes than allowed, after unpacking.
    TooLarge,
    /// The gzip data is damaged or cut off.
    Damaged,
    /// The connection broke.
    Broken(io::Error),
}

/// A body that is read chunk by chunk.
pub(super) struct Body {
    source: Pin<Box<dyn Stream<Item = io::Result<Bytes>> + Send>>,
    gunzip: Option<GzDecoder<Vec<u8>>>,
    pending: Bytes,
    room: u64,
    ended: bool,
}

impl Body {
    pub(super) fn new(
        source: impl Stream<Item = io::Result<Bytes>> + Send + 'static,
        encoding: Encoding,
        limit: u64,
    ) -> Self {
        let gunzip = match encoding {
            Encoding::Plain => None,
            Encoding::Gzip => Some(GzDecoder::new(Vec::new())),
        };
        Self { source: Box::pin(source), gunzip, pending: Bytes::new(), room: limit, ended: false }
    }

    /// Returns the next unpacked chunk, none at the end.
    pub(super) async fn next(&mut self) -> Result<Option<Bytes>, BodyError> {
        loop {
            if self.pending.is_empty() && !self.ended {
                match self.source.next().await {
                    Some(chunk) => self.pending = chunk.map_err(BodyError::Broken)?,
                    None => self.ended = true,
                }
            }
            let chunk = match &mut self.gunzip {
                None => std::mem::take(&mut self.pending),
                Some(decoder) => {
                    let step = self.pending.split_to(STEP.min(self.pending.len()));
                    decoder.write_all(&step).map_err(|_| BodyError::Damaged)?;
                    if self.ended {
                        decoder.try_finish().map_err(|_| BodyError::Damaged)?;
                    }
                    Bytes::from(std::mem::take(decoder.get_mut()))
                }
            };
            self.room = self.room.checked_sub(chunk.len() as u64).ok_or(BodyError::TooLarge)?;
            if !chunk.is_empty() {
                return Ok(Some(chunk));
            }
            if self.ended {
                return Ok(None);
            }
        }
    }

    /// Reads everything.
    pub(super) async fn whole(mut self) -> Result<Bytes, BodyError> {
        let mut all = BytesMut::new();
        while let Some(chunk) = self.next().await? {
            all.extend_from_slice(&chunk);
        }
        Ok(all.freeze())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gzip(data: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
        encoder.write_all(data).unwrap();
        encoder.finish().unwrap()
    }

    fn body(data: Vec<u8>, encoding: Encoding, limit: u64) -> Body {
        let chunks: Vec<_> = data.chunks(1000).map(|chunk| Ok(Bytes::copy_from_slice(chunk))).collect();
        Body::new(futures_util::stream::iter(chunks), encoding, limit)
    }

    #[tokio::test]
    async fn a_packed_body_arrives_whole() {
        let data: Vec<u8> = (0..100_000u32).flat_map(u32::to_le_bytes).collect();
        let whole = body(gzip(&data), Encoding::Gzip, 400_000).whole().await.unwrap();
        assert_eq!(whole, data);
        assert_eq!(body(data.clone(), Encoding::Plain, 400_000).whole().await.unwrap(), data);
        assert!(matches!(body(data, Encoding::Plain, 399_999).whole().await, Err(BodyError::TooLarge)));
    }

    #[tokio::test]
    async fn a_bomb_is_stopped_early() {
        let packed = gzip(&vec![0; 60_000_000]);
        assert!(packed.len() < 100_000);
        let mut bomb = body(packed, Encoding::Gzip, 10 * 1024 * 1024);
        let mut most = 0;
        let end = loop {
            match bomb.next().await {
                Ok(Some(chunk)) => most = most.max(chunk.len()),
                other => break other,
            }
        };
        assert!(matches!(end, Err(BodyError::TooLarge)));
        assert!(most <= 8 * 1024 * 1024);
    }

    #[tokio::test]
    async fn a_damaged_or_cut_off_body_is_refused() {
        let mut packed = gzip(&[7; 5000]);
        packed.truncate(packed.len() - 4);
        assert!(matches!(body(packed, Encoding::Gzip, 10_000).whole().await, Err(BodyError::Damaged)));
        assert!(matches!(body(b"plain".to_vec(), Encoding::Gzip, 10_000).whole().await, Err(BodyError::Damaged)));
    }

    #[test]
    fn only_gzip_is_understood() {
        assert_eq!(Encoding::from_header(None), Some(Encoding::Plain));
        assert_eq!(Encoding::from_header(Some("gzip")), Some(Encoding::Gzip));
        assert_eq!(Encoding::from_header(Some("br")), None);
    }
}
