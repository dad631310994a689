//! `--user`, `--group`, `--initgroups`: who we are once everything is open that only root may open.
//!
//! All of us changes, not only the workers as in gunicorn: this process reads what strangers send. It
//! keeps one right of root's, if it listens where only root may, so that HUP can bind such an address
//! again; nothing it starts has even that. Files made before (logs, the pid file, unix sockets) are
//! given to whom we become.

use std::{ffi::CString, fmt, io, path::Path, process::Command};

use nix::{
    sys::prctl,
    unistd::{Gid, Group, Uid, User, chown, getgrouplist, setgroups, setresgid, setresuid},
};

use crate::{
    settings::{Address, Settings},
    sys,
};

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Identity {
    uid: Uid,
    gid: Gid,
    /// With `--initgroups`, every group of the user; else that one alone.
    groups: Vec<Gid>,
    keeps_low_ports: bool,
}

impl Identity {
    /// `None`: who we are already.
    pub(crate) fn wanted(settings: &Settings) -> Result<Option<Identity>, String> {
        if settings.user.is_none() && settings.group.is_none() {
            return Ok(None);
        }
        let user = settings.user.as_deref().map(find_user).transpose()?;
        let group = settings.group.as_deref().map(find_group).transpose()?;
        let (uid, entry) = user.unwrap_or_else(|| (Uid::effective(), None));
        // gunicorn stays in root's group where no other is named.
        let gid = group.or(entry.as_ref().map(|entry| entry.gid)).unwrap_or_else(Gid::effective);
        if (uid, gid) == (Uid::effective(), Gid::effective()) {
            return Ok(None);
        }
        if !Uid::effective().is_root() {
            return Err(format!(
                "only root can run as user {uid} and group {gid}; this is user {}",
                Uid::effective()
            ));
        }
        let groups = match entry.filter(|_| settings.initgroups) {
            None => vec![gid],
            Some(entry) => {
                let name = CString::new(entry.name).map_err(|_| "--user has a NUL in it")?;
                getgrouplist(&name, gid).map_err(|error| format!("--initgroups: {error}"))?
            }
        };
        let keeps_low_ports = settings
            .bind
            .iter()
            .any(|address| matches!(address, Address::Tcp { port, .. } if *port < 1024));
        Ok(Some(Identity { uid, gid, groups, keeps_low_ports }))
    }

    pub(crate) fn owner(&self) -> (Uid, Gid) {
        (self.uid, self.gid)
    }

    /// Gives them a file of ours.
    pub(crate) fn give(&self, path: &Path) -> io::Result<()> {
        Ok(chown(path, Some(self.uid), Some(self.gid))?)
    }

    /// Has a process that is about to be started be them from its beginning. Once we are them
    /// ourselves, it is so anyway.
    pub(crate) fn start_as(&self, command: &mut Command) {
        if Uid::effective().is_root() {
            sys::run_as(command, self.uid, self.gid, self.groups.clone());
        }
    }

    /// From here on there is no way back.
    pub(crate) fn assume(&self) -> io::Result<()> {
        setgroups(&self.groups)?;
        setresgid(self.gid, self.gid, self.gid)?;
        let keeps = self.keeps_low_ports && !self.uid.is_root();
        if keeps {
            prctl::set_keepcaps(true)?;
        }
        setresuid(self.uid, self.uid, self.uid)?;
        if keeps {
            sys::keep_only_low_ports()?;
        }
        Ok(())
    }
}

impl fmt::Display for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "user {}, group {}", self.uid, self.gid)
    }
}

/// Numbers need no entry.
fn find_user(text: &str) -> Result<(Uid, Option<User>), String> {
    let number: Option<u32> = text.parse().ok();
    let entry = match number {
        Some(number) => User::from_uid(Uid::from_raw(number)),
        None => User::from_name(text),
    };
    let entry = entry.map_err(|error| format!("user '{text}': {error}"))?;
    match (number, entry) {
        (Some(number), entry) => Ok((Uid::from_raw(number), entry)),
        (None, Some(entry)) => Ok((entry.uid, Some(entry))),
        (None, None) => Err(format!("no such user: \"{text}\"")),
    }
}

fn find_group(text: &str) -> Result<Gid, String> {
    if let Ok(number) = text.parse() {
        return Ok(Gid::from_raw(number));
    }
    let entry = Group::from_name(text).map_err(|error| format!("group '{text}': {error}"))?;
    entry.map(|entry| entry.gid).ok_or_else(|| format!("no such group: \"{text}\""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_numbers() {
        assert_eq!(find_user("root").unwrap().0, Uid::from_raw(0));
        assert_eq!(find_user("4000000001").unwrap(), (Uid::from_raw(4_000_000_001), None));
        assert_eq!(find_group("root"), Ok(Gid::from_raw(0)));
        assert_eq!(find_user("no such one").unwrap_err(), "no such user: \"no such one\"");
        assert_eq!(find_group("no such one").unwrap_err(), "no such group: \"no such one\"");
    }
}
