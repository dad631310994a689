//! PostgreSQL, the application's own server for one run. It trusts whoever can reach it, and nobody else
//! can: its socket lies in a folder of its own, or its address is known inside the topology's hosts only.
//! Nothing of it is for keeps, so it waits for no disk.

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result};
use nix::sys::signal::Signal;
use nix::unistd::{User as Account, geteuid};

use super::{Found, Kind, Launch, Places, Ready, Role, version};
use crate::place::Place;
use crate::probe::Address;
use crate::sys::User;

/// Whom the application logs in as, and the database it finds: the one that every cluster has.
const LOGIN: &str = "application";
const DATABASE: &str = "postgres";

/// It names its socket after its port.
pub(crate) const PORT: u16 = 5432;

/// Debian keeps a folder for each version here, and none of them on `PATH`.
const DEBIAN: &str = "/usr/lib/postgresql";

#[derive(Debug)]
pub(crate) struct Postgresql;

pub(crate) static POSTGRESQL: Postgresql = Postgresql;

impl Kind for Postgresql {
    fn name(&self) -> &'static str {
        "postgresql"
    }

    fn role(&self) -> Role {
        Role::Database
    }

    fn find(&self, places: &Places) -> Result<Found> {
        let newest = newest_of_debian();
        let program = match newest {
            Some(program) => program,
            None => places.debian(&["postgres"], "postgresql")?,
        };
        let version = version(&program, "--version")?;
        Ok(Found { program, version })
    }

    fn launch(&self, place: &Place<'_>, found: &Found) -> Result<Launch> {
        let folder = place.folder.display();
        // Its own network alone is where its hosts are.
        let who = place.folder.join("pg_hba.conf");
        fs::write(&who, "local all all trust\nhost all all samenet trust\n")?;
        let (listen, port) = match &place.listen {
            Address::Tcp(address) => (address.ip().to_string(), address.port()),
            Address::Unix(_) => (String::new(), PORT),
        };
        let mut command = Command::new(&found.program);
        command.arg("-D").arg(cluster(&place.folder)).arg("-k").arg(&place.folder);
        let settings = [
            format!("listen_addresses={listen}"),
            format!("port={port}"),
            format!("hba_file={}", who.display()),
            format!("external_pid_file={folder}/postgresql.pid"),
            "fsync=off".to_owned(),
            "full_page_writes=off".to_owned(),
            "synchronous_commit=off".to_owned(),
            // In files of the cluster, which go with it.
            "dynamic_shared_memory_type=mmap".to_owned(),
        ];
        for setting in settings {
            command.args(["-c", &setting]);
        }
        own(&place.folder, self.user()?)?;
        let ready = Ready::Postgresql { user: LOGIN, database: DATABASE };
        Ok(Launch { command, logs: Vec::new(), ready })
    }

    /// "Fast": it waits for no client, but for everything that is to be written.
    fn stop(&self) -> Signal {
        Signal::SIGINT
    }

    /// "Immediate": it only gives its memory back.
    fn farewell(&self) -> Signal {
        Signal::SIGQUIT
    }

    fn reload(&self) -> Option<Signal> {
        Some(Signal::SIGHUP)
    }

    fn user(&self) -> Result<Option<User>> {
        if !geteuid().is_root() {
            return Ok(None);
        }
        for name in ["postgres", "nobody"] {
            if let Some(account) = Account::from_name(name)? {
                return Ok(Some(User { uid: account.uid, gid: account.gid }));
            }
        }
        anyhow::bail!(
            "PostgreSQL refuses to be root, and there is no user \"postgres\" or \"nobody\""
        )
    }
}

/// Where its data is, in the folder of its place.
pub(crate) fn cluster(folder: &Path) -> PathBuf {
    folder.join("cluster")
}

/// Where its socket is, in that folder.
pub(crate) fn socket(folder: &Path) -> PathBuf {
    folder.join(format!(".s.PGSQL.{PORT}"))
}

/// What the application finds it by.
pub(crate) fn url(address: &Address) -> String {
    match address {
        Address::Tcp(address) => format!("postgres://{LOGIN}@{address}/{DATABASE}"),
        Address::Unix(socket) => {
            let folder = socket.parent().unwrap_or(Path::new("/")).display();
            format!("postgres://{LOGIN}@/{DATABASE}?host={folder}")
        }
    }
}

/// Makes an empty cluster in the folder of a place.
pub(crate) fn make(found: &Found, folder: &Path) -> Result<Command> {
    own(folder, POSTGRESQL.user()?)?;
    let mut command = Command::new(found.program.with_file_name("initdb"));
    command.arg("-D").arg(cluster(folder)).args(["-U", LOGIN, "--auth", "trust", "--no-sync"]);
    // The smallest of logs, since the cluster is copied for each run.
    command.args(["--encoding", "UTF8", "--locale", "C", "--wal-segsize", "1"]);
    command.current_dir(folder);
    Ok(command)
}

/// It insists on being the only one who may look into its folder.
pub(crate) fn own(folder: &Path, user: Option<User>) -> Result<()> {
    let mut folders = vec![folder.to_owned()];
    while let Some(path) = folders.pop() {
        let about = || format!("cannot give \"{}\" to PostgreSQL", path.display());
        if let Some(user) = user {
            chown(&path, Some(user.uid.as_raw()), Some(user.gid.as_raw())).with_context(about)?;
        }
        if path.is_dir() {
            fs::set_permissions(&path, Permissions::from_mode(0o700)).with_context(about)?;
            for entry in fs::read_dir(&path)? {
                folders.push(entry?.path());
            }
        }
    }
    Ok(())
}

fn newest_of_debian() -> Option<PathBuf> {
    let versions = fs::read_dir(DEBIAN).ok()?.flatten();
    let numbered = versions.filter_map(|entry| {
        let number: u32 = entry.file_name().to_str()?.parse().ok()?;
        let program = entry.path().join("bin/postgres");
        program.is_file().then_some((number, program))
    });
    numbered.max().map(|(_, program)| program)
}
