//! Takes a proxy's connections for as long as it is up. All of them are tasks of this one, so that
//! with it the last of them is gone.

use std::{
    sync::{Arc, atomic::Ordering::Relaxed},
    time::Duration,
};

use tokio::{
    sync::{oneshot, watch},
    task::JoinSet,
    time::{sleep, timeout},
};

use crate::{
    Address, Journal,
    connection::Connection,
    counters::Counting,
    http::Conversation,
    live::List,
    socket::{Listener, Socket},
    told::Told,
};

/// As long as a system tries that sends its SYN three times.
const CONNECT: Duration = Duration::from_secs(10);
/// Without it, a full table of descriptors would be found full as fast as the processor can.
const AFTER_ERROR: Duration = Duration::from_millis(50);

pub(crate) struct Accepting {
    pub(crate) name: String,
    pub(crate) upstream: Address,
    pub(crate) toxics: watch::Receiver<List>,
    pub(crate) counting: Arc<Counting>,
    pub(crate) journal: Journal,
}

/// One more open connection, for as long as it is held.
struct Open(Arc<Counting>);

impl Drop for Open {
    fn drop(&mut self) {
        self.0.open.fetch_sub(1, Relaxed);
    }
}

impl Accepting {
    /// Until `stopped`, or until whoever could stop it is gone.
    pub(crate) async fn run(self, listener: Listener, mut stopped: oneshot::Receiver<()>) {
        let mut connections = JoinSet::new();
        loop {
            tokio::select! {
                _ = &mut stopped => break,
                Some(_) = connections.join_next() => {}
                accepted = listener.accept() => match accepted {
                    Ok((client, peer)) => {
                        let number = self.counting.accepted.fetch_add(1, Relaxed) + 1;
                        self.counting.open.fetch_add(1, Relaxed);
                        let open = Open(Arc::clone(&self.counting));
                        let name = &self.name;
                        let from = peer.map(|peer| format!(" from {peer}")).unwrap_or_default();
                        let told = Told {
                            journal: self.journal.clone(),
                            connection: format!("proxy \"{name}\" connection {number}{from}"),
                        };
                        connections.spawn(self.connect(client, open, told));
                    }
                    Err(error) => {
                        self.journal.write(format_args!("proxy \"{}\" cannot accept: {error}", self.name));
                        sleep(AFTER_ERROR).await;
                    }
                },
            }
        }
        drop(listener);
        connections.shutdown().await;
    }

    fn connect(&self, client: Socket, open: Open, told: Told) -> impl Future<Output = ()> + use<> {
        let upstream = self.upstream.clone();
        let toxics = self.toxics.clone();
        let counting = Arc::clone(&self.counting);
        async move {
            let _open = open;
            let connected = timeout(CONNECT, Socket::connect(&upstream)).await;
            let error = match connected {
                Ok(Ok(server)) => {
                    let conversation = Conversation::new();
                    let connection =
                        Connection { client, server, toxics, told, counting, conversation };
                    return connection.run().await;
                }
                Ok(Err(error)) => error.to_string(),
                Err(_) => format!("no answer within {} s", CONNECT.as_secs()),
            };
            counting.unreachable.fetch_add(1, Relaxed);
            let begin = &told.connection;
            told.journal.write(format_args!("{begin}: cannot connect to {upstream}: {error}"));
            // The nearest to a refusal that can be had after accepting.
            client.reset();
        }
    }
}
