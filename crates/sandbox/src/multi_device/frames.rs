//! Frames: a three-byte big-endian length, then that many bytes. One WebSocket message may hold
//! several frames or a part of one.

use bytes::{Buf, BufMut, Bytes, BytesMut};

use super::error::{MultiDeviceError, Outcome};

/// Bytes of the length.
const LENGTH: usize = 3;
/// What every connection starts with: `WA`, the protocol version and that of the dictionary.
pub(crate) const PROLOGUE_LENGTH: usize = 4;
/// Marks edge routing data before the prologue: `ED`, two version bytes, a length, the data.
const ROUTING_MARK: &[u8] = b"ED";
const ROUTING_HEADER: usize = 4;

/// Received bytes that are not yet whole frames.
#[derive(Debug, Default)]
pub(crate) struct FrameBuffer {
    bytes: BytesMut,
}

impl FrameBuffer {
    pub(crate) fn push(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    /// The next whole frame without its length.
    pub(crate) fn next_frame(&mut self) -> Option<BytesMut> {
        let length = length_at(&self.bytes, 0)?;
        if self.bytes.len() < LENGTH + length {
            return None;
        }
        self.bytes.advance(LENGTH);
        Some(self.bytes.split_to(length))
    }

    /// The prologue that opens a connection, once it is whole. Edge routing data is skipped.
    pub(crate) fn prologue(&mut self) -> Outcome<Option<Bytes>> {
        if self.bytes.starts_with(ROUTING_MARK) {
            let Some(length) = length_at(&self.bytes, ROUTING_HEADER) else { return Ok(None) };
            let whole = ROUTING_HEADER + LENGTH + length;
            if self.bytes.len() < whole {
                return Ok(None);
            }
            self.bytes.advance(whole);
        }
        if self.bytes.len() < PROLOGUE_LENGTH {
            return Ok(None);
        }
        let prologue = self.bytes.split_to(PROLOGUE_LENGTH).freeze();
        if prologue.starts_with(b"WA") {
            Ok(Some(prologue))
        } else {
            Err(MultiDeviceError::malformed("prologue"))
        }
    }
}

fn length_at(bytes: &[u8], start: usize) -> Option<usize> {
    let length: [u8; LENGTH] = bytes.get(start..start + LENGTH)?.try_into().ok()?;
    let [high, middle, low] = length.map(usize::from);
    Some((high << 16) | (middle << 8) | low)
}

/// A frame with its length in front.
pub(crate) fn framed(payload: &[u8]) -> Bytes {
    let mut frame = BytesMut::with_capacity(LENGTH + payload.len());
    frame.put_uint(payload.len() as u64, LENGTH);
    frame.put_slice(payload);
    frame.freeze()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_come_whole_whatever_the_pieces() {
        let sent = [framed(b"one"), framed(b""), framed(&[7; 10_000])].concat();
        for piece in [1, 2, 5, 4096, sent.len()] {
            let mut buffer = FrameBuffer::default();
            let mut got = Vec::new();
            for part in sent.chunks(piece) {
                buffer.push(part);
                got.extend(std::iter::from_fn(|| buffer.next_frame()));
            }
            assert_eq!(got.len(), 3, "pieces of {piece}");
            assert_eq!((&got[0][..], got[1].len(), got[2].len()), (&b"one"[..], 0, 10_000));
        }
    }

    #[test]
    fn the_prologue_follows_optional_routing_data() {
        let mut buffer = FrameBuffer::default();
        buffer.push(b"ED\x00\x01\x00\x00\x02xyWA\x06");
        assert_eq!(buffer.prologue().unwrap(), None);
        buffer.push(b"\x03\x00\x00\x01!");
        assert_eq!(buffer.prologue().unwrap().as_deref(), Some(&b"WA\x06\x03"[..]));
        assert_eq!(&buffer.next_frame().unwrap()[..], b"!");
        let mut wrong = FrameBuffer::default();
        wrong.push(b"GET / HTTP/1.1");
        assert!(wrong.prologue().is_err());
    }
}
