//! A network namespace without a name. A thread enters it and leaves nothing but what it made there: a
//! socket stays in the namespace in which it was made, whoever uses it.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd as _, AsRawFd as _, OwnedFd};
use std::path::PathBuf;
use std::thread;

use anyhow::{Context as _, Result, anyhow};
use nix::errno::Errno;
use nix::sched::{CloneFlags, setns, unshare};

/// It lasts as long as this, or as a program inside.
#[derive(Debug)]
pub struct Namespace {
    file: OwnedFd,
}

impl Namespace {
    /// A new one, with nothing in it but a loopback that is down.
    pub fn new() -> Result<Namespace> {
        let made = on_another_thread(|| {
            unshare(CloneFlags::CLONE_NEWNET)?;
            Ok(File::open("/proc/thread-self/ns/net")?.into())
        });
        match made {
            Ok(file) => Ok(Namespace { file }),
            Err(error) if error.raw_os_error() == Some(Errno::EPERM as i32) => Err(anyhow!(
                "hosts are network namespaces, and only root can make them: run it with sudo"
            )),
            Err(error) => Err(error).context("this system makes no network namespace for a host"),
        }
    }

    /// What `work` says that was done inside of it.
    pub fn inside<T: Send>(&self, work: impl FnOnce() -> io::Result<T> + Send) -> io::Result<T> {
        on_another_thread(|| {
            self.enter()?;
            work()
        })
    }

    /// The calling thread is in it from now on.
    pub(super) fn enter(&self) -> io::Result<()> {
        Ok(setns(self.file.as_fd(), CloneFlags::CLONE_NEWNET)?)
    }

    /// The same one, for another who holds it.
    pub(super) fn another(&self) -> io::Result<Namespace> {
        Ok(Namespace { file: self.file.try_clone()? })
    }

    /// For a program that is to run in it.
    pub(crate) fn descriptor(&self) -> io::Result<OwnedFd> {
        self.file.try_clone()
    }

    /// As others of our user find it, while we hold it.
    pub fn path(&self) -> PathBuf {
        PathBuf::from(format!("/proc/{}/fd/{}", std::process::id(), self.file.as_raw_fd()))
    }
}

/// Since the one that calls has other things to do in its own namespace.
fn on_another_thread<T: Send>(work: impl FnOnce() -> io::Result<T> + Send) -> io::Result<T> {
    thread::scope(|scope| {
        let done = thread::Builder::new().name("namespace".to_owned()).spawn_scoped(scope, work)?;
        done.join().unwrap_or_else(|_| Err(io::Error::other("it panicked")))
    })
}
