//! Certificates for a gateway under test, and a client over TLS that takes any of them and tells which
//! it was shown.

use std::{
    io::{self, Read, Write},
    sync::Arc,
};

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use rustls::{
    ClientConfig, ClientConnection, DigitallySignedStruct, Error, HandshakeKind, SignatureScheme,
    StreamOwned, SupportedProtocolVersion,
    client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    crypto::{CryptoProvider, aws_lc_rs, verify_tls12_signature, verify_tls13_signature},
    pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime, pem::PemObject},
};

use crate::stack::{Gateway, Listens, Response, Setup, Stream, fixtures};

/// A certificate and its key, both in PEM.
pub(crate) struct Pair {
    pub(crate) certificate: String,
    pub(crate) key: String,
}

/// Signed by nobody but itself.
pub(crate) fn self_signed(name: &str) -> Pair {
    let key = KeyPair::generate().unwrap();
    let certificate = parameters(name).self_signed(&key).unwrap();
    Pair { certificate: certificate.pem(), key: key.serialize_pem() }
}

fn parameters(name: &str) -> CertificateParams {
    let mut parameters = CertificateParams::new(vec![name.to_owned()]).unwrap();
    parameters.distinguished_name.push(DnType::CommonName, name);
    parameters
}

/// Somebody who signs.
pub(crate) struct Authority {
    pub(crate) certificate: String,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    pub(crate) fn new(name: &str) -> Authority {
        let mut parameters = parameters(name);
        parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let certificate = parameters.self_signed(&key).unwrap().pem();
        Authority { certificate, issuer: Issuer::new(parameters, key) }
    }

    pub(crate) fn sign(&self, name: &str) -> Pair {
        let key = KeyPair::generate().unwrap();
        let certificate = parameters(name).signed_by(&key, &self.issuer).unwrap();
        Pair { certificate: certificate.pem(), key: key.serialize_pem() }
    }
}

/// To serve the tests' application with these files, which are in the scratch folder.
pub(crate) fn setup(listens: Listens, files: &[(&str, &str)], flags: &[&str]) -> Setup {
    let fixtures = fixtures();
    let mut all = vec!["--pythonpath", fixtures.to_str().unwrap(), "app:application"];
    all.extend(["--log-level", "debug"]);
    all.extend(flags);
    let setup = Setup::new(listens, &all);
    for (name, text) in files {
        setup.write(name, text);
    }
    setup
}

/// On TCP, under a certificate of its own.
pub(crate) fn start(flags: &[&str]) -> Gateway {
    let pair = self_signed("test");
    let files = [("test.crt", &pair.certificate[..]), ("test.key", &pair.key[..])];
    let mut all = vec!["--certfile", "test.crt", "--keyfile", "test.key"];
    all.extend(flags);
    let gateway = setup(Listens::Tcp, &files, &all).launch();
    gateway.log.wait_for("Worker ready");
    gateway
}

#[derive(Default)]
pub(crate) struct Wants<'a> {
    /// All, if there are none.
    pub(crate) versions: &'a [&'static SupportedProtocolVersion],
    pub(crate) certificate: Option<&'a Pair>,
    pub(crate) alpn: &'a [&'a str],
}

/// Its sessions outlive its connections.
pub(crate) struct Client {
    config: Arc<ClientConfig>,
}

/// A connection on which TLS is spoken.
pub(crate) struct Session(StreamOwned<ClientConnection, Stream>);

/// Over TLS, with nothing special about it.
pub(crate) fn connect(gateway: &Gateway) -> Session {
    Client::new(&Wants::default()).connect(gateway).expect("hands are shaken")
}

impl Client {
    pub(crate) fn new(wants: &Wants<'_>) -> Client {
        let provider = Arc::new(aws_lc_rs::default_provider());
        let verifier = Anybody(Arc::clone(&provider));
        let versions =
            if wants.versions.is_empty() { rustls::ALL_VERSIONS } else { wants.versions };
        let builder = ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(versions)
            .unwrap()
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(verifier));
        let mut config = match wants.certificate {
            None => builder.with_no_client_auth(),
            Some(pair) => {
                let chain = CertificateDer::pem_slice_iter(pair.certificate.as_bytes());
                let chain = chain.collect::<Result<_, _>>().unwrap();
                let key = PrivateKeyDer::from_pem_slice(pair.key.as_bytes()).unwrap();
                builder.with_client_auth_cert(chain, key).unwrap()
            }
        };
        config.alpn_protocols = wants.alpn.iter().map(|name| name.as_bytes().to_vec()).collect();
        Client { config: Arc::new(config) }
    }

    pub(crate) fn connect(&self, gateway: &Gateway) -> io::Result<Session> {
        self.connect_over(gateway.connect())
    }

    /// Where something else was said before.
    pub(crate) fn connect_over(&self, mut stream: Stream) -> io::Result<Session> {
        let name = ServerName::try_from("test").unwrap();
        let mut connection = ClientConnection::new(Arc::clone(&self.config), name).unwrap();
        while connection.is_handshaking() {
            connection.complete_io(&mut stream)?;
        }
        Ok(Session(StreamOwned::new(connection, stream)))
    }

    /// Whether it is let in. In TLS 1.3 the client hears of it only after its handshake is over.
    pub(crate) fn is_let_in(&self, gateway: &Gateway) -> bool {
        let Ok(mut session) = self.connect(gateway) else { return false };
        let request = "GET / HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n";
        if session.write_all(request.as_bytes()).is_err() {
            return false;
        }
        Response::read(&mut session).is_some_and(|answer| answer.status == 200)
    }
}

impl Session {
    /// On a connection that is to last.
    #[track_caller]
    pub(crate) fn get(&mut self, target: &str) -> Response {
        self.send(&format!("GET {target} HTTP/1.1\r\nHost: test\r\n\r\n"))
    }

    #[track_caller]
    pub(crate) fn send(&mut self, request: &str) -> Response {
        self.write_all(request.as_bytes()).unwrap();
        Response::read(self).expect("an answer")
    }

    /// What comes until the end, and whether that was said to be one.
    pub(crate) fn rest(&mut self) -> (Vec<u8>, bool) {
        let mut all = Vec::new();
        let ended = self.read_to_end(&mut all);
        (all, ended.is_ok())
    }

    /// Whether this is the certificate that was shown.
    pub(crate) fn was_shown(&self, pair: &Pair) -> bool {
        let pair = CertificateDer::from_pem_slice(pair.certificate.as_bytes()).unwrap();
        self.0.conn.peer_certificates().and_then(<[_]>::first) == Some(&pair)
    }

    pub(crate) fn is_resumed(&self) -> bool {
        self.0.conn.handshake_kind() == Some(HandshakeKind::Resumed)
    }

    pub(crate) fn alpn(&self) -> Option<&[u8]> {
        self.0.conn.alpn_protocol()
    }

    /// Says goodbye, and leaves.
    pub(crate) fn leave(mut self) {
        self.0.conn.send_close_notify();
        let _ = self.0.flush();
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
struct Anybody(Arc<CryptoProvider>);

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
        let known = &self.0.signature_verification_algorithms;
        verify_tls12_signature(message, certificate, signed, known)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let known = &self.0.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signed, known)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
