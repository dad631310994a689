//! One connection to a server, and one exchange over it. A request is sent while its answer is
//! read: a server may refuse an upload before it has read it.

use std::io;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use bytes::BytesMut;
use http1::Version;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, ReadBuf, split};
use tokio::net::TcpStream;
use tokio::sync::Notify;
use tokio::time::timeout;
use tokio_rustls::client::TlsStream;

use super::answer::{Answer, Reading, says_close};
use super::exchange::{Cause, Ending, Framing, Request, field_values, version_text};

/// How long a 100 is waited for before the body is sent all the same, RFC 9110 §10.1.1.
const CONTINUE_PATIENCE: Duration = Duration::from_secs(1);
/// How long a server that said it would close is given to do so.
const CLOSE_PATIENCE: Duration = Duration::from_secs(5);

pub(super) trait Stream: AsyncRead + AsyncWrite + Unpin + Send + Sync {
    fn socket(&self) -> &TcpStream;
}

impl Stream for TcpStream {
    fn socket(&self) -> &TcpStream {
        self
    }
}

impl Stream for TlsStream<TcpStream> {
    fn socket(&self) -> &TcpStream {
        self.get_ref().0
    }
}

pub(super) struct Connection {
    stream: Box<dyn Stream>,
    unread: BytesMut,
    pub(super) peer: SocketAddr,
    pub(super) local: SocketAddr,
}

/// What an idle connection is good for.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Idle {
    Open,
    Closed,
    /// So many bytes came that nobody asked for.
    Surplus(usize),
}

impl Connection {
    pub(super) fn new(stream: impl Stream + 'static, peer: SocketAddr, local: SocketAddr) -> Self {
        Connection { stream: Box::new(stream), unread: BytesMut::new(), peer, local }
    }

    /// Asked before it is used again.
    pub(super) fn idle(&mut self) -> Idle {
        let mut context = Context::from_waker(Waker::noop());
        let mut bytes = [0; 1024];
        let mut buffer = ReadBuf::new(&mut bytes);
        match Pin::new(&mut self.stream).poll_read(&mut context, &mut buffer) {
            _ if !self.unread.is_empty() => Idle::Surplus(self.unread.len()),
            Poll::Pending => Idle::Open,
            Poll::Ready(Ok(())) if !buffer.filled().is_empty() => {
                Idle::Surplus(buffer.filled().len())
            }
            Poll::Ready(_) => Idle::Closed,
        }
    }

    /// Whether the server had closed it before it read what was sent last: it resets what it will
    /// not read. A server that read it all and died only ends the connection.
    pub(super) fn was_left_unread(&self, cause: &Cause) -> bool {
        let is_reset = |error: &io::Error| {
            use io::ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionReset};
            matches!(error.kind(), BrokenPipe | ConnectionAborted | ConnectionReset)
        };
        match cause {
            Cause::Io(error) => is_reset(error),
            Cause::NoAnswer => {
                let pending = self.stream.socket().take_error();
                pending.is_ok_and(|error| error.is_some_and(|error| is_reset(&error)))
            }
            _ => false,
        }
    }

    /// Sends a request and reads its answer into `answer`, which keeps what came when it fails.
    /// Says whether the whole request was sent.
    pub(super) async fn exchange(
        &mut self,
        request: &Request,
        answer: &mut Answer,
        max_body: usize,
    ) -> Result<bool, Cause> {
        let (reader, mut writer) = split(&mut self.stream);
        let mut reading = Reading { stream: reader, unread: &mut self.unread, max_body };
        let proceed = Notify::new();
        let mut sending = pin!(send(&mut writer, request, &proceed));
        let mut reading = pin!(reading.answer(&request.method, answer, &proceed));
        let mut sent = None;
        let read = loop {
            tokio::select! {
                read = &mut reading => break read,
                done = &mut sending, if sent.is_none() => sent = Some(done),
            }
        };
        match (read, sent) {
            (Ok(()), sent) => Ok(matches!(sent, Some(Ok(())))),
            // What the server did to the request says more than that no answer came.
            (Err(Cause::NoAnswer), Some(Err(error))) => Err(Cause::Io(error)),
            (Err(cause), _) => Err(cause),
        }
    }

    /// What becomes of the connection after a whole answer. Where it ends, the end is awaited: only
    /// then is it known that nothing followed.
    pub(super) async fn ending(
        &mut self,
        request: &Request,
        answer: &Answer,
        sent_whole: bool,
    ) -> Result<Ending, Cause> {
        let head = answer.head.as_ref().expect("a whole answer has a head");
        if answer.framing == Some(Framing::UntilClose) {
            return Ok(Ending::ClosedByServer);
        }
        if !sent_whole || head.status == 101 {
            return Ok(Ending::ClosedByClient);
        }
        let closes =
            says_close(request.version, &request.fields) || says_close(head.version, &head.fields);
        let mut surplus = self.unread.len();
        if !closes {
            return match surplus {
                0 => Ok(Ending::Kept),
                bytes => Err(Cause::Surplus { bytes }),
            };
        }
        let until_closed = async {
            let mut bytes = [0; 4096];
            // An error ends it as well as an end does: the answer was whole.
            while let Ok(read @ 1..) = self.stream.read(&mut bytes).await {
                surplus += read;
            }
        };
        let closed = timeout(CLOSE_PATIENCE, until_closed).await.is_ok();
        match (surplus, closed) {
            (1.., _) => Err(Cause::Surplus { bytes: surplus }),
            (0, true) => Ok(Ending::ClosedByServer),
            (0, false) => Ok(Ending::ClosedByClient),
        }
    }
}

async fn send(
    writer: &mut (impl AsyncWrite + Unpin),
    request: &Request,
    proceed: &Notify,
) -> io::Result<()> {
    let mut bytes =
        format!("{} {} {}\r\n", request.method, request.target, version_text(request.version))
            .into_bytes();
    for field in &request.fields {
        bytes.extend_from_slice(field.name.as_bytes());
        bytes.extend_from_slice(b": ");
        bytes.extend_from_slice(&field.value);
        bytes.extend_from_slice(b"\r\n");
    }
    bytes.extend_from_slice(b"\r\n");
    let asks = field_values(&request.fields, "expect")
        .any(|field| field.value.eq_ignore_ascii_case(b"100-continue"));
    if asks && request.version == Version::Http11 {
        writer.write_all(&bytes).await?;
        writer.flush().await?;
        bytes.clear();
        // An old server says nothing; the body is sent to it after a while.
        let _ = timeout(CONTINUE_PATIENCE, proceed.notified()).await;
    }
    let chunked = field_values(&request.fields, "transfer-encoding")
        .any(|field| field.value.eq_ignore_ascii_case(b"chunked"));
    if chunked {
        for chunk in request.body.chunks(16 * 1024) {
            bytes.extend_from_slice(format!("{:x}\r\n", chunk.len()).as_bytes());
            bytes.extend_from_slice(chunk);
            bytes.extend_from_slice(b"\r\n");
        }
        bytes.extend_from_slice(b"0\r\n\r\n");
    } else {
        bytes.extend_from_slice(&request.body);
    }
    writer.write_all(&bytes).await?;
    writer.flush().await
}
