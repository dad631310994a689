//! What a step does, and how it is undone.

use std::fs::{self, File, Permissions};
use std::io::{self, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use nix::sys::signal::Signal;

use super::scenario::{Step, Whom};
use crate::Stack;
use crate::hop::Running;
use crate::kinds::Role;
use crate::probe::Address;
use crate::process::Process;
use crate::sys::{self, Limit};

/// What is killed is gone at once, but for a machine that is very busy.
const PATIENCE: Duration = Duration::from_secs(10);

/// More than any disk of a hop's that a fault asks for.
const LARGEST_DISK: u64 = 1 << 30;

/// What takes a step back.
#[derive(Debug)]
pub(super) enum Undo {
    RemoveToxic {
        link: String,
        toxic: String,
    },
    Up {
        link: String,
    },
    Continue(Process),
    Name {
        away: PathBuf,
        socket: PathBuf,
    },
    Mode {
        socket: PathBuf,
        mode: u32,
    },
    Limit {
        process: Process,
        limit: Limit,
        had: u64,
    },
    Delete(PathBuf),
    /// The hop is told to read it.
    Restore {
        file: PathBuf,
        text: Vec<u8>,
        hop: String,
    },
}

impl Step {
    pub(super) async fn inject(&self, stack: &Stack) -> Result<Vec<Undo>> {
        Ok(match self {
            Step::Toxic { link, toxic } => {
                let link = stack.link(link)?;
                let toxic = link.proxy.toxic(toxic.clone())?.name;
                vec![Undo::RemoveToxic { link: link.name.clone(), toxic }]
            }
            Step::Down { link } => {
                let link = stack.link(link)?;
                link.proxy.disable().await;
                vec![Undo::Up { link: link.name.clone() }]
            }
            Step::Signal { hop: name, signal, to } => {
                let processes = processes(hop(stack, name)?, *to)?;
                for process in &processes {
                    process.signal(*signal);
                }
                if *signal == Signal::SIGKILL {
                    for process in &processes {
                        ensure!(
                            process.gone_within(PATIENCE).await,
                            "process {} survives SIGKILL",
                            process.pid
                        );
                    }
                }
                match signal {
                    Signal::SIGSTOP => processes.into_iter().map(Undo::Continue).collect(),
                    _ => Vec::new(),
                }
            }
            Step::RemoveSocket { hop: name } => {
                let socket = socket(hop(stack, name)?)?;
                let away = away(&socket);
                fs::rename(&socket, &away)?;
                vec![Undo::Name { away, socket }]
            }
            Step::ForbidSocket { hop: name } => {
                let socket = socket(hop(stack, name)?)?;
                let mode = fs::metadata(&socket)?.permissions().mode();
                fs::set_permissions(&socket, Permissions::from_mode(0o600))?;
                vec![Undo::Mode { socket, mode }]
            }
            Step::LimitOpenFiles { hop: name, spare, to } => {
                let open = |process: Process| {
                    let folder = fs::read_dir(format!("/proc/{}/fd", process.pid))?;
                    io::Result::Ok(folder.count() as u64)
                };
                limited(&processes(hop(stack, name)?, *to)?, Limit::OpenFiles, *spare, open)?
            }
            Step::LimitMemory { hop: name, spare_mib, to } => {
                let processes = processes(hop(stack, name)?, *to)?;
                limited(&processes, Limit::Memory, spare_mib << 20, address_space)?
            }
            Step::FillDisk { hop: name } => {
                let hop = hop(stack, name)?;
                // Only the hop's own processes see the disk.
                let root = PathBuf::from(format!("/proc/{}/root", hop.process.pid));
                let temp = hop.folder().join("temp");
                let filler = root.join(temp.strip_prefix("/")?).join("filler");
                fill(&filler).with_context(|| format!("the disk of hop \"{name}\""))?;
                vec![Undo::Delete(filler)]
            }
            Step::BreakImport => {
                let application = &stack.subject.application;
                let module = application.callable().split(':').next().unwrap_or_default();
                let file = application.folder.join(module.replace('.', "/")).with_extension("py");
                let server = hop(stack, "last")?;
                vec![spoil(&file, "import a_module_that_is_missing\n", Spoil::Whole, server)?]
            }
            Step::BreakConfiguration { hop: name, file } => {
                let hop = hop(stack, name)?;
                vec![spoil(&hop.folder().join(file), "\n)nonsense(\n", Spoil::End, hop)?]
            }
        })
    }
}

impl Undo {
    pub(super) async fn apply(self, stack: &Stack) -> Result<()> {
        match self {
            Undo::RemoveToxic { link, toxic } => stack.link(&link)?.proxy.remove(&toxic)?,
            Undo::Up { link } => stack.link(&link)?.proxy.enable().await?,
            Undo::Continue(process) => process.signal(Signal::SIGCONT),
            Undo::Name { away, socket } => fs::rename(away, socket)?,
            Undo::Mode { socket, mode } => {
                fs::set_permissions(socket, Permissions::from_mode(mode))?;
            }
            // One that ended meanwhile took its limit with it.
            Undo::Limit { process, .. } if !process.alive() => {}
            Undo::Limit { process, limit, had } => drop(sys::limit(process, limit, had)?),
            Undo::Delete(file) => fs::remove_file(file)?,
            Undo::Restore { file, text, hop: name } => {
                fs::write(file, text)?;
                reload(hop(stack, &name)?)?;
            }
        }
        Ok(())
    }
}

/// By its name, or as the first or the last.
pub(super) fn hop<'a>(stack: &'a Stack, name: &str) -> Result<&'a Running> {
    let server = |hop: &&Running| hop.kind.role() == Role::Server;
    let found = match name {
        "first" => stack.hops.first(),
        "last" => stack.hops.iter().rfind(server),
        _ => return stack.hop(name),
    };
    found.context("a stack has hops")
}

/// Where a socket is that has no name for a while.
pub(crate) fn away(socket: &Path) -> PathBuf {
    socket.with_extension("away")
}

fn processes(hop: &Running, whom: Whom) -> Result<Vec<Process>> {
    let mut workers = hop.workers();
    match whom {
        Whom::Master => return Ok(vec![hop.process]),
        Whom::Worker => workers.truncate(1),
        Whom::Workers => {}
    }
    if workers.is_empty() {
        bail!("hop \"{}\" has no workers", hop.name);
    }
    Ok(workers)
}

fn socket(hop: &Running) -> Result<PathBuf> {
    match &hop.address {
        Address::Unix(socket) => Ok(socket.clone()),
        Address::Tcp(address) => {
            bail!("hop \"{}\" listens on {address}, not on a unix socket", hop.name)
        }
    }
}

fn limited(
    processes: &[Process],
    limit: Limit,
    spare: u64,
    used: impl Fn(Process) -> io::Result<u64>,
) -> Result<Vec<Undo>> {
    let limited = processes.iter().map(|process| {
        let had = sys::limit(*process, limit, used(*process)? + spare)?;
        Ok(Undo::Limit { process: *process, limit, had })
    });
    limited.collect()
}

fn address_space(process: Process) -> io::Result<u64> {
    let text = fs::read_to_string(format!("/proc/{}/status", process.pid))?;
    let line = text.lines().find_map(|line| line.strip_prefix("VmSize:"));
    let kib = line.and_then(|line| line.trim().strip_suffix(" kB")?.parse::<u64>().ok());
    kib.map(|kib| kib << 10).ok_or_else(|| io::Error::other("it tells of no VmSize"))
}

fn fill(file: &Path) -> io::Result<()> {
    let mut filler = File::create(file)?;
    let piece = [0; 4096];
    let mut written = 0;
    while written < LARGEST_DISK {
        match filler.write(&piece) {
            Ok(length) => written += length as u64,
            Err(error) if error.kind() == io::ErrorKind::StorageFull => return Ok(()),
            Err(error) => return Err(error),
        }
    }
    Err(io::Error::other("it has no end: the hop has no disk of its own"))
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Spoil {
    Whole,
    End,
}

fn spoil(file: &Path, with: &str, what: Spoil, hop: &Running) -> Result<Undo> {
    let about = || format!("cannot spoil \"{}\"", file.display());
    let text = fs::read(file).with_context(about)?;
    let kept: &[u8] = if what == Spoil::Whole { &[] } else { &text };
    fs::write(file, [kept, with.as_bytes()].concat()).with_context(about)?;
    reload(hop)?;
    Ok(Undo::Restore { file: file.to_owned(), text, hop: hop.name.clone() })
}

fn reload(hop: &Running) -> Result<()> {
    let signal = hop.kind.reload();
    let signal =
        signal.with_context(|| format!("hop \"{}\" does not reload by a signal", hop.name))?;
    hop.signal(signal);
    Ok(())
}
