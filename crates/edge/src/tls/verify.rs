//! Clients' certificates: asked for in the handshake, judged after it.
//!
//! As in nginx, a handshake does not fail because of a certificate: the client hears of it in HTTP, by
//! a page, and `optional_no_ca` leaves the judgement to the application. So rustls is told to take any
//! certificate whose key the client has, and what is thought of it is found out afterwards, for a
//! session that goes on just as for a new one.

use std::sync::Arc;

use rustls::{
    DigitallySignedStruct, DistinguishedName, Error, RootCertStore, SignatureScheme,
    client::danger::HandshakeSignatureValid,
    crypto::{WebPkiSupportedAlgorithms, aws_lc_rs, verify_tls13_signature_with_raw_key},
    pki_types::{CertificateDer, SubjectPublicKeyInfoDer, UnixTime},
    server::danger::{ClientCertVerified, ClientCertVerifier},
};

use super::{
    Subject,
    chain::{self, Fault, Purpose},
    revoked::RevocationList,
    signature,
};

/// Whose certificates are good, and how that is found out.
pub struct Authorities {
    /// Told to clients, so that they know which of theirs to show.
    pub hints: Vec<CertificateDer<'static>>,
    /// Trusted, and not told.
    pub others: Vec<CertificateDer<'static>>,
    /// How many certificates may stand between the client's and a trusted one.
    pub depth: usize,
    /// Where there are any, every certificate must be on one that does not name it.
    pub revoked: Vec<RevocationList>,
    pub wanted: Wanted,
}

/// `ssl_verify_client`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wanted {
    /// `on`.
    Required,
    Optional,
    /// From whomever: `optional_no_ca`.
    Any,
}

/// What came of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verified {
    /// There is no certificate.
    None,
    Success,
    Failed(Fault),
}

impl Authorities {
    pub fn wanted(&self) -> Wanted {
        self.wanted
    }

    /// The client's certificate first, then those it brought with it.
    pub fn verify(&self, certificates: &[CertificateDer<'_>], now: UnixTime) -> Verified {
        match certificates.split_first() {
            None => Verified::None,
            Some((client, brought)) => {
                match chain::verify(self, Purpose::Client, client, brought, now) {
                    Ok(()) => Verified::Success,
                    Err(fault) => Verified::Failed(fault),
                }
            }
        }
    }

    pub(super) fn trusted(&self) -> impl Iterator<Item = &CertificateDer<'static>> {
        self.hints.iter().chain(&self.others)
    }

    /// What rustls asks the client with.
    pub(super) fn asking(&self) -> Arc<dyn ClientCertVerifier> {
        let mut roots = RootCertStore::empty();
        roots.add_parsable_certificates(self.hints.iter().cloned());
        let mut names: Vec<DistinguishedName> = Vec::new();
        for name in roots.subjects() {
            if names.iter().all(|known| known.as_ref() != name.as_ref()) {
                names.push(name);
            }
        }
        Arc::new(Asking { names, signatures: Signatures::all() })
    }
}

/// Takes any certificate, from clients that have one.
#[derive(Debug)]
struct Asking {
    names: Vec<DistinguishedName>,
    signatures: Signatures,
}

impl ClientCertVerifier for Asking {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &self.names
    }

    fn client_auth_mandatory(&self) -> bool {
        false
    }

    fn verify_client_cert(
        &self,
        client: &CertificateDer<'_>,
        _brought: &[CertificateDer<'_>],
        _now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        public_key(client).map(|_| ClientCertVerified::assertion())
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

/// Whether whoever shows a certificate has its key.
#[derive(Debug)]
pub(super) struct Signatures(pub(super) WebPkiSupportedAlgorithms);

impl Signatures {
    pub(super) fn all() -> Signatures {
        Signatures(aws_lc_rs::default_provider().signature_verification_algorithms)
    }

    pub(super) fn verify_tls12(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let key = public_key(certificate)?;
        let known = self.0.mapping.iter().find(|(scheme, _)| *scheme == signed.scheme);
        let (_, algorithms) = known.ok_or(BAD_SIGNATURE)?;
        let good = signature::is_good(algorithms, &key, message, signed.signature());
        if good { Ok(HandshakeSignatureValid::assertion()) } else { Err(BAD_SIGNATURE) }
    }

    pub(super) fn verify_tls13(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let key = public_key(certificate)?;
        verify_tls13_signature_with_raw_key(message, &key, signed, &self.0)
    }
}

const BAD_SIGNATURE: Error = Error::InvalidCertificate(rustls::CertificateError::BadSignature);

fn public_key<'a>(
    certificate: &'a CertificateDer<'_>,
) -> Result<SubjectPublicKeyInfoDer<'a>, Error> {
    let bad = |_| Error::InvalidCertificate(rustls::CertificateError::BadEncoding);
    Subject::of(certificate).map(|subject| subject.public_key().into()).map_err(bad)
}
