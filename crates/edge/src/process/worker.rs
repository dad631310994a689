//! The threads that answer: one runtime each, nothing shared but the configuration.

use std::{io, rc::Rc, sync::Arc};

use super::Drain;
use crate::{
    listen::{Acceptor, Desk, Socket},
    load::Config,
};

/// Answers until the process is told to stop.
pub fn run(config: &Arc<Config>, sockets: &[Socket]) -> io::Result<()> {
    let Some(http) = config.http.clone() else { return Ok(()) };
    let threads = config.main.worker_processes();
    let (desks, inboxes): (Vec<_>, Vec<_>) = (0..threads).map(|_| Desk::new()).unzip();
    let desks: Arc<[Desk]> = desks.into();
    let (stop, stopped) = tokio::sync::watch::channel(false);
    std::thread::scope(|scope| {
        for (desk, inbox) in inboxes.into_iter().enumerate() {
            let (http, desks, mut stopped) =
                (Arc::clone(&http), Arc::clone(&desks), stopped.clone());
            scope.spawn(move || -> io::Result<()> {
                let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
                let local = tokio::task::LocalSet::new();
                let drain = Drain::default();
                local.block_on(&runtime, async {
                    let acceptor = Acceptor { http, desks, desk, drain: drain.clone() };
                    Rc::new(acceptor).start(sockets, inbox)?;
                    let _stop = stopped.wait_for(|stop| *stop).await;
                    drain.begin();
                    drain.finished().await;
                    Ok(())
                })
            });
        }
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(async {
            use tokio::signal::unix::{SignalKind, signal};
            let mut quit = signal(SignalKind::quit())?;
            let mut terminate = signal(SignalKind::terminate())?;
            tokio::select! {
                _ = quit.recv() => (),
                _ = terminate.recv() => (),
            }
            Ok::<_, io::Error>(())
        })?;
        let _no_thread_left = stop.send(true);
        Ok(())
    })
}
