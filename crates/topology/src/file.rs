//! A topology as its file tells it: which hops a request passes, in that order, what each of them is,
//! and which application it ends in. Here it is only read and checked; `plan` makes paths and addresses
//! of it.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail, ensure};
use serde::Deserialize;

use crate::application::{Application, Manifest};
use crate::diff::masks::{self, Mask};
use crate::kinds::{self, Kind, Role, Setting};
use crate::state;

/// One deployment.
#[derive(Clone, Debug)]
pub struct Topology {
    /// The file's own, without `.toml`.
    pub name: String,
    /// What is relative in the file is relative to this.
    pub folder: PathBuf,
    pub about: String,
    pub application: Application,
    pub database: Database,
    /// Its server, where it is one: started before the hops, and called "database" among them.
    pub database_hop: Option<Hop>,
    /// In the order in which a request meets them. The last one runs the application.
    pub hops: Vec<Hop>,
    /// What is known to be different here, and why.
    pub differs: Vec<Difference>,
    /// What may be different in a comparison with another one, and why.
    pub masks: Vec<Mask>,
}

/// The file, key by key.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    about: String,
    /// A folder with an app.toml in it, or a table with `folder` and what an app.toml says.
    application: toml::Value,
    #[serde(default)]
    database: DatabaseEntry,
    hop: Vec<HopEntry>,
    #[serde(default)]
    differs: Vec<Difference>,
    #[serde(default)]
    mask: Vec<masks::Entry>,
}

#[derive(Debug, Deserialize)]
#[serde(
    untagged,
    expecting = "either \"sqlite\" or \"postgresql\", or a table with `kind` and `host`"
)]
enum DatabaseEntry {
    Kind(Database),
    Placed(PlacedDatabase),
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct PlacedDatabase {
    kind: Database,
    host: String,
}

impl Default for DatabaseEntry {
    fn default() -> DatabaseEntry {
        DatabaseEntry::Kind(Database::Sqlite)
    }
}

/// Where the application keeps its data.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Database {
    /// A file of its own for each run.
    #[default]
    Sqlite,
    /// A server of its own for each run; the application finds it by `DATABASE_URL`.
    Postgresql,
}

/// A suite's file whose failure is known and has a reason. One that passes after all is a failure, too.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Difference {
    /// The name of a file of the suite, or `*` in it for any letters.
    pub suite: String,
    pub because: String,
}

/// One hop, or several that do the same side by side.
#[derive(Clone, Debug)]
pub struct Hop {
    pub name: String,
    pub kind: &'static dyn Kind,
    /// What it is configured by, with words in `@{…}` to fill in; the kind's own when there is none.
    pub config: Option<PathBuf>,
    /// In the configuration, what stands on the left becomes what stands on the right, words filled in.
    pub replace: BTreeMap<String, String>,
    pub count: usize,
    pub workers: usize,
    pub threads: usize,
    pub listen: Listen,
    /// How the hop before it speaks to it.
    pub protocol: Protocol,
    pub tls: bool,
    /// More of its command line.
    pub flags: Vec<String>,
    pub env: BTreeMap<String, String>,
    /// A machine of its own: a network namespace.
    pub host: Option<String>,
    /// Whom its workers run as, when it is started by root. Only faults ask for that.
    pub user: Option<String>,
    /// How many bytes its folder `temp` holds, which then is a file system of its own. Only faults ask for that.
    pub disk: Option<u64>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct HopEntry {
    kind: String,
    name: Option<String>,
    config: Option<PathBuf>,
    #[serde(default)]
    replace: BTreeMap<String, String>,
    #[serde(default = "one")]
    count: usize,
    workers: Option<usize>,
    threads: Option<usize>,
    listen: Option<Listen>,
    protocol: Option<Protocol>,
    #[serde(default)]
    tls: bool,
    #[serde(default)]
    flags: Vec<String>,
    #[serde(default)]
    env: BTreeMap<String, String>,
    host: Option<String>,
}

/// Which kind of socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Listen {
    Tcp,
    Unix,
}

/// What is spoken on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Protocol {
    Http,
    Uwsgi,
}

fn one() -> usize {
    1
}

impl Topology {
    pub fn read(file: &Path) -> Result<Topology> {
        let shown = file.display();
        let file = std::path::absolute(file)?;
        let text = fs::read_to_string(&file).with_context(|| format!("cannot read \"{shown}\""))?;
        Topology::parse(&file, &text).with_context(|| format!("{shown}"))
    }

    fn parse(file: &Path, text: &str) -> Result<Topology> {
        let entries: File = toml::from_str(text)?;
        let folder = file.parent().context("a file lies in a folder")?.to_owned();
        let name = file.file_stem().context("a file has a name")?.to_string_lossy().into_owned();
        let application = application(entries.application, &folder)?;
        let hops = entries.hop.into_iter().map(|entry| Hop::checked(entry, &folder));
        let mut hops = hops.collect::<Result<Vec<Hop>>>()?;
        settle_sockets(&mut hops);
        let (database, host) = match entries.database {
            DatabaseEntry::Kind(database) => (database, None),
            DatabaseEntry::Placed(placed) => (placed.kind, Some(placed.host)),
        };
        let topology = Topology {
            name,
            folder,
            about: entries.about,
            application,
            database,
            database_hop: Hop::of_database(database, host)?,
            hops,
            differs: entries.differs,
            masks: entries.mask.iter().map(Mask::of).collect::<Result<_>>()?,
        };
        topology.check()?;
        Ok(topology)
    }

    /// The same deployment with another application in it.
    pub fn serving(mut self, folder: &Path) -> Result<Topology> {
        self.application = in_folder(&std::path::absolute(folder)?)?;
        Ok(self)
    }

    /// What the hop in this place speaks to the one behind it.
    pub(crate) fn protocol_behind(&self, at: usize) -> Protocol {
        self.hops.get(at + 1).map_or(Protocol::Http, |next| next.protocol)
    }

    fn check(&self) -> Result<()> {
        let Some((server, proxies)) = self.hops.split_last() else {
            bail!("a topology has at least one [[hop]]");
        };
        for hop in proxies {
            let kind = hop.kind.name();
            ensure!(
                hop.kind.role() == Role::Proxy,
                "hop \"{}\": {kind} passes nothing on, so it must be the last hop",
                hop.name
            );
        }
        let kind = server.kind.name();
        ensure!(
            server.kind.role() == Role::Server,
            "hop \"{}\": {kind} runs no application, so it can not be the last hop",
            server.name
        );
        let mut names = BTreeSet::new();
        for hop in self.hops.iter().chain(&self.database_hop) {
            ensure!(
                names.insert(&hop.name),
                "two hops are called \"{}\": give them a name each",
                hop.name
            );
        }
        ensure!(
            self.hops[0].count == 1,
            "hop \"{}\": the first hop can not have a count",
            self.hops[0].name
        );
        let mut placed = self.hops.iter().chain(&self.database_hop).map(|hop| hop.host.is_some());
        let has_host = self.hops[0].host.is_some();
        ensure!(
            placed.all(|placed| placed == has_host),
            "either every hop has a host, and a server of a database, too, or none"
        );
        for pair in self.hops.windows(2) {
            let (left, right) = (&pair[0], &pair[1]);
            ensure!(
                left.kind.forwards(right.protocol),
                "hop \"{}\": {} can not pass requests on by {:?}",
                left.name,
                left.kind.name(),
                right.protocol
            );
            ensure!(
                right.listen == Listen::Tcp || left.host == right.host,
                "hop \"{}\": a unix socket does not reach from host \"{}\" to host \"{}\"",
                right.name,
                left.host.as_deref().unwrap_or_default(),
                right.host.as_deref().unwrap_or_default()
            );
        }
        Ok(())
    }
}

impl Hop {
    fn of_database(database: Database, host: Option<String>) -> Result<Option<Hop>> {
        if database == Database::Sqlite {
            ensure!(host.is_none(), "database: sqlite is a file, and has no host");
            return Ok(None);
        }
        check_host(host.as_deref()).context("database")?;
        Ok(Some(Hop {
            name: "database".to_owned(),
            kind: &kinds::postgresql::POSTGRESQL,
            config: None,
            replace: BTreeMap::new(),
            count: 1,
            workers: 1,
            threads: 1,
            listen: if host.is_some() { Listen::Tcp } else { Listen::Unix },
            // No request comes to it.
            protocol: Protocol::Http,
            tls: false,
            flags: Vec::new(),
            env: BTreeMap::new(),
            host,
            user: None,
            disk: None,
        }))
    }

    fn checked(entry: HopEntry, folder: &Path) -> Result<Hop> {
        let name = entry.name.unwrap_or_else(|| entry.kind.clone());
        let about = || format!("hop \"{name}\"");
        ensure!(
            !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '-'),
            "hop \"{name}\": a name consists of letters, digits and \"-\""
        );
        let kind = kinds::named(&entry.kind).with_context(about)?;
        ensure!(
            kind.role() != Role::Database,
            "{}: no request passes {}; say database = \"{}\" instead",
            about(),
            kind.name(),
            kind.name()
        );
        check_host(entry.host.as_deref()).with_context(about)?;
        ensure!(
            entry.count >= 1 && entry.count <= 16,
            "{}: count = {} is not between 1 and 16",
            about(),
            entry.count
        );
        let given = [
            (Setting::Config, "config", entry.config.is_some()),
            (Setting::Config, "replace", !entry.replace.is_empty()),
            (Setting::Workers, "workers", entry.workers.is_some()),
            (Setting::Threads, "threads", entry.threads.is_some()),
            (Setting::Tls, "tls", entry.tls),
        ];
        for (setting, key, given) in given {
            ensure!(
                !given || kind.knows(setting),
                "{}: {} can do nothing with \"{key}\"",
                about(),
                kind.name()
            );
        }
        let workers = entry.workers.unwrap_or(2);
        let threads = entry.threads.unwrap_or(1);
        ensure!(workers >= 1, "{}: workers = 0", about());
        ensure!(threads >= 1, "{}: threads = 0", about());
        let listen = match entry.listen {
            Some(listen) => listen,
            // Settled by the one before it: see below.
            None if kind.sockets() == kinds::Sockets::TcpOnly || entry.host.is_some() => {
                Listen::Tcp
            }
            None => Listen::Unix,
        };
        ensure!(
            listen == Listen::Tcp || kind.sockets() == kinds::Sockets::TcpAndUnix,
            "{}: {} does not listen on unix sockets",
            about(),
            kind.name()
        );
        let protocol = entry.protocol.unwrap_or(Protocol::Http);
        ensure!(kind.speaks(protocol), "{}: {} does not speak {protocol:?}", about(), kind.name());
        Ok(Hop {
            kind,
            config: entry.config.map(|config| folder.join(config)),
            replace: entry.replace,
            count: entry.count,
            workers,
            threads,
            listen,
            protocol,
            tls: entry.tls,
            flags: entry.flags,
            env: entry.env,
            host: entry.host,
            user: None,
            disk: None,
            name,
        })
    }
}

fn check_host(host: Option<&str>) -> Result<()> {
    let Some(host) = host else { return Ok(()) };
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '-';
    ensure!(
        !host.is_empty() && host.chars().all(plain),
        "host = \"{host}\" does not consist of letters, digits and \"-\""
    );
    Ok(())
}

/// Browsers come by TCP.
fn settle_sockets(hops: &mut [Hop]) {
    if let Some(first) = hops.first_mut() {
        first.listen = Listen::Tcp;
    }
}

fn application(entry: toml::Value, relative_to: &Path) -> Result<Application> {
    match entry {
        toml::Value::String(folder) => in_folder(&relative_to.join(folder)),
        toml::Value::Table(mut table) => {
            let Some(toml::Value::String(folder)) = table.remove("folder") else {
                bail!("application: `folder` is missing, or no string");
            };
            let folder = there(&relative_to.join(folder))?;
            let manifest: Manifest = table.try_into().context("application")?;
            Ok(Application::described(&name_of(&folder), &folder, manifest))
        }
        other => bail!("application: neither a folder nor a table, but a {}", other.type_str()),
    }
}

fn in_folder(folder: &Path) -> Result<Application> {
    let folder = there(folder)?;
    ensure!(
        folder.join("app.toml").is_file(),
        "application: \"{}\" has no app.toml; describe it in the topology instead: [application] folder, application, requirements or python",
        folder.display()
    );
    Application::in_folder(&name_of(&folder), &folder)
}

fn there(folder: &Path) -> Result<PathBuf> {
    fs::canonicalize(folder)
        .with_context(|| format!("application: there is no folder \"{}\"", folder.display()))
}

/// Its folder's. What is made for an application is kept under its name, so one from outside the project
/// has a mark to tell it from another that is called the same.
fn name_of(folder: &Path) -> String {
    let name = folder.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let project = state::folder();
    if project.parent().is_some_and(|project| folder.starts_with(project)) {
        return name;
    }
    let mut hasher = DefaultHasher::new();
    folder.hash(&mut hasher);
    format!("{name}-{:08x}", hasher.finish() as u32)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Topology> {
        let shipped = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../topologies/it.toml");
        Topology::parse(&shipped, text)
    }

    fn error(text: &str) -> String {
        format!("{:#}", read(text).unwrap_err())
    }

    const APPLICATION: &str = "about = \"\"\napplication = \"../apps/flaskr\"\n";

    #[test]
    fn the_first_hop_is_met_by_tcp_and_the_others_by_unix_sockets() {
        let text = format!("{APPLICATION}[[hop]]\nkind = \"edge\"\n[[hop]]\nkind = \"gateway\"\n");
        let topology = read(&text).unwrap();
        let listen = topology.hops.iter().map(|hop| hop.listen);
        assert_eq!(listen.collect::<Vec<_>>(), [Listen::Tcp, Listen::Unix]);
        assert_eq!(topology.application.name, "flaskr");
    }

    #[test]
    fn what_can_not_be_is_refused_by_name() {
        let hop = |lines: &str| format!("{APPLICATION}[[hop]]\n{lines}\n");
        for (text, says) in [
            (hop("kind = \"iis\""), "kind = \"iis\" is not one of edge, nginx"),
            (hop("kind = \"edge\""), "edge runs no application, so it can not be the last hop"),
            (hop("kind = \"gateway\"\nwrokers = 2"), "unknown field `wrokers`"),
            (hop("kind = \"gateway\"\nworkers = 0"), "workers = 0"),
            (hop("kind = \"gateway\"\ncount = 2"), "the first hop can not have a count"),
            (hop("kind = \"gateway\"\n[[hop]]\nkind = \"edge\""), "gateway passes nothing on"),
            (hop("kind = \"edge\"\n[[hop]]\nkind = \"edge\"\n[[hop]]\nkind = \"gateway\""), "two hops are called \"edge\""),
            ("about = \"\"\napplication = \"nowhere\"\nhop = []".to_owned(), "there is no folder"),
            ("about = \"\"\napplication = \"..\"\nhop = []".to_owned(), "has no app.toml"),
            ("about = \"\"\nhop = []\n[application]\nfolder = \"..\"\napplication = \"a:b\"\nrequirments = []".to_owned(), "unknown field `requirments`"),
            (format!("{APPLICATION}hop = []"), "at least one [[hop]]"),
            (hop("kind = \"postgresql\""), "no request passes postgresql; say database = \"postgresql\""),
            (hop("kind = \"gateway\"\nhost = \"../web\""), "host = \"../web\" does not consist of"),
            (format!("database = {{ kind = \"postgresql\", host = \"data\" }}\n{}", hop("kind = \"gateway\"")), "either every hop has a host"),
            (format!("database = {{ kind = \"sqlite\", host = \"data\" }}\n{}", hop("kind = \"gateway\"")), "sqlite is a file"),
        ] {
            let error = error(&text);
            assert!(error.contains(says), "{says}: {error}");
        }
    }

    #[test]
    fn an_application_of_ones_own_needs_no_file_of_ours() {
        let text = "about = \"\"\n[[hop]]\nkind = \"gateway\"\n[application]\nfolder = \"../crates\"\napplication = \"site.wsgi:app\"\n";
        let topology = read(text).unwrap();
        assert_eq!(topology.application.callable(), "site.wsgi:app");
        assert_eq!(topology.application.first_page(), "/");
    }

    #[test]
    fn every_topology_that_is_shipped_can_be_read() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../topologies");
        let mut count = 0;
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.extension().is_some_and(|ending| ending == "toml") {
                Topology::read(&path).unwrap();
                count += 1;
            }
        }
        assert!(count >= 2, "{count}");
    }
}
