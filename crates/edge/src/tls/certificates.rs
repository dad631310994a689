//! Certificates and their keys, from files in PEM.

use std::{
    fmt, fs,
    path::{Path, PathBuf},
    sync::Arc,
};

use pkcs8::{EncryptedPrivateKeyInfoRef, SecretDocument};
use rustls::{
    SignatureAlgorithm,
    crypto::aws_lc_rs::sign::any_supported_type,
    pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, pem::PemObject},
    server::{ClientHello, ResolvesServerCert},
    sign::CertifiedKey,
};

use super::Subject;
use crate::conf::errno;

/// Where a certificate or a key is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    File(PathBuf),
    /// `data:`: in the configuration itself.
    Text(String),
}

/// A certificate, those that lead from it towards a root, and the key.
pub type Certificate = CertifiedKey;

/// `ssl_password_file`: tried one after the other.
pub type Passwords = Arc<[Vec<u8>]>;

impl Source {
    /// A word of the configuration; a file is relative to the configuration's folder.
    pub fn read(word: &str, folder: &Path) -> Source {
        match word.strip_prefix("data:") {
            Some(text) => Source::Text(text.to_owned()),
            None => Source::File(folder.join(word)),
        }
    }

    pub fn bytes(&self) -> Result<Vec<u8>, String> {
        match self {
            Source::Text(text) => Ok(text.clone().into_bytes()),
            Source::File(path) => {
                fs::read(path).map_err(|error| format!("fopen() failed ({})", errno(&error)))
            }
        }
    }
}

/// What a complaint calls it.
impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Source::File(path) => write!(f, "{}", path.display()),
            Source::Text(_) => write!(f, "data:..."),
        }
    }
}

/// Every certificate of a file; at least one.
pub fn certificates(source: &Source) -> Result<Vec<CertificateDer<'static>>, String> {
    let fail = |why: String| format!("cannot load certificate \"{source}\": {why}");
    let bytes = source.bytes().map_err(fail)?;
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&bytes).collect();
    let found = found.map_err(|error| fail(error.to_string()))?;
    for certificate in &found {
        Subject::of(certificate).map_err(|error| fail(error.to_string()))?;
    }
    if found.is_empty() { Err(fail("no certificate in it".to_owned())) } else { Ok(found) }
}

/// A certificate and the key that belongs to it.
pub fn load(chain: &Source, key: &Source, passwords: &Passwords) -> Result<Certificate, String> {
    let certificates = certificates(chain)?;
    let fail = |why: String| format!("cannot load certificate key \"{key}\": {why}");
    let text = key.bytes().map_err(fail)?;
    let private = private_key(&text, passwords).map_err(fail)?;
    let signing = any_supported_type(&private).map_err(|error| fail(error.to_string()))?;
    let subject = Subject::of(&certificates[0]).expect("it was parsed before");
    if signing.public_key().is_some_and(|public| *public != *subject.public_key()) {
        let message = "key values mismatch";
        return Err(format!("SSL_CTX_use_PrivateKey(\"{key}\") failed (SSL: {message})"));
    }
    Ok(CertifiedKey::new(certificates, signing))
}

fn private_key(text: &[u8], passwords: &Passwords) -> Result<PrivateKeyDer<'static>, String> {
    if let Some(sealed) = section(text, "ENCRYPTED PRIVATE KEY") {
        let (_, document) = SecretDocument::from_pem(sealed).map_err(|error| error.to_string())?;
        let sealed = EncryptedPrivateKeyInfoRef::try_from(document.as_bytes());
        let sealed = sealed.map_err(|error| error.to_string())?;
        let mut opened = passwords.iter().filter_map(|password| sealed.decrypt(password).ok());
        let opened = opened.next().ok_or("no password of \"ssl_password_file\" opens it")?;
        return Ok(PrivatePkcs8KeyDer::from(opened.as_bytes().to_vec()).into());
    }
    if memchr::memmem::find(text, b"Proc-Type: 4,ENCRYPTED").is_some() {
        let advice = "it is encrypted as OpenSSL no longer does, convert it by";
        return Err(format!("{advice} \"openssl pkcs8 -topk8 -v2 aes-256-cbc\""));
    }
    PrivateKeyDer::from_pem_slice(text).map_err(|error| match error {
        rustls::pki_types::pem::Error::NoItemsFound => "no key in it".to_owned(),
        error => error.to_string(),
    })
}

/// A section of a PEM file, with its first and last line.
fn section<'a>(text: &'a [u8], label: &str) -> Option<&'a str> {
    let text = std::str::from_utf8(text).ok()?;
    let (first, last) = (format!("-----BEGIN {label}-----"), format!("-----END {label}-----"));
    let start = text.find(&first)?;
    let length = text[start..].find(&last)? + last.len();
    Some(&text[start..start + length])
}

/// The passwords of a file, one in each line.
pub fn passwords(path: &Path) -> Result<Passwords, String> {
    let fail = |error| format!("open() \"{}\" failed ({})", path.display(), errno(&error));
    let text = fs::read(path).map_err(fail)?;
    let lines = text.split(|byte| *byte == b'\n');
    let lines = lines.map(|line| line.strip_suffix(b"\r").unwrap_or(line).to_vec());
    Ok(lines.filter(|line| !line.is_empty()).collect())
}

/// One certificate of each kind; the client's abilities say which it is shown.
#[derive(Debug)]
pub(super) struct Shown(Vec<Arc<Certificate>>);

impl Shown {
    /// Of two of one kind the later counts.
    pub(super) fn new(certificates: Vec<Certificate>) -> Shown {
        let mut shown: Vec<Arc<Certificate>> = Vec::new();
        for certificate in certificates {
            shown.retain(|other| other.key.algorithm() != certificate.key.algorithm());
            shown.push(Arc::new(certificate));
        }
        // The cheaper signature first, where the client knows both.
        shown.sort_by_key(|certificate| certificate.key.algorithm() == SignatureAlgorithm::RSA);
        Shown(shown)
    }
}

impl ResolvesServerCert for Shown {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<Certificate>> {
        let fits = |shown: &&Arc<Certificate>| {
            shown.key.choose_scheme(hello.signature_schemes()).is_some()
        };
        self.0.iter().find(fits).or(self.0.first()).cloned()
    }
}
