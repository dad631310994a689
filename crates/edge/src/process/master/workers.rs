//! The worker, as its master sees it: started, greeted when it answers, missed when it dies.

use std::{
    ops::ControlFlow::{Break, Continue},
    os::fd::AsFd,
    process::ExitCode,
    time::{Duration, Instant},
};

use nix::{
    fcntl::OFlag,
    poll::{PollFd, PollFlags, PollTimeout, poll},
    sys::{
        signal::{Signal, kill},
        wait::{WaitPidFlag, WaitStatus, waitpid},
    },
    unistd::{Pid, pipe2},
};

use super::{AT_ONCE, Flow, Generation, LONGEST_PAUSE, Master, Worker};
use crate::{
    log::Level,
    process::{
        Waiting,
        sys::{Side, split},
        worker,
    },
};

impl Master {
    /// Starts a worker. In the worker, this does not come back before its end.
    pub(super) fn spawn(&mut self, generation: Generation) -> Flow {
        let master = Pid::this();
        let forked = pipe2(OFlag::O_CLOEXEC).and_then(|pipe| Ok((split()?, pipe)));
        match forked {
            Ok((Side::Parent(pid), (starting, _))) => {
                let log = &generation.config.error_log;
                log.write(Level::Notice, None, &format!("start worker process {pid}"));
                self.workers.push(Worker {
                    pid,
                    generation: generation.number,
                    born: Instant::now(),
                    starting: Some(starting),
                    leaving: false,
                });
                Continue(())
            }
            Ok((Side::Child, (_, ready))) => {
                // What is the master's alone must not stay open here: a socket that is listened on
                // by a process which never accepts would swallow connections.
                self.workers.clear();
                self.next = None;
                self.waiting = Waiting::nobody();
                self.current.sockets.clear();
                Break(worker::run(generation, master, ready))
            }
            Err(error) => {
                self.log(Level::Alert, &format!("fork() failed ({})", error.desc()));
                self.give_up_next();
                if self.pid_file.is_none() {
                    return Break(self.end(ExitCode::FAILURE));
                }
                self.respawn_later();
                Continue(())
            }
        }
    }

    /// Workers that have said they answer: a new generation takes over.
    pub(super) fn greet(&mut self) -> Flow {
        let mut answering = Vec::new();
        for worker in &mut self.workers {
            let Some(pipe) = &worker.starting else { continue };
            let mut watched = [PollFd::new(pipe.as_fd(), PollFlags::POLLIN)];
            if poll(&mut watched, PollTimeout::ZERO) != Ok(1) {
                continue;
            }
            // An end without a word: it has died, and will be reaped.
            let said = nix::unistd::read(pipe, &mut [0]);
            worker.starting = None;
            if said == Ok(1) {
                answering.push(worker.generation);
            }
        }
        for generation in answering {
            self.answers(generation)?;
        }
        Continue(())
    }

    pub(super) fn reap(&mut self) -> Flow {
        while let Ok(status) = waitpid(None, Some(WaitPidFlag::WNOHANG)) {
            let (pid, fatal) = match status {
                WaitStatus::Exited(pid, code) => {
                    let fatal = code == i32::from(worker::FATAL);
                    let line = format!("worker process {pid} exited with code {code}");
                    self.log(Level::Notice, &line);
                    (pid, fatal)
                }
                WaitStatus::Signaled(pid, signal, dumped) => {
                    let dumped = if dumped { " (core dumped)" } else { "" };
                    let number = signal as i32;
                    let line = format!("worker process {pid} exited on signal {number}{dumped}");
                    self.log(Level::Alert, &line);
                    (pid, false)
                }
                WaitStatus::StillAlive => break,
                _ => continue,
            };
            let Some(place) = self.workers.iter().position(|worker| worker.pid == pid) else {
                continue;
            };
            let worker = self.workers.remove(place);
            self.miss(&worker, fatal)?;
        }
        Continue(())
    }

    /// What the end of a worker means.
    fn miss(&mut self, worker: &Worker, fatal: bool) -> Flow {
        if self.stopping.is_some() || worker.leaving {
            return Continue(());
        }
        if self.next.as_ref().is_some_and(|next| next.number == worker.generation) {
            self.give_up_next();
            let line = "the new worker did not start; the old configuration stays in force";
            self.log(Level::Alert, line);
            return Continue(());
        }
        if self.pid_file.is_none() {
            // The first worker never answered: the server has not started.
            return Break(self.end(ExitCode::FAILURE));
        }
        if fatal {
            let line = format!(
                "worker process {} exited with fatal code 2 and cannot be respawned",
                worker.pid
            );
            self.log(Level::Alert, &line);
            return Continue(());
        }
        if worker.born.elapsed() >= AT_ONCE {
            self.respawn.pause = Duration::ZERO;
        }
        self.respawn_later();
        Continue(())
    }

    fn respawn_later(&mut self) {
        if self.respawn.never {
            return;
        }
        let pause = self.respawn.pause;
        self.respawn.at = Some(Instant::now() + pause);
        self.respawn.pause = (pause * 2).clamp(AT_ONCE, LONGEST_PAUSE);
        if !pause.is_zero() {
            let line = format!("the worker is started again in {} s", pause.as_secs());
            self.log(Level::Notice, &line);
        }
    }

    pub(super) fn tell(&self, signal: Signal, whom: impl Fn(&Worker) -> bool) {
        for worker in self.workers.iter().filter(|worker| whom(worker)) {
            // One that has just died is reaped next.
            let _gone = kill(worker.pid, signal);
        }
    }

    /// Tells workers to end, and expects them to.
    pub(super) fn dismiss(&mut self, signal: Signal, whom: impl Fn(&Worker) -> bool) {
        self.tell(signal, &whom);
        let dismissed = self.workers.iter_mut().filter(|worker| whom(worker));
        dismissed.for_each(|worker| worker.leaving = true);
    }
}
