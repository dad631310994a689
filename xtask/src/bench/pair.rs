//! A web server and a WSGI server that run for the bench: ours, or nginx and gunicorn, from the same
//! recipe.

use std::fs::{self, File};
use std::net::TcpListener;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use nix::sys::signal::Signal;
use tokio::process::Child;
use xtask::probe::Address;
use xtask::process::Process;
use xtask::recipe::{Recipe, Timing};
use xtask::sys;
use xtask::workspace;

use super::Subject;

pub(super) const OURS: &str = "causeway";
pub(super) const REAL: &str = "nginx + gunicorn";

pub(super) enum Programs {
    Ours { folder: PathBuf },
    Real { nginx: PathBuf, gunicorn: PathBuf },
}

pub(super) struct Pair {
    programs: Programs,
    recipe: Recipe,
    /// Gateway, then edge.
    hops: Vec<(Process, Child)>,
    pub(super) start_up: Duration,
}

impl Pair {
    pub(super) async fn start(subject: &Subject, programs: Programs, number: u16) -> Result<Pair> {
        let run = workspace::state().join("bench").join(format!("run-{number}"));
        if run.exists() {
            fs::remove_dir_all(&run)?;
        }
        let recipe = Recipe {
            application: subject.application.clone(),
            run,
            data: subject.data.clone(),
            python: subject.environment.python(),
            port: TcpListener::bind(("127.0.0.1", 0))?.local_addr()?.port(),
            workers: 2,
            variables: Vec::new(),
        };
        recipe.lay_out()?;
        let without_logs = |text: &str| text.replace("access_log ", "access_log off; # ");
        let conf = recipe.run.join("nginx.conf");
        fs::write(&conf, without_logs(&fs::read_to_string(&conf)?))?;

        let (gateway, edge) = match &programs {
            Programs::Ours { folder } => (
                recipe.gateway(&folder.join("causeway-gateway"), Timing::Off),
                recipe.edge(&folder.join("causeway-edge"), Timing::Off),
            ),
            Programs::Real { nginx, gunicorn } => {
                let mut command = Command::new(gunicorn);
                command.args(["--no-control-socket", "--keep-alive", "75", "--pythonpath"]);
                command.arg(subject.environment.packages()?);
                recipe.gateway_flags(&mut command);
                (command, recipe.edge(nginx, Timing::Off))
            }
        };
        let begun = Instant::now();
        let mut pair = Pair { programs, recipe, hops: Vec::new(), start_up: Duration::ZERO };
        pair.hop(gateway, &pair.recipe.gateway_address()).await?;
        pair.hop(edge, &pair.recipe.edge_address()).await?;
        pair.start_up = begun.elapsed();
        Ok(pair)
    }

    async fn hop(&mut self, mut command: Command, address: &Address) -> Result<()> {
        let output =
            File::options().create(true).append(true).open(self.recipe.run.join("output.log"))?;
        command.stdin(Stdio::null()).stdout(output.try_clone()?).stderr(output).process_group(0);
        sys::die_with_parent(&mut command);
        let program = Path::new(command.get_program()).to_owned();
        let child = tokio::process::Command::from(command).spawn();
        let mut child = child.with_context(|| format!("cannot start \"{}\"", program.display()))?;
        let process =
            child.id().and_then(|pid| Process::of(pid as i32)).context("it ended at once")?;
        let mut last = String::new();
        let page = self.recipe.application.first_page();
        let answers = tokio::time::timeout(
            Duration::from_secs(30),
            address.until_it_answers(page, &mut last),
        );
        let answered = tokio::select! {
            answered = answers => answered.is_ok(),
            _ = child.wait() => false,
        };
        self.hops.push((process, child));
        if answered {
            return Ok(());
        }
        bail!(
            "{} does not answer: {last}; its logs are in {}",
            program.display(),
            self.recipe.run.display()
        )
    }

    pub(super) fn name(&self) -> &'static str {
        match self.programs {
            Programs::Ours { .. } => OURS,
            Programs::Real { .. } => REAL,
        }
    }

    pub(super) fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.recipe.port)
    }

    /// A wrong answer is quick: what is not a 200 is not measured.
    pub(super) async fn check(&self, path: &str) -> Result<()> {
        match self.recipe.edge_address().ask(path).await? {
            200 => Ok(()),
            status => bail!("{} answers {status} to {path}", self.name()),
        }
    }

    fn processes(&self) -> impl Iterator<Item = Process> {
        self.hops.iter().flat_map(|(process, _)| process.tree())
    }

    pub(super) fn cpu_seconds(&self) -> f64 {
        self.processes().map(Process::cpu_seconds).sum()
    }

    pub(super) fn memory(&self) -> Vec<(String, u64)> {
        let mut each = Vec::new();
        for ((process, _), (master, worker)) in
            self.hops.iter().zip([("gateway", "worker"), ("edge", "edge worker")])
        {
            for member in process.tree() {
                let name = if member == *process { master } else { worker };
                each.push((name.to_owned(), member.memory_kib()));
            }
        }
        each
    }

    pub(super) async fn stop(&mut self) {
        for (process, child) in self.hops.iter_mut().rev() {
            process.signal(Signal::SIGTERM);
            if tokio::time::timeout(Duration::from_secs(10), child.wait()).await.is_err() {
                process.signal(Signal::SIGKILL);
            }
        }
    }
}
