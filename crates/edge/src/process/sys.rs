//! The calls that Rust can not vouch for: `fork`, waiting for a descriptor of our own, the
//! environment, and one that no library has.
#![expect(
    unsafe_code,
    reason = "only the caller of fork knows its threads, and only the owner of a descriptor its life"
)]

use std::io;

use nix::unistd::{ForkResult, Pid, fork};
use tokio::io::unix::AsyncFd;

use super::signals::Signals;

/// Which of the two a process is, after [`split`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Side {
    Parent(Pid),
    Child,
}

/// Makes a second process of this one. Refused where there are other threads: the child would have
/// their locks and not them.
pub(super) fn split() -> nix::Result<Side> {
    if has_threads() {
        return Err(nix::errno::Errno::EDEADLK);
    }
    // SAFETY: there is no other thread, as was just seen, and none starts one but this; so nothing
    // is held that the child can not let go of.
    Ok(match unsafe { fork() }? {
        ForkResult::Parent { child } => Side::Parent(child),
        ForkResult::Child => Side::Child,
    })
}

fn has_threads() -> bool {
    let threads = std::fs::read_dir("/proc/self/task").map(Iterator::count);
    threads.is_ok_and(|threads| threads > 1)
}

/// Sets variables of the environment (`env`), for who looks at them from now on: the time zone.
/// Refused where there are other threads: one of them might be reading.
pub fn set_environment(variables: &[(String, String)]) -> nix::Result<()> {
    if variables.is_empty() {
        return Ok(());
    }
    if has_threads() {
        return Err(nix::errno::Errno::EDEADLK);
    }
    for (name, value) in variables {
        // SAFETY: there is no other thread, as was just seen.
        #[expect(clippy::disallowed_methods, reason = "the one place that may")]
        unsafe {
            std::env::set_var(name, value);
        }
    }
    Ok(())
}

/// `worker_priority`: of this process and the threads it will have.
pub(super) fn set_priority(priority: i32) -> nix::Result<()> {
    // SAFETY: it takes numbers and gives a number.
    let set = unsafe { nix::libc::setpriority(nix::libc::PRIO_PROCESS, 0, priority) };
    nix::errno::Errno::result(set).map(drop)
}

/// Signals, to be waited for by the runtime this is called in.
pub(super) fn wait_for(signals: Signals) -> io::Result<AsyncFd<Signals>> {
    // SAFETY: `Signals` owns its descriptor, gives out the same one each time, and nothing else
    // can close it.
    Ok(unsafe { AsyncFd::register(signals) }?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_signal_is_read_and_not_run() {
        let signals = wait_for(Signals::watch().unwrap()).unwrap();
        let thread = nix::sys::signal::Signal::SIGUSR2;
        // To this thread alone, since the runner's others have not blocked it.
        nix::sys::signal::raise(thread).unwrap();
        let _ready = signals.readable().await.unwrap();
        let received = signals.get_ref().next().unwrap();
        assert_eq!(received.signal, thread);
    }

    /// The tests' runner has threads, which is the case that must not pass.
    #[test]
    fn a_process_with_threads_is_not_split() {
        let (started, wait) = std::sync::mpsc::sync_channel::<()>(0);
        let thread = std::thread::spawn(move || wait.recv());
        assert_eq!(split(), Err(nix::errno::Errno::EDEADLK));
        drop(started);
        thread.join().unwrap().unwrap_err();
    }
}
