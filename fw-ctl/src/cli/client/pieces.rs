//! A body that is sent while it is written, so that nobody holds all of it.

use std::{
    io::{self, ErrorKind, Write},
    mem,
};

use bytes::Bytes;
use serde::Serialize;
use tokio::sync::mpsc;

/// Size of a piece.
const PIECE_BYTES: usize = 128 << 10;
/// So many may wait to be sent.
const PIECES: usize = 8;

/// The text of a body, in pieces as they are sent.
pub(super) struct Pieces {
    /// Takes an error where the text cannot be made, so that half of it is never taken for all.
    to: mpsc::Sender<io::Result<Bytes>>,
    piece: Vec<u8>,
}

impl Pieces {
    /// Before the first piece, and where they come out.
    pub(super) fn new() -> (Self, mpsc::Receiver<io::Result<Bytes>>) {
        let (to, pieces) = mpsc::channel(PIECES);
        let piece = Vec::with_capacity(PIECE_BYTES);
        (Self { to, piece }, pieces)
    }

    /// Writes all of a body.
    pub(super) fn write(mut self, body: &impl Serialize) {
        let written = serde_json::to_writer(&mut self, body).map_err(io::Error::from);
        if let Err(error) = written.and_then(|()| self.flush()) {
            // Who does not listen any more has had an answer.
            let _unheard = self.to.blocking_send(Err(error));
        }
    }
}

impl Write for Pieces {
    fn write(&mut self, text: &[u8]) -> io::Result<usize> {
        if self.piece.len() + text.len() > PIECE_BYTES {
            self.flush()?;
        }
        self.piece.extend_from_slice(text);
        Ok(text.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        let piece = mem::replace(&mut self.piece, Vec::with_capacity(PIECE_BYTES));
        let sent = self.to.blocking_send(Ok(piece.into()));
        sent.map_err(|_| ErrorKind::BrokenPipe.into())
    }
}

#[cfg(test)]
mod tests {
    use serde::Serializer;
    use serde_json::json;

    use super::*;

    /// What comes out of a body, and the error at its end if there is one.
    fn written(body: &(impl Serialize + Sync)) -> (Vec<Bytes>, Option<io::Error>) {
        let (pieces, mut out) = Pieces::new();
        std::thread::scope(|scope| {
            scope.spawn(|| pieces.write(body));
            let (mut whole, mut failed) = (Vec::new(), None);
            while let Some(piece) = out.blocking_recv() {
                match piece {
                    Ok(piece) => whole.push(piece),
                    Err(error) => failed = Some(error),
                }
            }
            (whole, failed)
        })
    }

    #[test]
    fn a_body_comes_whole_in_pieces_of_one_size() {
        let body = json!(vec!["192.0.2.1"; 200_000]);
        let (pieces, failed) = written(&body);
        assert!(failed.is_none());
        assert!(pieces.len() > PIECES && pieces.iter().all(|piece| piece.len() <= PIECE_BYTES));
        assert_eq!(pieces.concat(), body.to_string().as_bytes());
    }

    #[test]
    fn a_body_that_cannot_be_made_ends_with_an_error() {
        struct Half;
        impl Serialize for Half {
            fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
                to.collect_seq((0..3).map(Number))
            }
        }
        struct Number(u8);
        impl Serialize for Number {
            fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
                match self.0 {
                    2 => Err(serde::ser::Error::custom("half way")),
                    number => to.serialize_u8(number),
                }
            }
        }
        let (_, failed) = written(&Half);
        assert!(failed.is_some_and(|error| error.to_string().contains("half way")));
    }

    #[test]
    fn nobody_who_listens_ends_the_writing() {
        let (pieces, out) = Pieces::new();
        drop(out);
        pieces.write(&json!(vec!["192.0.2.1"; 200_000]));
    }
}
