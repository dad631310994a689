//! How a chain is put together: which files stand in its folder and with which command line each hop
//! starts. `up` follows it with what this workspace builds; the tests and the bench also put nginx or
//! gunicorn in the place of a hop, with the same files and the same flags.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, ensure};

use crate::application::Application;
use crate::edge_conf::EdgeConf;
use crate::probe::Address;

/// `sockaddr_un` has 108 bytes, the last of them a zero.
const LONGEST_SOCKET: usize = 107;

/// One chain: an application, a folder to run in, a port.
#[derive(Clone, Debug)]
pub struct Recipe {
    pub application: Application,
    /// Sockets, pid files, logs and nginx.conf.
    pub run: PathBuf,
    /// The application's database and collected files.
    pub data: PathBuf,
    /// The virtual environment's interpreter.
    pub python: PathBuf,
    pub port: u16,
    pub workers: usize,
    /// More variables for the application.
    pub variables: Vec<(String, String)>,
}

/// Whether the hops tell in `Server-Timing` what each of them took.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Timing {
    On,
    Off,
}

impl Recipe {
    pub fn socket(&self) -> PathBuf {
        self.run.join("gateway.sock")
    }

    pub fn gateway_address(&self) -> Address {
        Address::Unix(self.socket())
    }

    pub fn edge_address(&self) -> Address {
        Address::Tcp(([127, 0, 0, 1], self.port).into())
    }

    pub fn conf(&self) -> EdgeConf {
        EdgeConf {
            run: self.run.clone(),
            port: self.port,
            socket: self.socket(),
            static_url: self.application.static_url().to_owned(),
            static_folder: self.application.static_folder(&self.data),
        }
    }

    /// Makes the folder and writes what the hops read.
    pub fn lay_out(&self) -> Result<()> {
        let length = self.socket().as_os_str().len();
        ensure!(
            length <= LONGEST_SOCKET,
            "\"{}\" is {length} bytes long, and a unix socket's name has {LONGEST_SOCKET} at most: use a shorter folder",
            self.socket().display()
        );
        fs::create_dir_all(&self.run)
            .with_context(|| format!("cannot make \"{}\"", self.run.display()))?;
        fs::write(self.run.join("nginx.conf"), self.conf().render("nginx.conf")?)?;
        Ok(())
    }

    /// nginx's command line, for nginx or whatever stands in for it.
    pub fn edge(&self, program: &Path, timing: Timing) -> Command {
        let mut directives = String::from("daemon off;");
        if nix::unistd::geteuid().is_root() {
            // Else the workers would change to a user who may not even read this checkout.
            directives.push_str(" user root;");
        }
        if timing == Timing::On {
            directives.push_str(" otel_trace on; server_timing on;");
        }
        let mut command = Command::new(program);
        command.arg("-p").arg(&self.run).arg("-c").arg(self.run.join("nginx.conf"));
        command.arg("-e").arg(self.run.join("edge.log")).args(["-g", &directives]);
        command
    }

    /// The gateway of this workspace.
    pub fn gateway(&self, program: &Path, timing: Timing) -> Command {
        let mut command = Command::new(program);
        command.arg("--python").arg(&self.python);
        // A chain that is broken says so and ends, rather than wait for somebody to mend it.
        command.arg("--exit-on-boot-failure");
        command.arg("--control-socket").arg(self.run.join("gunicorn.ctl"));
        if timing == Timing::On {
            command.arg("--server-timing");
        }
        self.gateway_flags(&mut command);
        command
    }

    /// gunicorn's command line, for gunicorn or whatever stands in for it.
    pub fn gateway_flags(&self, command: &mut Command) {
        command.args(["--bind", &format!("unix:{}", self.socket().display())]);
        command.args(["--workers", &self.workers.to_string()]);
        command.arg("--chdir").arg(&self.application.folder);
        command.arg("--pid").arg(self.run.join("gateway.pid"));
        command.arg("--access-logfile").arg(self.run.join("gateway-access.log"));
        command.arg("--error-logfile").arg(self.run.join("gateway.log"));
        command.arg(self.application.callable());
        // The application's output is unbuffered, so that its lines come when they are written.
        command.env("PYTHONUNBUFFERED", "1").envs(self.application.variables(&self.data));
        command.envs(self.variables.iter().map(|(name, value)| (name, value)));
    }
}
