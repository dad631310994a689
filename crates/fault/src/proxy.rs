//! One proxy: where it listens, where it connects, whether it is up, and its toxics. The upstream
//! need not exist before a client comes: it is connected to once for each connection.

use std::{
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use serde_json::{Value, json};
use tokio::{
    sync::{Mutex as AsyncMutex, oneshot},
    task::JoinHandle,
};

use crate::{
    Address, Counters, FaultError, Journal, Toxic, accept::Accepting, counters::Counting,
    live::Toxics, socket::Listener,
};

/// A handle: clones are the same proxy.
#[derive(Clone)]
pub struct Proxy(Arc<Shared>);

struct Shared {
    name: String,
    journal: Journal,
    toxics: Toxics,
    counting: Arc<Counting>,
    settings: Mutex<Settings>,
    /// Held while the proxy goes up or down, so that two orders can not cross.
    running: AsyncMutex<Option<Running>>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Settings {
    listen: Address,
    upstream: Address,
    enabled: bool,
}

/// Accepts while it is there.
struct Running {
    stop: oneshot::Sender<()>,
    accepting: JoinHandle<()>,
}

impl Proxy {
    pub(crate) fn new(name: &str, listen: Address, upstream: Address, journal: Journal) -> Proxy {
        Proxy(Arc::new(Shared {
            name: name.to_owned(),
            journal,
            toxics: Toxics::new(),
            counting: Arc::default(),
            settings: Mutex::new(Settings { listen, upstream, enabled: false }),
            running: AsyncMutex::new(None),
        }))
    }

    pub fn name(&self) -> &str {
        &self.0.name
    }

    /// Where clients connect: with port 0, the port that the system has chosen.
    pub fn listen(&self) -> Address {
        self.settings().listen.clone()
    }

    pub fn upstream(&self) -> Address {
        self.settings().upstream.clone()
    }

    pub fn is_enabled(&self) -> bool {
        self.settings().enabled
    }

    pub fn counters(&self) -> Counters {
        self.0.counting.now()
    }

    /// Adds a toxic. It is in force for every connection, open ones too, when this returns.
    pub fn toxic(&self, toxic: Toxic) -> Result<Toxic, FaultError> {
        self.0.toxics.add(toxic)
    }

    pub fn toxics(&self) -> Vec<Toxic> {
        self.0.toxics.all()
    }

    /// How many requests the HTTP toxic of this name has taken.
    pub fn taken(&self, toxic: &str) -> Result<u64, FaultError> {
        self.0.toxics.taken(toxic)
    }

    /// Removes the toxic of this name.
    pub fn remove(&self, toxic: &str) -> Result<(), FaultError> {
        self.0.toxics.remove(toxic)
    }

    pub fn remove_all(&self) {
        self.0.toxics.clear();
    }

    pub(crate) fn live(&self) -> &Toxics {
        &self.0.toxics
    }

    /// Listens. Nothing happens to a proxy that does already.
    pub async fn enable(&self) -> Result<(), FaultError> {
        let mut running = self.0.running.lock().await;
        self.start(&mut running).await
    }

    /// Stops listening and closes all connections.
    pub async fn disable(&self) {
        let mut running = self.0.running.lock().await;
        self.stop(&mut running).await;
    }

    /// Puts the proxy elsewhere; its connections are closed if anything changes.
    pub(crate) async fn change(
        &self,
        listen: Address,
        upstream: Address,
        enabled: bool,
    ) -> Result<(), FaultError> {
        let mut running = self.0.running.lock().await;
        if listen != self.listen() || upstream != self.upstream() {
            self.stop(&mut running).await;
            let mut settings = self.settings();
            settings.listen = listen;
            settings.upstream = upstream;
        }
        if enabled {
            return self.start(&mut running).await;
        }
        self.stop(&mut running).await;
        Ok(())
    }

    async fn start(&self, running: &mut Option<Running>) -> Result<(), FaultError> {
        if running.is_some() {
            return Ok(());
        }
        let listen = self.listen();
        let listener = Listener::bind(&listen).await?;
        let failed = |error| FaultError::Listen { listen: listen.to_string(), error };
        let address = listener.address().map_err(failed)?;
        let (stop, stopped) = oneshot::channel();
        let accepting = Accepting {
            name: self.0.name.clone(),
            upstream: self.upstream(),
            toxics: self.0.toxics.subscribe(),
            counting: Arc::clone(&self.0.counting),
            journal: self.0.journal.clone(),
        };
        let accepting = tokio::spawn(accepting.run(listener, stopped));
        *running = Some(Running { stop, accepting });
        let (name, upstream) = (&self.0.name, self.upstream());
        self.0.journal.write(format_args!("proxy \"{name}\" listens on {address} for {upstream}"));
        let mut settings = self.settings();
        settings.listen = address;
        settings.enabled = true;
        Ok(())
    }

    async fn stop(&self, running: &mut Option<Running>) {
        let Some(Running { stop, accepting }) = running.take() else { return };
        drop(stop);
        // It ends by a panic only, and then there is nothing left to stop.
        let _ = accepting.await;
        self.settings().enabled = false;
        self.0.journal.write(format_args!("proxy \"{}\" is down", self.0.name));
    }

    fn settings(&self) -> MutexGuard<'_, Settings> {
        // No code that can panic runs under the lock.
        self.0.settings.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// As the control API shows it.
    pub(crate) fn shown(&self) -> Value {
        let Settings { listen, upstream, enabled } = self.settings().clone();
        json!({
            "name": self.0.name,
            "listen": listen.to_string(),
            "upstream": upstream.to_string(),
            "enabled": enabled,
            "toxics": self.toxics(),
        })
    }
}

impl fmt::Debug for Proxy {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_tuple("Proxy").field(&self.0.name).finish()
    }
}
