//! A WSGI server that was started with gunicorn's flags, whoever reads them: where it listens, what it
//! says, which workers it has. What is known of its workers is known from its log, since that is
//! what ours and gunicorn have in common: whose children they are is each one's own affair.

use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result, bail};

use crate::hop::Hop;
use crate::log::Log;
use crate::probe::Address;
use crate::process::Process;

const BOOTING: &str = "Booting worker with pid: ";

pub struct Server {
    pub hop: Hop,
    pub log: Log,
    pub address: SocketAddr,
}

impl Server {
    /// On a free port of the loopback, once it listens; what it says goes into a file of the folder.
    pub async fn listening(mut command: Command, folder: &Path) -> Result<Server> {
        for variable in ["GUNICORN_CMD_ARGS", "WEB_CONCURRENCY", "PORT", "FORWARDED_ALLOW_IPS"] {
            command.env_remove(variable);
        }
        // The control socket's default path is one for all servers of a user.
        command.args(["--no-control-socket", "--bind", "127.0.0.1:0"]);
        let output = folder.join("log");
        let mut hop = Hop::start("the server", command, &output)?;
        let log = Log::at(&output);
        let listening = tokio::select! {
            line = log.line_with("Listening at: http://") => line?,
            status = hop.ended() => bail!("it ended, {}:\n{}", status?, log.text()),
        };
        let address = listening.split("http://").nth(1).and_then(|rest| rest.split(' ').next());
        let address = address.context("an address follows")?.parse()?;
        Ok(Server { hop, log, address })
    }

    /// The same, once it answers.
    pub async fn answering(command: Command, folder: &Path, path: &str) -> Result<Server> {
        let mut server = Server::listening(command, folder).await?;
        let address = Address::Tcp(server.address);
        server.hop.ready(&address, path).await?;
        Ok(server)
    }

    /// The workers that live, the oldest first.
    pub fn workers(&self) -> Vec<Process> {
        let lines = self.log.lines_with(BOOTING);
        let pids = lines.iter().filter_map(|line| line.rsplit(' ').next()?.parse().ok());
        pids.filter_map(Process::of).collect()
    }

    /// How many workers it has started so far.
    pub fn started(&self) -> usize {
        self.log.lines_with(BOOTING).len()
    }
}
