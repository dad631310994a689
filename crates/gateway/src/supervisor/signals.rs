//! gunicorn's signals, as events.

use std::{io, rc::Rc};

use tokio::signal::unix::{Signal, SignalKind, signal};

use super::{fleet::Event, inbox::Inbox};
use crate::gateway::Gateway;

/// Number, gunicorn's name, what it means.
const MEANINGS: &[(nix::libc::c_int, &str, Event)] = &[
    (nix::libc::SIGTERM, "term", Event::Terminate),
    (nix::libc::SIGINT, "int", Event::Quit),
    (nix::libc::SIGQUIT, "quit", Event::Quit),
    (nix::libc::SIGHUP, "hup", Event::Hangup),
    (nix::libc::SIGTTIN, "ttin", Event::More),
    (nix::libc::SIGTTOU, "ttou", Event::Fewer),
    (nix::libc::SIGUSR1, "usr1", Event::Reopen),
];

/// From here on none of them kills this process. USR2 and WINCH are known, and said not to be.
pub(super) fn watch(gateway: &Rc<Gateway>, inbox: &Rc<Inbox>) -> io::Result<()> {
    for (number, name, event) in MEANINGS {
        let signals = signal(SignalKind::from_raw(*number))?;
        let (gateway, inbox) = (Rc::clone(gateway), Rc::clone(inbox));
        tokio::task::spawn_local(repeat(signals, move || {
            gateway.log.info(format_args!("Handling signal: {name}"));
            inbox.put(event.clone());
        }));
    }
    for (kind, name) in
        [(SignalKind::user_defined2(), "usr2"), (SignalKind::window_change(), "winch")]
    {
        let signals = signal(kind)?;
        let gateway = Rc::clone(gateway);
        tokio::task::spawn_local(repeat(signals, move || {
            gateway.log.warning(format_args!(
                "Signal {name} is gunicorn's; causeway-gateway does not have it yet"
            ));
        }));
    }
    Ok(())
}

async fn repeat(mut signals: Signal, each: impl Fn()) {
    while signals.recv().await.is_some() {
        each();
    }
}
