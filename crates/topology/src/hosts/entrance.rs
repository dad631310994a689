//! The way into a topology of hosts: a port of this machine's loopback whose connections are carried to
//! the first hop, byte by byte, the end of each direction by itself. The first hop sees them come from
//! the switch.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::thread::{self, JoinHandle};

use tokio::net::TcpStream;
use tokio::sync::oneshot;

use super::Namespace;

/// Open until it is dropped, with every connection that came by it.
#[derive(Debug)]
pub struct Entrance {
    close: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Entrance {
    /// Carries what comes to `outside` to `inside`, which can be reached from the namespace.
    pub(crate) fn open(
        outside: SocketAddr,
        inside: SocketAddr,
        namespace: &Namespace,
    ) -> io::Result<Entrance> {
        // Made here, where browsers are; every other socket is made by a thread that is inside.
        let listener = TcpListener::bind(outside)?;
        listener.set_nonblocking(true)?;
        let namespace = namespace.another()?;
        let (close, closed) = oneshot::channel();
        let (entered, enters) = std::sync::mpsc::sync_channel(1);
        let work = move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            let ready = namespace.enter().and(runtime);
            let runtime = match ready {
                Ok(runtime) => runtime,
                Err(error) => return drop(entered.send(Err(error))),
            };
            drop(entered.send(Ok(())));
            runtime.block_on(async {
                tokio::select! {
                    _ = closed => {}
                    _ = carry(listener, inside) => {}
                }
            });
        };
        let thread = thread::Builder::new().name("entrance".to_owned()).spawn(work)?;
        enters.recv().unwrap_or_else(|_| Err(io::Error::other("the entrance panicked")))?;
        Ok(Entrance { close: Some(close), thread: Some(thread) })
    }
}

impl Drop for Entrance {
    fn drop(&mut self) {
        drop(self.close.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

async fn carry(listener: TcpListener, inside: SocketAddr) -> io::Result<()> {
    let listener = tokio::net::TcpListener::from_std(listener)?;
    loop {
        match listener.accept().await {
            Ok((browser, _)) => drop(tokio::spawn(connect(browser, inside))),
            // A connection that was gone before we came, or no descriptor for one just now.
            Err(_) => tokio::time::sleep(std::time::Duration::from_millis(50)).await,
        }
    }
}

async fn connect(mut browser: TcpStream, inside: SocketAddr) {
    let _ = browser.set_nodelay(true);
    let Ok(mut hop) = TcpStream::connect(inside).await else {
        // As it would be without us in between: nobody is there.
        return drop(browser.set_zero_linger());
    };
    let _ = hop.set_nodelay(true);
    if tokio::io::copy_bidirectional(&mut browser, &mut hop).await.is_err() {
        // One of them was reset: so is the other.
        let _ = browser.set_zero_linger();
        let _ = hop.set_zero_linger();
    }
}
