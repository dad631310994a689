//! `--control-socket`: gunicorn's, for gunicornc. Who may connect may do all that signals can, so the
//! socket is its owner's alone; and that it can not be had never keeps us from serving.
//!
//! Must not know processes: what a command asks for becomes an event or a signal to ourselves, as if
//! the operator had sent it.

mod commands; // what can be asked for
mod protocol; // a length, and JSON

use std::{
    cell::Cell,
    env, fs, io,
    os::unix::fs::{DirBuilderExt, PermissionsExt},
    path::{Path, PathBuf},
    rc::Rc,
    time::Duration,
};

use nix::{
    sys::stat::{Mode, umask},
    unistd::{Uid, User},
};
use tokio::{
    net::{UnixListener, UnixStream},
    task::JoinHandle,
    time::timeout,
};

use crate::{
    gateway::Gateway,
    listen::{self, OwnPath},
    settings::Settings,
};

/// At once. One operator, and a monitor or two.
const MOST_CLIENTS: usize = 16;
/// As gunicorn: an interactive client may think.
const IDLE: Duration = Duration::from_mins(5);

/// Open, and nobody is answered yet.
pub(crate) struct ControlSocket {
    listener: std::os::unix::net::UnixListener,
    path: OwnPath,
}

/// Closed, and its file removed, when dropped.
pub(crate) struct Answering {
    task: JoinHandle<()>,
    _path: OwnPath,
}

/// `None`: it is not wanted.
pub(crate) fn open(settings: &Settings) -> Option<Result<ControlSocket, String>> {
    if settings.control_socket_disable {
        return None;
    }
    let path = settings.control_socket.clone().or_else(default_path)?;
    let opened = bind(&path, settings.control_socket_mode);
    Some(opened.map_err(|error| format!("\"{}\": {error}", path.display())))
}

/// Where gunicornc looks.
pub(crate) fn default_path() -> Option<PathBuf> {
    let runtime = env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from);
    if let Some(folder) = runtime.filter(|folder| folder.is_dir()) {
        return Some(folder.join("gunicorn.ctl"));
    }
    let home = env::var_os("HOME").filter(|home| !home.is_empty()).map(PathBuf::from);
    let home = home.or_else(|| Some(User::from_uid(Uid::current()).ok()??.dir))?;
    Some(home.join(".gunicorn/gunicorn.ctl"))
}

fn bind(path: &Path, mode: u32) -> io::Result<ControlSocket> {
    if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    }
    match listen::is_in_the_way(path) {
        Ok(false) => (),
        Ok(true) => return Err(io::Error::other("it is in the way, and is not a socket")),
        Err(error) if error.raw_os_error() == Some(nix::libc::EADDRINUSE) => {
            return Err(io::Error::other(
                "another server answers there; --control-socket gives this one its own",
            ));
        }
        Err(error) => return Err(error),
    }
    // Not even for a moment anybody else's.
    let before = umask(Mode::from_bits_truncate(0o177));
    let bound = std::os::unix::net::UnixListener::bind(path);
    umask(before);
    let listener = bound?;
    let own = OwnPath::claim(path)?;
    fs::set_permissions(path, fs::Permissions::from_mode(mode))?;
    listener.set_nonblocking(true)?;
    Ok(ControlSocket { listener, path: own })
}

impl ControlSocket {
    pub(crate) fn answer(self, gateway: &Rc<Gateway>) -> io::Result<Answering> {
        let listener = UnixListener::from_std(self.listener)?;
        gateway
            .log
            .info(format_args!("Control socket listening at {}", self.path.path().display()));
        let task = tokio::task::spawn_local(accept(Rc::clone(gateway), listener));
        Ok(Answering { task, _path: self.path })
    }
}

impl Drop for Answering {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn accept(gateway: Rc<Gateway>, listener: UnixListener) {
    let clients = Rc::new(Cell::new(0));
    loop {
        match listener.accept().await {
            Ok((stream, _)) if clients.get() < MOST_CLIENTS => {
                clients.set(clients.get() + 1);
                let (gateway, clients) = (Rc::clone(&gateway), Rc::clone(&clients));
                tokio::task::spawn_local(async move {
                    if let Err(error) = serve(&gateway, stream).await {
                        gateway.log.debug(format_args!("control socket: {error}"));
                    }
                    clients.set(clients.get() - 1);
                });
            }
            Ok((too_many, _)) => drop(too_many),
            Err(error) => {
                gateway.log.error(format_args!("control socket: {error}"));
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
        }
    }
}

async fn serve(gateway: &Rc<Gateway>, mut stream: UnixStream) -> io::Result<()> {
    let who = stream.peer_cred()?.uid();
    while let Ok(message) = timeout(IDLE, protocol::read(&mut stream)).await {
        let Some(request) = message? else { break };
        let answer = commands::answer(gateway, &request, who);
        timeout(IDLE, protocol::write(&mut stream, &answer)).await??;
    }
    Ok(())
}
