//! What connections come in by: opened with gunicorn's patience (an address in use is tried five
//! times, a second apart; the server before us may be about to leave it), handed over by systemd or by
//! the master before us, changed by HUP, closed.

use std::{
    io,
    os::fd::{AsRawFd, OwnedFd, RawFd},
    path::Path,
    process,
    rc::Rc,
    time::Duration,
};

use tokio::{sync::watch, task::JoinHandle};

use super::{
    fleet::Event,
    inbox::{Inbox, Notice},
    reexec::Inheritance,
};
use crate::{
    gateway::Gateway,
    listen::{self, BindError, Doors, Listener, OwnPath, Queue},
    log::Log,
    settings::{Address, Settings},
    sys,
};

const TRIES: u32 = 5;
const BETWEEN: Duration = Duration::from_secs(1);

/// Listeners in the order of `--bind`; those to be bound are missing yet.
pub(super) struct Inherited(Vec<(Address, Option<Listener>)>);

pub(super) enum Opened {
    All(Vec<(Address, Listener)>),
    /// The log says why not.
    Failed,
    /// Told to stop meanwhile.
    Stopped,
}

/// Takes over what was handed to us, and every `fd://N`. Before anything of ours is opened: it might
/// get such a number. As in gunicorn, what was handed over is listened on instead of `--bind`.
pub(super) fn inherit(
    settings: &Settings,
    inheritance: &mut Inheritance,
    log: &Log,
) -> Option<Inherited> {
    let given = inheritance.take_sockets();
    let numbers: Vec<RawFd> = given.iter().map(AsRawFd::as_raw_fd).collect();
    let mut all = Vec::new();
    for socket in given {
        let address = Address::Inherited(socket.as_raw_fd());
        let taken = listen::adopt(&address, socket, settings);
        all.push((address, Some(taken.inspect_err(|error| log.error(error)).ok()?)));
    }
    for address in &settings.bind {
        match address {
            Address::Inherited(number) if numbers.contains(number) => (),
            Address::Inherited(_) => {
                let taken = listen::bind(address, settings);
                let taken = taken.inspect_err(|error| log.error(error)).ok()?;
                all.push((address.clone(), Some(taken)));
            }
            Address::Tcp { .. } | Address::Unix(_) if numbers.is_empty() => {
                all.push((address.clone(), None));
            }
            Address::Tcp { .. } | Address::Unix(_) => (),
        }
    }
    Some(Inherited(all))
}

/// Whoever configured an address that is not listened on looks for the reason in the wrong place.
pub(super) fn compare(listeners: &[(Address, Listener)], settings: &Settings, log: &Log) {
    let shown = |listener: &Listener| match listener.shown.split_once("://") {
        Some((_, address)) => address.to_owned(),
        None => listener.shown.clone(),
    };
    let given: Vec<String> = listeners.iter().map(|(_, listener)| shown(listener)).collect();
    for address in &settings.bind {
        let is_given = match address {
            Address::Inherited(_) => true,
            Address::Unix(path) => {
                let path = std::path::absolute(path).unwrap_or_else(|_| path.clone());
                given.contains(&format!("unix:{}", path.display()))
            }
            Address::Tcp { .. } => given.contains(&address.to_string()),
        };
        if !is_given {
            log.warning(format_args!(
                "--bind {address} is ignored: systemd handed over {}",
                given.join(", ")
            ));
        }
    }
}

/// Binds the rest. What is heard meanwhile and is not an order to stop, is put back.
pub(super) async fn open(
    Inherited(inherited): Inherited,
    settings: &Settings,
    log: &Log,
    inbox: &Inbox,
) -> Opened {
    let mut listeners = Vec::new();
    for (address, inherited) in inherited {
        let opened = match inherited {
            Some(listener) => Ok(listener),
            None => bind(&address, settings, log, inbox).await,
        };
        match opened {
            Ok(listener) => listeners.push((address, listener)),
            Err(outcome) => return outcome,
        }
    }
    announce(&listeners, log);
    Opened::All(listeners)
}

fn announce(listeners: &[(Address, Listener)], log: &Log) {
    let shown: Vec<&str> = listeners.iter().map(|(_, it)| it.shown.as_str()).collect();
    log.info(format_args!("Listening at: {} ({})", shown.join(","), process::id()));
}

async fn bind(
    address: &Address,
    settings: &Settings,
    log: &Log,
    inbox: &Inbox,
) -> Result<Listener, Opened> {
    for _ in 0..TRIES {
        let error = match listen::bind(address, settings) {
            Ok(listener) => return Ok(listener),
            Err(error) => error,
        };
        match error.number() {
            Some(nix::libc::EADDRINUSE) => log.error(format_args!("Connection in use: {address}")),
            Some(nix::libc::EADDRNOTAVAIL) => log.error(format_args!("Invalid address: {address}")),
            _ => (),
        }
        log.error(&error);
        if !matches!(error, BindError::Bind { .. }) {
            // That does not pass by waiting.
            break;
        }
        log.debug("Retrying in 1 second.");
        if wait(inbox).await == Waited::Stopped {
            return Err(Opened::Stopped);
        }
    }
    log.error(format_args!("Can't connect to {address}"));
    Err(Opened::Failed)
}

#[derive(PartialEq, Eq)]
enum Waited {
    InFull,
    Stopped,
}

async fn wait(inbox: &Inbox) -> Waited {
    let mut heard = Vec::new();
    let stopped = async {
        loop {
            match inbox.take().await {
                Notice::Event(Event::Terminate | Event::Quit) => return,
                other => heard.push(other),
            }
        }
    };
    let waited = match tokio::time::timeout(BETWEEN, stopped).await {
        Ok(()) => Waited::Stopped,
        Err(_) => Waited::InFull,
    };
    for notice in heard {
        inbox.put_notice(notice);
    }
    waited
}

/// One that is open.
struct Entrance {
    address: Address,
    shown: String,
    kind: &'static str,
    /// A second descriptor of the same socket, for a master after us.
    socket: OwnedFd,
    /// None: it has no file, or the file is somebody else's to remove.
    path: Option<OwnPath>,
    /// Where its file is, whoever removes it.
    file: Option<std::path::PathBuf>,
    doors: watch::Sender<Doors>,
    accepting: JoinHandle<()>,
}

/// All that are open.
#[derive(Default)]
pub(super) struct Listeners {
    open: Vec<Entrance>,
}

impl Listeners {
    /// How many wait in the kernel's queues, of those that tell.
    pub(super) fn waiting(&self) -> Option<u64> {
        let waiting =
            self.open.iter().filter_map(|it| sys::waiting_connections(it.socket.as_raw_fd()));
        waiting.map(u64::from).reduce(|sum, one| sum + one)
    }

    pub(super) fn accept(
        &mut self,
        gateway: &Rc<Gateway>,
        listeners: Vec<(Address, Listener)>,
    ) -> io::Result<()> {
        for (address, mut listener) in listeners {
            let (doors, receiver) = watch::channel(Doors::Open);
            let (shown, kind) = (listener.shown.clone(), listener.kind());
            let socket = listener.descriptor().try_clone_to_owned()?;
            let (path, file) = (listener.path.take(), listener.file());
            let accepting = listen::accept(Rc::clone(gateway), listener, receiver);
            let accepting = tokio::task::spawn_local(accepting);
            self.open.push(Entrance { address, shown, kind, socket, path, file, doors, accepting });
        }
        Ok(())
    }

    /// `http://127.0.0.1:8000,unix:/run/app.sock`.
    pub(super) fn shown(&self) -> String {
        let shown: Vec<&str> = self.open.iter().map(|it| it.shown.as_str()).collect();
        shown.join(",")
    }

    /// Shown, kind, descriptor.
    pub(super) fn facts(&self) -> impl Iterator<Item = (&str, &'static str, RawFd)> {
        self.open.iter().map(|it| (it.shown.as_str(), it.kind, it.socket.as_raw_fd()))
    }

    /// For a master after us.
    pub(super) fn descriptors(&self) -> io::Result<Vec<OwnedFd>> {
        self.open.iter().map(|it| it.socket.try_clone()).collect()
    }

    /// The master before us has left: from now on the files are ours to remove.
    pub(super) fn claim(&mut self) {
        for entrance in &mut self.open {
            let claim = |file: &Path| OwnPath::claim(file).ok();
            entrance.path = entrance.path.take().or_else(|| claim(entrance.file.as_deref()?));
        }
    }

    /// Lets nobody in, or lets them in again. Whoever comes meanwhile waits in the kernel's queue.
    pub(super) fn set_doors(&self, doors: Doors) {
        for entrance in &self.open {
            entrance.doors.send_replace(doors);
        }
    }

    /// For good. First the names, so that nobody new comes, then those who are here.
    pub(super) async fn close(&mut self, queue: Queue) {
        let closing: Vec<_> = self.open.drain(..).map(|entrance| entrance.close(queue)).collect();
        for accepting in closing {
            let _ = accepting.await;
        }
    }

    /// Listens on what `settings` have and we have not; an address that can not be had changes
    /// nothing. gunicorn's rule: what was handed over, and `fd://N`, stays as it is.
    pub(super) fn add(&mut self, gateway: &Rc<Gateway>, settings: &Settings) -> Result<(), String> {
        let mut added = Vec::new();
        for address in self.wanted(settings) {
            if !self.open.iter().any(|it| it.address == *address) {
                let listener = listen::bind(address, settings).map_err(|it| it.to_string())?;
                added.push((address.clone(), listener));
            }
        }
        if !added.is_empty() {
            announce(&added, &gateway.log);
            self.accept(gateway, added).map_err(|it| format!("sockets can not be kept: {it}"))?;
        }
        Ok(())
    }

    /// Listens on nothing that `settings` have not.
    pub(super) fn keep_only(&mut self, settings: &Settings) {
        if self.is_given() {
            return;
        }
        let (stay, go) = std::mem::take(&mut self.open)
            .into_iter()
            .partition::<Vec<_>, _>(|it| settings.bind.contains(&it.address));
        self.open = stay;
        for entrance in go {
            // Who is in the queue is still served; nobody waits for that.
            drop(entrance.close(Queue::Ours));
        }
    }

    fn wanted<'a>(&self, settings: &'a Settings) -> &'a [Address] {
        if self.is_given() { &[] } else { &settings.bind }
    }

    fn is_given(&self) -> bool {
        self.open.iter().any(|it| matches!(it.address, Address::Inherited(_)))
    }
}

impl Entrance {
    fn close(self, queue: Queue) -> JoinHandle<()> {
        match (self.path, queue) {
            (Some(path), Queue::Shared) => path.leave(),
            (path, _) => drop(path),
        }
        drop(self.socket);
        self.doors.send_replace(Doors::Closed(queue));
        self.accepting
    }
}
