//! One worker process: started, listened to, waited for.
//!
//! It gets a listening socket as its standard input (as FastCGI has it), the writing end of a control
//! pipe to say `ready` or why not, and the reading end of a lifeline that closes when this process
//! dies, even by kill -9. Its socket has a name only for the moment it takes to look its inode up, in a
//! folder made for that moment: no file is ever left behind, nobody else can connect, and whoever
//! tidies up old temporary folders takes nothing away that is needed again.

use std::{
    fs::File,
    io,
    os::{
        fd::{AsFd, OwnedFd},
        unix::{net::UnixListener, process::CommandExt, process::ExitStatusExt},
    },
    path::PathBuf,
    process::{ExitStatus, Stdio},
    rc::Rc,
    time::Duration,
};

use causeway_app_host::HostOptions;
use nix::fcntl::{FcntlArg, OFlag, fcntl, open};
use nix::{sys::stat::Mode, unistd::pipe2};
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    net::unix::pipe::Receiver,
    process::{Child, Command},
};

use super::{
    fleet::{Ended, Event, WorkerId},
    inbox::Inbox,
};
use crate::{
    settings::{Destination, Settings},
    sys::{self, CONTROL_FD, LIFELINE_FD},
};

/// What every worker is started from.
pub(super) struct Nursery {
    pub(super) python: PathBuf,
    pub(super) library: PathBuf,
    pub(super) options: HostOptions,
}

/// A worker that was started. Dropping the lifeline tells it that nobody is left.
pub(super) struct Started {
    pub(super) pid: u32,
    pub(super) socket: OwnedFd,
    pub(super) lifeline: OwnedFd,
}

impl Nursery {
    pub(super) fn spawn(
        &self,
        worker: WorkerId,
        settings: &Settings,
        inbox: &Rc<Inbox>,
    ) -> io::Result<Started> {
        let (listener, socket) = nameless_socket(settings.threads)
            .map_err(|error| io::Error::new(error.kind(), format!("no socket for it: {error}")))?;
        let (control_read, control_write) = pipe2(OFlag::O_CLOEXEC)?;
        let (lifeline_read, lifeline_write) = pipe2(OFlag::O_CLOEXEC)?;
        let mut command = causeway_app_host::command(&self.python, &self.library, &self.options);
        command
            .stdin(Stdio::from(OwnedFd::from(listener)))
            // Ctrl-C in a terminal is for this process, which then says what each worker has to do.
            .process_group(0)
            .env("CAUSEWAY_CONTROL_FD", CONTROL_FD.to_string())
            .env("CAUSEWAY_LIFELINE_FD", LIFELINE_FD.to_string())
            .envs(settings.env.iter().map(|(key, value)| (key, value)));
        if let Destination::File(path) = &settings.error_logfile {
            // As gunicorn's workers do, it writes its errors where the gateway does.
            let log = File::options().append(true).create(true).open(path)?;
            command.stderr(Stdio::from(log)).env("CAUSEWAY_ERRORLOG", std::path::absolute(path)?);
        }
        sys::hand_over(&mut command, beyond(&control_write)?, beyond(&lifeline_read)?);
        let child = Command::from(command).spawn().map_err(|error| {
            let python = self.python.display();
            let reason = format!("interpreter \"{python}\" can not be started: {error}");
            io::Error::new(error.kind(), reason)
        })?;
        let pid = child.id().expect("it was not waited for yet");
        let control = Receiver::from_owned_fd(control_read)?;
        tokio::task::spawn_local(watch(worker, child, control, Rc::clone(inbox)));
        Ok(Started { pid, socket, lifeline: lifeline_write })
    }
}

/// A listening socket, and its inode to connect to.
fn nameless_socket(threads: usize) -> io::Result<(UnixListener, OwnedFd)> {
    // 0700: nobody else reaches the name while there is one.
    let folder = tempfile::Builder::new().prefix("causeway-gateway-").tempdir()?;
    let path = folder.path().join("socket");
    let socket = socket2::Socket::new(socket2::Domain::UNIX, socket2::Type::STREAM, None)?;
    socket.bind(&socket2::SockAddr::unix(&path)?)?;
    // Connections are made before a thread accepts them; twice as many leaves room for those that
    // are given up and made anew.
    socket.listen(i32::try_from(threads * 2 + 8).unwrap_or(i32::MAX))?;
    let inode = open(&path, OFlag::O_PATH | OFlag::O_CLOEXEC, Mode::empty());
    folder.close()?;
    Ok((socket.into(), inode?))
}

/// Out of the way of the numbers the worker looks at.
fn beyond(descriptor: &OwnedFd) -> io::Result<OwnedFd> {
    let number = fcntl(descriptor.as_fd(), FcntlArg::F_DUPFD_CLOEXEC(10))?;
    sys::take_descriptor(number).ok_or_else(|| io::Error::other("a descriptor just made is closed"))
}

/// Passes on what the worker says, then how it ended.
async fn watch(worker: WorkerId, mut child: Child, control: Receiver, inbox: Rc<Inbox>) {
    let heard = tokio::task::spawn_local(listen(worker, control, Rc::clone(&inbox)));
    let status = child.wait().await;
    // Its last words are in the pipe already, unless a child of its own holds the pipe open.
    let _ = tokio::time::timeout(Duration::from_millis(200), heard).await;
    let end = status.map_or(Ended::Code(1), ended);
    inbox.put(Event::Exited { worker, end });
}

fn ended(status: ExitStatus) -> Ended {
    match (status.code(), status.signal()) {
        (_, Some(number)) => Ended::Signal(number),
        (code, None) => Ended::Code(code.unwrap_or(1)),
    }
}

async fn listen(worker: WorkerId, control: Receiver, inbox: Rc<Inbox>) {
    let mut lines = BufReader::new(control).lines();
    while let Ok(Some(line)) = lines.next_line().await {
        let mut words = line.splitn(3, ' ');
        match (words.next(), words.next(), words.next()) {
            (Some("ready"), ..) => inbox.put(Event::Ready(worker)),
            (Some("failed"), Some(code), reason) => {
                let code = code.parse().unwrap_or(3);
                let reason = reason.unwrap_or("it did not say why").to_owned();
                inbox.put(Event::Refused { worker, code, reason });
            }
            (Some("stack"), Some(connection), Some(stack)) => {
                let connection = connection.to_owned();
                let stack = serde_json::from_str(stack).unwrap_or_else(|_| stack.to_owned());
                inbox.put(Event::Explained { worker, connection, stack });
            }
            // A later app-host may have more to say than we understand.
            _ => (),
        }
    }
}
