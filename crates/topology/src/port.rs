//! Ports of the loopback that nobody else will take: found free, and then kept from other topologies by
//! a name in the kernel's abstract namespace, which goes when the process goes. They lie below the ports
//! that the kernel gives to outgoing connections, so that no client sits on one by chance.

use std::io;
use std::net::TcpListener;
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::net::{SocketAddr, UnixListener};

use anyhow::{Result, bail};

const FIRST: u16 = 20_000;
const LAST: u16 = 31_999;

/// A port that is ours until this is dropped.
#[derive(Debug)]
pub(crate) struct Port {
    pub(crate) number: u16,
    _claim: UnixListener,
}

impl Port {
    /// Any that is free.
    pub(crate) fn any() -> Result<Port> {
        let count = LAST - FIRST + 1;
        // Two that begin at the same place would get in each other's way at every step.
        let start = (std::process::id() as u16).wrapping_mul(7919) % count;
        for step in 0..count {
            let number = FIRST + (start + step) % count;
            if let Ok(port) = Port::claim(number) {
                return Ok(port);
            }
        }
        bail!("no port from {FIRST} to {LAST} is free")
    }

    /// The one somebody wants.
    pub(crate) fn this(number: u16) -> Result<Port> {
        match Port::claim(number) {
            Ok(port) => Ok(port),
            Err(error) if error.kind() == io::ErrorKind::AddrInUse => bail!(
                "port {number} is in use: choose another with --port, or see who has it with: ss -ltnp"
            ),
            Err(error) => bail!("port {number} cannot be used: {error}"),
        }
    }

    fn claim(number: u16) -> io::Result<Port> {
        let name = SocketAddr::from_abstract_name(format!("causeway-port-{number}"))?;
        let claim = UnixListener::bind_addr(&name)?;
        // Somebody else's server.
        TcpListener::bind(("127.0.0.1", number))?;
        Ok(Port { number, _claim: claim })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_is_given_to_one_only_and_again_when_that_one_has_gone() {
        let ports: Vec<Port> = (0..20).map(|_| Port::any().unwrap()).collect();
        let mut numbers: Vec<u16> = ports.iter().map(|port| port.number).collect();
        numbers.dedup();
        assert_eq!(numbers.len(), 20);
        let first = numbers[0];
        assert!(Port::claim(first).is_err());
        drop(ports);
        assert!(Port::claim(first).is_ok());
    }
}
