//! A FastCGI application that the test plays, on the wire: it tells what it was sent, and says what
//! the test has it say, record by record.

use std::{
    io::Read,
    net::TcpListener,
    sync::{
        Arc,
        mpsc::{Receiver, SyncSender, sync_channel},
    },
};

use bytes::BytesMut;
use fastcgi::{
    KeepConnection, ProtocolStatus, ServerConnection, ServerEvent, ServerLimits, end_request,
    stdout, stdout_end,
};

use crate::{
    peer::{After, Wire},
    server::PATIENCE,
};

/// A request, as it came.
#[derive(Clone, Debug, Default)]
pub(crate) struct Asked {
    pub(crate) params: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
    pub(crate) keep: bool,
    /// Which connection of this application it came on.
    pub(crate) connection: usize,
    id: u16,
}

impl Asked {
    /// All values under a name.
    pub(crate) fn all(&self, name: &str) -> Vec<&str> {
        let same = self.params.iter().filter(|(known, _)| known == name);
        same.map(|(_, value)| value.as_str()).collect()
    }

    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.all(name).into_iter().next()
    }

    /// The records of a whole answer.
    pub(crate) fn answer(&self, text: &str) -> Vec<u8> {
        [self.say(text), self.end()].concat()
    }

    pub(crate) fn say(&self, text: &str) -> Vec<u8> {
        let mut wire = Vec::new();
        stdout(&mut wire, self.id, text.as_bytes());
        wire
    }

    pub(crate) fn complain(&self, text: &str) -> Vec<u8> {
        let mut wire = Vec::new();
        fastcgi::stderr(&mut wire, self.id, text.as_bytes());
        wire
    }

    pub(crate) fn end(&self) -> Vec<u8> {
        let mut wire = Vec::new();
        stdout_end(&mut wire, self.id);
        end_request(&mut wire, self.id, 0, ProtocolStatus::RequestComplete);
        wire
    }
}

pub(crate) struct Application {
    asked: Receiver<Asked>,
}

impl Application {
    /// Every request is answered by `answer`, each connection on a thread of its own.
    pub(crate) fn start(
        listener: TcpListener,
        answer: impl Fn(&Asked, &mut dyn Wire) -> After + Send + Sync + 'static,
    ) -> Application {
        let (tell, asked) = sync_channel(1024);
        let answer = Arc::new(answer);
        std::thread::spawn(move || {
            let mut connection = 0;
            while let Ok((mut stream, _)) = listener.accept() {
                let (tell, answer) = (tell.clone(), Arc::clone(&answer));
                std::thread::spawn(move || serve(&mut stream, connection, &tell, &*answer));
                connection += 1;
            }
        });
        Application { asked }
    }

    /// Answers everything with this CGI text, and closes unless it is asked not to.
    pub(crate) fn says(listener: TcpListener, text: &str) -> Application {
        let text = text.to_owned();
        Application::start(listener, move |asked, wire| {
            // The edge may have seen enough already.
            let _gone = wire.write_all(&asked.answer(&text));
            if asked.keep { After::Keep } else { After::Close }
        })
    }

    pub(crate) fn next(&self) -> Asked {
        self.asked.recv_timeout(PATIENCE).expect("a request reaches the application")
    }
}

fn serve(
    stream: &mut impl Wire,
    connection: usize,
    tell: &SyncSender<Asked>,
    answer: &dyn Fn(&Asked, &mut dyn Wire) -> After,
) {
    let mut server = ServerConnection::new(ServerLimits { params: 1 << 20, connections: 1 });
    let mut buffer = BytesMut::new();
    loop {
        let Some(asked) = read_request(stream, &mut server, &mut buffer, connection) else {
            return;
        };
        // The test may be over, and nobody listens any more.
        let _over = tell.send(asked.clone());
        if answer(&asked, stream) == After::Close {
            return;
        }
        server.finish();
    }
}

fn read_request(
    stream: &mut impl Read,
    server: &mut ServerConnection,
    buffer: &mut BytesMut,
    connection: usize,
) -> Option<Asked> {
    let mut asked = Asked { connection, ..Asked::default() };
    loop {
        while let Some(event) = server.next(buffer, &mut Vec::new()).expect("good records") {
            match event {
                ServerEvent::Begin(begin) => {
                    asked.id = begin.request_id;
                    asked.keep = begin.keep == KeepConnection::Yes;
                }
                ServerEvent::Params(params) => {
                    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
                    asked.params =
                        params.iter().map(|(name, value)| (text(name), text(value))).collect();
                }
                ServerEvent::Stdin(data) => asked.body.extend_from_slice(&data),
                ServerEvent::StdinEnd => return Some(asked),
                ServerEvent::Abort => return None,
            }
        }
        let mut part = [0; 16384];
        let read = stream.read(&mut part).ok().filter(|read| *read > 0)?;
        buffer.extend_from_slice(&part[..read]);
    }
}
