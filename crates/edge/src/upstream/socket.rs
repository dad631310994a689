//! How a socket to a peer is made: `proxy_bind`, `proxy_socket_keepalive` and the sizes of its
//! buffers. Most locations say nothing of it, and their sockets are the system's.

use std::{io, net::SocketAddr};

use nix::sys::socket::{setsockopt, sockopt::IpBindAddressNoPort};
use tokio::net::{TcpSocket, TcpStream};

use crate::{exchange::Exchange, log::Level, modules::upstream::split_port, vars::Template};

#[derive(Clone, Debug, Default)]
pub struct SocketRules {
    /// The address, and perhaps the port, it comes from.
    pub bind: Option<Template>,
    pub keepalive: bool,
    pub receive_buffer: Option<u32>,
    pub send_buffer: Option<u32>,
}

impl SocketRules {
    /// Where one request's socket is to come from. What turns out to be no address is said in the
    /// log, and the system chooses, as in nginx.
    pub(super) fn local(&self, exchange: &Exchange) -> Option<SocketAddr> {
        let text = self.bind.as_ref()?.render(exchange);
        if text.is_empty() {
            return None;
        }
        let text = String::from_utf8_lossy(&text);
        let local = parse(&text);
        if local.is_none() {
            exchange.log(Level::Error, &format!("invalid local address \"{text}\""));
        }
        local
    }

    pub(super) async fn connect(
        &self,
        to: SocketAddr,
        local: Option<SocketAddr>,
    ) -> io::Result<TcpStream> {
        let plain = !self.keepalive && self.receive_buffer.is_none() && self.send_buffer.is_none();
        if plain && local.is_none() {
            return TcpStream::connect(to).await;
        }
        let socket = match to {
            SocketAddr::V4(_) => TcpSocket::new_v4()?,
            SocketAddr::V6(_) => TcpSocket::new_v6()?,
        };
        if self.keepalive {
            socket.set_keepalive(true)?;
        }
        if let Some(size) = self.receive_buffer {
            socket.set_recv_buffer_size(size)?;
        }
        if let Some(size) = self.send_buffer {
            socket.set_send_buffer_size(size)?;
        }
        if let Some(local) = local {
            if local.port() == 0 {
                // The port is found with the peer's address in sight: more than 64 K connections
                // can come from one address.
                setsockopt(&socket, IpBindAddressNoPort, &true)?;
            } else {
                socket.set_reuseaddr(true)?;
            }
            socket.bind(local)?;
        }
        socket.connect(to).await
    }
}

/// An address with or without a port.
pub fn parse(text: &str) -> Option<SocketAddr> {
    let (host, port) = split_port(text)?;
    let host = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    Some((host.parse::<std::net::IpAddr>().ok()?, port.unwrap_or(0)).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn local_addresses() {
        let text = |text| parse(text).map(|address| address.to_string());
        assert_eq!(text("127.0.0.1").as_deref(), Some("127.0.0.1:0"));
        assert_eq!(text("127.0.0.1:99").as_deref(), Some("127.0.0.1:99"));
        assert_eq!(text("[::1]").as_deref(), Some("[::1]:0"));
        for bad in ["", "localhost", "127.0.0.1:x", "127.0.0.1:70000", "::1]"] {
            assert_eq!(parse(bad), None, "{bad}");
        }
    }
}
