//! One worker process: what it is given, and what it says.
//!
//! It gets a listening socket, the writing end of a control pipe to say who it is, that it is ready,
//! or why not, and the reading end of a lifeline that closes when this process dies, even by kill -9.
//! Its socket has a name only for the moment it takes to look its inode up, in a folder made for that
//! moment: no file is ever left behind, nobody else can connect, and whoever tidies up old temporary
//! folders takes nothing away that is needed again.

use std::{
    io,
    os::{fd::OwnedFd, unix::net::UnixListener},
    rc::Rc,
};

use nix::{
    fcntl::{OFlag, open},
    sys::stat::Mode,
    unistd::pipe2,
};
use serde_json::json;
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    net::unix::pipe::Receiver,
    task::JoinHandle,
};

use super::{
    fleet::{Ended, Event, WorkerId},
    inbox::{Inbox, Notice},
    nursery::{Nursery, Refusal},
};
use crate::reloader::Reloader;

/// A worker that is being started. Dropping the lifeline tells it that nobody is left.
pub(super) struct Started {
    pub(super) socket: OwnedFd,
    pub(super) lifeline: OwnedFd,
    /// Ends when the worker has had its last word.
    pub(super) heard: JoinHandle<()>,
}

pub(super) fn start(
    worker: WorkerId,
    threads: usize,
    nursery: &Rc<Nursery>,
    inbox: &Rc<Inbox>,
    reloader: &Rc<Reloader>,
) -> io::Result<Started> {
    let (listener, socket) = nameless_socket(threads)
        .map_err(|error| io::Error::new(error.kind(), format!("no socket for it: {error}")))?;
    let (control, theirs) = pipe2(OFlag::O_CLOEXEC)?;
    let (lifeline_theirs, lifeline) = pipe2(OFlag::O_CLOEXEC)?;
    let control = Receiver::from_owned_fd(control)?;
    let descriptors = vec![OwnedFd::from(listener), theirs, lifeline_theirs];
    let (nursery, inbox, reloader) = (Rc::clone(nursery), Rc::clone(inbox), Rc::clone(reloader));
    let heard = tokio::task::spawn_local(async move {
        let message = json!({"do": "spawn", "worker": worker});
        match nursery.hand_over(message, descriptors).await {
            Ok(_) => {
                // It has ended, or will not: nobody dismisses a nursery because of one worker.
                drop(nursery);
                listen(worker, control, &inbox, &reloader).await;
            }
            Err(Refusal { code, reason }) => {
                inbox.put(Event::Refused { worker, code, reason });
                inbox.put(Event::Exited { worker, end: Ended::Code(code.into()) });
            }
        }
    });
    Ok(Started { socket, lifeline, heard })
}

/// A listening socket, and its inode to connect to.
fn nameless_socket(threads: usize) -> io::Result<(UnixListener, OwnedFd)> {
    // 0700: nobody else reaches the name while there is one.
    let folder = tempfile::Builder::new().prefix("causeway-gateway-").tempdir()?;
    let path = folder.path().join("socket");
    let socket = socket2::Socket::new(socket2::Domain::UNIX, socket2::Type::STREAM, None)?;
    socket.bind(&socket2::SockAddr::unix(&path)?)?;
    // Connections are made before a thread accepts them; twice as many leaves room for those that
    // are given up and made anew.
    socket.listen(i32::try_from(threads * 2 + 8).unwrap_or(i32::MAX))?;
    let inode = open(&path, OFlag::O_PATH | OFlag::O_CLOEXEC, Mode::empty());
    folder.close()?;
    Ok((socket.into(), inode?))
}

async fn listen(worker: WorkerId, control: Receiver, inbox: &Inbox, reloader: &Reloader) {
    let mut lines = BufReader::new(control).lines();
    let mut has_pid = false;
    while let Ok(Some(line)) = lines.next_line().await {
        let mut words = line.splitn(3, ' ');
        match (words.next(), words.next(), words.next()) {
            (Some("pid"), Some(pid), _) => {
                if let Ok(pid) = pid.parse() {
                    has_pid = true;
                    inbox.put_notice(Notice::Forked { worker, pid });
                }
            }
            (Some("ready"), ..) => inbox.put(Event::Ready(worker)),
            // A JSON text, and it may have blanks in it.
            (Some("imported"), ..) => {
                if let Ok(file) = serde_json::from_str::<String>(&line["imported".len()..]) {
                    reloader.report(file.into());
                }
            }
            (Some("failed"), Some(code), reason) => {
                let code = code.parse().unwrap_or(3);
                let reason = reason.unwrap_or("it did not say why").to_owned();
                inbox.put(Event::Refused { worker, code, reason });
            }
            (Some("stack"), Some(connection), Some(stack)) => {
                let connection = connection.to_owned();
                let stack = serde_json::from_str(stack).unwrap_or_else(|_| stack.to_owned());
                inbox.put(Event::Explained { worker, connection, stack });
            }
            // A later app-host may have more to say than we understand.
            _ => (),
        }
    }
    if !has_pid {
        inbox.put(Event::Exited { worker, end: Ended::Code(1) });
    }
}
