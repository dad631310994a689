//! The certificate of the first hop, and the authority that the client is told to trust: made for one run.

use std::fs::{self, File};
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use anyhow::Result;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};

/// Files in PEM.
#[derive(Clone, Debug)]
pub struct Tls {
    pub authority: PathBuf,
    pub certificate: PathBuf,
    pub key: PathBuf,
}

impl Tls {
    /// For these names and addresses.
    pub(crate) fn make(folder: &Path, names: &[String]) -> Result<Tls> {
        let mut authority = CertificateParams::default();
        authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        authority.distinguished_name.push(DnType::CommonName, "Causeway, this run only");
        let authority = CertifiedIssuer::self_signed(authority, KeyPair::generate()?)?;
        let key = KeyPair::generate()?;
        let mut certificate = CertificateParams::new(names)?;
        certificate
            .distinguished_name
            .push(DnType::CommonName, names.first().map_or("localhost", String::as_str));
        let certificate = certificate.signed_by(&key, &authority)?;
        let tls = Tls {
            authority: folder.join("authority.pem"),
            certificate: folder.join("certificate.pem"),
            key: folder.join("key.pem"),
        };
        fs::write(&tls.authority, authority.pem())?;
        fs::write(&tls.certificate, certificate.pem())?;
        let mut options = File::options();
        let mut secret = options.write(true).create_new(true).mode(0o600).open(&tls.key)?;
        secret.write_all(key.serialize_pem().as_bytes())?;
        Ok(tls)
    }
}
