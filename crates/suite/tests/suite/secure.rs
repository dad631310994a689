//! TLS: a certificate of a CA that the target names, and one of another.

use std::sync::{Arc, Mutex};

use rcgen::{CertificateParams, Issuer, KeyPair};
use rustls::ServerConfig;
use rustls::pki_types::PrivateKeyDer;
use suite::{Suite, Target};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use crate::server::{assert_passed, folder, follow, ok, reasons};

/// A CA's certificate as PEM, and a server's configuration with a certificate from it.
fn ca_and_server() -> (String, Arc<ServerConfig>) {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let key = KeyPair::generate().unwrap();
    let ca = params.self_signed(&key).unwrap();
    let issuer = Issuer::new(params, key);
    let own = KeyPair::generate().unwrap();
    let params = CertificateParams::new(vec!["board.example".to_owned()]).unwrap();
    let certificate = params.signed_by(&own, &issuer).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(
            vec![certificate.der().clone()],
            PrivateKeyDer::try_from(own.serialize_der()).unwrap(),
        )
        .unwrap();
    (ca.pem(), Arc::new(config))
}

#[tokio::test]
async fn a_certificate_is_trusted_by_its_ca_alone() {
    let (ca, config) = ca_and_server();
    let (other, _) = ca_and_server();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let seen = Arc::new(Mutex::new(Vec::new()));
    let keep = Arc::clone(&seen);
    tokio::spawn(async move {
        let acceptor = TlsAcceptor::from(config);
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            if let Ok(stream) = acceptor.accept(stream).await {
                follow(stream, vec![ok("", "secret"), ok("", "again")], Arc::clone(&keep)).await;
            }
        }
    });
    let text = "GET {{base}}/\nHTTP 200\n`secret`\n\nGET {{base}}/\nHTTP 200\n`again`\n";
    let folder = folder(&[
        ("a.hurl", text.as_bytes()),
        ("ca.pem", ca.as_bytes()),
        ("other.pem", other.as_bytes()),
    ]);
    let suite = Suite::load(&[folder.path().to_owned()]).unwrap();
    let run = async |ca: &str, base: &str| {
        let mut target = Target::new(base.parse().unwrap());
        target.address = Some(address);
        target.ca = Some(folder.path().join(ca));
        suite.run(&target).await.unwrap()
    };
    assert_passed(&run("ca.pem", "https://board.example").await);
    assert!(seen.lock().unwrap()[0].contains("\r\nHost: board.example\r\n"));
    let untrusted = run("other.pem", "https://board.example").await;
    assert!(reasons(&untrusted)[0].contains("invalid peer certificate"), "{untrusted:?}");
    let misnamed = run("ca.pem", "https://other.example").await;
    assert!(reasons(&misnamed)[0].contains("not valid for name"), "{misnamed:?}");
}
