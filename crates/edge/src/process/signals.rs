//! Signals as messages: blocked everywhere, read from a descriptor, so that nothing ever runs in the
//! middle of something else, and the log can say who sent them.

use std::{io, os::fd::AsFd};

use nix::{
    sys::{
        signal::{SigSet, Signal},
        signalfd::{SfdFlags, SignalFd},
    },
    unistd::Pid,
};

pub(super) struct Signals(SignalFd);

/// One signal, and who sent it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Received {
    pub(super) signal: Signal,
    pub(super) from: Pid,
}

const WATCHED: [Signal; 8] = [
    Signal::SIGTERM,
    Signal::SIGINT,
    Signal::SIGQUIT,
    Signal::SIGHUP,
    Signal::SIGUSR1,
    Signal::SIGUSR2,
    Signal::SIGWINCH,
    Signal::SIGCHLD,
];

impl Signals {
    /// Blocks them in this thread, and in every thread and process it starts from here on.
    pub(super) fn watch() -> io::Result<Signals> {
        let set: SigSet = WATCHED.into_iter().collect();
        set.thread_block()?;
        let flags = SfdFlags::SFD_NONBLOCK | SfdFlags::SFD_CLOEXEC;
        Ok(Signals(SignalFd::with_flags(&set, flags)?))
    }

    /// What is here already.
    pub(super) fn next(&self) -> Option<Received> {
        let info = self.0.read_signal().ok().flatten()?;
        let signal = Signal::try_from(info.ssi_signo as i32).ok()?;
        Some(Received { signal, from: Pid::from_raw(info.ssi_pid as i32) })
    }
}

impl AsFd for Signals {
    fn as_fd(&self) -> std::os::fd::BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl std::os::fd::AsRawFd for Signals {
    fn as_raw_fd(&self) -> std::os::fd::RawFd {
        std::os::fd::AsRawFd::as_raw_fd(&self.0)
    }
}

impl Received {
    /// nginx's line; `action` is what will be done about it.
    pub(super) fn line(self, action: &str) -> String {
        let Received { signal, from } = self;
        let comma = if action.is_empty() { "" } else { ", " };
        format!(
            "signal {} ({}) received from {from}{comma}{action}",
            signal as i32,
            signal.as_str()
        )
    }
}
