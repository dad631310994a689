//! Children that have ended. Workers are forked by the nursery, and come to this process because it
//! is a subreaper; so do orphans of the application, which nobody else would wait for either.

use std::{io, rc::Rc};

use nix::{
    errno::Errno,
    sys::{
        prctl,
        wait::{WaitPidFlag, WaitStatus, waitpid},
    },
    unistd::Pid,
};
use tokio::signal::unix::{SignalKind, signal};

use super::{
    fleet::Ended,
    inbox::{Inbox, Notice},
};

/// Before anything is forked.
pub(super) fn adopt_orphans() -> Result<(), String> {
    prctl::set_child_subreaper(true).map_err(|error| format!("workers would be lost: {error}"))
}

/// Waits for every child there is or will be. So nothing else in this process may wait for one.
pub(super) fn watch(inbox: &Rc<Inbox>) -> io::Result<()> {
    let mut ended = signal(SignalKind::child())?;
    let inbox = Rc::clone(inbox);
    tokio::task::spawn_local(async move {
        loop {
            reap(&inbox);
            if ended.recv().await.is_none() {
                return;
            }
        }
    });
    Ok(())
}

fn reap(inbox: &Inbox) {
    loop {
        let (pid, end) = match waitpid(None::<Pid>, Some(WaitPidFlag::WNOHANG)) {
            Ok(WaitStatus::Exited(pid, code)) => (pid, Ended::Code(code)),
            Ok(WaitStatus::Signaled(pid, signal, _)) => (pid, Ended::Signal(signal as i32)),
            Ok(WaitStatus::StillAlive) | Err(Errno::ECHILD) => return,
            // Stopped, or a signal came: not an end.
            Ok(_) | Err(_) => continue,
        };
        inbox.put_notice(Notice::Reaped { pid: pid.as_raw().cast_unsigned(), end });
    }
}
