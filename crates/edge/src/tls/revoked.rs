//! `ssl_crl`: certificates that were taken back before their time.

use std::collections::HashSet;

use rustls::pki_types::{CertificateRevocationListDer, UnixTime, pem::PemObject};
use x509_parser::{
    extensions::ParsedExtension, prelude::FromDer, revocation_list::CertificateRevocationList,
};

use super::{
    Source, Subject,
    chain::{BAD_LIST, Fault, LIST_EXPIRED, LIST_NOT_YET, MAY_NOT_SIGN_LISTS, REVOKED},
    signature::Signed,
};

/// A list, read once: it may have many thousand entries.
pub struct RevocationList {
    issuer: Vec<u8>,
    der: CertificateRevocationListDer<'static>,
    serials: HashSet<Vec<u8>>,
    made: i64,
    next: Option<i64>,
}

impl RevocationList {
    /// Every list of a file.
    pub fn read(source: &Source) -> Result<Vec<RevocationList>, String> {
        let fail = |why: String| format!("X509_LOOKUP_load_file(\"{source}\") failed ({why})");
        let bytes = source.bytes().map_err(fail)?;
        let lists: Result<Vec<_>, _> = CertificateRevocationListDer::pem_slice_iter(&bytes)
            .map(|der| RevocationList::of(der.map_err(|error| error.to_string())?))
            .collect();
        let lists = lists.map_err(fail)?;
        if lists.is_empty() { Err(fail("no list in it".to_owned())) } else { Ok(lists) }
    }

    fn of(der: CertificateRevocationListDer<'static>) -> Result<RevocationList, String> {
        let (_, list) = parse(&der)?;
        // One for a part of the certificates, or about those of others, is not understood.
        let understood = |parsed: &ParsedExtension<'_>| {
            matches!(
                parsed,
                ParsedExtension::AuthorityKeyIdentifier(_) | ParsedExtension::CRLNumber(_)
            )
        };
        let demands = list.extensions().iter();
        if demands.clone().any(|it| it.critical && !understood(it.parsed_extension())) {
            return Err("unhandled critical CRL extension".to_owned());
        }
        let serials = list.iter_revoked_certificates().map(|it| it.raw_serial().to_vec());
        Ok(RevocationList {
            issuer: list.issuer().as_raw().to_vec(),
            serials: serials.collect(),
            made: list.last_update().timestamp(),
            next: list.next_update().map(|next| next.timestamp()),
            der,
        })
    }

    /// Whether it is by whoever has issued the certificate.
    pub(super) fn is_of(&self, subject: &Subject<'_>) -> bool {
        subject.certificate().issuer().as_raw() == self.issuer
    }

    pub(super) fn check(
        &self,
        subject: &Subject<'_>,
        issuer: &Subject<'_>,
        now: UnixTime,
    ) -> Result<(), Fault> {
        let usage = issuer.certificate().key_usage().map_err(|_| MAY_NOT_SIGN_LISTS)?;
        if usage.is_some_and(|usage| !usage.value.crl_sign()) {
            return Err(MAY_NOT_SIGN_LISTS);
        }
        let (_, list) = parse(&self.der).map_err(|_| BAD_LIST)?;
        let signature = &list.signature_value.data;
        let signed = Signed::of(&self.der, list.tbs_cert_list.as_ref(), signature);
        if !signed.is_some_and(|signed| signed.is_by(issuer.public_key())) {
            return Err(BAD_LIST);
        }
        let now = now.as_secs() as i64;
        if now < self.made {
            return Err(LIST_NOT_YET);
        }
        if self.next.is_some_and(|next| next < now) {
            return Err(LIST_EXPIRED);
        }
        let serial = subject.certificate().raw_serial();
        if self.serials.contains(serial) { Err(REVOKED) } else { Ok(()) }
    }
}

fn parse<'a>(
    der: &'a CertificateRevocationListDer<'_>,
) -> Result<(&'a [u8], CertificateRevocationList<'a>), String> {
    CertificateRevocationList::from_der(der).map_err(|error| error.to_string())
}
