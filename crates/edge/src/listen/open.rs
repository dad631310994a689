//! All sockets of a configuration: those that are open already are kept, the others opened; one that
//! is in use is tried again for a while, since the process that has it may be about to end.

use std::{
    io,
    os::fd::{AsFd, BorrowedFd},
    time::Duration,
};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use super::{Listen, ListenAddress, Socket, bind};
use crate::{conf::ConfError, load::Config, log::Level};

/// What sockets are opened for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum For {
    Serving,
    /// `-t`: a port in use is no fault of the file, and nothing is left behind.
    Testing,
}

/// nginx's five tries of half a second.
const TRIES: usize = 5;
const PAUSE: Duration = Duration::from_millis(500);

pub fn open(
    config: &Config,
    open: &[Socket],
    purpose: For,
    tell: &dyn Fn(Level, &str),
) -> Result<Vec<Socket>, ConfError> {
    let all: Vec<&Listen> =
        config.http.iter().flat_map(|http| &http.addresses).map(|known| &known.listen).collect();
    // A wildcard's socket gets its port's connections to every address.
    let covered = |listen: &Listen| all.iter().any(|other| other.address.covers(&listen.address));
    let wanted: Vec<&Listen> = all.iter().copied().filter(|listen| !covered(listen)).collect();
    let mut sockets: Vec<Socket> = Vec::with_capacity(wanted.len());
    for attempt in 1..=TRIES {
        let mut in_use = false;
        for listen in &wanted {
            if sockets.iter().any(|socket| socket.address == listen.address) {
                continue;
            }
            if let Some(kept) = open.iter().find(|socket| socket.address == listen.address) {
                kept.listen_again(listen)?;
                sockets.push(kept.clone());
                continue;
            }
            match bind(listen) {
                Ok(socket) => sockets.push(socket),
                Err(error) if error.source.kind() == io::ErrorKind::AddrInUse => {
                    if purpose == For::Testing {
                        continue;
                    }
                    tell(Level::Emerg, &error.to_string());
                    in_use = true;
                }
                Err(error) => {
                    close_new(&sockets, open);
                    return Err(ConfError::whole(error.to_string()));
                }
            }
        }
        if !in_use {
            if purpose == For::Testing {
                close_new(&sockets, open);
            }
            return Ok(sockets);
        }
        if attempt < TRIES {
            tell(Level::Notice, "try again to bind() after 500ms");
            pause();
        }
    }
    close_new(&sockets, open);
    Err(ConfError::whole("still could not bind()"))
}

/// The files of sockets that were opened here, where the whole has failed or was a test.
fn close_new(sockets: &[Socket], kept: &[Socket]) {
    for socket in sockets.iter().filter(|new| kept.iter().all(|old| old.address != new.address)) {
        if let ListenAddress::Unix(path) = &socket.address {
            // It was made a moment ago; whoever has removed it since has done the same.
            let _gone = std::fs::remove_file(path);
        }
    }
}

/// The one place that waits for nothing but time: the master has one thread and nothing else to do.
fn pause() {
    let nothing: [BorrowedFd<'_>; 0] = [];
    let mut nothing: Vec<_> =
        nothing.iter().map(|fd| PollFd::new(fd.as_fd(), PollFlags::POLLIN)).collect();
    let _interrupted = poll(&mut nothing, PollTimeout::try_from(PAUSE).unwrap_or(PollTimeout::MAX));
}
