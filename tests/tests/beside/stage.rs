//! One server with its application in a scratch folder: ours or gunicorn, from the same flags; and the
//! judge, who plays a scenario on both.

use std::fs;
use std::process::{Command, ExitStatus};

use anyhow::{Context as _, Result, ensure};
use e2e::binary;
use e2e::load::{Habit, Plan, Tally};
use e2e::log::Log;
use e2e::scratch::Scratch;
use e2e::wire::{Answer, Wire};
use nix::sys::signal::Signal;
use nix::sys::stat::Mode;
use xtask::peers;
use xtask::probe::Address;
use xtask::process::Process;
use xtask::progress::Progress;
use xtask::python::Python;
use xtask::server::Server;

/// Who serves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    Ours,
    Gunicorn,
}

/// What a scenario found that is not as claimed. Empty: the claim holds.
pub(crate) type Complaints = Vec<String>;

/// A server that was started.
pub(crate) struct Stage {
    // Dropped first: it writes into the other.
    pub(crate) server: Server,
    pub(crate) scratch: Scratch,
}

/// Plays the scenario on ours, which must hold, and on gunicorn, which must fail by what is `expected`.
/// Where that hangs on chance, gunicorn gets several rounds to do so.
pub(crate) async fn only_ours_holds(
    rounds: usize,
    expected: &str,
    scenario: impl AsyncFn(Side) -> Result<Complaints>,
) -> Result<()> {
    let complaints = scenario(Side::Ours).await.context("ours")?;
    ensure!(complaints.is_empty(), "ours: {complaints:#?}");
    for round in 1..=rounds {
        let complaints = scenario(Side::Gunicorn).await.context("gunicorn")?;
        eprintln!("gunicorn, round {round}: {complaints:#?}");
        if complaints.iter().any(|complaint| complaint.contains(expected)) {
            return Ok(());
        }
    }
    anyhow::bail!(
        "gunicorn never fails by \"{expected}\" in {rounds} rounds: the claim is not true"
    );
}

impl Stage {
    /// Once it answers.
    pub(crate) async fn start(side: Side, flags: &[&str]) -> Result<Stage> {
        Stage::start_with(side, flags, |_| Ok(())).await
    }

    /// The same, with `prepare` to change before what is in the folder.
    pub(crate) async fn start_with(
        side: Side,
        flags: &[&str],
        prepare: impl FnOnce(&Scratch) -> Result<()>,
    ) -> Result<Stage> {
        let mut stage = Stage::launch(side, flags, prepare).await?;
        let address = Address::Tcp(stage.server.address);
        stage.server.hop.ready(&address, "/").await?;
        Ok(stage)
    }

    /// Once it listens.
    pub(crate) async fn launch(
        side: Side,
        flags: &[&str],
        prepare: impl FnOnce(&Scratch) -> Result<()>,
    ) -> Result<Stage> {
        let scratch = Scratch::new();
        let application = xtask::workspace::root().join("tests/fixtures/beside/app.py");
        fs::copy(application, scratch.join("app.py"))?;
        prepare(&scratch)?;
        let mut command = side.command()?;
        // Two versions of a file within a second would share their compiled form.
        command.env("PYTHONDONTWRITEBYTECODE", "1").current_dir(scratch.path());
        command.args(flags).arg("app:application");
        let server = Server::listening(command, scratch.path()).await?;
        Ok(Stage { server, scratch })
    }

    pub(crate) fn log(&self) -> &Log {
        &self.server.log
    }

    pub(crate) async fn wire(&self) -> Result<Wire> {
        Ok(Wire::tcp(self.server.address).await?)
    }

    pub(crate) async fn get(&self, path: &str) -> Result<Answer> {
        self.begin(path).await?.answer("GET").await
    }

    /// A request whose answer nobody has waited for yet.
    pub(crate) async fn begin(&self, path: &str) -> Result<Wire> {
        let mut wire = self.wire().await?;
        wire.send(format!("GET {path} HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n"))
            .await?;
        Ok(wire)
    }

    /// Clients that ask for `path` by POST, which nobody may send twice, and get 200.
    pub(crate) fn posts(&self, path: &str, clients: usize, habit: Habit) -> Plan {
        Plan {
            address: Address::Tcp(self.server.address),
            method: "POST",
            path: path.to_owned(),
            body: b"body".to_vec(),
            clients,
            habit,
            right: |answer| answer.status() == 200,
        }
    }

    /// A named pipe that holds `/held` until it is opened.
    pub(crate) fn gate(&self, name: &str) -> Result<Gate> {
        let path = self.scratch.join(name);
        nix::unistd::mkfifo(&path, Mode::S_IRWXU)?;
        Ok(Gate { path: path.to_str().context("plain letters")?.to_owned() })
    }

    /// Changes the application's text.
    pub(crate) fn change(&self, from: &str, to: &str) -> Result<()> {
        let path = self.scratch.join("app.py");
        let text = fs::read_to_string(&path)?;
        ensure!(text.contains(from), "no {from:?} in the application");
        Ok(fs::write(path, text.replace(from, to))?)
    }

    pub(crate) fn workers(&self) -> Vec<Process> {
        self.server.workers()
    }

    pub(crate) fn signal(&self, signal: Signal) {
        self.server.hop.signal(signal);
    }

    pub(crate) async fn ended(&mut self) -> Result<ExitStatus> {
        self.server.hop.ended().await
    }

    /// The complaint that it has gone, made by how it went.
    pub(crate) fn gone(&self, status: ExitStatus) -> String {
        let last = self.log().text().lines().last().unwrap_or_default().to_owned();
        format!("the server is gone ({status}); its last line: {last}")
    }
}

impl Side {
    fn command(self) -> Result<Command> {
        Ok(match self {
            Side::Ours => {
                let mut command = Command::new(binary::program("causeway-gateway")?);
                command.arg("--python").arg(Python::find()?.path);
                command
            }
            Side::Gunicorn => Command::new(peers::gunicorn(Progress::Quiet)?),
        })
    }
}

pub(crate) struct Gate {
    path: String,
}

impl Gate {
    pub(crate) fn path(&self) -> &str {
        &self.path
    }

    /// Returns once somebody has read that it is open.
    pub(crate) async fn open(self) -> Result<()> {
        tokio::task::spawn_blocking(move || fs::write(self.path, "open")).await??;
        Ok(())
    }
}

/// What a load has to say against a server that should have answered everything.
pub(crate) fn losses(tally: &Tally) -> Complaints {
    let mut complaints = Vec::new();
    if !tally.lost.is_empty() {
        let answered = tally.answered;
        complaints.push(format!(
            "{} lost, {answered} answered: {:?}",
            tally.lost.len(),
            tally.lost
        ));
    }
    if tally.refused > 0 {
        complaints.push(format!("{} refused: nobody listened", tally.refused));
    }
    complaints
}
