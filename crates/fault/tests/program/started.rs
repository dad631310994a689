//! The program itself, started with a port of its own and ended with the test.

use std::{
    io::{BufRead as _, BufReader},
    process::{Child, ChildStderr, Command, ExitStatus, Stdio},
};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};

pub(crate) struct Started {
    child: Child,
    stderr: BufReader<ChildStderr>,
    /// Where its API listens.
    pub(crate) api: String,
}

pub(crate) fn command(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_causeway-fault"));
    command.args(arguments).stdin(Stdio::null()).stderr(Stdio::piped());
    command
}

impl Started {
    pub(crate) fn new(arguments: &[&str]) -> Started {
        let mut child = command(&["--port", "0"]).args(arguments).spawn().unwrap();
        let stderr = BufReader::new(child.stderr.take().unwrap());
        let mut started = Started { child, stderr, api: String::new() };
        let line = started.line("control API on ");
        let (_, api) = line.rsplit_once(' ').unwrap();
        api.clone_into(&mut started.api);
        started
    }

    /// The next line that contains `part`.
    pub(crate) fn line(&mut self, part: &str) -> String {
        let mut said = String::new();
        loop {
            let begun = said.len();
            let count = self.stderr.read_line(&mut said).unwrap();
            assert!(count > 0, "\"{part}\" was not said:\n{said}");
            let line = &said[begun..];
            if line.contains(part) {
                return line.trim_end().to_owned();
            }
        }
    }

    pub(crate) fn end(&mut self, signal: Signal) -> ExitStatus {
        kill(Pid::from_raw(self.child.id().cast_signed()), signal).unwrap();
        self.child.wait().unwrap()
    }
}

impl Drop for Started {
    fn drop(&mut self) {
        // Both fail for a program that has ended, which is as well.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
