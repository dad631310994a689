//! Certificates for a server under test, and a client that takes any of them and tells which it saw.
//!
//! The client is rustls itself, so what it agrees to with the edge is what two of them agree to; the
//! suite run on nginx is what shows that the tests ask for no more than TLS.

use std::{
    io::{self, Read, Write},
    net::TcpStream,
    sync::Arc,
};

use rcgen::{
    BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, PKCS_ECDSA_P256_SHA256,
    PKCS_RSA_SHA256, RsaKeySize,
};
use rustls::{
    ClientConfig, ClientConnection, DigitallySignedStruct, Error, HandshakeKind, SignatureScheme,
    StreamOwned, SupportedProtocolVersion,
    client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    crypto::{CryptoProvider, aws_lc_rs, verify_tls12_signature, verify_tls13_signature},
    pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime, pem::PemObject},
};

use crate::server::{Edge, Response, Site, read_response};

/// A certificate and its key, both in PEM.
#[derive(Clone)]
pub(crate) struct Pair {
    pub(crate) certificate: String,
    pub(crate) key: String,
}

impl Pair {
    /// Under `NAME.crt` and `NAME.key`.
    pub(crate) fn write(&self, site: &Site, name: &str) {
        site.write(&format!("{name}.crt"), &self.certificate);
        site.write(&format!("{name}.key"), &self.key);
    }
}

/// Signed by nobody but itself.
pub(crate) fn self_signed(name: &str) -> Pair {
    let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).expect("a key");
    let certificate = parameters(name).self_signed(&key).expect("a certificate");
    Pair { certificate: certificate.pem(), key: key.serialize_pem() }
}

pub(crate) fn self_signed_rsa(name: &str, size: RsaKeySize) -> Pair {
    let key = KeyPair::generate_rsa_for(&PKCS_RSA_SHA256, size).expect("a key");
    let certificate = parameters(name).self_signed(&key).expect("a certificate");
    Pair { certificate: certificate.pem(), key: key.serialize_pem() }
}

fn parameters(name: &str) -> CertificateParams {
    let mut parameters = CertificateParams::new(vec![name.to_owned()]).expect("a name");
    parameters.distinguished_name.push(DnType::CommonName, name);
    parameters
}

/// Somebody who signs.
pub(crate) struct Authority {
    pub(crate) pair: Pair,
    issuer: Issuer<'static, KeyPair>,
    keys: fn() -> KeyPair,
}

fn small_key() -> KeyPair {
    KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).expect("a key")
}

fn large_key() -> KeyPair {
    KeyPair::generate_rsa_for(&PKCS_RSA_SHA256, RsaKeySize::_4096).expect("a key")
}

impl Authority {
    pub(crate) fn root(name: &str) -> Authority {
        Authority::with(name, small_key)
    }

    /// One whose keys, and those it signs, have 4096 bits.
    pub(crate) fn large(name: &str) -> Authority {
        Authority::with(name, large_key)
    }

    fn with(name: &str, keys: fn() -> KeyPair) -> Authority {
        let (parameters, key) = (Authority::parameters(name), keys());
        let certificate = parameters.self_signed(&key).expect("a certificate");
        let pair = Pair { certificate: certificate.pem(), key: key.serialize_pem() };
        Authority { pair, issuer: Issuer::new(parameters, key), keys }
    }

    fn parameters(name: &str) -> CertificateParams {
        let mut parameters = parameters(name);
        parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        parameters
    }

    /// Another one, by this one's leave.
    pub(crate) fn below(&self, name: &str) -> Authority {
        let (parameters, key) = (Authority::parameters(name), (self.keys)());
        let certificate = parameters.signed_by(&key, &self.issuer).expect("a certificate");
        let pair = Pair { certificate: certificate.pem(), key: key.serialize_pem() };
        Authority { pair, issuer: Issuer::new(parameters, key), keys: self.keys }
    }

    pub(crate) fn sign(&self, name: &str) -> Pair {
        let key = (self.keys)();
        let certificate = parameters(name).signed_by(&key, &self.issuer).expect("a certificate");
        Pair { certificate: certificate.pem(), key: key.serialize_pem() }
    }
}

/// What a client is made of. Its sessions outlive its connections.
pub(crate) struct Client {
    config: ClientConfig,
}

pub(crate) struct Wants<'a> {
    pub(crate) versions: &'a [&'static SupportedProtocolVersion],
    /// What certificates may be signed with; all, if there are none.
    pub(crate) schemes: &'a [SignatureScheme],
    pub(crate) certificate: Option<&'a Pair>,
    pub(crate) alpn: &'a [&'a str],
}

impl Default for Wants<'_> {
    fn default() -> Self {
        Wants { versions: rustls::ALL_VERSIONS, schemes: &[], certificate: None, alpn: &[] }
    }
}

/// A connection on which TLS is spoken.
pub(crate) struct Session(StreamOwned<ClientConnection, TcpStream>);

impl Client {
    pub(crate) fn new(wants: &Wants<'_>) -> Client {
        let provider = Arc::new(aws_lc_rs::default_provider());
        let verifier = Anybody { provider: Arc::clone(&provider), schemes: wants.schemes.to_vec() };
        let builder = ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(wants.versions)
            .expect("versions that go together")
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(verifier));
        let mut config = match wants.certificate {
            None => builder.with_no_client_auth(),
            Some(pair) => {
                let chain = CertificateDer::pem_slice_iter(pair.certificate.as_bytes());
                let chain = chain.collect::<Result<_, _>>().expect("certificates");
                let key = PrivateKeyDer::from_pem_slice(pair.key.as_bytes()).expect("a key");
                builder.with_client_auth_cert(chain, key).expect("a key that fits")
            }
        };
        config.alpn_protocols = wants.alpn.iter().map(|name| name.as_bytes().to_vec()).collect();
        Client { config }
    }

    /// Shakes hands, asking for this name, or for none.
    pub(crate) fn connect(&self, edge: &Edge, name: Option<&str>) -> Result<Session, Error> {
        let mut config = self.config.clone();
        config.enable_sni = name.is_some();
        let name = ServerName::try_from(name.unwrap_or("nobody").to_owned()).expect("a name");
        let mut connection = ClientConnection::new(Arc::new(config), name)?;
        let mut stream = edge.connect();
        while connection.is_handshaking() {
            if let Err(error) = connection.complete_io(&mut stream) {
                let inner = error.get_ref().and_then(|error| error.downcast_ref::<Error>());
                return Err(inner.cloned().unwrap_or_else(|| Error::General(error.to_string())));
            }
        }
        Ok(Session(StreamOwned::new(connection, stream)))
    }

    /// One request for this name; what it is answered.
    pub(crate) fn get(&self, edge: &Edge, name: &str, path: &str) -> Response {
        let mut session = self.connect(edge, Some(name)).expect("hands are shaken");
        session.get(name, path)
    }
}

impl Session {
    /// Asks and reads the answer, until the server has closed.
    pub(crate) fn get(&mut self, host: &str, path: &str) -> Response {
        let head = format!("GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
        self.write_all(head.as_bytes()).expect("the request is sent");
        let response = read_response(self, "GET");
        let rest = self.read_to_end(&mut Vec::new());
        assert!(rest.is_ok(), "closed without a goodbye: {rest:?}");
        response
    }

    /// Asks on a connection that is to last.
    pub(crate) fn get_and_keep(&mut self, host: &str, path: &str) -> Response {
        let head = format!("GET {path} HTTP/1.1\r\nHost: {host}\r\n\r\n");
        self.write_all(head.as_bytes()).expect("the request is sent");
        read_response(self, "GET")
    }

    /// The certificates that the server has shown, in PEM, as they were written.
    pub(crate) fn certificates(&self) -> Vec<CertificateDer<'static>> {
        self.0.conn.peer_certificates().unwrap_or_default().to_vec()
    }

    /// Whether the first of them is this one.
    pub(crate) fn was_shown(&self, pair: &Pair) -> bool {
        let pair = CertificateDer::from_pem_slice(pair.certificate.as_bytes()).expect("in PEM");
        self.certificates().first() == Some(&pair)
    }

    /// Under TLS.
    pub(crate) fn socket(&mut self) -> &mut TcpStream {
        &mut self.0.sock
    }

    pub(crate) fn is_resumed(&self) -> bool {
        self.0.conn.handshake_kind() == Some(HandshakeKind::Resumed)
    }

    pub(crate) fn alpn(&self) -> Option<String> {
        let name = self.0.conn.alpn_protocol()?;
        Some(String::from_utf8_lossy(name).into_owned())
    }
}

impl Read for Session {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.read(buffer)
    }
}

impl Write for Session {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

/// Trusts everybody who has the key to what they show.
#[derive(Debug)]
struct Anybody {
    provider: Arc<CryptoProvider>,
    schemes: Vec<SignatureScheme>,
}

impl ServerCertVerifier for Anybody {
    fn verify_server_cert(
        &self,
        _shown: &CertificateDer<'_>,
        _others: &[CertificateDer<'_>],
        _name: &ServerName<'_>,
        _ocsp: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let known = &self.provider.signature_verification_algorithms;
        verify_tls12_signature(message, certificate, signed, known)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let known = &self.provider.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signed, known)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        if self.schemes.is_empty() {
            return self.provider.signature_verification_algorithms.supported_schemes();
        }
        self.schemes.clone()
    }
}
