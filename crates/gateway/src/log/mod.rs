//! What is said: the error log in gunicorn's format, a line for each request, figures for statsd.
//!
//! An error line is written at once: what is said there is rare, and has to be there when the process
//! dies. Requests' lines gather in memory and are written when the thread has nothing else ready to
//! do, so that under load many leave in one write. Must not know who speaks.

mod outputs; // where it goes, as the settings have it

mod atoms; // what can be said of a request
mod format; // `--access-logformat`
mod sink; // a file or a standard stream

mod address; // hosts and ports
mod courier; // a thread for what may have to wait
mod logger; // Python's logging, in a process of its own
mod statsd;
mod syslog;

use std::{
    cell::{Cell, RefCell},
    fmt, io, mem,
    path::Path,
    process,
    rc::Rc,
    thread,
};

use nix::unistd::{Gid, Uid};
use tokio::sync::Notify;

pub(crate) use format::Format;
pub(crate) use logger::{describe, on_standard_error};
pub(crate) use outputs::{Outputs, is_pythons};
pub(crate) use statsd::check_address as check_statsd_address;
pub(crate) use syslog::{
    check_address as check_syslog_address, check_facility as check_syslog_facility,
};

use self::{atoms::Atoms, format::Piece, outputs::Lines};
use crate::{
    clock::LogDate,
    front::Head,
    gateway::Gateway,
    listen::Local,
    settings::{Level, Settings},
    story::Story,
};

/// Beyond this, requests' lines are written at once: they may not grow without bound in memory.
const MOST_WAITING: usize = 64 * 1024;

pub(crate) struct Log {
    outputs: RefCell<Outputs>,
    /// Lines of requests, not written yet.
    waiting: RefCell<Vec<u8>>,
    filled: Notify,
    /// Without a borrow, for every request.
    needs_response: Cell<bool>,
}

impl Log {
    pub(crate) fn open(settings: &Settings, python: &Path) -> Result<Log, String> {
        let log = Log::with(Outputs::open(settings, python)?);
        log.look();
        Ok(log)
    }

    /// Errors only, on standard error: for whoever serves nobody.
    pub(crate) fn plain(level: Level) -> io::Result<Log> {
        Outputs::plain(level).map(Log::with)
    }

    fn with(outputs: Outputs) -> Log {
        Log {
            needs_response: Cell::new(outputs.need_response()),
            outputs: RefCell::new(outputs),
            waiting: RefCell::default(),
            filled: Notify::new(),
        }
    }

    pub(crate) fn say(&self, level: Level, message: impl fmt::Display) {
        let trouble = {
            let mut outputs = self.outputs.borrow_mut();
            if level >= outputs.level {
                write(&mut outputs.lines, level, &message.to_string());
            }
            outputs.statsd.as_ref().and_then(|statsd| statsd.line(level))
        };
        self.complain_of_statsd(trouble);
    }

    /// For what costs something to find out.
    pub(crate) fn says_debug(&self) -> bool {
        self.outputs.borrow().level == Level::Debug
    }

    pub(crate) fn debug(&self, message: impl fmt::Display) {
        self.say(Level::Debug, message);
    }

    pub(crate) fn info(&self, message: impl fmt::Display) {
        self.say(Level::Info, message);
    }

    pub(crate) fn warning(&self, message: impl fmt::Display) {
        self.say(Level::Warning, message);
    }

    pub(crate) fn error(&self, message: impl fmt::Display) {
        self.say(Level::Error, message);
    }

    /// A request has its answer, or never will.
    pub(crate) fn request(&self, gateway: &Gateway, local: &Local, head: &Head, story: &Story) {
        let took = story.age();
        let atoms = Atoms { gateway, local, head, story, took };
        let outputs = self.outputs.borrow();
        let trouble = outputs.statsd.as_ref().and_then(|it| it.request(story.status, took));
        if outputs.take_requests() {
            self.record(&outputs.lines, &atoms);
        }
        drop(outputs);
        if self.waiting.borrow().len() >= MOST_WAITING {
            self.flush();
        }
        self.complain_of_statsd(trouble);
    }

    fn record(&self, lines: &Lines, atoms: &Atoms<'_>) {
        let mut waiting = self.waiting.borrow_mut();
        let start = waiting.len();
        match lines {
            Lines::Python(logger) => logger.write_request(atoms, &mut waiting),
            Lines::Ours(ours) => {
                for piece in &ours.format.pieces {
                    match piece {
                        Piece::Text(text) => waiting.extend_from_slice(text.as_bytes()),
                        Piece::Atom(atom, layout) => atoms.write(atom, *layout, &mut waiting),
                    }
                }
                if atoms.story.trace.is_some() {
                    let trace = atoms.story.trace_suffix().to_string();
                    waiting.extend_from_slice(trace.as_bytes());
                }
                if let Some(syslog) = ours.syslog_for_requests() {
                    syslog.request(atoms.pid(), &waiting[start..]);
                }
                if ours.requests.is_some() {
                    waiting.push(b'\n');
                } else {
                    waiting.truncate(start);
                }
            }
        }
        if start == 0 && !waiting.is_empty() {
            self.filled.notify_one();
        }
    }

    /// Whether the fields of answers have to be kept for the requests' lines.
    pub(crate) fn needs_response(&self) -> bool {
        self.needs_response.get()
    }

    pub(crate) fn flush(&self) {
        let mut waiting = self.waiting.borrow_mut();
        if waiting.is_empty() {
            return;
        }
        match &mut self.outputs.borrow_mut().lines {
            Lines::Python(logger) => logger.send(mem::take(&mut waiting)),
            Lines::Ours(ours) => {
                if let Some(sink) = &mut ours.requests {
                    sink.write(&waiting);
                }
                waiting.clear();
            }
        }
    }

    /// gunicorn's gauge. Said where it changes.
    pub(crate) fn count_workers(&self, count: usize) {
        let is_news = self.outputs.borrow().statsd.as_ref().is_some_and(|it| it.workers(count));
        if is_news {
            self.debug(format_args!("{count} workers"));
        }
    }

    /// Connections that wait to be accepted, every now and then.
    pub(crate) fn count_backlog(&self, waiting: u64) {
        self.debug(format_args!("socket backlog: {waiting}"));
        let outputs = self.outputs.borrow();
        let trouble = outputs.statsd.as_ref().and_then(|statsd| statsd.backlog(waiting));
        drop(outputs);
        self.complain_of_statsd(trouble);
    }

    fn complain_of_statsd(&self, trouble: Option<String>) {
        if let Some(error) = trouble {
            self.warning(format_args!("Error sending message to statsd: {error}; said once"));
        }
    }

    /// Says what the threads beside this one have met with.
    pub(crate) fn look(&self) {
        let troubles = self.outputs.borrow_mut().take_troubles();
        for trouble in troubles {
            self.warning(trouble);
        }
    }

    pub(crate) fn reopen(&self) {
        self.flush();
        let failures = self.outputs.borrow_mut().reopen();
        for failure in failures {
            self.error(failure);
        }
    }

    /// Other settings are in force from here on. What the old outputs still have to write, a thread
    /// waits for.
    pub(crate) fn exchange(&self, outputs: Outputs) {
        self.flush();
        self.needs_response.set(outputs.need_response());
        close(self.outputs.replace(outputs));
        self.look();
    }

    /// The files belong to whoever this process is about to become.
    pub(crate) fn give_to(&self, user: Option<Uid>, group: Option<Gid>) -> io::Result<()> {
        self.outputs.borrow().give_to(user, group)
    }
}

impl Drop for Log {
    fn drop(&mut self) {
        self.flush();
    }
}

fn write(lines: &mut Lines, level: Level, message: &str) {
    match lines {
        Lines::Python(logger) => logger.line(level, message),
        Lines::Ours(ours) => {
            let (pid, name) = (process::id(), level.name());
            ours.errors.write(format!("[{LogDate}] [{pid}] [{name}] {message}\n").as_bytes());
            if let Some(syslog) = &ours.syslog {
                syslog.line(level, message);
            }
        }
    }
}

/// A thread waits for what they still have to write. Without one, it is this one that waits.
pub(crate) fn close(outputs: Outputs) {
    let _ = thread::Builder::new().name("old logs".to_owned()).spawn(move || drop(outputs));
}

/// Writes what waits, whenever something does. Runs for as long as the process does.
pub(crate) async fn keep_writing(gateway: Rc<Gateway>) {
    loop {
        gateway.log.filled.notified().await;
        // Whatever is ready now comes first, and its lines leave in the same write.
        tokio::task::yield_now().await;
        gateway.log.flush();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings;

    #[test]
    fn lines_have_gunicorns_shape_and_survive_rotation() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("error.log");
        let flags = ["causeway-gateway", "a:b", "--error-logfile", path.to_str().unwrap()];
        let flags = flags.iter().map(Into::into).collect();
        let Ok(settings::Request::Run(sources)) = settings::read(flags, &|_| None) else {
            panic!("it runs");
        };
        let settings = sources.settle(None, &|_| None).unwrap().settings;
        let log = Log::open(&settings, Path::new("python3")).unwrap();
        log.debug("not said");
        log.info("one");
        std::fs::rename(&path, folder.path().join("old.log")).unwrap();
        log.reopen();
        log.warning(format_args!("{}", "two"));
        let old = std::fs::read_to_string(folder.path().join("old.log")).unwrap();
        let new = std::fs::read_to_string(&path).unwrap();
        assert!(old.ends_with(&format!("] [{}] [INFO] one\n", process::id())), "{old}");
        assert_eq!(old.lines().count(), 1);
        assert!(new.ends_with("] [WARNING] two\n"), "{new}");
    }
}
