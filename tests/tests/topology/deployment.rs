//! `causeway-topology up` as somebody starts it, in a temporary folder of its own, and everything that
//! came from it, found by what the kernel knows: whoever descends from it, was started with the folder's
//! name, or has a file in it open.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::FileTypeExt as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use e2e::binary;
use e2e::scratch::Scratch;
use e2e::wire::PATIENCE;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, BufReader};
use tokio::process::{Child, ChildStdout, Command};
use topology::process::Process;

/// One that was started; ended by its end of standard input at the latest.
pub(crate) struct Deployment {
    pub(crate) child: Child,
    out: BufReader<ChildStdout>,
    scratch: Scratch,
}

/// What it says when every hop can be used.
pub(crate) struct Described {
    pub(crate) url: url::Url,
    pub(crate) folder: PathBuf,
    pub(crate) hops: Vec<(String, i32)>,
}

/// How a deployment is started.
pub(crate) fn shipped(name: &str) -> PathBuf {
    xtask::workspace::root().join("topologies").join(format!("{name}.toml"))
}

impl Deployment {
    /// One that is shipped, with an application of ours in it.
    pub(crate) fn start(topology: &str, application: &str) -> Result<Deployment> {
        let topology = shipped(topology);
        Deployment::start_with(&topology, Some(application), None)
    }

    /// With another folder for what is made once and kept.
    pub(crate) fn start_with(
        topology: &Path,
        application: Option<&str>,
        state: Option<&Path>,
    ) -> Result<Deployment> {
        let scratch = Scratch::new();
        let root = xtask::workspace::root();
        let mut command = Command::new(binary::program("causeway-topology")?);
        command.arg("up").arg("--json").arg("--topology").arg(topology);
        if let Some(application) = application {
            command.arg("--application").arg(root.join("apps").join(application));
        }
        command.current_dir(root).env("TMPDIR", scratch.path());
        if let Some(state) = state {
            command.env("CAUSEWAY_STATE", state);
        }
        // Leads a group of its own, as from a shell.
        command.process_group(0);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.kill_on_drop(true).spawn()?;
        let out = BufReader::new(child.stdout.take().context("it is a pipe")?);
        Ok(Deployment { child, out, scratch })
    }

    /// Once it can be used.
    pub(crate) async fn ready(&mut self) -> Result<Described> {
        let mut line = String::new();
        let patience = PATIENCE * 6;
        tokio::time::timeout(patience, self.out.read_line(&mut line))
            .await
            .context("no word")??;
        if line.is_empty() {
            let (code, said) = self.ended().await?;
            bail!("it ended with {code:?}: {said}");
        }
        let said: serde_json::Value = serde_json::from_str(&line)?;
        let text =
            |name: &str| said[name].as_str().map(str::to_owned).with_context(|| line.clone());
        let hops = said["hops"].as_array().context("hops")?.iter().filter_map(|hop| {
            Some((hop["name"].as_str()?.to_owned(), i32::try_from(hop["pid"].as_i64()?).ok()?))
        });
        Ok(Described {
            url: text("url")?.parse()?,
            folder: text("folder")?.into(),
            hops: hops.collect(),
        })
    }

    pub(crate) fn signal(&self, signal: Signal) {
        if let Some(pid) = self.child.id() {
            let _ = kill(Pid::from_raw(pid as i32), signal);
        }
    }

    /// Its exit code, and what it said to the one who started it.
    pub(crate) async fn ended(&mut self) -> Result<(Option<i32>, String)> {
        let mut errors = self.child.stderr.take().context("it ends once")?;
        let mut said = String::new();
        let status = tokio::time::timeout(PATIENCE * 2, async {
            errors.read_to_string(&mut said).await?;
            self.child.wait().await
        });
        Ok((status.await.context("it does not end")??.code(), said))
    }

    /// Everybody who came from it and is there now.
    pub(crate) fn processes(&self) -> Vec<Process> {
        let own = std::process::id() as i32;
        let root = self.child.id().and_then(|pid| Process::of(pid as i32));
        let mut found = root.map(Process::tree).unwrap_or_default();
        let scratch = self.scratch.path();
        found.extend(everybody().filter(|process| process.pid != own && knows(*process, scratch)));
        found.sort_by_key(|process| process.pid);
        found.dedup();
        found
    }

    /// Whether one of them has this in its command line.
    pub(crate) fn runs(&self, word: &str) -> bool {
        self.processes().iter().any(|process| process.command_line().contains(word))
    }

    /// How many descend from it, itself included: cheap enough to be asked all the time.
    pub(crate) fn count(&self) -> usize {
        let mut tree: Vec<u32> = self.child.id().into_iter().collect();
        let mut next = 0;
        while let Some(pid) = tree.get(next) {
            tree.extend(children(*pid));
            next += 1;
        }
        tree.len()
    }

    /// What of it the machine would notice.
    pub(crate) fn traces(&self) -> Traces {
        let processes = self.processes();
        let own_network = network("self");
        let networks = processes.iter().filter_map(|process| network(&process.pid.to_string()));
        let networks = networks.filter(|network| Some(network) != own_network.as_ref()).collect();
        let ports = listening().into_iter().filter(|(inode, _)| {
            processes.iter().any(|process| descriptors(*process).any(|it| it == *inode))
        });
        Traces { ports: ports.map(|(_, port)| port).collect(), networks, processes }
    }

    /// Waits until all of that has gone; what has not is named.
    pub(crate) async fn nothing_is_left_of(&self, traces: &Traces) -> Result<()> {
        let mut last = Vec::new();
        let gone = until(|| {
            last = self.left_of(traces);
            last.is_empty()
        });
        gone.await.with_context(|| format!("left behind: {last:#?}"))
    }

    fn left_of(&self, traces: &Traces) -> Vec<String> {
        let mut left = Vec::new();
        let alive = traces.processes.iter().copied().filter(|process| process.alive());
        for process in alive.chain(self.processes()) {
            left.push(format!("process {} {}", process.pid, process.command_line()));
        }
        left.extend(
            sockets_in(self.scratch.path()).map(|path| format!("socket {}", path.display())),
        );
        let ports = listening().into_iter().map(|(_, port)| port);
        left.extend(
            ports.filter(|port| traces.ports.contains(port)).map(|port| format!("port {port}")),
        );
        for process in everybody() {
            let network = network(&process.pid.to_string());
            left.extend(network.filter(|network| traces.networks.contains(network)));
        }
        let pids: BTreeSet<i32> = traces.processes.iter().map(|process| process.pid).collect();
        left.extend(shared_memory_of(&pids));
        left
    }
}

/// What a moment of a deployment looks like from outside.
#[derive(Debug, Default)]
pub(crate) struct Traces {
    pub(crate) processes: Vec<Process>,
    /// Of this machine's own network, where somebody of it listens.
    pub(crate) ports: BTreeSet<u16>,
    /// Network namespaces besides the machine's own.
    pub(crate) networks: BTreeSet<String>,
}

/// Looks again and again; an error when it does not come to pass.
pub(crate) async fn until(mut condition: impl FnMut() -> bool) -> Result<()> {
    let looking = async {
        let mut tick = tokio::time::interval(Duration::from_millis(5));
        while !condition() {
            tick.tick().await;
        }
    };
    tokio::time::timeout(PATIENCE, looking).await.context("it did not come to pass")
}

fn everybody() -> impl Iterator<Item = Process> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    entries.filter_map(|entry| Process::of(entry.file_name().to_str()?.parse().ok()?))
}

fn children(pid: u32) -> Vec<u32> {
    let tasks = fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
    let lists = tasks.filter_map(|task| fs::read_to_string(task.path().join("children")).ok());
    let numbers =
        |list: String| list.split(' ').filter_map(|pid| pid.parse().ok()).collect::<Vec<u32>>();
    lists.flat_map(numbers).collect()
}

fn knows(process: Process, folder: &Path) -> bool {
    let of = |file: &str| PathBuf::from(format!("/proc/{}/{file}", process.pid));
    let name = folder.as_os_str().as_encoded_bytes();
    let says = |file: &str| {
        let bytes = fs::read(of(file)).unwrap_or_default();
        bytes.windows(name.len()).any(|window| window == name)
    };
    says("cmdline")
        || says("environ")
        || fs::read_link(of("cwd")).is_ok_and(|cwd| cwd.starts_with(folder))
        || descriptors(process).any(|target| Path::new(&target).starts_with(folder))
}

/// What its descriptors lead to.
fn descriptors(process: Process) -> impl Iterator<Item = String> {
    let entries = fs::read_dir(format!("/proc/{}/fd", process.pid)).into_iter().flatten().flatten();
    entries.filter_map(|entry| Some(fs::read_link(entry.path()).ok()?.to_str()?.to_owned()))
}

fn network(process: &str) -> Option<String> {
    Some(fs::read_link(format!("/proc/{process}/ns/net")).ok()?.to_str()?.to_owned())
}

/// Sockets that listen in this network: as a descriptor names them, and their ports.
fn listening() -> Vec<(String, u16)> {
    let table = fs::read_to_string("/proc/self/net/tcp").unwrap_or_default();
    let sockets = table.lines().skip(1).filter_map(|line| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let port = u16::from_str_radix(fields.get(1)?.split_once(':')?.1, 16).ok()?;
        (*fields.get(3)? == "0A").then(|| (format!("socket:[{}]", fields[9]), port))
    });
    sockets.collect()
}

fn sockets_in(folder: &Path) -> impl Iterator<Item = PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
            match entry.file_type() {
                Ok(kind) if kind.is_dir() => folders.push(entry.path()),
                Ok(kind) if kind.is_socket() => found.push(entry.path()),
                _ => {}
            }
        }
    }
    found.into_iter()
}

/// Segments of System V's kind that one of these made.
fn shared_memory_of(pids: &BTreeSet<i32>) -> Vec<String> {
    let table = fs::read_to_string("/proc/sysvipc/shm").unwrap_or_default();
    let made_by = |line: &&str| {
        let maker = line.split_whitespace().nth(4).and_then(|pid| pid.parse().ok());
        maker.is_some_and(|maker| pids.contains(&maker))
    };
    table.lines().skip(1).filter(made_by).map(|line| format!("shared memory {line}")).collect()
}
