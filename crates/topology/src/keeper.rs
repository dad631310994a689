//! Between us and each program that we start stands a keeper: a fork of us that has done nothing since.
//! It holds the read end of a pipe whose other end only we hold. Whatever ends us closes it, `kill -9`
//! too, and then the keeper ends the program with everything that came from it, because whatever loses
//! its parent below it becomes the keeper's child (`PR_SET_CHILD_SUBREAPER`); and unlinks its sockets.
//!
//! It runs between fork and exec of a process that may have had threads: so nothing here allocates,
//! takes a lock or panics. What it needs is made before the fork.

use std::ffi::{CStr, CString};
use std::io;
use std::os::fd::{AsFd as _, OwnedFd};
use std::path::PathBuf;

use nix::errno::Errno;
use nix::fcntl::{OFlag, open};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::prctl;
use nix::sys::signal::{SigSet, Signal, kill};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use nix::sys::stat::Mode;
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::{Pid, pipe2, read, unlink};

use crate::sys;

/// How long what was told to end may put things in order, in looks of 50 ms.
const LOOKS: usize = 60;

/// When everything that is left of a program ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum When {
    /// With the lifeline only: what survives its program belongs to it, like a server that went into the
    /// background.
    TheLifelineEnds,
    /// With the program itself, too.
    TheProgramEnds,
}

/// Held by the one who wants the program to live. Dropping it ends the program.
#[derive(Debug)]
pub(crate) struct Lifeline {
    _write: OwnedFd,
}

/// What a keeper has to know.
pub(crate) struct Keeper {
    lifeline: OwnedFd,
    when: When,
    /// The signal upon which the program unlinks and closes what it owns, and ends.
    farewell: Signal,
    /// What it may leave behind when it is killed.
    sockets: Vec<CString>,
}

impl Keeper {
    pub(crate) fn new(
        when: When,
        farewell: Signal,
        sockets: &[PathBuf],
    ) -> io::Result<(Keeper, Lifeline)> {
        let (lifeline, write) = pipe2(OFlag::O_CLOEXEC)?;
        let sockets =
            sockets.iter().map(|socket| CString::new(socket.as_os_str().as_encoded_bytes()));
        let sockets = sockets.collect::<Result<_, _>>()?;
        Ok((Keeper { lifeline, when, farewell, sockets }, Lifeline { _write: write }))
    }

    /// In the process between us and `program`. Never returns; exits as the program did.
    pub(crate) fn run(&self, program: Pid) -> ! {
        // Whoever is to be seen in a list of processes.
        let _ = prctl::set_name(c"keeper");
        // Nothing may end it but the lifeline; a Ctrl-C reaches the whole group.
        let _ = SigSet::all().thread_block();
        sys::close_all_but(&self.lifeline);
        let mut child_ended = SigSet::empty();
        child_ended.add(Signal::SIGCHLD);
        let flags = SfdFlags::SFD_NONBLOCK | SfdFlags::SFD_CLOEXEC;
        let Ok(children) = SignalFd::with_flags(&child_ended, flags) else { sys::end(125) };

        let mut fate = None;
        loop {
            if let Left::Nobody = reap(program, &mut fate) {
                self.tidy();
                sys::end(fate.unwrap_or(0));
            }
            let over = self.when == When::TheProgramEnds && fate.is_some();
            let mut waited = [
                PollFd::new(self.lifeline.as_fd(), PollFlags::POLLIN),
                PollFd::new(children.as_fd(), PollFlags::POLLIN),
            ];
            if !over {
                let _ = poll(&mut waited, PollTimeout::NONE);
            }
            while let Ok(Some(_)) = children.read_signal() {}
            let cut = waited[0].revents().is_some_and(|events| !events.is_empty());
            if cut || over {
                self.end_everything(program, &mut fate, &children);
                self.tidy();
                sys::end(fate.unwrap_or(0));
            }
        }
    }

    /// First a word to the program, then the end of whoever is left, as often as it takes: the orphans of
    /// one that is killed become ours in turn.
    fn end_everything(&self, program: Pid, fate: &mut Option<i32>, children: &SignalFd) {
        if fate.is_none() {
            let _ = kill(program, self.farewell);
            // One that is stopped hears it only so.
            let _ = kill(program, Signal::SIGCONT);
        }
        for look in 0.. {
            if let Left::Nobody = reap(program, fate) {
                return;
            }
            if look >= LOOKS || fate.is_some() {
                for_each_child(|child| {
                    let _ = kill(child, Signal::SIGKILL);
                });
            }
            let mut waited = [PollFd::new(children.as_fd(), PollFlags::POLLIN)];
            let _ = poll(&mut waited, PollTimeout::from(50u8));
            while let Ok(Some(_)) = children.read_signal() {}
        }
    }

    fn tidy(&self) {
        for socket in &self.sockets {
            let _ = unlink(socket.as_c_str());
        }
    }
}

enum Left {
    Some,
    Nobody,
}

/// Waits for all that have ended, and remembers how the program did.
fn reap(program: Pid, fate: &mut Option<i32>) -> Left {
    loop {
        match waitpid(None, Some(WaitPidFlag::WNOHANG)) {
            Ok(WaitStatus::Exited(pid, code)) if pid == program => *fate = Some(code),
            Ok(WaitStatus::Signaled(pid, signal, _)) if pid == program => {
                *fate = Some(128 + signal as i32);
            }
            Ok(WaitStatus::StillAlive) => return Left::Some,
            Ok(_) | Err(Errno::EINTR) => {}
            Err(_) => return Left::Nobody,
        }
    }
}

fn for_each_child(act: impl Fn(Pid)) {
    const LIST: &CStr = c"/proc/thread-self/children";
    let Ok(list) = open(LIST, OFlag::O_RDONLY | OFlag::O_CLOEXEC, Mode::empty()) else { return };
    let mut buffer = [0; 4096];
    let mut number = 0;
    while let Ok(length @ 1..) = read(list.as_fd(), &mut buffer) {
        for byte in &buffer[..length] {
            if byte.is_ascii_digit() {
                number = number * 10 + i32::from(byte - b'0');
            } else if number > 0 {
                act(Pid::from_raw(number));
                number = 0;
            }
        }
    }
}
