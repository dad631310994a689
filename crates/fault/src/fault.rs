//! All proxies of one process, by name.

use std::{
    collections::BTreeMap,
    io,
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak},
};

use tokio::sync::{Mutex as AsyncMutex, oneshot};

use crate::{Address, FaultError, Journal, Proxy, api, ordered::Ordered};

/// A handle: clones hold the same proxies. When the last one is dropped, all of them end.
#[derive(Clone, Debug)]
pub struct Fault(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    journal: Journal,
    proxies: Mutex<BTreeMap<String, Proxy>>,
    /// Held while proxies are added or removed, so that a name is taken once.
    order: AsyncMutex<()>,
    /// The control API ends when this is dropped.
    api: OnceLock<oneshot::Sender<()>>,
}

/// What the control API holds: it keeps no proxy alive.
#[derive(Clone)]
pub(crate) struct Held(Weak<Shared>);

impl Held {
    pub(crate) fn fault(&self) -> Option<Fault> {
        self.0.upgrade().map(Fault)
    }
}

impl Fault {
    /// Without a control API: the calls here are all there is.
    pub fn new(journal: Journal) -> Fault {
        Fault(Arc::new(Shared {
            journal,
            proxies: Mutex::default(),
            order: AsyncMutex::default(),
            api: OnceLock::new(),
        }))
    }

    /// With Toxiproxy's control API on `address`. Returns where it listens.
    pub async fn start(address: &str, journal: Journal) -> io::Result<(Fault, SocketAddr)> {
        let fault = Fault::new(journal);
        let (stop, stopped) = oneshot::channel();
        let address = api::serve(Held(Arc::downgrade(&fault.0)), address, stopped).await?;
        fault.0.journal.write(format_args!("control API on {address}"));
        fault.0.api.set(stop).expect("a new one has no API yet");
        Ok((fault, address))
    }

    /// Adds a proxy and listens. `listen` and `upstream` are `HOST:PORT`, `unix:/PATH` or
    /// `unix:@NAME`; the upstream need not be there yet.
    pub async fn proxy(
        &self,
        name: &str,
        listen: &str,
        upstream: &str,
    ) -> Result<Proxy, FaultError> {
        self.add(name, listen.parse()?, upstream.parse()?, true).await
    }

    pub(crate) async fn add(
        &self,
        name: &str,
        listen: Address,
        upstream: Address,
        enabled: bool,
    ) -> Result<Proxy, FaultError> {
        let _order = self.0.order.lock().await;
        if self.proxies().contains_key(name) {
            return Err(FaultError::ProxyExists(name.to_owned()));
        }
        let proxy = Proxy::new(name, listen, upstream, self.0.journal.clone());
        if enabled {
            proxy.enable().await?;
        }
        self.proxies().insert(name.to_owned(), proxy.clone());
        Ok(proxy)
    }

    /// Adds proxies as `POST /populate` does, from a JSON list.
    pub async fn configure(&self, json: &[u8]) -> Result<(), FaultError> {
        let ordered = serde_json::from_slice(json);
        let ordered = ordered.map_err(|error| FaultError::Body(error.to_string()))?;
        self.populate(ordered).await.1
    }

    /// Adds each proxy, or replaces one of its name that listens or connects elsewhere. Nothing is
    /// done if one is wrong in itself; if one fails, those before it stay.
    pub(crate) async fn populate(
        &self,
        ordered: Vec<Ordered>,
    ) -> (Vec<Proxy>, Result<(), FaultError>) {
        let mut made = Vec::new();
        let result = async {
            let complete = ordered.into_iter().enumerate().map(|(at, ordered)| {
                ordered.complete().map_err(|error| match error {
                    FaultError::MissingField(field) => {
                        FaultError::MissingField(format!("{field} at proxy {}", at + 1))
                    }
                    error => error,
                })
            });
            for (name, listen, upstream, enabled) in complete.collect::<Result<Vec<_>, _>>()? {
                if let Ok(existing) = self.get(&name) {
                    if existing.listen() == listen && existing.upstream() == upstream {
                        made.push(existing);
                        continue;
                    }
                    self.remove(&name).await?;
                }
                made.push(self.add(&name, listen, upstream, enabled).await?);
            }
            Ok(())
        };
        let result = result.await;
        (made, result)
    }

    pub fn get(&self, name: &str) -> Result<Proxy, FaultError> {
        let found = self.proxies().get(name).cloned();
        found.ok_or_else(|| FaultError::ProxyNotFound(name.to_owned()))
    }

    /// In the order of their names.
    pub fn all(&self) -> Vec<Proxy> {
        self.proxies().values().cloned().collect()
    }

    /// Closes the proxy and its connections.
    pub async fn remove(&self, name: &str) -> Result<(), FaultError> {
        let _order = self.0.order.lock().await;
        let removed = self.proxies().remove(name);
        let missing = || FaultError::ProxyNotFound(name.to_owned());
        removed.ok_or_else(missing)?.disable().await;
        Ok(())
    }

    /// Enables every proxy and removes every toxic.
    pub async fn reset(&self) -> Result<(), FaultError> {
        let mut result = Ok(());
        for proxy in self.all() {
            proxy.remove_all();
            result = result.and(proxy.enable().await);
        }
        result
    }

    /// Closes every proxy and its connections.
    pub async fn stop(&self) {
        for proxy in self.all() {
            proxy.disable().await;
        }
    }

    fn proxies(&self) -> MutexGuard<'_, BTreeMap<String, Proxy>> {
        // No code that can panic runs under the lock.
        self.0.proxies.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
