//! A cable between a client and the server: it carries so many bytes towards the server and then is cut, or clamped.

#![expect(clippy::unwrap_used, reason = "what fails here fails the test")]

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// A way to the server that ends; gone when dropped.
pub(crate) struct Cable {
    url: String,
    ends: Arc<Ends>,
    listening: JoinHandle<()>,
}

/// What the connections through one cable share.
struct Ends {
    /// Bytes it still carries, over all connections.
    left: AtomicU64,
    /// Rung when it carries no more.
    reached: Notify,
    /// Every connection breaks.
    cut: CancellationToken,
    /// Whether it breaks by itself when it carries no more, or holds still.
    cuts_itself: bool,
}

impl Cable {
    /// Leads to the server, and breaks after so many bytes.
    pub(crate) async fn to(server: SocketAddr, most: u64) -> Self {
        Self::lay(server, most, true).await
    }

    /// Leads to the server, and after so many bytes holds still until it is cut.
    pub(crate) async fn clamped(server: SocketAddr, most: u64) -> Self {
        Self::lay(server, most, false).await
    }

    async fn lay(server: SocketAddr, most: u64, cuts_itself: bool) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let left = AtomicU64::new(most);
        let ends = Arc::new(Ends { left, reached: Notify::new(), cut: CancellationToken::new(), cuts_itself });
        let shared = Arc::clone(&ends);
        #[expect(clippy::disallowed_methods, reason = "ends when the cable is dropped")]
        let listening = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let ends = Arc::clone(&shared);
                tokio::spawn(async move { ends.carry(client, TcpStream::connect(server).await.unwrap()).await });
            }
        });
        Self { url, ends, listening }
    }

    /// Returns the address of its near end.
    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// Waits until it has carried what it carries.
    pub(crate) async fn reached(&self) {
        self.ends.reached.notified().await;
    }

    /// Breaks every connection through it.
    pub(crate) fn cut(&self) {
        self.ends.cut.cancel();
    }

    /// Tells whether it broke.
    pub(crate) fn is_cut(&self) -> bool {
        self.ends.cut.is_cancelled()
    }
}

impl Ends {
    async fn carry(&self, client: TcpStream, server: TcpStream) {
        let (from_client, to_client) = client.into_split();
        let (from_server, to_server) = server.into_split();
        tokio::select! {
            () = self.cut.cancelled() => {}
            // Whoever ends first ends both: a client and a server that are done with each other close anyway.
            ((), ()) = async { tokio::join!(self.there(from_client, to_server), back(from_server, to_client)) } => {}
        }
    }

    async fn there(&self, mut from: impl AsyncRead + Unpin, mut to: impl AsyncWrite + Unpin) {
        let mut piece = vec![0; 16 * 1024];
        while let Ok(length @ 1..) = from.read(&mut piece).await {
            let left = self.left.load(Ordering::Relaxed);
            let carried = left.min(length as u64);
            self.left.store(left - carried, Ordering::Relaxed);
            let carried = usize::try_from(carried).unwrap();
            if to.write_all(&piece[..carried]).await.is_err() {
                return;
            }
            if carried < length {
                self.reached.notify_one();
                if self.cuts_itself {
                    self.cut.cancel();
                }
                return self.cut.cancelled().await;
            }
        }
        let _ = to.shutdown().await;
    }
}

async fn back(mut from: impl AsyncRead + Unpin, mut to: impl AsyncWrite + Unpin) {
    let _ = tokio::io::copy(&mut from, &mut to).await;
    let _ = to.shutdown().await;
}

impl Drop for Cable {
    fn drop(&mut self) {
        self.ends.cut.cancel();
        self.listening.abort();
    }
}
