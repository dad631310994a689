//! `--daemon`: to the background, before there is a thread, a runtime or a child.
//!
//! As every daemon, we fork twice, so that nobody is our parent and no terminal ours. Unlike
//! gunicorn's, the program that was typed does not return before it is known whether the daemon could
//! open all it needs: its exit code is an answer, and what went wrong is on the terminal.

use std::{
    cell::RefCell,
    fs::File,
    io::{self, Read, Write},
    os::fd::AsFd,
    rc::Rc,
};

use nix::{
    fcntl::OFlag,
    sys::stat::{Mode, umask},
    unistd::{dup2_stderr, dup2_stdin, dup2_stdout, pipe2, setsid},
};

use crate::sys::{self, Forked};

pub(crate) enum Side {
    /// What was typed; this is its exit code.
    Foreground(u8),
    Daemon(Terminal),
}

/// Whoever waits at the terminal, until they are told. Nobody, if this is no daemon.
#[derive(Clone, Default)]
pub(crate) struct Terminal {
    detached: Rc<RefCell<Option<Detached>>>,
}

struct Detached {
    waiting: File,
    terminal: File,
}

pub(crate) fn detach() -> io::Result<Side> {
    let (outcome, waiting) = pipe2(OFlag::O_CLOEXEC)?;
    if sys::fork_alone()? == Forked::Parent {
        drop(waiting);
        return Ok(Side::Foreground(wait_for(outcome.into())));
    }
    drop(outcome);
    setsid()?;
    if sys::fork_alone()? == Forked::Parent {
        sys::exit_at_once();
    }
    umask(Mode::from_bits_truncate(0o22));
    let terminal = io::stderr().as_fd().try_clone_to_owned()?.into();
    let detached = Some(Detached { waiting: waiting.into(), terminal });
    Ok(Side::Daemon(Terminal { detached: Rc::new(RefCell::new(detached)) }))
}

/// No word at all: it died.
fn wait_for(mut outcome: File) -> u8 {
    let mut code = [1];
    match outcome.read(&mut code) {
        Ok(1) => code[0],
        Ok(_) | Err(_) => 1,
    }
}

impl Terminal {
    /// Standard input, output and error are nobody's from now on, for what is started later too.
    pub(crate) fn silence(&self) -> io::Result<()> {
        if self.detached.borrow().is_none() {
            return Ok(());
        }
        let nowhere = File::options().read(true).write(true).open("/dev/null")?;
        dup2_stdin(&nowhere)?;
        dup2_stdout(&nowhere)?;
        dup2_stderr(&nowhere)?;
        Ok(())
    }

    /// Whoever waits need not any more. Gives whether somebody did.
    pub(crate) fn tell(&self, code: u8, why: Option<&str>) -> bool {
        let Some(mut detached) = self.detached.borrow_mut().take() else { return false };
        // They may have gone.
        if let Some(why) = why {
            let _ = writeln!(detached.terminal, "{why}");
        }
        let _ = detached.waiting.write_all(&[code]);
        true
    }
}
