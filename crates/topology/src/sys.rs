//! What about starting a process needs the moment between fork and exec. All of the crate's unsafe code
//! is here.
#![expect(unsafe_code, reason = "pre_exec runs in the forked child, which only unsafe can promise")]

use std::ffi::{CStr, CString};
use std::io;
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::Command;

use nix::mount::{self, MsFlags};
use nix::sched::{CloneFlags, setns, unshare};
use nix::sys::prctl;
use nix::sys::signal::{SigHandler, Signal, signal};
use nix::unistd::{
    ForkResult, Gid, Pid, Uid, fork, getpid, getppid, setgid, setgroups, setpgid, setsid, setuid,
};

use crate::keeper::Keeper;
use crate::process::Process;

/// Somebody whom root can be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct User {
    pub uid: Uid,
    pub gid: Gid,
}

/// The child becomes a keeper, and the command runs as the child of that: see `keeper`. Only the command
/// is `user`; a keeper that is not root could not end what has become somebody else.
pub(crate) fn keep(command: &mut Command, keeper: Keeper, user: Option<User>) {
    let fork_once_more = move || {
        // Whoever ends our whole group, even by SIGKILL, is to end us and not what clears up after us.
        let _ = setsid();
        // Before there is anybody who could lose a parent; the program does not inherit it.
        prctl::set_child_subreaper(true)?;
        let parent = getpid();
        // SAFETY: the child is this closure's caller, which goes on to exec as it would have done; the
        // parent runs `Keeper::run`, which allocates nothing, takes no lock and never returns.
        match unsafe { fork() }? {
            ForkResult::Parent { child } => keeper.run(child),
            ForkResult::Child => {
                setpgid(Pid::from_raw(0), Pid::from_raw(0))?;
                // A shell that starts us in the background has it ignored, by all that comes from us; and
                // there are programs that end in good order by no other.
                // SAFETY: the default is no function of ours.
                unsafe { signal(Signal::SIGINT, SigHandler::SigDfl) }?;
                if let Some(user) = user {
                    become_somebody(user)?;
                }
                // Last, because the kernel forgets it with a change of user. A keeper that is killed takes with it what it kept.
                arm_parent_death(parent, Signal::SIGKILL)
            }
        }
    };
    // SAFETY: between fork and exec nothing is called that allocates or locks: see above.
    unsafe { command.pre_exec(fork_once_more) };
}

/// With shared memory of its own, which goes with it: a server that is killed leaves its own behind.
fn become_somebody(user: User) -> io::Result<()> {
    // Where that is not allowed, as in a container, the farewell must do.
    let _ = unshare(CloneFlags::CLONE_NEWIPC);
    setgroups(&[])?;
    setgid(user.gid)?;
    setuid(user.uid)?;
    Ok(())
}

/// Nothing of the command's descriptors but `kept` stays open in this process.
pub(crate) fn close_all_but(kept: &OwnedFd) {
    use std::os::fd::AsRawFd as _;
    let kept = kept.as_raw_fd() as u32;
    // SAFETY: the process holds no other descriptor that it will use again; failure leaves some open.
    unsafe {
        if kept > 3 {
            nix::libc::close_range(3, kept - 1, 0);
        }
        nix::libc::close_range(kept + 1, u32::MAX, 0);
    }
}

/// Ends this process without running anything of it.
pub(crate) fn end(code: i32) -> ! {
    // SAFETY: _exit is async-signal-safe and has no precondition.
    unsafe { nix::libc::_exit(code) }
}

/// The command runs in another network namespace.
pub(crate) fn enter(command: &mut Command, namespace: OwnedFd) {
    let enter = move || Ok(setns(namespace.as_fd(), CloneFlags::CLONE_NEWNET)?);
    // SAFETY: setns is one system call.
    unsafe { command.pre_exec(enter) };
}

/// A file system of its own for a program, and as small as one likes. It is in memory and seen by that
/// program's processes only, so it goes with them.
#[derive(Clone, Debug)]
pub(crate) struct Disk {
    folder: CString,
    options: CString,
}

impl Disk {
    /// To be mounted on a folder, which is made.
    pub(crate) fn of(folder: &Path, bytes: u64) -> io::Result<Disk> {
        std::fs::create_dir_all(folder)?;
        let folder = CString::new(folder.as_os_str().as_encoded_bytes())?;
        Ok(Disk { folder, options: CString::new(format!("size={bytes},mode=1777"))? })
    }
}

/// The command sees the disk; nobody else does. Needs root.
pub(crate) fn mount(command: &mut Command, disk: Disk) {
    let mount = move || {
        unshare(CloneFlags::CLONE_NEWNS)?;
        let (nothing, private) = (None::<&CStr>, MsFlags::MS_REC | MsFlags::MS_PRIVATE);
        mount::mount(nothing, c"/", nothing, private, nothing)?;
        let (tmpfs, folder) = (Some(c"tmpfs"), disk.folder.as_c_str());
        let options = Some(disk.options.as_c_str());
        Ok(mount::mount(tmpfs, folder, tmpfs, MsFlags::empty(), options)?)
    };
    // SAFETY: two system calls with strings that were made before the fork.
    unsafe { command.pre_exec(mount) };
}

/// What a process may have at most.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Limit {
    /// Descriptors.
    OpenFiles,
    /// Bytes of address space.
    Memory,
}

/// Sets the limit of another process, and tells which one it had.
pub fn limit(process: Process, limit: Limit, most: u64) -> io::Result<u64> {
    use nix::libc;
    let resource = match limit {
        Limit::OpenFiles => libc::RLIMIT_NOFILE,
        Limit::Memory => libc::RLIMIT_AS,
    };
    let mut had = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: the kernel writes one rlimit there; nothing is set by a null pointer.
    let got = unsafe { libc::prlimit(process.pid, resource, std::ptr::null(), &raw mut had) };
    io_result(got)?;
    let new = libc::rlimit { rlim_cur: most, ..had };
    // SAFETY: the kernel reads one rlimit there; nothing is told to a null pointer.
    let set = unsafe { libc::prlimit(process.pid, resource, &raw const new, std::ptr::null_mut()) };
    io_result(set)?;
    Ok(had.rlim_cur)
}

fn io_result(code: i32) -> io::Result<()> {
    if code == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

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
