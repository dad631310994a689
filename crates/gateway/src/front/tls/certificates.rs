//! The operator's files to what rustls serves with. Whatever is wrong with one is found here, before
//! anything listens, and said with the file's name: gunicorn finds most of it at the first client.

use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::Arc,
};

use rustls::{
    RootCertStore, ServerConfig,
    crypto::aws_lc_rs::{Ticketer, default_provider, sign::any_supported_type},
    pki_types::{CertificateDer, PrivateKeyDer, pem, pem::PemObject},
    server::{WebPkiClientVerifier, danger::ClientCertVerifier},
    sign::{CertifiedKey, SingleCertAndKey},
};

use crate::settings::{HttpProtocol, Settings};

/// A file, called by its setting.
#[derive(Clone, Debug)]
pub(super) struct Named {
    setting: &'static str,
    path: PathBuf,
}

impl std::fmt::Display for Named {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} \"{}\"", self.setting, self.path.display())
    }
}

#[derive(Debug, thiserror::Error)]
pub(super) enum TlsError {
    #[error("{0} does not exist")]
    Missing(Named),
    #[error("{0} can not be read: {1}")]
    Unreadable(Named, io::Error),
    #[error("{0} is not in PEM: {1}")]
    NotPem(Named, pem::Error),
    #[error("{0} holds no certificate")]
    NoCertificate(Named),
    #[error("{0} holds a certificate that can not be used: {1}")]
    Certificate(Named, String),
    #[error("{0} holds no private key")]
    NoKey(Named),
    #[error("{0} holds no private key, and there is no keyfile")]
    NoKeyAnywhere(Named),
    #[error("{0} holds a private key that can not be used: {1}")]
    Key(Named, rustls::Error),
    #[error(
        "{0} is encrypted, and nobody is here who could be asked for its password: \
         decrypt it with \"openssl pkey\""
    )]
    Encrypted(Named),
    #[error("{key} does not belong to {certificate}")]
    Mismatch { certificate: Named, key: Named },
    #[error("{0} is of no use without a certfile")]
    KeyAlone(Named),
    #[error(
        "cert_reqs \"{0}\" asks clients for certificates, and no ca_certs says who may have signed them"
    )]
    NobodySigns(u8),
    #[error("TLS can not be set up: {0}")]
    Setup(String),
}

const CERTFILE: &str = "certfile";

/// `None`: the settings name no certificate.
pub(super) fn config(settings: &Settings) -> Result<Option<Arc<ServerConfig>>, TlsError> {
    let named = |setting, path: &Option<PathBuf>| {
        // As gunicorn, which has changed its folder by then.
        let folder = settings.chdir.as_deref().unwrap_or(Path::new(""));
        path.as_ref().map(|path| Named { setting, path: folder.join(path) })
    };
    let key = named("keyfile", &settings.keyfile);
    let Some(certificate) = named(CERTFILE, &settings.certfile) else {
        return key.map_or(Ok(None), |key| Err(TlsError::KeyAlone(key)));
    };
    let shown = certified(certificate, key)?;
    let provider = Arc::new(default_provider());
    let setup = |error: &dyn std::error::Error| TlsError::Setup(error.to_string());
    let roots = named("ca_certs", &settings.ca_certs).as_ref().map(roots).transpose()?;
    let clients = client_verifier(settings.cert_reqs, roots)?;
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| setup(&error))?
        .with_client_cert_verifier(clients)
        .with_cert_resolver(Arc::new(SingleCertAndKey::from(shown)));
    // Returning clients bring their session along: nothing is kept here for those that do not return.
    config.ticketer = Ticketer::new().map_err(|error| setup(&error))?;
    // As gunicorn: where there is nothing to choose, nothing is asked.
    if settings.http_protocols.contains(&HttpProtocol::H2) {
        let name = |protocol: &HttpProtocol| match protocol {
            HttpProtocol::H1 => b"http/1.1".to_vec(),
            HttpProtocol::H2 => b"h2".to_vec(),
        };
        config.alpn_protocols = settings.http_protocols.iter().map(name).collect();
    }
    Ok(Some(Arc::new(config)))
}

fn read(file: &Named) -> Result<Vec<u8>, TlsError> {
    fs::read(&file.path).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => TlsError::Missing(file.clone()),
        _ => TlsError::Unreadable(file.clone(), error),
    })
}

/// Every certificate of a file, at least one, each of which can be parsed.
fn certificates(file: &Named, text: &[u8]) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(text).collect();
    let found = found.map_err(|error| TlsError::NotPem(file.clone(), error))?;
    if found.is_empty() {
        return Err(TlsError::NoCertificate(file.clone()));
    }
    for certificate in &found {
        let parsed = x509_parser::parse_x509_certificate(certificate);
        parsed.map_err(|error| TlsError::Certificate(file.clone(), error.to_string()))?;
    }
    Ok(found)
}

/// The chain, and the key that belongs to its first certificate; by default it is in the same file.
fn certified(chain: Named, key: Option<Named>) -> Result<CertifiedKey, TlsError> {
    let chain_text = read(&chain)?;
    let certificates = certificates(&chain, &chain_text)?;
    let (key, key_text) = match key {
        None => (chain.clone(), chain_text),
        Some(key) => {
            let text = read(&key)?;
            (key, text)
        }
    };
    let signing = any_supported_type(&private_key(&key, &key_text)?)
        .map_err(|error| TlsError::Key(key.clone(), error))?;
    let (_, parsed) = x509_parser::parse_x509_certificate(&certificates[0])
        .map_err(|error| TlsError::Certificate(chain.clone(), error.to_string()))?;
    let belongs = |public: &[u8]| public == parsed.public_key().raw;
    if signing.public_key().is_some_and(|public| !belongs(&public)) {
        return Err(TlsError::Mismatch { certificate: chain, key });
    }
    Ok(CertifiedKey::new(certificates, signing))
}

fn private_key(file: &Named, text: &[u8]) -> Result<PrivateKeyDer<'static>, TlsError> {
    let holds = |words: &[u8]| memchr::memmem::find(text, words).is_some();
    match PrivateKeyDer::from_pem_slice(text) {
        _ if holds(b"BEGIN ENCRYPTED PRIVATE KEY") || holds(b"Proc-Type: 4,ENCRYPTED") => {
            Err(TlsError::Encrypted(file.clone()))
        }
        Ok(key) => Ok(key),
        Err(pem::Error::NoItemsFound) if file.setting == CERTFILE => {
            Err(TlsError::NoKeyAnywhere(file.clone()))
        }
        Err(pem::Error::NoItemsFound) => Err(TlsError::NoKey(file.clone())),
        Err(error) => Err(TlsError::NotPem(file.clone(), error)),
    }
}

fn roots(file: &Named) -> Result<RootCertStore, TlsError> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates(file, &read(file)?)? {
        roots
            .add(certificate)
            .map_err(|error| TlsError::Certificate(file.clone(), error.to_string()))?;
    }
    Ok(roots)
}

/// `ssl.CERT_NONE`, `CERT_OPTIONAL` and `CERT_REQUIRED`.
fn client_verifier(
    wanted: u8,
    roots: Option<RootCertStore>,
) -> Result<Arc<dyn ClientCertVerifier>, TlsError> {
    if wanted == 0 {
        return Ok(WebPkiClientVerifier::no_client_auth());
    }
    let roots = roots.ok_or(TlsError::NobodySigns(wanted))?;
    let provider = Arc::new(default_provider());
    let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
    let verifier = if wanted == 1 { verifier.allow_unauthenticated() } else { verifier };
    verifier
        .build()
        .map(|verifier| verifier as _)
        .map_err(|error| TlsError::Setup(error.to_string()))
}
