//! Before a request that came over TLS is answered: whether its client has shown what the server
//! wants to see. Asked by whoever reads requests; a page says what came of it, and not the handshake.

use crate::{
    connection::Secured,
    load::Server,
    tls::{Verified, Wanted},
};

/// Why a request is not answered: a status and a line for the log.
pub struct Refused {
    pub status: u16,
    pub message: String,
}

/// `named`: the server that the request's host means.
pub fn check(secured: &Secured, named: &Server) -> Result<(), Refused> {
    let Some(wanted) = named.ssl.verify_client() else { return Ok(()) };
    match secured.verified {
        Verified::Failed(fault) if wanted != Wanted::Any || !fault.is_about_trust() => {
            let message = format!("client SSL certificate verify error: {fault}");
            Err(Refused { status: 495, message })
        }
        _ if wanted == Wanted::Required && secured.certificates.is_empty() => {
            let message = "client sent no required SSL certificate".to_owned();
            Err(Refused { status: 496, message })
        }
        _ => Ok(()),
    }
}

/// Whether a host may be asked for over a connection that was made to another name: not where its
/// server wants certificates, since those that were shown were judged by another's rules.
pub fn may_ask(secured: &Secured, host: Option<&[u8]>, named: &Server) -> bool {
    let name = secured.offer.name.as_deref().filter(|_| secured.offer.name_is_known);
    name.is_none() || name == host || named.ssl.verify_client().is_none()
}
