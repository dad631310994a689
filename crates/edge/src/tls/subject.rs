//! What a certificate says, in the forms OpenSSL prints: names, times, numbers.

use std::fmt::Write;

use aws_lc_rs::digest;
use x509_parser::{
    certificate::X509Certificate,
    error::X509Error,
    oid_registry::asn1_rs::{Any, Tag, ToDer},
    prelude::FromDer,
    time::ASN1Time,
    x509::{AttributeTypeAndValue, X509Name},
};

/// A certificate, parsed.
pub struct Subject<'a> {
    certificate: X509Certificate<'a>,
    der: &'a [u8],
}

impl<'a> Subject<'a> {
    pub fn of(der: &'a [u8]) -> Result<Subject<'a>, X509Error> {
        let (rest, certificate) = X509Certificate::from_der(der)?;
        if !rest.is_empty() {
            return Err(X509Error::InvalidCertificate);
        }
        Ok(Subject { certificate, der })
    }

    pub(super) fn certificate(&self) -> &X509Certificate<'a> {
        &self.certificate
    }

    /// The key, with its kind.
    pub fn public_key(&self) -> &'a [u8] {
        self.certificate.tbs_certificate.subject_pki.raw
    }
}

/// `CN=example.org,O=Example` (RFC 2253).
pub fn name(subject: &Subject<'_>) -> String {
    rfc2253(subject.certificate.subject())
}

pub fn issuer(subject: &Subject<'_>) -> String {
    rfc2253(subject.certificate.issuer())
}

/// `/O=Example/CN=example.org`.
pub fn legacy_name(subject: &Subject<'_>) -> String {
    oneline(subject.certificate.subject())
}

pub fn legacy_issuer(subject: &Subject<'_>) -> String {
    oneline(subject.certificate.issuer())
}

pub fn serial(subject: &Subject<'_>) -> String {
    let serial = subject.certificate.raw_serial();
    let digits = if serial.len() > 1 && serial[0] == 0 { &serial[1..] } else { serial };
    hex(digits, Case::Upper)
}

/// The certificate's SHA-1, by which some know it.
pub fn fingerprint(subject: &Subject<'_>) -> String {
    let sum = digest::digest(&digest::SHA1_FOR_LEGACY_USE_ONLY, subject.der);
    hex(sum.as_ref(), Case::Lower)
}

pub fn start(subject: &Subject<'_>) -> String {
    printed(subject.certificate.validity().not_before)
}

pub fn end(subject: &Subject<'_>) -> String {
    printed(subject.certificate.validity().not_after)
}

/// Whole days until it ends.
pub fn days_left(subject: &Subject<'_>, now: i64) -> i64 {
    let end = subject.certificate.validity().not_after.timestamp();
    end.saturating_sub(now).max(0) / 86_400
}

pub fn pem(subject: &Subject<'_>) -> String {
    in_pem("CERTIFICATE", subject.der)
}

fn in_pem(label: &str, der: &[u8]) -> String {
    let base64 = base64(der);
    let mut text = format!("-----BEGIN {label}-----\n");
    for line in base64.as_bytes().chunks(64) {
        text.push_str(std::str::from_utf8(line).expect("base64 is ASCII"));
        text.push('\n');
    }
    text + &format!("-----END {label}-----\n")
}

fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for three in bytes.chunks(3) {
        let byte = |place: usize| u32::from(three.get(place).copied().unwrap_or(0));
        let bits = byte(0) << 16 | byte(1) << 8 | byte(2);
        for place in 0..4 {
            let digit = DIGITS[(bits >> (18 - 6 * place) & 63) as usize];
            text.push(if place <= three.len() { char::from(digit) } else { '=' });
        }
    }
    text
}

#[derive(Clone, Copy)]
enum Case {
    Upper,
    Lower,
}

fn hex(bytes: &[u8], case: Case) -> String {
    let mut text = String::with_capacity(2 * bytes.len());
    for byte in bytes {
        let _in_memory = match case {
            Case::Upper => write!(text, "{byte:02X}"),
            Case::Lower => write!(text, "{byte:02x}"),
        };
    }
    text
}

/// `Nov  2 20:40:27 2026 GMT`.
fn printed(time: ASN1Time) -> String {
    match jiff::Timestamp::from_second(time.timestamp()) {
        Ok(time) => time.strftime("%b %e %H:%M:%S %Y GMT").to_string(),
        Err(_) => "Bad time value".to_owned(),
    }
}

/// The last part first, and between commas.
fn rfc2253(name: &X509Name<'_>) -> String {
    let parts: Vec<String> = name
        .iter_rdn()
        .map(|part| part.iter().map(attribute_rfc2253).collect::<Vec<_>>().join("+"))
        .collect();
    parts.into_iter().rev().collect::<Vec<_>>().join(",")
}

fn attribute_rfc2253(attribute: &AttributeTypeAndValue<'_>) -> String {
    let kind = attribute.attr_type();
    let known = short_name(&kind.to_id_string());
    let mut text = format!("{}=", known.map_or_else(|| kind.to_id_string(), str::to_owned));
    match (known, characters(attribute.attr_value())) {
        (Some(_), Some(value)) => escape_rfc2253(&value, &mut text),
        _ => {
            let der = attribute.attr_value().to_der_vec().unwrap_or_default();
            text.push('#');
            text.push_str(&hex(&der, Case::Upper));
        }
    }
    text
}

/// A value's characters, in UTF-8; `None` of a value that is no string.
fn characters(value: &Any<'_>) -> Option<Vec<u8>> {
    let bytes = value.data;
    let latin = |bytes: &[u8]| bytes.iter().map(|byte| char::from(*byte)).collect::<String>();
    Some(match value.tag() {
        Tag::Utf8String | Tag::PrintableString | Tag::Ia5String | Tag::NumericString => {
            bytes.to_vec()
        }
        Tag::T61String | Tag::VisibleString => latin(bytes).into_bytes(),
        Tag::BmpString => {
            let units = bytes.chunks_exact(2).map(|two| u16::from_be_bytes([two[0], two[1]]));
            char::decode_utf16(units)
                .map(|letter| letter.unwrap_or(char::REPLACEMENT_CHARACTER))
                .collect::<String>()
                .into_bytes()
        }
        _ => return None,
    })
}

fn escape_rfc2253(value: &[u8], text: &mut String) {
    let last = value.len().saturating_sub(1);
    for (place, byte) in value.iter().enumerate() {
        let escaped = match byte {
            b',' | b'+' | b'"' | b'\\' | b'<' | b'>' | b';' => true,
            b' ' => place == 0 || place == last,
            b'#' => place == 0,
            _ => false,
        };
        if escaped {
            text.push('\\');
        }
        if (b' '..0x7f).contains(byte) {
            text.push(char::from(*byte));
        } else {
            let _in_memory = write!(text, "\\{byte:02X}");
        }
    }
}

/// As OpenSSL did before there was a standard, and as it must not be parsed.
fn oneline(name: &X509Name<'_>) -> String {
    let mut text = String::new();
    for attribute in name.iter_attributes() {
        let kind = attribute.attr_type().to_id_string();
        let _in_memory = write!(text, "/{}=", short_name(&kind).unwrap_or(&kind));
        for byte in attribute.attr_value().data {
            if (b' '..=b'~').contains(byte) {
                text.push(char::from(*byte));
            } else {
                let _in_memory = write!(text, "\\x{byte:02X}");
            }
        }
    }
    text
}

/// OpenSSL's abbreviations, which are not everybody's.
fn short_name(kind: &str) -> Option<&'static str> {
    Some(match kind {
        "2.5.4.3" => "CN",
        "2.5.4.4" => "SN",
        "2.5.4.5" => "serialNumber",
        "2.5.4.6" => "C",
        "2.5.4.7" => "L",
        "2.5.4.8" => "ST",
        "2.5.4.9" => "street",
        "2.5.4.10" => "O",
        "2.5.4.11" => "OU",
        "2.5.4.12" => "title",
        "2.5.4.13" => "description",
        "2.5.4.15" => "businessCategory",
        "2.5.4.17" => "postalCode",
        "2.5.4.20" => "telephoneNumber",
        "2.5.4.41" => "name",
        "2.5.4.42" => "GN",
        "2.5.4.43" => "initials",
        "2.5.4.44" => "generationQualifier",
        "2.5.4.46" => "dnQualifier",
        "2.5.4.65" => "pseudonym",
        "2.5.4.97" => "organizationIdentifier",
        "0.9.2342.19200300.100.1.1" => "UID",
        "0.9.2342.19200300.100.1.3" => "mail",
        "0.9.2342.19200300.100.1.25" => "DC",
        "1.2.840.113549.1.9.1" => "emailAddress",
        "1.2.840.113549.1.9.2" => "unstructuredName",
        "1.3.6.1.4.1.311.60.2.1.1" => "jurisdictionL",
        "1.3.6.1.4.1.311.60.2.1.2" => "jurisdictionST",
        "1.3.6.1.4.1.311.60.2.1.3" => "jurisdictionC",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_escaped() {
        let check = |value: &str, expected: &str| {
            let mut text = String::new();
            escape_rfc2253(value.as_bytes(), &mut text);
            assert_eq!(text, expected, "{value}");
        };
        check("plain text", "plain text");
        check(" #a,b+c\"d\\e<f>g;h ", "\\ #a\\,b\\+c\\\"d\\\\e\\<f\\>g\\;h\\ ");
        check("#1", "\\#1");
        check("é\n", "\\C3\\A9\\0A");
    }

    #[test]
    fn times_are_printed_as_openssl_does() {
        let check = |second: i64, expected: &str| {
            assert_eq!(printed(ASN1Time::from_timestamp(second).unwrap()), expected);
        };
        check(1_422_924_952, "Feb  3 00:55:52 2015 GMT");
        check(0, "Jan  1 00:00:00 1970 GMT");
    }

    #[test]
    fn certificates_are_written_in_lines() {
        assert_eq!(base64(b"Many hands"), "TWFueSBoYW5kcw==");
        assert_eq!(base64(b"light work."), "bGlnaHQgd29yay4=");
        assert!(in_pem("X", &[0; 60]).starts_with("-----BEGIN X-----\nAAAA"));
        assert_eq!(in_pem("X", &[0; 96]).lines().count(), 4);
    }
}
