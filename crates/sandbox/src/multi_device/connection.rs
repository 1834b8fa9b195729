//! One client connection, from the WebSocket upgrade to the last frame.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use buffa::Message as _;
use bytes::{Bytes, BytesMut};
use futures_util::stream::{SplitSink, SplitStream};
use futures_util::{SinkExt, StreamExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio_websockets::{Message, ServerBuilder, WebSocketStream};
use wacore_binary::{Node, OwnedNodeRef};
use waproto::whatsapp as wa;

use super::error::{MultiDeviceError, Outcome};
use super::frames::{FrameBuffer, framed};
use super::link::{Link, Outgoing};
use super::noise::{Cipher, Greeting, Secured, greet};
use super::shared::Shared;
use super::stanza::outline;
use crate::clock::pause;

/// Longest wait for a handshake.
const HANDSHAKE_PATIENCE: Duration = Duration::from_secs(20);

/// Longest wait for a client to close its side of a connection that the server ended.
const FAREWELL: Duration = Duration::from_secs(2);

type Sink = SplitSink<WebSocketStream<TcpStream>, Message>;
type Source = SplitStream<WebSocketStream<TcpStream>>;

/// Accepts connections until the server stops.
pub(crate) async fn listen(shared: Arc<Shared>, listener: TcpListener) {
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = shared.closing.cancelled() => return,
        };
        // An error here is a client that went away before it was accepted, or a lack of files.
        let Ok((stream, _)) = accepted else {
            pause(10).await;
            continue;
        };
        shared.tasks.spawn(serve(Arc::clone(&shared), stream));
    }
}

async fn serve(shared: Arc<Shared>, stream: TcpStream) {
    let cut = shared.closing.child_token();
    let (link, inbox) = Link::new(shared.change(super::state::State::next_number), cut.clone());
    let life = live(&shared, stream, link.clone(), inbox);
    let outcome = tokio::select! {
        outcome = life => outcome,
        () = cut.cancelled() => Ok(()),
    };
    if let Err(error) = outcome {
        tracing::debug!(connection = link.id, %error, "sandbox.connection_ended");
    }
    shared.change(|state| state.disconnected(link.id));
}

async fn live(
    shared: &Arc<Shared>,
    stream: TcpStream,
    link: Link,
    inbox: mpsc::UnboundedReceiver<Outgoing>,
) -> Outcome {
    // Without it, small frames wait for each other's acknowledgements.
    let _best_effort = stream.set_nodelay(true);
    let server = ServerBuilder::new();
    let (_request, socket) =
        patiently(server.accept(stream)).await?.map_err(MultiDeviceError::crypto)?;
    let (mut sink, mut source) = socket.split();
    let mut frames = FrameBuffer::default();
    let handshake = shake_hands(shared, &mut sink, &mut source, &mut frames);
    let Secured { pattern, payload, client_key, incoming, outgoing } =
        patiently(handshake).await??;
    let payload =
        wa::ClientPayload::decode_from_slice(&payload).map_err(MultiDeviceError::crypto)?;

    shared.change(|state| state.admit(&link, pattern, &payload, client_key))?;
    let mut writing = pin!(write(link.clone(), inbox, sink, outgoing));
    let mut reading = pin!(read(shared, &link, source, frames, incoming));
    tokio::select! {
        () = &mut writing => {}
        outcome = &mut reading => return outcome,
    }
    // A socket that is dropped with unread bytes in it resets the connection, and the client may
    // never see the last stanza: it gets time to close its side.
    let _either_way = tokio::time::timeout(FAREWELL, reading).await;
    Ok(())
}

async fn patiently<T>(future: impl Future<Output = T>) -> Outcome<T> {
    let patience = tokio::time::timeout(HANDSHAKE_PATIENCE, future);
    patience.await.map_err(|_| MultiDeviceError::TimedOut("the handshake".to_owned()))
}

async fn shake_hands(
    shared: &Shared,
    sink: &mut Sink,
    source: &mut Source,
    frames: &mut FrameBuffer,
) -> Outcome<Secured> {
    let prologue = loop {
        if let Some(prologue) = frames.prologue()? {
            break prologue;
        }
        receive(source, frames).await?;
    };
    let hello = next_frame(source, frames).await?;
    match greet(&shared.keys, &prologue, &hello)? {
        Greeting::Done(answer, secured) => {
            transmit(sink, &answer).await?;
            Ok(*secured)
        }
        Greeting::Half(answer, half) => {
            transmit(sink, &answer).await?;
            half.finish(&next_frame(source, frames).await?)
        }
    }
}

async fn next_frame(source: &mut Source, frames: &mut FrameBuffer) -> Outcome<BytesMut> {
    loop {
        if let Some(frame) = frames.next_frame() {
            return Ok(frame);
        }
        receive(source, frames).await?;
    }
}

/// Takes in the next binary message.
async fn receive(source: &mut Source, frames: &mut FrameBuffer) -> Outcome {
    loop {
        let message = source.next().await.transpose().map_err(MultiDeviceError::crypto)?;
        match message {
            Some(message) if message.is_binary() => {
                frames.push(message.as_payload());
                return Ok(());
            }
            Some(message) if !message.is_close() => {}
            _ => return Err(MultiDeviceError::malformed("closed")),
        }
    }
}

async fn transmit(sink: &mut Sink, payload: &[u8]) -> Outcome {
    sink.send(Message::binary(framed(payload))).await.map_err(MultiDeviceError::crypto)
}

async fn read(
    shared: &Shared,
    link: &Link,
    mut source: Source,
    mut frames: FrameBuffer,
    mut cipher: Cipher,
) -> Outcome {
    loop {
        let mut frame = next_frame(&mut source, &mut frames).await?;
        link.weather.thawed().await;
        cipher.open(&mut frame)?;
        if link.weather.is_closing() {
            continue;
        }
        let node = parse(frame)?;
        tracing::trace!(connection = link.id, stanza = outline(&node), "sandbox.read");
        shared.change(|state| state.handle(link, &node));
    }
}

fn parse(frame: BytesMut) -> Outcome<Node> {
    let plain: Bytes =
        wacore_binary::util::unpack_bytes(frame).map_err(MultiDeviceError::crypto)?;
    Ok(OwnedNodeRef::new(plain).map_err(MultiDeviceError::crypto)?.to_owned_node())
}

async fn write(
    link: Link,
    mut inbox: mpsc::UnboundedReceiver<Outgoing>,
    mut sink: Sink,
    mut cipher: Cipher,
) {
    while let Some(Outgoing::Node(node)) = inbox.recv().await {
        pause(link.weather.delay_ms()).await;
        link.weather.thawed().await;
        tracing::trace!(connection = link.id, stanza = outline(&node), "sandbox.write");
        let sealed = wacore_binary::marshal(&node)
            .map_err(MultiDeviceError::crypto)
            .and_then(|mut plain| cipher.seal(&mut plain).map(|()| plain));
        let Ok(frame) = sealed else { break };
        if transmit(&mut sink, &frame).await.is_err() {
            break;
        }
    }
    link.weather.thawed().await;
    let _gone = sink.close().await;
}
