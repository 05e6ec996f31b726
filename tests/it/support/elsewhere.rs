//! A web server that gives everybody the same answer and counts who came.

#![expect(clippy::unwrap_used, reason = "what fails here fails the test")]

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

/// Listens on loopback until dropped.
pub(crate) struct Elsewhere {
    url: String,
    visits: Arc<AtomicUsize>,
    listening: JoinHandle<()>,
}

impl Elsewhere {
    /// Answers with this status line, and with this `Location` unless it is empty.
    pub(crate) async fn listen(status: &'static str, location: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let location = if location.is_empty() { String::new() } else { format!("Location: {location}\r\n") };
        let answer = format!("HTTP/1.1 {status}\r\n{location}Content-Length: 0\r\nConnection: close\r\n\r\n");
        let visits = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&visits);
        #[expect(clippy::disallowed_methods, reason = "ends when this is dropped")]
        let listening = tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                counted.fetch_add(1, Ordering::Relaxed);
                // One read is enough of a request that is not looked at; whoever goes away early is no concern of ours.
                let mut head = [0; 4096];
                let _ = stream.read(&mut head).await;
                let _ = stream.write_all(answer.as_bytes()).await;
            }
        });
        Self { url, visits, listening }
    }

    /// Returns its address.
    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// Counts the connections so far.
    pub(crate) fn visits(&self) -> usize {
        self.visits.load(Ordering::Relaxed)
    }
}

impl Drop for Elsewhere {
    fn drop(&mut self) {
        self.listening.abort();
    }
}
