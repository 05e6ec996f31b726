//! How slowly a body may arrive: what is sent a byte at a time holds a connection, and nothing else.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::Bytes;
use hyper::body::{Body, Frame, SizeHint};
use tokio::time::{Instant, Sleep};

/// How long a sender may let us wait in all, besides the time that what was sent earns.
const GRACE: Duration = Duration::from_secs(30);
/// Bytes that earn a second of waiting.
const SLOWEST: u64 = 1024;

/// A body whose sender is waited for only so long. The time that we take ourselves is not counted.
pub(super) struct Paced<B> {
    body: B,
    grace: Duration,
    received: u64,
    waited: Duration,
    since: Option<Instant>,
    alarm: Pin<Box<Sleep>>,
    given_up: bool,
}

impl<B> Paced<B> {
    /// Starts with the full grace.
    pub(super) fn new(body: B) -> Self {
        Self::with(body, GRACE)
    }

    fn with(body: B, grace: Duration) -> Self {
        let alarm = Box::pin(tokio::time::sleep(grace));
        Self { body, grace, received: 0, waited: Duration::ZERO, since: None, alarm, given_up: false }
    }

    fn left(&self) -> Duration {
        (self.grace + Duration::from_secs(self.received / SLOWEST)).saturating_sub(self.waited)
    }
}

impl<B: Body<Data = Bytes, Error: std::error::Error + Send + Sync + 'static> + Unpin> Body for Paced<B> {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        if self.given_up {
            return Poll::Ready(None);
        }
        let polled = Pin::new(&mut self.body).poll_frame(context);
        let Poll::Ready(frame) = polled else {
            if self.since.is_none() {
                let (now, left) = (Instant::now(), self.left());
                self.since = Some(now);
                self.alarm.as_mut().reset(now + left);
            }
            let rang = self.alarm.as_mut().poll(context);
            self.given_up = rang.is_ready();
            return rang.map(|()| Some(Err(io::Error::new(io::ErrorKind::TimedOut, "the body arrives too slowly"))));
        };
        if let Some(since) = self.since.take() {
            self.waited += since.elapsed();
        }
        if let Some(Ok(frame)) = &frame {
            self.received += frame.data_ref().map_or(0, |piece| piece.len() as u64);
        }
        Poll::Ready(frame.map(|frame| frame.map_err(io::Error::other)))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use futures_util::{StreamExt, stream};

    use super::*;

    /// Sends fifty pieces of this length within a second; returns how many arrived, and whether the sender was given up.
    async fn sent(length: usize) -> (usize, bool) {
        let mut ticks = tokio::time::interval(Duration::from_millis(20));
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let slow = stream::unfold((ticks, 0), move |(mut ticks, sent)| async move {
            ticks.tick().await;
            (sent < 50).then(|| (Ok::<_, Infallible>(Bytes::from(vec![7; length])), (ticks, sent + 1)))
        });
        let paced = Paced::with(axum::body::Body::from_stream(slow), Duration::from_millis(200));
        let arrived: Vec<_> = axum::body::Body::new(paced).into_data_stream().collect().await;
        (arrived.iter().filter(|piece| piece.is_ok()).count(), arrived.iter().any(Result::is_err))
    }

    #[tokio::test]
    async fn a_drip_is_given_up_and_a_slow_line_is_not() {
        let (arrived, given_up) = sent(1).await;
        assert!(given_up && arrived < 50, "{arrived}");
        assert_eq!(sent(4096).await, (50, false));
    }
}
