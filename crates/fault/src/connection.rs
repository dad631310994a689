//! One connection through a proxy: two sockets, two links, one task. Each turn first looks at the
//! toxics in force, then moves what is due, then does one thing that a socket is ready for.

use std::{
    io::{self, ErrorKind},
    sync::Arc,
    time::{Duration, Instant},
};

use tokio::{
    sync::watch,
    time::{sleep_until, timeout},
};

use crate::{
    Stream,
    counters::Counting,
    http::Conversation,
    link::Link,
    live::{List, Lots},
    socket::Socket,
    told::Told,
    toxics::{Ending, Item},
};

/// How long a peer may take to notice that the connection was closed, before it is dropped.
const NOTICE: Duration = Duration::from_secs(2);
/// What is read in one go.
const READ: usize = 16 * 1024;

pub(crate) struct Connection {
    pub(crate) client: Socket,
    pub(crate) server: Socket,
    pub(crate) toxics: watch::Receiver<List>,
    pub(crate) told: Told,
    pub(crate) counting: Arc<Counting>,
    pub(crate) conversation: Conversation,
}

/// One stream of it.
struct Half {
    stream: Stream,
    link: Link,
    /// Nothing more is read: the sender has ended, or its bytes are left unread and that was noticed.
    sender: Sender,
    /// Nothing more is written: the end has been passed on, or the receiver is gone.
    done: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Sender {
    Speaking,
    LeftUnread,
    Ended,
}

enum Event {
    Readable(usize),
    Writable(usize),
    Changed,
    Due,
}

impl Connection {
    pub(crate) async fn run(mut self) {
        let now = Instant::now();
        let mut halves = [Stream::Upstream, Stream::Downstream].map(|stream| Half {
            stream,
            link: Link::new(now),
            sender: Sender::Speaking,
            done: false,
        });
        let mut lots = Lots::default();
        let mut event = Event::Changed;
        loop {
            let now = Instant::now();
            // Whatever has woken this task: a change made before bytes were sent comes before them.
            let changed = || self.toxics.has_changed().is_ok_and(|changed| changed);
            if matches!(event, Event::Changed) || changed() {
                self.apply(&mut halves, &mut lots, now);
            }
            match event {
                Event::Readable(at) => self.read(&mut halves, at, now),
                Event::Writable(at) => self.write(&mut halves[at]),
                Event::Changed | Event::Due => {}
            }
            let mut next = None;
            for half in &mut halves {
                let due = half.link.advance(now);
                next = [next, due].into_iter().flatten().min();
            }
            if let Some(ending) = self.passed_on(&mut halves) {
                return self.end(ending).await;
            }
            event = self.wait(&halves, next).await;
        }
    }

    async fn wait(&mut self, halves: &[Half; 2], next: Option<Instant>) -> Event {
        let [up, down] = halves;
        let (client, server) = (&self.client, &self.server);
        let timer = async {
            match next {
                Some(next) => sleep_until(next.into()).await,
                None => std::future::pending().await,
            }
        };
        // Errors of readiness are found again by the read or the write.
        tokio::select! {
            changed = self.toxics.changed() => match changed {
                Ok(()) => Event::Changed,
                // The proxy is going, and this task with it.
                Err(_) => std::future::pending().await,
            },
            () = timer => Event::Due,
            _ = client.readable(), if up.reads() => Event::Readable(0),
            _ = server.readable(), if down.reads() => Event::Readable(1),
            _ = server.writable(), if up.writes() => Event::Writable(0),
            _ = client.writable(), if down.writes() => Event::Writable(1),
        }
    }

    fn apply(&mut self, halves: &mut [Half; 2], lots: &mut Lots, now: Instant) {
        let touching = lots.draw(&self.toxics.borrow_and_update());
        for half in halves.iter_mut() {
            let of_stream = touching.iter().filter(|live| live.toxic.stream == half.stream);
            let of_stream: Vec<_> = of_stream.cloned().collect();
            for live in half.link.apply(&of_stream, now) {
                self.told.applied(&live.toxic);
            }
            half.link.release(|number| touching.iter().any(|live| live.number == number));
            if half.sender == Sender::LeftUnread && !half.link.leaves_unread() {
                half.sender = Sender::Speaking;
            }
        }
        for (stream, item) in self.conversation.apply(&touching, &self.told) {
            halves[stream as usize].link.push(item, now);
        }
    }

    fn read(&mut self, halves: &mut [Half; 2], at: usize, now: Instant) {
        let half = &mut halves[at];
        if half.link.leaves_unread() {
            half.sender = Sender::LeftUnread;
            half.link.unread_data(now);
            return;
        }
        let mut buffer = [0; READ];
        let ending = match self.sender(half.stream).try_read(&mut buffer) {
            Ok(0) => Ending::Eof,
            Ok(count) => {
                let data = &buffer[..count];
                self.counting.received(half.stream, count);
                for (stream, item) in self.conversation.feed(half.stream, data, &self.told) {
                    halves[stream as usize].link.push(item, now);
                }
                return;
            }
            Err(error) if is_passing(&error) => return,
            // The sender has reset the connection, so the receiver is to see it reset.
            Err(_) => Ending::Reset,
        };
        half.sender = Sender::Ended;
        if let Some(held) = self.conversation.end(half.stream) {
            half.link.push(held, now);
        }
        half.link.push(Item::End(ending), now);
    }

    /// Each piece in a write of its own.
    fn write(&mut self, half: &mut Half) {
        let receiver = match half.stream {
            Stream::Upstream => &self.server,
            Stream::Downstream => &self.client,
        };
        while let Some(data) = half.link.output() {
            match receiver.try_write(data) {
                Ok(count) => {
                    self.counting.sent(half.stream, count);
                    half.link.written(count);
                }
                Err(error) if is_passing(&error) => return,
                // What the receiver still has to say is worth hearing: a server may refuse a body
                // that it does not read.
                Err(_) => {
                    half.done = true;
                    return;
                }
            }
        }
    }

    fn sender(&self, stream: Stream) -> &Socket {
        match stream {
            Stream::Upstream => &self.client,
            Stream::Downstream => &self.server,
        }
    }

    /// Passes on the ends of streams; returns how the connection ends, once it does.
    fn passed_on(&self, halves: &mut [Half; 2]) -> Option<Ending> {
        for half in halves.iter_mut() {
            match half.link.ended() {
                Some(Ending::Eof) if !half.done => {
                    half.done = true;
                    match half.stream {
                        Stream::Upstream => self.server.finish(),
                        Stream::Downstream => self.client.finish(),
                    }
                }
                Some(Ending::Eof) | None => {}
                Some(ending) => return Some(ending),
            }
        }
        halves.iter().all(|half| half.done).then_some(Ending::Eof)
    }

    async fn end(self, ending: Ending) {
        match ending {
            Ending::Eof => {}
            Ending::Close => {
                self.client.finish();
                self.server.finish();
                // A socket that is closed over unread bytes is reset, and the peer may never see
                // what was sent before. So the peer is left the time to close first.
                let drained = async { tokio::join!(drain(&self.client), drain(&self.server)) };
                let _ = timeout(NOTICE, drained).await;
            }
            Ending::Reset => {
                self.client.reset();
                self.server.reset();
            }
        }
    }
}

impl Half {
    fn reads(&self) -> bool {
        self.sender == Sender::Speaking && !self.done && self.link.has_room()
    }

    fn writes(&self) -> bool {
        !self.done && self.link.output().is_some()
    }
}

async fn drain(socket: &Socket) {
    let mut buffer = vec![0; READ];
    while socket.readable().await.is_ok() {
        match socket.try_read(&mut buffer) {
            Ok(0) => return,
            Ok(_) => {}
            Err(error) if is_passing(&error) => {}
            Err(_) => return,
        }
    }
}

fn is_passing(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted)
}
