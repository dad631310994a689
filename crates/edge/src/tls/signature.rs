//! Whether a signature is good: of a handshake, of a certificate, of a list of revoked ones.

use rustls::pki_types::{SignatureVerificationAlgorithm, SubjectPublicKeyInfoDer};
use webpki::RawPublicKeyEntity;
use x509_parser::oid_registry::asn1_rs::{FromDer, Sequence};

pub(super) type Algorithms = [&'static dyn SignatureVerificationAlgorithm];

/// By the first of these that fits the key.
pub(super) fn is_good(
    algorithms: &Algorithms,
    key: &SubjectPublicKeyInfoDer<'_>,
    message: &[u8],
    signature: &[u8],
) -> bool {
    let Ok(key) = RawPublicKeyEntity::try_from(key) else { return false };
    algorithms.iter().any(|algorithm| key.verify_signature(*algorithm, message, signature).is_ok())
}

/// Something signed: what, how, and the signature. All three stand in one sequence.
pub(super) struct Signed<'a> {
    message: &'a [u8],
    algorithm: &'a [u8],
    signature: &'a [u8],
}

impl<'a> Signed<'a> {
    /// `message` is the first element of `whole`, which has been parsed before; `signature` the last.
    pub(super) fn of(
        whole: &'a [u8],
        message: &'a [u8],
        signature: &'a [u8],
    ) -> Option<Signed<'a>> {
        let (_, outer) = Sequence::from_der(whole).ok()?;
        let content = slice(&outer)?;
        let (_, algorithm) = Sequence::from_der(content.get(message.len()..)?).ok()?;
        Some(Signed { message, algorithm: slice(&algorithm)?, signature })
    }

    pub(super) fn is_by(&self, key: &[u8]) -> bool {
        let all =
            rustls::crypto::aws_lc_rs::default_provider().signature_verification_algorithms.all;
        let same = |it: &&&dyn SignatureVerificationAlgorithm| {
            it.signature_alg_id().as_ref() == self.algorithm
        };
        let algorithms: Vec<_> = all.iter().filter(same).copied().collect();
        is_good(&algorithms, &key.into(), self.message, self.signature)
    }
}

/// What was parsed in place is still there.
fn slice<'a>(sequence: &Sequence<'a>) -> Option<&'a [u8]> {
    match sequence.content {
        std::borrow::Cow::Borrowed(content) => Some(content),
        std::borrow::Cow::Owned(_) => None,
    }
}
