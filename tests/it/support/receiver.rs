//! Who listens for webhooks: down at first, then taking, refusing, or never answering what it gets.

#![expect(clippy::unwrap_used, reason = "what fails here fails the test")]
#![expect(clippy::disallowed_methods, reason = "the receiver is no part of the program, and ends when this is dropped")]

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

/// The secret it shares with the server.
pub(crate) const SECRET: &str = "whsec_Y2FuYXJ5LW9mLXRoZS13ZWJob29rLTAxMjM0NTY3ODk=";

/// What it got once.
#[derive(Clone, Debug)]
pub(crate) struct Delivery {
    /// The three headers of the specification.
    pub(crate) headers: [(&'static str, String); 3],
    /// The body.
    pub(crate) body: String,
}

/// A receiver on loopback until dropped.
pub(crate) struct Receiver {
    address: SocketAddr,
    shared: Arc<Shared>,
    serving: Option<JoinHandle<()>>,
}

struct Shared {
    /// The status to answer with; 0 for no answer.
    answer: Mutex<u16>,
    got: Mutex<Vec<Delivery>>,
}

impl Receiver {
    /// Finds an address at which nobody listens yet.
    pub(crate) async fn down() -> Self {
        let free = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let shared = Arc::new(Shared { answer: Mutex::new(204), got: Mutex::default() });
        Self { address: free.local_addr().unwrap(), shared, serving: None }
    }

    /// Listens, and answers with 204.
    pub(crate) async fn listen() -> Self {
        let mut receiver = Self::down().await;
        receiver.come_up().await;
        receiver
    }

    /// Listens from now on.
    pub(crate) async fn come_up(&mut self) {
        let listener = TcpListener::bind(self.address).await.unwrap();
        let router = Router::new().fallback(take).with_state(Arc::clone(&self.shared));
        self.serving = Some(tokio::spawn(async move { axum::serve(listener, router).await.unwrap() }));
    }

    /// From now on answers with this status, or with nothing at all: 0.
    pub(crate) fn answer(&self, status: u16) {
        *self.shared.answer.lock().unwrap() = status;
    }

    /// Returns its address.
    pub(crate) fn url(&self) -> String {
        format!("http://{}/hook?canary-of-the-address", self.address)
    }

    /// Returns what it got so far, oldest first.
    pub(crate) fn got(&self) -> Vec<Delivery> {
        self.shared.got.lock().unwrap().clone()
    }

    /// Forgets what it got.
    pub(crate) fn clear(&self) {
        self.shared.got.lock().unwrap().clear();
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        if let Some(serving) = &self.serving {
            serving.abort();
        }
    }
}

async fn take(State(shared): State<Arc<Shared>>, headers: HeaderMap, body: String) -> Response {
    let names = ["webhook-id", "webhook-timestamp", "webhook-signature"];
    let header = |name| (name, headers.get(name).unwrap().to_str().unwrap().to_owned());
    shared.got.lock().unwrap().push(Delivery { headers: names.map(header), body });
    let status = *shared.answer.lock().unwrap();
    if status == 0 {
        std::future::pending::<()>().await;
    }
    Response::builder().status(status).body(Body::empty()).unwrap()
}
