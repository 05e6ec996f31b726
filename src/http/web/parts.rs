//! Forms with files (RFC 7578), part by part.
//!
//! Guards: no header and no rubbish between the parts is gathered without bound, and none is looked through again and again:
//! the parser keeps what it cannot place yet, so what it is given between two results is counted.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::{fmt, io};

use axum::body::{Body, Bytes};
use axum::extract::{FromRequest, Request};
use axum::http::header;
use futures_util::Stream;

use crate::domain::refusal::Refusal;
use crate::http::problem::PageError;

/// Bytes the parser may take without making anything of them. One piece from the connection can be half of it.
const UNPLACED: usize = 1024 * 1024;

/// A form as it arrives.
pub(crate) struct Parts {
    parser: multer::Multipart<'static>,
    unplaced: Arc<AtomicUsize>,
}

/// One part of it. The part before it has been read or is passed over.
pub(crate) struct Part {
    field: multer::Field<'static>,
    unplaced: Arc<AtomicUsize>,
}

/// The form cannot be read, or was cut off.
#[derive(Debug)]
pub(crate) struct Broken(multer::Error);

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl std::error::Error for Broken {}

impl Parts {
    fn of(boundary: String, body: Body) -> Self {
        let unplaced = Arc::new(AtomicUsize::new(0));
        let pieces = Pieces { body: Box::pin(body.into_data_stream()), unplaced: Arc::clone(&unplaced), gave: false };
        Self { parser: multer::Multipart::new(pieces, boundary), unplaced }
    }

    /// Returns the next part.
    pub(crate) async fn next(&mut self) -> Result<Option<Part>, Broken> {
        self.unplaced.store(0, Ordering::Relaxed);
        let field = self.parser.next_field().await.map_err(Broken)?;
        Ok(field.map(|field| Part { field, unplaced: Arc::clone(&self.unplaced) }))
    }
}

impl Part {
    /// Returns the name of the field.
    pub(crate) fn name(&self) -> Option<&str> {
        self.field.name()
    }

    /// Returns the name of the file as its sender gave it.
    pub(crate) fn file_name(&self) -> Option<&str> {
        self.field.file_name()
    }

    /// Returns the media type.
    pub(crate) fn content_type(&self) -> Option<&str> {
        self.field.content_type().map(AsRef::as_ref)
    }

    /// Returns the next piece of its content.
    pub(crate) async fn chunk(&mut self) -> Result<Option<Bytes>, Broken> {
        self.unplaced.store(0, Ordering::Relaxed);
        self.field.chunk().await.map_err(Broken)
    }
}

impl<S: Send + Sync> FromRequest<S> for Parts {
    type Rejection = PageError;

    async fn from_request(request: Request, _: &S) -> Result<Self, PageError> {
        let kind = request.headers().get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
        let boundary = multer::parse_boundary(kind)
            .map_err(|_| Refusal::input("This form is sent as multipart/form-data: use the page it is on."))?;
        Ok(Self::of(boundary, request.into_body()))
    }
}

/// The body, piece by piece, as long as the parser makes something of it.
struct Pieces<S> {
    body: Pin<Box<S>>,
    unplaced: Arc<AtomicUsize>,
    gave: bool,
}

impl<S: Stream<Item = Result<Bytes, axum::Error>>> Stream for Pieces<S> {
    type Item = io::Result<Bytes>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<io::Result<Bytes>>> {
        // The parser takes all there is before it looks: it is given one piece at a time.
        if std::mem::take(&mut self.gave) {
            context.waker().wake_by_ref();
            return Poll::Pending;
        }
        match self.body.as_mut().poll_next(context) {
            Poll::Pending => Poll::Pending,
            Poll::Ready(None) => Poll::Ready(None),
            Poll::Ready(Some(Err(error))) => Poll::Ready(Some(Err(io::Error::other(error)))),
            Poll::Ready(Some(Ok(piece))) => {
                self.gave = true;
                let before = self.unplaced.fetch_add(piece.len(), Ordering::Relaxed);
                if before > UNPLACED {
                    return Poll::Ready(Some(Err(io::Error::other("a part of the form has no end"))));
                }
                Poll::Ready(Some(Ok(piece)))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicU64;

    use futures_util::StreamExt;

    use super::*;

    /// A body of this beginning and then rubbish without end; counts what is taken of it.
    fn endless(begins: &'static str, taken: &Arc<AtomicU64>) -> Body {
        let taken = Arc::clone(taken);
        let rubbish = futures_util::stream::repeat_with(move || {
            taken.fetch_add(65_536, Ordering::Relaxed);
            Ok::<_, io::Error>(Bytes::from(vec![b'a'; 65_536]))
        });
        Body::from_stream(futures_util::stream::once(async move { Ok(Bytes::from(begins)) }).chain(rubbish))
    }

    #[tokio::test]
    async fn a_header_or_a_preamble_without_end_is_given_up() {
        for begins in ["--B\r\nX-Header: ", "no boundary at all "] {
            let taken = Arc::new(AtomicU64::new(0));
            let mut form = Parts::of("B".to_owned(), endless(begins, &taken));
            assert!(form.next().await.is_err(), "{begins}");
            assert!(taken.load(Ordering::Relaxed) < 3 * 1024 * 1024, "{begins}");
        }
    }

    #[tokio::test]
    async fn a_long_file_is_read_to_its_end() {
        let long = vec![b'x'; 5 * 1024 * 1024];
        let head = "--B\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a.bin\"\r\n\r\n";
        let whole = [head.as_bytes(), &long, b"\r\n--B--\r\n"].concat();
        let pieces: Vec<_> =
            whole.chunks(100_000).map(|piece| Ok::<_, io::Error>(Bytes::copy_from_slice(piece))).collect();
        let mut form = Parts::of("B".to_owned(), Body::from_stream(futures_util::stream::iter(pieces)));
        let mut part = form.next().await.unwrap().unwrap();
        assert_eq!((part.name(), part.file_name()), (Some("file"), Some("a.bin")));
        let mut length = 0;
        while let Some(chunk) = part.chunk().await.unwrap() {
            length += chunk.len();
        }
        assert_eq!(length, long.len());
        drop(part);
        assert!(form.next().await.unwrap().is_none());
    }
}
