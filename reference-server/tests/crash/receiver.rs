//! A tenant's program that is told what happens: it checks signatures with a public library and
//! keeps what it was told. Mostly it answers at once; sometimes it fails, is late, or too late.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use poem::http::{HeaderMap, StatusCode};
use poem::listener::{Acceptor as _, Listener as _, TcpListener};
use poem::web::Data;
use poem::{EndpointExt as _, Server};
use serde_json::{Value, json};
use standardwebhooks::Webhook;

use crate::random::Random;

/// Seconds that the server waits for an answer.
const TIMEOUT: u64 = 2;

/// What came under one `webhook-id`.
#[derive(Debug, Clone)]
pub(crate) struct Delivery {
    /// The body, as it came first.
    pub(crate) body: String,
    /// How often it came.
    pub(crate) times: usize,
}

#[derive(Debug, Clone)]
pub(crate) struct Receiver {
    address: String,
    book: Arc<Mutex<Book>>,
}

#[derive(Debug)]
struct Book {
    random: Random,
    deliveries: BTreeMap<String, Delivery>,
    /// What no honest sender does.
    wrong: Vec<String>,
}

/// How a request is answered.
enum Answer {
    Take,
    Fail,
    Late(Duration),
}

fn secret() -> String {
    format!("whsec_{}", BASE64_STANDARD.encode([7; 32]))
}

impl Receiver {
    pub(crate) async fn start(seed: u64) -> Self {
        let acceptor = TcpListener::bind("127.0.0.1:0").into_acceptor().await.unwrap();
        let address = acceptor.local_addr()[0].as_socket_addr().unwrap().to_string();
        let random = Random::new(seed);
        let book = Book { random, deliveries: BTreeMap::new(), wrong: Vec::new() };
        let book = Arc::new(Mutex::new(book));
        let server = Server::new_with_acceptor(acceptor);
        tokio::spawn(server.run(receive.data(Arc::clone(&book))));
        Self { address, book }
    }

    /// The endpoint that leads here, as it is made.
    pub(crate) fn endpoint(&self) -> Value {
        json!({
            "url": format!("http://{}/", self.address),
            "events": ["*"],
            "secret": secret(),
            "concurrency": 100,
            "timeout_seconds": TIMEOUT,
        })
    }

    /// What came under each `webhook-id`.
    ///
    /// # Panics
    /// If a signature was wrong, or one id came with two bodies.
    pub(crate) fn deliveries(&self) -> BTreeMap<String, Delivery> {
        let book = self.book.lock().unwrap_or_else(PoisonError::into_inner);
        assert!(book.wrong.is_empty(), "wrong requests: {:#?}", book.wrong);
        book.deliveries.clone()
    }

    /// How many ids came.
    pub(crate) fn count(&self) -> usize {
        self.book.lock().unwrap_or_else(PoisonError::into_inner).deliveries.len()
    }
}

impl Book {
    fn note(&mut self, headers: &HeaderMap, body: &str) -> Answer {
        let id = headers.get("webhook-id").and_then(|id| id.to_str().ok()).unwrap_or_default();
        let verifier = Webhook::new(&secret()).unwrap();
        if let Err(error) = verifier.verify(body.as_bytes(), headers) {
            self.wrong.push(format!("{id}: {error}: {body}"));
        }
        let new = Delivery { body: body.to_owned(), times: 0 };
        let delivery = self.deliveries.entry(id.to_owned()).or_insert(new);
        delivery.times += 1;
        if delivery.body != body {
            self.wrong.push(format!("{id}: once {}, now {body}", delivery.body));
        }
        if delivery.times > 1 {
            // The third attempt would come after five minutes only.
            return Answer::Take;
        }
        match self.random.draw(100) {
            0..3 => Answer::Fail,
            3..8 => Answer::Late(Duration::from_millis(50 + self.random.draw(500))),
            8 => Answer::Late(Duration::from_millis(1_000 * TIMEOUT + 500)),
            _ => Answer::Take,
        }
    }
}

#[poem::handler]
async fn receive(
    Data(book): Data<&Arc<Mutex<Book>>>,
    headers: &HeaderMap,
    body: String,
) -> StatusCode {
    let answer = book.lock().unwrap_or_else(PoisonError::into_inner).note(headers, &body);
    match answer {
        Answer::Take => StatusCode::NO_CONTENT,
        Answer::Fail => StatusCode::INTERNAL_SERVER_ERROR,
        Answer::Late(time) => {
            tokio::time::sleep(time).await;
            StatusCode::OK
        }
    }
}
