//! Connections that send one request after the other, over plain sockets: a load generator must
//! cost less than what it measures.

use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// What the requests ask for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Each to a number that nobody has written to before; due tomorrow.
    Later,
    /// To a thousand numbers, again and again; due tomorrow.
    Known,
    /// Each to a new number, and due at once.
    Now,
    /// Messages that come in, one a webhook, from ten thousand customers.
    Intake,
}

/// A load.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Load {
    pub(crate) connections: usize,
    pub(crate) kind: Kind,
    pub(crate) seconds: u64,
}

/// What came of it.
pub(crate) struct Done {
    pub(crate) sends: usize,
    pub(crate) time: Duration,
    waits: Vec<Duration>,
}

impl Done {
    pub(crate) fn of(mut waits: Vec<Duration>, time: Duration) -> Self {
        waits.sort_unstable();
        Self { sends: waits.len(), time, waits }
    }

    pub(crate) fn percentile(&self, part: f64) -> Duration {
        let last = self.waits.len().saturating_sub(1);
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "an index")]
        let index = (last as f64 * part) as usize;
        self.waits.get(index).copied().unwrap_or_default()
    }
}

/// One connection's requests until the time is over; returns how long each took.
pub(crate) async fn connection(
    address: String,
    until: Instant,
    mut request: impl FnMut() -> String,
) -> Vec<Duration> {
    let mut stream = TcpStream::connect(&address).await.unwrap();
    stream.set_nodelay(true).unwrap();
    let mut waits = Vec::new();
    let mut buffer = Vec::with_capacity(8 * 1024);
    while Instant::now() < until {
        let request = request();
        let begun = Instant::now();
        stream.write_all(request.as_bytes()).await.unwrap();
        answer(&mut stream, &mut buffer).await;
        waits.push(begun.elapsed());
    }
    waits
}

/// Reads one answer; anything but a 2xx ends the bench.
async fn answer(stream: &mut TcpStream, buffer: &mut Vec<u8>) {
    buffer.clear();
    loop {
        assert!(stream.read_buf(buffer).await.unwrap() > 0, "the server hung up");
        let Some(head) = buffer.windows(4).position(|four| four == b"\r\n\r\n") else { continue };
        let text = String::from_utf8_lossy(&buffer[..head]).to_ascii_lowercase();
        let length = text
            .lines()
            .find_map(|line| line.strip_prefix("content-length:"))
            .map_or(0, |length| length.trim().parse::<usize>().unwrap());
        while buffer.len() < head + 4 + length {
            assert!(stream.read_buf(buffer).await.unwrap() > 0, "the server hung up");
        }
        let good = text.starts_with("http/1.1 2");
        assert!(good, "{}", String::from_utf8_lossy(buffer));
        return;
    }
}
