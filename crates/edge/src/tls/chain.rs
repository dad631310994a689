//! From a certificate that is shown to one that is trusted, as OpenSSL goes, with its words for what is
//! wrong.
//!
//! Not webpki's way, which is stricter than nginx is: it takes no certificate of version 1 and none
//! that may sign others, and both are what people's own authorities give to clients and servers.

use rustls::pki_types::{CertificateDer, IpAddr, ServerName, UnixTime};
use x509_parser::{
    certificate::X509Certificate,
    extensions::{GeneralName, ParsedExtension},
    time::ASN1Time,
    x509::X509Version,
};

use super::{Authorities, Subject, signature::Signed};

/// What is wrong with a certificate: OpenSSL's number, and its words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fault {
    pub number: u8,
    pub words: &'static str,
}

const fn fault(number: u8, words: &'static str) -> Fault {
    Fault { number, words }
}

const NO_TRUSTED_ISSUER: Fault = fault(2, "unable to get issuer certificate");
pub(super) const NO_LIST: Fault = fault(3, "unable to get certificate CRL");
const BAD_SIGNATURE: Fault = fault(7, "certificate signature failure");
pub(super) const BAD_LIST: Fault = fault(8, "CRL signature failure");
const NOT_YET: Fault = fault(9, "certificate is not yet valid");
const EXPIRED: Fault = fault(10, "certificate has expired");
pub(super) const LIST_NOT_YET: Fault = fault(11, "CRL is not yet valid");
pub(super) const LIST_EXPIRED: Fault = fault(12, "CRL has expired");
const SELF_SIGNED: Fault = fault(18, "self-signed certificate");
const SELF_SIGNED_IN_CHAIN: Fault = fault(19, "self-signed certificate in certificate chain");
const NO_ISSUER: Fault = fault(20, "unable to get local issuer certificate");
const NO_FIRST_ISSUER: Fault = fault(21, "unable to verify the first certificate");
const TOO_LONG: Fault = fault(22, "certificate chain too long");
pub(super) const REVOKED: Fault = fault(23, "certificate revoked");
const PATH_TOO_LONG: Fault = fault(25, "path length constraint exceeded");
const WRONG_PURPOSE: Fault = fault(26, "unsuitable certificate purpose");
const MAY_NOT_SIGN: Fault = fault(32, "key usage does not include certificate signing");
const UNKNOWN_DEMAND: Fault = fault(34, "unhandled critical extension");
pub(super) const MAY_NOT_SIGN_LISTS: Fault = fault(35, "key usage does not include CRL signing");
const NO_AUTHORITY: Fault = fault(79, "invalid CA certificate");

impl Fault {
    /// That nobody trusted has signed it: `optional_no_ca` does not mind.
    pub fn is_about_trust(self) -> bool {
        matches!(self.number, 18..=21 | 27)
    }
}

/// How many signatures one client may have us look at.
const PATIENCE: usize = 32;

/// One certificate of the chain.
struct Link<'a> {
    subject: Subject<'a>,
    trusted: bool,
}

/// `*.example.org` is one label more than `example.org`.
fn matches(pattern: &str, name: &str) -> bool {
    if let Some(domain) = pattern.strip_prefix("*.") {
        let rest = name.split_once('.').map(|(_, rest)| rest);
        return domain.contains('.') && rest.is_some_and(|rest| rest.eq_ignore_ascii_case(domain));
    }
    pattern.eq_ignore_ascii_case(name)
}

/// What a certificate is shown for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Purpose {
    Client,
    Server,
}

/// As with nginx, whose OpenSSL goes on after each fault: the last one is told.
pub(super) fn verify(
    authorities: &Authorities,
    purpose: Purpose,
    shown: &CertificateDer<'_>,
    brought: &[CertificateDer<'_>],
    now: UnixTime,
) -> Result<(), Fault> {
    let is_trusted = |der: &CertificateDer<'_>| authorities.trusted().any(|it| it == der);
    let subject = Subject::of(shown).map_err(|_| BAD_SIGNATURE)?;
    let mut chain = vec![Link { subject, trusted: is_trusted(shown) }];
    let mut verdict = complete(&mut chain, authorities, brought);
    for (place, link) in chain.iter().enumerate() {
        let certificate = link.subject.certificate();
        verdict = check_extensions(certificate).and(verdict);
        // How many that sign others are below it.
        if let Some(below) = place.checked_sub(1) {
            verdict = check_authority(certificate, below).and(verdict);
        }
        verdict = check_purpose(certificate, purpose, place).and(verdict);
    }
    if !authorities.revoked.is_empty() {
        for place in 0..chain.len() {
            verdict = check_revoked(authorities, &chain, place, now).and(verdict);
        }
    }
    for link in chain.iter().rev() {
        verdict = check_time(link.subject.certificate(), now).and(verdict);
    }
    verdict
}

/// Goes from the certificate that was shown to one that signs itself and is trusted.
fn complete<'a>(
    chain: &mut Vec<Link<'a>>,
    authorities: &'a Authorities,
    brought: &'a [CertificateDer<'_>],
) -> Result<(), Fault> {
    let is_trusted = |der: &CertificateDer<'_>| authorities.trusted().any(|it| it == der);
    let mut patience = PATIENCE;
    loop {
        let last = chain.last().expect("a chain begins with what was shown");
        if last.subject.is_self_issued() {
            return match (last.trusted, chain.len()) {
                (true, _) => Ok(()),
                (false, 1) => Err(SELF_SIGNED),
                (false, _) => Err(SELF_SIGNED_IN_CHAIN),
            };
        }
        // What was shown, and those between it and the next.
        if chain.len() > authorities.depth + 1 {
            return Err(TOO_LONG);
        }
        let candidates = authorities.trusted().map(|der| (der, true));
        let candidates = candidates.chain(brought.iter().map(|der| (der, is_trusted(der))));
        let (mut found, mut bad_signature) = (None, false);
        for (der, trusted) in candidates {
            let Ok(subject) = Subject::of(der) else { continue };
            if !subject.has_issued(&last.subject) {
                continue;
            }
            patience = patience.checked_sub(1).ok_or(TOO_LONG)?;
            if last.subject.is_signed_by(&subject) {
                found = Some(Link { subject, trusted });
                break;
            }
            bad_signature = true;
        }
        match found {
            Some(link) => chain.push(link),
            None if bad_signature => return Err(BAD_SIGNATURE),
            None if last.trusted => return Err(NO_TRUSTED_ISSUER),
            None if chain.len() == 1 => return Err(NO_FIRST_ISSUER),
            None => return Err(NO_ISSUER),
        }
    }
}

fn check_time(certificate: &X509Certificate<'_>, now: UnixTime) -> Result<(), Fault> {
    let now = now.as_secs() as i64;
    let validity = certificate.validity();
    let second = |time: ASN1Time| time.timestamp();
    if now < second(validity.not_before) {
        Err(NOT_YET)
    } else if second(validity.not_after) < now {
        Err(EXPIRED)
    } else {
        Ok(())
    }
}

/// What is not understood and must be is refused; so are constraints on names, which nobody here
/// looks at.
fn check_extensions(certificate: &X509Certificate<'_>) -> Result<(), Fault> {
    if certificate.extensions_map().is_err() {
        return Err(UNKNOWN_DEMAND);
    }
    for extension in certificate.extensions() {
        let understood = match extension.parsed_extension() {
            ParsedExtension::UnsupportedExtension { .. } | ParsedExtension::Unparsed => {
                !extension.critical
            }
            ParsedExtension::ParseError { .. } | ParsedExtension::NameConstraints(_) => false,
            _ => true,
        };
        if !understood {
            return Err(UNKNOWN_DEMAND);
        }
    }
    Ok(())
}

/// Whether it may sign others, with so many signing ones between it and the first.
fn check_authority(certificate: &X509Certificate<'_>, below: usize) -> Result<(), Fault> {
    let limits = certificate.basic_constraints().map_err(|_| NO_AUTHORITY)?;
    match limits {
        Some(limits) if !limits.value.ca => return Err(NO_AUTHORITY),
        Some(limits) => {
            let limit = limits.value.path_len_constraint;
            if limit.is_some_and(|limit| (limit as usize) < below) {
                return Err(PATH_TOO_LONG);
            }
        }
        // Version 1 knew no such thing; only a root is believed without it.
        None if certificate.version() == X509Version::V1
            && certificate.issuer() == certificate.subject() => {}
        None => return Err(NO_AUTHORITY),
    }
    match certificate.key_usage().map_err(|_| MAY_NOT_SIGN)? {
        Some(usage) if !usage.value.key_cert_sign() => Err(MAY_NOT_SIGN),
        _ => Ok(()),
    }
}

/// Whether it is good for what it is shown for, or for signing what is.
fn check_purpose(
    certificate: &X509Certificate<'_>,
    purpose: Purpose,
    place: usize,
) -> Result<(), Fault> {
    let purposes = certificate.extended_key_usage().map_err(|_| WRONG_PURPOSE)?;
    let fits = purposes.is_none_or(|purposes| {
        purposes.value.any
            || match purpose {
                Purpose::Client => purposes.value.client_auth,
                Purpose::Server => purposes.value.server_auth,
            }
    });
    if !fits {
        return Err(WRONG_PURPOSE);
    }
    let usage = certificate.key_usage().map_err(|_| WRONG_PURPOSE)?;
    let signs = usage.is_none_or(|it| it.value.digital_signature() || it.value.key_agreement());
    if place == 0 && !signs { Err(WRONG_PURPOSE) } else { Ok(()) }
}

fn check_revoked(
    authorities: &Authorities,
    chain: &[Link<'_>],
    place: usize,
    now: UnixTime,
) -> Result<(), Fault> {
    let subject = &chain[place].subject;
    // The last has signed itself, or nobody knows who has.
    let issuer = &chain.get(place + 1).unwrap_or(&chain[place]).subject;
    let mut lists = authorities.revoked.iter().filter(|list| list.is_of(subject));
    lists.next().ok_or(NO_LIST)?.check(subject, issuer, now)
}

impl Subject<'_> {
    /// Whether a server of this name may show it: by its alternative names, or, where it has none of
    /// the kind, by its common name.
    pub(super) fn is_for(&self, name: &ServerName<'_>) -> bool {
        let alternatives = self.certificate().subject_alternative_name().ok().flatten();
        let alternatives = alternatives.iter().flat_map(|list| &list.value.general_names);
        let mut has_names = false;
        for alternative in alternatives {
            match (alternative, name) {
                (GeneralName::DNSName(pattern), ServerName::DnsName(name)) => {
                    has_names = true;
                    if matches(pattern, name.as_ref()) {
                        return true;
                    }
                }
                (GeneralName::IPAddress(bytes), ServerName::IpAddress(address)) => {
                    let same = match address {
                        IpAddr::V4(address) => *bytes == address.as_ref(),
                        IpAddr::V6(address) => *bytes == address.as_ref(),
                    };
                    if same {
                        return true;
                    }
                }
                _ => (),
            }
        }
        let ServerName::DnsName(name) = name else { return false };
        let mut common = self.certificate().subject().iter_common_name();
        !has_names
            && common.any(|it| it.as_str().is_ok_and(|pattern| matches(pattern, name.as_ref())))
    }

    fn is_self_issued(&self) -> bool {
        let certificate = self.certificate();
        certificate.issuer().as_raw() == certificate.subject().as_raw()
    }

    fn has_issued(&self, other: &Subject<'_>) -> bool {
        self.certificate().subject().as_raw() == other.certificate().issuer().as_raw()
    }

    fn is_signed_by(&self, issuer: &Subject<'_>) -> bool {
        let certificate = self.certificate();
        let inside = &certificate.tbs_certificate;
        // Said twice, and only one of them is signed.
        certificate.signature_algorithm == inside.signature
            && Signed::of(certificate.as_raw(), inside.as_ref(), &certificate.signature_value.data)
                .is_some_and(|signed| signed.is_by(issuer.public_key()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names() {
        assert!(matches("example.org", "EXAMPLE.org"));
        assert!(matches("*.example.org", "a.example.org"));
        assert!(!matches("*.example.org", "example.org"));
        assert!(!matches("*.example.org", "a.b.example.org"));
        assert!(!matches("*.org", "example.org"));
        assert!(!matches("a*.example.org", "ab.example.org"));
    }
}
