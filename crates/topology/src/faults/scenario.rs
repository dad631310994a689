//! A fault as its file tells it: what is done, for how long, under which load, and what is expected of
//! which topology. Here it is only read and checked.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, ensure};
use fault::Toxic;
use nix::sys::signal::Signal;
use regex::Regex;
use serde::Deserialize;

use super::load::SEEN;

/// One file.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scenario {
    /// The file's own, without `.toml`.
    #[serde(skip)]
    pub name: String,
    pub about: String,
    /// Served in place of the topology's own: a folder with an app.toml.
    #[serde(default)]
    pub(super) application: Option<PathBuf>,
    /// For how long; 0 for what happens in a moment.
    #[serde(default = "one_second")]
    pub(super) seconds: f64,
    #[serde(default)]
    pub(super) load: Plan,
    /// More visitors, who come with the fault and whom nobody counts.
    #[serde(default)]
    pub(super) beside: Vec<Plan>,
    /// What is peculiar to a hop from its start on.
    #[serde(default)]
    pub(super) hop: BTreeMap<String, Peculiar>,
    /// Done in this order, and undone the other way round.
    pub(super) step: Vec<Step>,
    /// What is expected.
    #[serde(default)]
    pub(super) expect: Vec<Expected>,
}

/// What users ask for, again and again.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Plan {
    /// The application's first page when nothing is said.
    pub(super) path: Option<String>,
    pub(super) method: String,
    /// How much they send.
    pub(super) bytes: usize,
    pub(super) clients: usize,
    /// Whether one keeps its connection.
    pub(super) keep_alive: bool,
    /// Seconds after which one gives up.
    pub(super) patience: f64,
}

impl Default for Plan {
    fn default() -> Plan {
        let method = "GET".to_owned();
        Plan { path: None, method, bytes: 0, clients: 4, keep_alive: true, patience: 10.0 }
    }
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Peculiar {
    /// More of its command line.
    pub(super) flags: Vec<String>,
    /// More of its configuration: see a topology's `replace`.
    pub(super) replace: BTreeMap<String, String>,
    /// Whom its workers run as. Needs root.
    pub(super) user: Option<String>,
    /// How many bytes its folder `temp` holds. Needs root.
    pub(super) disk: Option<u64>,
}

/// One thing that is done. A hop is meant by its name, or as `first` or `last`; so is a link.
#[derive(Clone, Debug, Deserialize)]
#[serde(tag = "do", rename_all = "kebab-case", deny_unknown_fields)]
pub(super) enum Step {
    /// Toxiproxy's, or one of ours that knows HTTP.
    Toxic { link: String, toxic: Toxic },
    /// Nobody listens where the link was.
    Down { link: String },
    /// A hop that ends by it is started again when the fault is over, as an init system would.
    Signal {
        hop: String,
        #[serde(deserialize_with = "signal")]
        signal: Signal,
        #[serde(default)]
        to: Whom,
    },
    /// The unix socket that the hop listens on has no name any more.
    RemoveSocket { hop: String },
    /// Its mode is 0600.
    ForbidSocket { hop: String },
    /// The hop can open so many descriptors more than it has now.
    LimitOpenFiles {
        hop: String,
        spare: u64,
        #[serde(default)]
        to: Whom,
    },
    /// The hop can have so much more address space than it has now.
    LimitMemory {
        hop: String,
        spare_mib: u64,
        #[serde(default)]
        to: Whom,
    },
    /// The hop's own disk is full.
    FillDisk { hop: String },
    /// The application can not be imported. What serves it is told to reload, now and when it is mended.
    BreakImport,
    /// A file in the hop's folder can not be read as what it is meant to be; the hop is told to reload.
    BreakConfiguration { hop: String, file: String },
}

/// Which of a hop's processes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Whom {
    #[default]
    Master,
    /// The oldest of those that answer requests.
    Worker,
    /// All of them.
    Workers,
}

/// What is expected of some topologies.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Expected {
    /// Topologies by name; `*` for those that no other entry names.
    pub(super) on: Vec<String>,
    /// What users see beside the right answer: every one of these, and nothing else.
    #[serde(default)]
    pub(super) sees: Vec<String>,
    /// What they may see.
    #[serde(default)]
    pub(super) may_see: Vec<String>,
    /// How many of them at most.
    pub(super) at_most: Option<usize>,
    /// The slowest right answer took so many milliseconds at least.
    #[serde(default)]
    pub(super) slowest_ms: u64,
    /// The hops that do not survive it.
    #[serde(default)]
    pub(super) ends: Vec<String>,
    /// A line of the hop's log, by which it tells of the fault.
    #[serde(default)]
    pub(super) log: BTreeMap<String, Pattern>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(try_from = "String")]
pub(super) struct Pattern(pub(super) Regex);

impl TryFrom<String> for Pattern {
    type Error = regex::Error;

    fn try_from(text: String) -> Result<Pattern, regex::Error> {
        Regex::new(&text).map(Pattern)
    }
}

fn one_second() -> f64 {
    1.0
}

fn signal<'de, D: serde::Deserializer<'de>>(from: D) -> Result<Signal, D::Error> {
    let name = String::deserialize(from)?;
    format!("SIG{name}")
        .parse()
        .map_err(|_| serde::de::Error::custom(format!("\"{name}\" is not a signal")))
}

impl Scenario {
    pub fn read(file: &Path) -> Result<Scenario> {
        let shown = file.display();
        let text = fs::read_to_string(file).with_context(|| format!("cannot read \"{shown}\""))?;
        let read = || -> Result<Scenario> {
            let mut scenario: Scenario = toml::from_str(&text)?;
            let folder = file.parent().context("a file lies in a folder")?;
            scenario.application = scenario.application.map(|path| folder.join(path));
            let name = file.file_stem().context("a file has a name")?;
            scenario.name = name.to_string_lossy().into_owned();
            scenario.check()?;
            Ok(scenario)
        };
        read().with_context(|| format!("{shown}"))
    }

    fn check(&self) -> Result<()> {
        ensure!(!self.step.is_empty(), "a fault has at least one [[step]]");
        let (seconds, most) = (self.seconds, 60.0);
        ensure!((0.0..=most).contains(&seconds), "seconds = {seconds} is not between 0 and {most}");
        for plan in self.beside.iter().chain([&self.load]) {
            let Plan { clients, patience, bytes, .. } = plan;
            ensure!((1..=64).contains(clients), "clients = {clients} is not between 1 and 64");
            ensure!(
                (0.1..=60.0).contains(patience),
                "patience = {patience} is not between 0.1 and 60"
            );
            ensure!(*bytes <= 64 << 20, "bytes = {bytes} is more than 64 MiB");
        }
        for seen in
            self.expect.iter().flat_map(|expected| expected.sees.iter().chain(&expected.may_see))
        {
            let status = seen.len() == 3 && seen.parse::<u16>().is_ok();
            ensure!(
                status || SEEN.contains(&seen.as_str()),
                "\"{seen}\" is neither a status nor one of {}",
                SEEN.join(", ")
            );
        }
        Ok(())
    }

    /// What is expected of a topology.
    pub(super) fn expected_of(&self, topology: &str) -> Option<&Expected> {
        let on = |name: &str| {
            self.expect.iter().find(|expected| expected.on.iter().any(|on| on == name))
        };
        on(topology).or_else(|| on("*"))
    }

    /// Whether it needs proxies between the hops.
    pub(super) fn needs_links(&self) -> bool {
        self.step.iter().any(|step| matches!(step, Step::Toxic { .. } | Step::Down { .. }))
    }

    /// Whether it spoils the application's files.
    pub(super) fn needs_own_application(&self) -> bool {
        self.step.iter().any(|step| matches!(step, Step::BreakImport))
    }
}
