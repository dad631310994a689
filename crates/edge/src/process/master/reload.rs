//! Another configuration: read, opened, tried by a worker of its own, and only then in force.

use std::{ops::ControlFlow::Continue, sync::Arc, time::Instant};

use nix::{sys::signal::Signal, unistd::Pid};

use super::{EPOLL, Flow, Generation, Master, PATIENCE};
use crate::{
    body,
    conf::ConfError,
    listen::{self, ListenAddress},
    load,
    log::Level,
    process::{Identity, pidfile},
};

impl Master {
    /// What was opened for a configuration that will not come into force.
    pub(super) fn give_up_next(&mut self) -> bool {
        let Some(next) = self.next.take() else { return false };
        let kept = |address: &ListenAddress| {
            self.current.sockets.iter().any(|socket| socket.address == *address)
        };
        next.close_paths(kept, &|error| self.log(Level::Alert, error));
        true
    }

    /// A new configuration, if there is nothing wrong with it.
    pub(super) fn reload(&mut self) -> Flow {
        self.log(Level::Notice, "reconfiguring");
        if self.give_up_next() {
            let number = self.current.number;
            self.dismiss(Signal::SIGQUIT, |worker| worker.generation > number);
        }
        match self.read() {
            Ok(next) => {
                let config = &next.config;
                for warning in &config.warnings {
                    config.error_log.write(Level::Warn, None, &warning.to_string());
                }
                config.error_log.write(Level::Notice, None, EPOLL);
                config.error_log.write(Level::Notice, None, "start worker processes");
                self.next = Some(next.clone());
                self.respawn.never = false;
                self.spawn(next)?;
            }
            Err(error) => self.log(Level::Emerg, &error.to_string()),
        }
        Continue(())
    }

    fn read(&self) -> Result<Generation, ConfError> {
        let config = Arc::new(load::load(&self.options)?);
        let owner = Identity::of(&config.main).map(|user| user.owner());
        config.files.open(owner)?;
        body::prepare(&config.folders, owner);
        let tell = |level, message: &str| self.log(level, message);
        let sockets = listen::open(&config, &self.current.sockets, listen::For::Serving, &tell)?;
        let number = self.current.number.max(self.newest()) + 1;
        Ok(Generation { number, config, sockets })
    }

    fn newest(&self) -> u64 {
        self.workers.iter().map(|worker| worker.generation).max().unwrap_or(0)
    }

    /// The worker of this generation answers: the generation comes into force.
    pub(super) fn answers(&mut self, generation: u64) -> Flow {
        if let Some(next) = self.next.take_if(|next| next.number == generation) {
            let kept = |address: &ListenAddress| next.sockets.iter().any(|s| s.address == *address);
            let tell = |error: &str| self.log(Level::Alert, error);
            self.current.close_paths(kept, &tell);
            self.current = next;
            self.dismiss(Signal::SIGQUIT, |worker| worker.generation != generation);
        }
        let path = self.current.config.main.pid();
        if self.pid_file.as_ref() != Some(&path) {
            if let Err(error) = pidfile::write(&path, Pid::this()) {
                self.log(Level::Emerg, &error.to_string());
                if self.pid_file.is_none() {
                    self.pid_file = Some(path);
                    self.stop(Signal::SIGTERM, Some(Instant::now() + PATIENCE));
                    return Continue(());
                }
            } else if let Some(old) = self.pid_file.replace(path) {
                self.remove_pid_file(&old);
            }
        }
        self.waiting.ready();
        Continue(())
    }
}
