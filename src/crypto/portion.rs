//! Small pieces of a stream gathered into portions worth handing to another thread.

use std::pin::Pin;

use bytes::Bytes;
use futures_util::{Stream, StreamExt};

/// What is worked on in one go.
#[derive(Debug, Default)]
pub(super) struct Portion {
    /// Pieces as they came, none of them empty.
    pub(super) pieces: Vec<Bytes>,
    /// Whether the stream has ended with them.
    pub(super) ended: bool,
}

impl Portion {
    /// Reads until there are at least this many bytes, or the stream ends. An error loses what was gathered.
    pub(super) async fn gather<S, E>(stream: &mut Pin<Box<S>>, enough: usize) -> Result<Self, E>
    where
        S: Stream<Item = Result<Bytes, E>> + Send,
    {
        let (mut portion, mut length) = (Self::default(), 0);
        while length < enough {
            let Some(piece) = stream.next().await else { return Ok(Self { ended: true, ..portion }) };
            let piece = piece?;
            length += piece.len();
            if !piece.is_empty() {
                portion.pieces.push(piece);
            }
        }
        Ok(portion)
    }
}
