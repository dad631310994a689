//! The two things about starting a process that need the moment between fork and exec. All of
//! xtask's unsafe code is here.
#![expect(unsafe_code, reason = "pre_exec runs in the forked child, which only unsafe can promise")]

use std::io;
use std::os::unix::process::CommandExt as _;
use std::process::Command;

use nix::sys::prctl;
use nix::sys::signal::Signal;
use nix::unistd::{Pid, getpid, getppid, setsid};

/// The child gets `SIGTERM` when the thread that starts it ends, however that happens: a `kill -9` of
/// this process leaves nothing running. TERM rather than KILL, so that it can unlink its sockets.
pub fn die_with_parent(command: &mut Command) {
    signal_with_parent(command, Signal::SIGTERM);
}

/// The same for a child that has nothing to put in order, or would not listen.
pub fn be_killed_with_parent(command: &mut Command) {
    signal_with_parent(command, Signal::SIGKILL);
}

fn signal_with_parent(command: &mut Command, signal: Signal) {
    let parent = getpid();
    let arm = move || arm_parent_death(parent, signal);
    // SAFETY: `arm` calls prctl, getppid and nothing that allocates or locks.
    unsafe { command.pre_exec(arm) };
}

fn arm_parent_death(parent: Pid, signal: Signal) -> io::Result<()> {
    prctl::set_pdeathsig(signal)?;
    // The parent may have died before prctl: then no signal will ever come.
    if getppid() == parent { Ok(()) } else { Err(io::ErrorKind::Interrupted.into()) }
}

/// The child survives this process and its terminal.
pub fn live_on(command: &mut Command) {
    let leave = || setsid().map(drop).map_err(io::Error::from);
    // SAFETY: setsid is async-signal-safe, and nothing else is called.
    unsafe { command.pre_exec(leave) };
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::process::ExitStatusExt as _;

    #[test]
    fn a_child_dies_with_the_thread_that_started_it() {
        let mut child = std::thread::spawn(|| {
            let mut command = Command::new("sleep");
            command.arg("600");
            die_with_parent(&mut command);
            command.spawn().unwrap()
        })
        .join()
        .unwrap();
        assert_eq!(child.wait().unwrap().signal(), Some(Signal::SIGTERM as i32));
    }

    #[test]
    fn a_detached_child_leads_its_own_session() {
        let mut command = Command::new("sleep");
        command.arg("600");
        live_on(&mut command);
        let mut child = command.spawn().unwrap();
        let pid = Pid::from_raw(child.id() as i32);
        assert_eq!(nix::unistd::getsid(Some(pid)).unwrap(), pid);
        child.kill().unwrap();
        child.wait().unwrap();
    }
}
