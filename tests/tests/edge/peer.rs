//! An upstream that the test plays, on the wire: it tells what it was sent, byte for byte, and says
//! what the test has it say.

use std::{
    io::{Read, Write},
    net::TcpListener,
    os::unix::net::UnixListener,
    sync::{
        Arc,
        mpsc::{Receiver, SyncSender, sync_channel},
    },
};

use crate::server::PATIENCE;

/// A request, as it came.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    pub(crate) head: String,
    pub(crate) body: Vec<u8>,
    /// Which connection of this peer it came on, and which request it was there.
    pub(crate) connection: usize,
    pub(crate) number: usize,
}

/// What the peer does when it has answered.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum After {
    Keep,
    Close,
}

pub(crate) trait Wire: Read + Write {}
impl<T: Read + Write> Wire for T {}

pub(crate) struct Peer {
    seen: Receiver<Seen>,
}

impl Peer {
    /// Every request is answered by `answer`, each connection on a thread of its own.
    pub(crate) fn tcp(
        listener: TcpListener,
        answer: impl Fn(&Seen, &mut dyn Wire) -> After + Send + Sync + 'static,
    ) -> Peer {
        Peer::start(move || listener.accept().map(|(stream, _)| stream), answer)
    }

    pub(crate) fn unix(
        listener: UnixListener,
        answer: impl Fn(&Seen, &mut dyn Wire) -> After + Send + Sync + 'static,
    ) -> Peer {
        Peer::start(move || listener.accept().map(|(stream, _)| stream), answer)
    }

    /// Answers everything with these bytes, and closes.
    pub(crate) fn says(listener: TcpListener, response: impl Into<Vec<u8>>) -> Peer {
        let response = response.into();
        Peer::tcp(listener, move |_, wire| {
            // The edge may have seen enough already.
            let _gone = wire.write_all(&response);
            After::Close
        })
    }

    fn start<S: Wire + Send + 'static>(
        accept: impl Fn() -> std::io::Result<S> + Send + 'static,
        answer: impl Fn(&Seen, &mut dyn Wire) -> After + Send + Sync + 'static,
    ) -> Peer {
        let (tell, seen) = sync_channel(1024);
        let answer = Arc::new(answer);
        std::thread::spawn(move || {
            let mut connection = 0;
            while let Ok(mut stream) = accept() {
                let (tell, answer) = (tell.clone(), Arc::clone(&answer));
                std::thread::spawn(move || serve(&mut stream, connection, &tell, &*answer));
                connection += 1;
            }
        });
        Peer { seen }
    }

    /// The next request, whichever connection it came on.
    pub(crate) fn next(&self) -> Seen {
        self.seen.recv_timeout(PATIENCE).expect("a request reaches the peer")
    }

    /// Whether nothing has come that was not asked for with [`Peer::next`].
    pub(crate) fn is_quiet(&self) -> bool {
        self.seen.try_recv().is_err()
    }
}

impl Seen {
    pub(crate) fn line(&self) -> &str {
        self.head.lines().next().unwrap_or_default()
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let fields = self.head.lines().skip(1).filter_map(|line| line.split_once(':'));
        let mut same = fields.filter(|(field, _)| field.eq_ignore_ascii_case(name));
        same.next().map(|(_, value)| value.trim())
    }
}

fn serve(
    stream: &mut impl Wire,
    connection: usize,
    tell: &SyncSender<Seen>,
    answer: &dyn Fn(&Seen, &mut dyn Wire) -> After,
) {
    for number in 0.. {
        let Some(seen) = read_request(stream, connection, number) else { return };
        // The test may be over, and nobody listens any more.
        let _over = tell.send(seen.clone());
        if answer(&seen, stream) == After::Close {
            return;
        }
    }
}

fn read_request(stream: &mut impl Wire, connection: usize, number: usize) -> Option<Seen> {
    let line = |stream: &mut dyn Wire, ending: &[u8]| {
        let mut text = Vec::new();
        while !text.ends_with(ending) {
            let mut byte = [0];
            stream.read_exact(&mut byte).ok()?;
            text.push(byte[0]);
        }
        Some(String::from_utf8_lossy(&text).into_owned())
    };
    let head = line(stream, b"\r\n\r\n")?;
    let mut seen = Seen { head, body: Vec::new(), connection, number };
    if let Some(length) = seen.header("content-length") {
        seen.body = vec![0; length.parse().expect("a length")];
        stream.read_exact(&mut seen.body).ok()?;
    } else if seen.header("transfer-encoding").is_some() {
        loop {
            let size = line(stream, b"\r\n")?;
            let size = usize::from_str_radix(size.trim(), 16).expect("a chunk's size");
            let mut chunk = vec![0; size + 2];
            stream.read_exact(&mut chunk).ok()?;
            seen.body.extend_from_slice(&chunk[..size]);
            if size == 0 {
                break;
            }
        }
    }
    Some(seen)
}

/// A small good answer.
pub(crate) fn ok(body: &str) -> Vec<u8> {
    format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len()).into_bytes()
}
