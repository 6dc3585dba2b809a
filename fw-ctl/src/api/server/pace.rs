//! How long a peer may keep us from writing. Whoever asks and does not read what comes would hold a
//! place for ever, and needs no token for it.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::{Instant, Sleep, sleep},
};

/// How long writes may wait in all, until as much was read again as buys more.
const PATIENCE: Duration = Duration::from_secs(30);

/// Bytes that must be read for each second of waiting.
const BYTES_PER_SEC: u32 = 4096;

/// A stream whose reader must keep pace.
pub struct Paced<S> {
    stream: S,
    /// How long writes may still wait.
    left: Duration,
    /// Since when one waits, and until when it may.
    waiting: Option<(Instant, Pin<Box<Sleep>>)>,
}

impl<S> Paced<S> {
    /// This one.
    pub const fn new(stream: S) -> Self {
        Self {
            stream,
            left: PATIENCE,
            waiting: None,
        }
    }

    /// A write went on, or did not yet.
    fn after(
        &mut self,
        written: Poll<io::Result<usize>>,
        context: &mut Context<'_>,
    ) -> Poll<io::Result<usize>> {
        match written {
            Poll::Ready(Ok(bytes)) => {
                let waited = self.waiting.take();
                let waited = waited.map_or(Duration::ZERO, |(since, _)| since.elapsed());
                let bought = Duration::from_secs(bytes as u64) / BYTES_PER_SEC;
                self.left = (self.left.saturating_sub(waited) + bought).min(PATIENCE);
                written
            }
            Poll::Ready(Err(_)) => written,
            Poll::Pending => {
                let left = self.left;
                let begin = || (Instant::now(), Box::pin(sleep(left)));
                let (_, end) = self.waiting.get_or_insert_with(begin);
                ready!(end.as_mut().poll(context));
                Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
            }
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Paced<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        to: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, to)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Paced<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.after(written, context)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        pieces: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(context, pieces);
        self.after(written, context)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use tokio::{
        io::{AsyncReadExt as _, AsyncWriteExt as _, duplex},
        time::timeout,
    };

    use super::*;

    const ROOM: usize = 1024;

    /// How long it took until a writer without end was sent away, whose reader takes this much a
    /// second.
    async fn sent_away(each_second: usize) -> Option<Duration> {
        let (ours, mut theirs) = duplex(ROOM);
        let reader = tokio::spawn(async move {
            let mut bytes = vec![0; each_second];
            loop {
                sleep(Duration::from_secs(1)).await;
                if each_second > 0 && theirs.read_exact(&mut bytes).await.is_err() {
                    return;
                }
            }
        });
        let start = Instant::now();
        let mut paced = Paced::new(ours);
        let writing = async {
            loop {
                if let Err(error) = paced.write_all(&[0; ROOM]).await {
                    return error;
                }
            }
        };
        let ended = timeout(Duration::from_secs(600), writing).await;
        reader.abort();
        let error = ended.ok()?;
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        Some(start.elapsed())
    }

    #[tokio::test(start_paused = true)]
    async fn who_reads_nothing_or_next_to_nothing_is_sent_away_and_who_keeps_pace_is_not() {
        let nothing = sent_away(0).await.expect("an end");
        assert_eq!(nothing.as_secs(), 30);
        let little = sent_away(64).await.expect("an end");
        assert!((30..40).contains(&little.as_secs()), "{little:?}");
        assert_eq!(sent_away(2 * BYTES_PER_SEC as usize).await, None);
    }
}
