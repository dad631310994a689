//! Who the worker is: what it may do as less than root, and what the system grants it.

use std::{ffi::CString, io};

use nix::{
    sys::{
        prctl,
        resource::{Resource, getrlimit, setrlimit},
        signal::Signal,
    },
    unistd::{self, Gid, Group, Pid, Uid, User},
};

use super::sys;
use crate::{defaults::USER, modules::main::Main};

/// `user`, looked up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    name: String,
    pub user: Uid,
    pub group: Gid,
}

impl Identity {
    /// The words of `user`; an error is nginx's, with the call that failed.
    pub fn find(name: &str, group: Option<&str>) -> Result<Identity, String> {
        let unknown = |call: &str, name: &str| format!("{call}(\"{name}\") failed");
        let user = User::from_name(name).ok().flatten();
        let user = user.ok_or_else(|| unknown("getpwnam", name))?;
        // Without a group, the one of the same name.
        let wanted = group.unwrap_or(name);
        let found = Group::from_name(wanted).ok().flatten().map(|group| group.gid);
        let group = found.ok_or_else(|| unknown("getgrnam", wanted))?;
        Ok(Identity { name: name.to_owned(), user: user.uid, group })
    }

    /// Whom this configuration's worker becomes. `None`: the master is not root, and it stays who
    /// it is.
    pub fn of(main: &Main) -> Option<Identity> {
        if !unistd::geteuid().is_root() {
            return None;
        }
        main.user().cloned().or_else(|| {
            let user = User::from_name(USER).ok().flatten()?;
            Some(Identity { name: user.name, user: user.uid, group: user.gid })
        })
    }

    /// For the files the master opens.
    pub fn owner(&self) -> (Uid, Gid) {
        (self.user, self.group)
    }

    /// In the order that works only once: groups while there is still the right to set them.
    fn assume(&self) -> io::Result<()> {
        let fail = |call: &str| {
            let text = format!("{call} failed");
            move |error: nix::Error| io::Error::other(format!("{text} ({})", error.desc()))
        };
        let name = CString::new(self.name.as_str())?;
        unistd::setgid(self.group).map_err(fail(&format!("setgid({})", self.group)))?;
        unistd::initgroups(&name, self.group).map_err(fail("initgroups()"))?;
        unistd::setuid(self.user).map_err(fail(&format!("setuid({})", self.user)))
    }
}

/// Makes the worker out of a copy of the master. `tell` is for what it can do without.
pub(super) fn become_worker(main: &Main, master: Pid, tell: &dyn Fn(&str)) -> io::Result<()> {
    if let Some(files) = main.worker_rlimit_nofile() {
        setrlimit(Resource::RLIMIT_NOFILE, files, files).map_err(|error| {
            io::Error::other(format!("setrlimit(RLIMIT_NOFILE, {files}) failed ({})", error.desc()))
        })?;
    }
    if let Some(size) = main.worker_rlimit_core()
        && let Err(error) = setrlimit(Resource::RLIMIT_CORE, size, size)
    {
        tell(&format!("setrlimit(RLIMIT_CORE, {size}) failed ({})", error.desc()));
    }
    // Before there are threads, which inherit it.
    if let Some(priority) = main.worker_priority()
        && let Err(error) = sys::set_priority(priority)
    {
        tell(&format!("setpriority({priority}) failed ({})", error.desc()));
    }
    if let Some(identity) = Identity::of(main) {
        identity.assume()?;
    }
    if let Some(folder) = main.working_directory() {
        unistd::chdir(folder).map_err(|error| {
            let folder = folder.display();
            io::Error::other(format!("chdir(\"{folder}\") failed ({})", error.desc()))
        })?;
    }
    // A master that is killed can tell nobody; its worker then finishes what it has, and ends.
    // After the change of user, which would clear it.
    prctl::set_pdeathsig(Signal::SIGQUIT)?;
    if unistd::getppid() != master {
        return Err(io::Error::other("the master has ended already"));
    }
    Ok(())
}

/// For the log: how many descriptors there may be.
pub(super) fn descriptors() -> (u64, u64) {
    getrlimit(Resource::RLIMIT_NOFILE).unwrap_or_default()
}
