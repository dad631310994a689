//! How the edge itself asks over TLS: what it takes from a server behind it, and what it shows.

use std::{fmt, sync::Arc};

use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, Error, OtherError, SignatureScheme,
    client::{
        Resumption,
        danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    },
    crypto::{CryptoProvider, aws_lc_rs::default_provider},
    pki_types::{CertificateDer, ServerName, UnixTime},
    sign::SingleCertAndKey,
};

use super::{
    Authorities, Certificate, Ciphers, Curves, Fault, Protocols, Subject,
    chain::{self, Purpose},
    verify::Signatures,
};

pub struct OutwardWishes {
    pub protocols: Protocols,
    pub ciphers: Ciphers,
    /// Shown to servers that ask for one.
    pub certificate: Option<Certificate>,
    /// Who has to have signed the server's; `None`: whoever it is, it is believed.
    pub authorities: Option<Authorities>,
    /// Whether the server is told the name it is asked by.
    pub tells_name: bool,
    /// Whether a connection may go on with another's session.
    pub reuses_sessions: bool,
}

/// How one location's connections begin.
#[derive(Clone)]
pub struct Outward {
    config: Arc<ClientConfig>,
    verifies: bool,
}

impl Outward {
    pub fn of(wishes: OutwardWishes) -> Result<Outward, Error> {
        let provider = CryptoProvider {
            cipher_suites: wishes.ciphers.suites(),
            kx_groups: Curves::default().groups(),
            ..default_provider()
        };
        let verifies = wishes.authorities.is_some();
        let judge = Judge { signatures: Signatures::all(), authorities: wishes.authorities };
        let builder = ClientConfig::builder_with_provider(provider.into())
            .with_protocol_versions(&wishes.protocols.versions())?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(judge));
        let mut config = match wishes.certificate {
            None => builder.with_no_client_auth(),
            Some(certificate) => {
                builder.with_client_cert_resolver(Arc::new(SingleCertAndKey::from(certificate)))
            }
        };
        config.enable_sni = wishes.tells_name;
        if !wishes.reuses_sessions {
            config.resumption = Resumption::disabled();
        }
        Ok(Outward { config: Arc::new(config), verifies })
    }

    /// For a server that is asked by this name, which may have a port. `None`: by such a name nobody
    /// can be known.
    pub fn to(&self, name: &str) -> Option<Called> {
        let host = match name.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
            Some((host, _)) => host,
            None => name.split_once(':').map_or(name, |(host, _)| host),
        };
        let name = match ServerName::try_from(host.to_owned()) {
            Ok(name) => name,
            // It is neither told nor looked at.
            Err(_) if !self.verifies && !self.config.enable_sni => {
                ServerName::from(std::net::IpAddr::V4(std::net::Ipv4Addr::UNSPECIFIED))
            }
            Err(_) => return None,
        };
        Some(Called { config: Arc::clone(&self.config), name })
    }
}

/// A server, and how it is asked. Connections of the same are as good as one another.
#[derive(Clone)]
pub struct Called {
    pub config: Arc<ClientConfig>,
    pub name: ServerName<'static>,
}

impl PartialEq for Called {
    fn eq(&self, other: &Called) -> bool {
        Arc::ptr_eq(&self.config, &other.config) && self.name == other.name
    }
}

#[derive(Debug)]
struct Judge {
    signatures: Signatures,
    authorities: Option<Authorities>,
}

impl fmt::Debug for Authorities {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Authorities").finish_non_exhaustive()
    }
}

impl ServerCertVerifier for Judge {
    fn verify_server_cert(
        &self,
        shown: &CertificateDer<'_>,
        brought: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        _ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let Some(authorities) = &self.authorities else {
            return Ok(ServerCertVerified::assertion());
        };
        chain::verify(authorities, Purpose::Server, shown, brought, now)
            .map_err(|fault| CertificateError::Other(OtherError(Arc::new(fault))))?;
        let subject = Subject::of(shown).map_err(|_| CertificateError::BadEncoding)?;
        if subject.is_for(name) {
            Ok(ServerCertVerified::assertion())
        } else {
            Err(CertificateError::NotValidForName.into())
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.signatures.verify_tls12(message, certificate, signed)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.signatures.verify_tls13(message, certificate, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.signatures.0.supported_schemes()
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "({}:{})", self.number, self.words)
    }
}

impl std::error::Error for Fault {}
