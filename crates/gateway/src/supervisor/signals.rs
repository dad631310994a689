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
    (nix::libc::SIGUSR2, "usr2", Event::Upgrade),
    (nix::libc::SIGWINCH, "winch", Event::Withdraw),
];

/// From here on none of them kills this process.
pub(super) fn watch(gateway: &Rc<Gateway>, inbox: &Rc<Inbox>) -> io::Result<()> {
    for (number, name, event) in MEANINGS {
        let signals = signal(SignalKind::from_raw(*number))?;
        let (gateway, inbox) = (Rc::clone(gateway), Rc::clone(inbox));
        tokio::task::spawn_local(repeat(signals, move || {
            gateway.log.info(format_args!("Handling signal: {name}"));
            // A terminal sends it too, whenever its window is resized.
            match event {
                Event::Withdraw if !gateway.settings().daemon => {
                    gateway.log.debug("SIGWINCH ignored. Not daemonized");
                }
                Event::Withdraw => {
                    gateway.log.info("graceful stop of workers");
                    inbox.put(Event::Withdraw);
                }
                event => inbox.put(event.clone()),
            }
        }));
    }
    Ok(())
}

async fn repeat(mut signals: Signal, each: impl Fn()) {
    while signals.recv().await.is_some() {
        each();
    }
}
