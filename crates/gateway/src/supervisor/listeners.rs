//! Opening what connections come in by, with gunicorn's patience: an address in use is tried five
//! times, a second apart. The server before us may be about to leave it.

use std::{process, time::Duration};

use super::{
    fleet::Event,
    inbox::{Inbox, Notice},
};
use crate::{
    listen::{self, BindError, Listener},
    log::Log,
    settings::{Address, Settings},
};

const TRIES: u32 = 5;
const BETWEEN: Duration = Duration::from_secs(1);

/// Listeners in the order of `--bind`; those to be bound are missing yet.
pub(super) struct Inherited(Vec<Option<Listener>>);

pub(super) enum Opened {
    All(Vec<Listener>),
    /// The log says why not.
    Failed,
    /// Told to stop meanwhile.
    Stopped,
}

/// Takes over every `fd://N`. Before anything of ours is opened: it might get such a number.
pub(super) fn inherit(settings: &Settings, log: &Log) -> Option<Inherited> {
    let take = |address: &Address| match address {
        Address::Inherited(_) => {
            let taken = listen::bind(address, settings);
            Some(Some(taken.inspect_err(|error| log.error(error)).ok()?))
        }
        Address::Tcp { .. } | Address::Unix(_) => Some(None),
    };
    settings.bind.iter().map(take).collect::<Option<_>>().map(Inherited)
}

/// Binds the rest. What is heard meanwhile and is not an order to stop, is put back.
pub(super) async fn open(
    Inherited(inherited): Inherited,
    settings: &Settings,
    log: &Log,
    inbox: &Inbox,
) -> Opened {
    let mut listeners = Vec::new();
    for (address, inherited) in settings.bind.iter().zip(inherited) {
        let opened = match inherited {
            Some(listener) => Ok(listener),
            None => bind(address, settings, log, inbox).await,
        };
        match opened {
            Ok(listener) => listeners.push(listener),
            Err(outcome) => return outcome,
        }
    }
    let shown: Vec<&str> = listeners.iter().map(|listener| listener.shown.as_str()).collect();
    log.info(format_args!("Listening at: {} ({})", shown.join(","), process::id()));
    Opened::All(listeners)
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
