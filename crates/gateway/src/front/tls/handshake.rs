//! The beginning of a connection where TLS is spoken. What does not begin as TLS does is plain HTTP,
//! most likely, and is told so in HTTP: a browser shows the page, and the log has one line that says
//! what is wrong, where gunicorn has none.

use std::{io, sync::Arc, time::Duration};

use bytes::{Buf, BytesMut};
use rustls::{ServerConfig, ServerConnection};

use super::super::{Gone, Persistence, Phase, Socket, page};
use crate::{gateway::Gateway, story::Peer};

/// From the connection's first moment to the handshake's last: a client that is not slow on purpose
/// needs three round trips.
const PATIENCE: Duration = Duration::from_secs(10);

/// The first byte of a record that belongs to a handshake.
pub(crate) const HANDSHAKE: u8 = 22;

/// Why hands were not shaken.
pub(crate) enum Unshaken {
    Gone(Gone),
    Failed(io::Error),
}

/// The client, over TLS, which may have begun already. `None`: there is nobody to talk to.
pub(crate) async fn greet(
    gateway: &Gateway,
    mut socket: Socket,
    peer: Peer,
    config: Arc<ServerConfig>,
    mut begun: BytesMut,
) -> Option<Socket> {
    gateway.connections.wait(&mut socket, Phase::Fresh, PATIENCE);
    if begun.is_empty() {
        begun.reserve(2048);
        // Whoever comes and leaves without a word is a health check.
        socket.read(&mut begun).await.ok()?;
    }
    if begun[0] != HANDSHAKE {
        refuse_plain(gateway, socket, peer, &mut begun).await;
        return None;
    }
    let session = match ServerConnection::new(config) {
        Ok(session) => session,
        Err(error) => {
            gateway.log.error(format_args!("no TLS for {peer}: {error}"));
            return None;
        }
    };
    match socket.secure(session, &begun).await {
        Ok(socket) => Some(socket),
        Err(why) => {
            let why = match why {
                Unshaken::Gone(Gone::Silent) => {
                    format!("it did not come to its end within {} seconds", PATIENCE.as_secs())
                }
                Unshaken::Gone(Gone::Closed) => "the client left".to_owned(),
                Unshaken::Failed(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                    "the client left".to_owned()
                }
                Unshaken::Failed(error) => error.to_string(),
            };
            // The client's doing, and on an open port everyday: nothing to be warned of.
            gateway.log.info(format_args!("TLS handshake with {peer} failed: {why}"));
            None
        }
    }
}

async fn refuse_plain(gateway: &Gateway, mut socket: Socket, peer: Peer, begun: &mut BytesMut) {
    gateway.log.warning(format_args!(
        "Invalid request from ip={peer}: not TLS, which is what this port speaks (certfile is set); \
         it begins \"{}\"",
        begun.chunk()[..begun.len().min(24)].escape_ascii()
    ));
    let message = "This port speaks TLS: the address begins with https://, not with http://.";
    let page = page(400, message, Persistence::Close, &[]);
    if socket.write_all(&page.bytes).await.is_ok() {
        socket.linger(begun).await;
    }
}
