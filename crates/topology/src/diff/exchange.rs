//! Two answers to one request, and what the application saw of it: everything in which they differ.

use std::collections::BTreeSet;
use std::io::Read as _;

use flate2::read::MultiGzDecoder;
use suite::wire::{Broken, Exchange, Field, Head, Request};

use super::Finding;
use super::masks::Where;
use super::tally::Tally;
use super::witness::Call;

/// What is decompressed to be compared, at most.
const LARGEST: u64 = 256 << 20;

/// What PEP 3333 lets be "empty or missing".
const MAY_BE_ABSENT: [&str; 5] =
    ["SCRIPT_NAME", "PATH_INFO", "QUERY_STRING", "CONTENT_TYPE", "CONTENT_LENGTH"];

/// What came of one request on one side.
#[derive(Debug)]
pub(super) struct Answer<'a> {
    pub(super) outcome: Result<&'a Exchange, &'a Broken>,
    pub(super) calls: Vec<Call>,
    /// `ADDRESS:PORT` of the side, which is nobody's difference.
    pub(super) authority: &'a str,
}

impl Answer<'_> {
    pub(super) fn request(&self) -> &Request {
        match self.outcome {
            Ok(exchange) => &exchange.request,
            Err(broken) => &broken.request,
        }
    }
}

pub(super) fn compare(left: &Answer<'_>, right: &Answer<'_>, tally: &mut Tally) -> Vec<Finding> {
    let mut pair = Pair { left, right, tally, findings: Vec::new() };
    match (left.outcome, right.outcome) {
        (Ok(one), Ok(other)) => pair.exchanges(one, other),
        (one, other) => {
            let told = |outcome: Result<&Exchange, &Broken>| match outcome {
                Ok(exchange) => format!("{} {}", exchange.head.status, exchange.head.reason),
                Err(broken) => broken.cause.to_string(),
            };
            pair.texts(Where::Broken, &told(one), &told(other));
        }
    }
    pair.calls();
    pair.findings
}

struct Pair<'a> {
    left: &'a Answer<'a>,
    right: &'a Answer<'a>,
    tally: &'a mut Tally,
    findings: Vec<Finding>,
}

/// How two bodies compare.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Bodies {
    Same,
    /// But for what is masked.
    Alike,
    Different,
}

impl Pair<'_> {
    fn exchanges(&mut self, one: &Exchange, other: &Exchange) {
        let (left, right) = (&one.head, &other.head);
        self.texts(Where::Status, &left.status.to_string(), &right.status.to_string());
        self.texts(Where::Reason, &left.reason, &right.reason);
        self.texts(Where::Version, &format!("{:?}", left.version), &format!("{:?}", right.version));
        let bodies = self.bodies(one, other);
        self.texts(Where::Framing, &format!("{:?}", one.framing), &format!("{:?}", other.framing));
        self.fields(Where::Header, &left.fields, &right.fields, bodies);
        self.fields(Where::Trailer, &one.trailers, &other.trailers, Bodies::Same);
        self.texts(Where::Interim, &interim(&one.interim), &interim(&other.interim));
        self.texts(Where::Connection, &connection(one), &connection(other));
    }

    fn bodies(&mut self, one: &Exchange, other: &Exchange) -> Bodies {
        if one.body == other.body {
            return Bodies::Same;
        }
        let plain = (plain_body(one), plain_body(other));
        let (left, right, compressed) = match plain {
            (Some(left), Some(right)) => (left, right, compressed(one) || compressed(other)),
            // One that can not be decompressed is compared as it is.
            _ => (one.body.to_vec(), other.body.to_vec(), false),
        };
        if compressed && left == right {
            if self.tally.excuses(&Where::Compression) {
                return Bodies::Alike;
            }
            self.find(Where::Compression, Some("compressed in one way"), Some("in another"));
            return Bodies::Different;
        }
        let (left, right) =
            (without(&left, self.left.authority), without(&right, self.right.authority));
        if !self.tally.differ(&Where::Body, Some(&left), Some(&right)) {
            return Bodies::Alike;
        }
        let masked = |body: &[u8]| self.tally.masked(&Where::Body, body);
        let (left, right) = around_the_difference(&masked(&left), &masked(&right));
        self.find(Where::Body, Some(&left), Some(&right));
        Bodies::Different
    }

    /// As multisets: of each name the values that only one side has, against each other.
    fn fields(
        &mut self,
        place: fn(String) -> Where,
        left: &[Field],
        right: &[Field],
        bodies: Bodies,
    ) {
        let names = left.iter().chain(right).map(|field| field.name.to_ascii_lowercase());
        let framed_alike = self.framed_alike();
        for name in names.collect::<BTreeSet<String>>() {
            let (ours, theirs) = (of_name(left, &name), of_name(right, &name));
            let spelt = |fields: &[&Field]| fields.first().map(|field| field.name.clone());
            if let (Some(ours), Some(theirs)) = (spelt(&ours), spelt(&theirs)) {
                self.texts(Where::Spelling, &ours, &theirs);
            }
            let values = |fields: &[&Field], authority: &str| -> Vec<Vec<u8>> {
                fields.iter().map(|field| without(&field.value, authority)).collect()
            };
            let mut ours = values(&ours, self.left.authority);
            let mut theirs = values(&theirs, self.right.authority);
            ours.retain(|value| match theirs.iter().position(|other| other == value) {
                Some(at) => {
                    theirs.remove(at);
                    false
                }
                None => true,
            });
            ours.sort();
            theirs.sort();
            let place = place(name.clone());
            // What they say has been looked at already, when one has a length and the other chunks.
            let frames = matches!(name.as_str(), "content-length" | "transfer-encoding");
            if frames && !framed_alike {
                continue;
            }
            let of_body = name == "content-length" && bodies == Bodies::Alike;
            for at in 0..ours.len().max(theirs.len()) {
                let (one, other) = (ours.get(at), theirs.get(at));
                if of_body && one.is_some() && other.is_some() && self.tally.excuses(&Where::Length)
                {
                    continue;
                }
                self.values(place.clone(), one.map(Vec::as_slice), other.map(Vec::as_slice));
            }
        }
    }

    fn framed_alike(&self) -> bool {
        match (self.left.outcome, self.right.outcome) {
            (Ok(one), Ok(other)) => one.framing == other.framing,
            _ => true,
        }
    }

    fn calls(&mut self) {
        let (left, right) = (self.left, self.right);
        let times = |answer: &Answer<'_>| match answer.calls.len() {
            1 => "1 call".to_owned(),
            calls => format!("{calls} calls"),
        };
        self.texts(Where::Calls, &times(left), &times(right));
        for (one, other) in left.calls.iter().zip(&right.calls) {
            let keys: BTreeSet<&String> = one.environ.keys().chain(other.environ.keys()).collect();
            for key in keys {
                let value = |call: &Call, answer: &Answer<'_>| {
                    let value = call.environ.get(key)?;
                    Some(without(value.as_bytes(), answer.authority))
                };
                let (ours, theirs) = (value(one, left), value(other, right));
                let empty = |value: &Option<Vec<u8>>| value.as_ref().is_none_or(Vec::is_empty);
                let place = if MAY_BE_ABSENT.contains(&&**key) && empty(&ours) && empty(&theirs) {
                    Where::Absent
                } else {
                    Where::Environ(key.clone())
                };
                self.values(place, ours.as_deref(), theirs.as_deref());
            }
            let (ours, theirs) = (one.inherited.join(" "), other.inherited.join(" "));
            self.texts(Where::Inherited, &ours, &theirs);
            self.texts(
                Where::Input,
                &one.read_of(&left.request().body),
                &other.read_of(&right.request().body),
            );
        }
    }

    fn texts(&mut self, place: Where, left: &str, right: &str) {
        self.values(place, Some(left.as_bytes()), Some(right.as_bytes()));
    }

    fn values(&mut self, place: Where, left: Option<&[u8]>, right: Option<&[u8]>) {
        if self.tally.differ(&place, left, right) {
            let text = |value: &[u8]| String::from_utf8_lossy(value).into_owned();
            self.find(place, left.map(text).as_deref(), right.map(text).as_deref());
        }
    }

    fn find(&mut self, place: Where, left: Option<&str>, right: Option<&str>) {
        let (left, right) = (left.map(str::to_owned), right.map(str::to_owned));
        self.findings.push(Finding { place, left, right });
    }
}

fn of_name<'a>(fields: &'a [Field], name: &str) -> Vec<&'a Field> {
    fields.iter().filter(|field| field.is(name)).collect()
}

fn interim(heads: &[Head]) -> String {
    let told = heads.iter().map(|head| {
        let fields = head.fields.iter().map(|field| format!(" {}: {}", field.name, field.text()));
        let mut fields: Vec<String> = fields.collect();
        fields.sort();
        format!("{} {}{}", head.status, head.reason, fields.concat())
    });
    told.collect::<Vec<_>>().join(", ")
}

fn connection(exchange: &Exchange) -> String {
    format!("{:?}, {:?}", exchange.connected, exchange.ending)
}

/// A side's own address is nobody's difference; that of a hop behind it, where it should not be, is one.
fn without(value: &[u8], authority: &str) -> Vec<u8> {
    let authority = authority.as_bytes();
    let mut kept = Vec::with_capacity(value.len());
    let mut rest = value;
    while let Some(at) = rest.windows(authority.len()).position(|part| part == authority) {
        kept.extend_from_slice(&rest[..at]);
        kept.extend_from_slice(b"{address}");
        rest = &rest[at + authority.len()..];
    }
    kept.extend_from_slice(rest);
    kept
}

fn compressed(exchange: &Exchange) -> bool {
    exchange.head.values("content-encoding").any(|field| field.value.eq_ignore_ascii_case(b"gzip"))
}

/// Before compression. Nothing when it is broken or too large.
fn plain_body(exchange: &Exchange) -> Option<Vec<u8>> {
    if !compressed(exchange) {
        return Some(exchange.body.to_vec());
    }
    let mut plain = Vec::new();
    let mut decoder = MultiGzDecoder::new(exchange.body.as_ref()).take(LARGEST + 1);
    decoder.read_to_end(&mut plain).ok()?;
    (plain.len() as u64 <= LARGEST).then_some(plain)
}

/// So many bytes on each side of where they part.
const AROUND: usize = 60;

fn around_the_difference(left: &[u8], right: &[u8]) -> (String, String) {
    let at = left.iter().zip(right).take_while(|(one, other)| one == other).count();
    let part = |body: &[u8]| {
        let (from, to) = (at.saturating_sub(AROUND), (at + AROUND).min(body.len()));
        let shown = String::from_utf8_lossy(&body[from.min(to)..to]).into_owned();
        format!("{} bytes, at {at}: {shown:?}", body.len())
    };
    (part(left), part(right))
}
