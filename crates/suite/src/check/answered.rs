//! An answer with what many queries read from it: its decoded body, as text, as JSON. Each is made
//! once, when it is first asked for.

use std::cell::OnceCell;
use std::io::Read as _;

use bytes::Bytes;
use flate2::read::{DeflateDecoder, MultiGzDecoder, ZlibDecoder};

use super::Reason;
use crate::wire::Exchange;

pub(crate) struct Answered<'a> {
    /// In order; all but the last are redirects that were followed.
    pub(crate) exchanges: &'a [Exchange],
    max_body: usize,
    decoded: OnceCell<Result<Bytes, Reason>>,
    text: OnceCell<Result<String, Reason>>,
    json: OnceCell<Result<serde_json::Value, Reason>>,
}

impl<'a> Answered<'a> {
    /// `None` when there is none.
    pub(crate) fn new(exchanges: &'a [Exchange], max_body: usize) -> Option<Answered<'a>> {
        exchanges.last()?;
        Some(Answered {
            exchanges,
            max_body,
            decoded: OnceCell::new(),
            text: OnceCell::new(),
            json: OnceCell::new(),
        })
    }

    pub(crate) fn last(&self) -> &'a Exchange {
        self.exchanges.last().expect("made of one at least")
    }

    /// The body without its content coding.
    pub(crate) fn bytes(&self) -> Result<&Bytes, Reason> {
        let decoded = || decode(self.last(), self.max_body);
        self.decoded.get_or_init(decoded).as_ref().map_err(Clone::clone)
    }

    pub(crate) fn text(&self) -> Result<&str, Reason> {
        let text = || characters(self.last(), self.bytes()?);
        self.text.get_or_init(text).as_deref().map_err(Clone::clone)
    }

    pub(crate) fn json(&self) -> Result<&serde_json::Value, Reason> {
        let json = || {
            let text = self.text()?;
            serde_json::from_str(text).map_err(|error| format!("the body is no JSON: {error}"))
        };
        self.json.get_or_init(json).as_ref().map_err(Clone::clone)
    }

    pub(crate) fn content_type(&self) -> String {
        let field = self.last().head.values("content-type").next();
        field.map(|field| field.text().to_ascii_lowercase()).unwrap_or_default()
    }
}

fn decode(exchange: &Exchange, most: usize) -> Result<Bytes, Reason> {
    let mut codings = Vec::new();
    for field in exchange.head.values("content-encoding") {
        let text = field.text().to_ascii_lowercase();
        codings.extend(text.split(',').map(|coding| coding.trim().to_owned()));
    }
    let mut body = exchange.body.clone();
    // An answer without a body may still say how one would be coded.
    if body.is_empty() {
        return Ok(body);
    }
    for coding in codings.iter().rev() {
        let limit = most as u64 + 1;
        let mut decoded = Vec::new();
        let read = match coding.as_str() {
            "identity" => continue,
            "gzip" | "x-gzip" => {
                MultiGzDecoder::new(&body[..]).take(limit).read_to_end(&mut decoded)
            }
            // Some send it without the two bytes of zlib's head, and are understood.
            "deflate" if body.first().is_some_and(|byte| byte & 0x0f == 8) => {
                ZlibDecoder::new(&body[..]).take(limit).read_to_end(&mut decoded)
            }
            "deflate" => DeflateDecoder::new(&body[..]).take(limit).read_to_end(&mut decoded),
            other => return Err(format!("the content coding \"{other}\" is not supported")),
        };
        read.map_err(|error| format!("the body is no {coding}: {error}"))?;
        if decoded.len() > most {
            return Err(format!("the decoded body has more than {most} bytes"));
        }
        body = decoded.into();
    }
    Ok(body)
}

fn characters(exchange: &Exchange, bytes: &[u8]) -> Result<String, Reason> {
    let content_type = exchange.head.values("content-type").next();
    let content_type = content_type.map(|field| field.text().to_ascii_lowercase());
    let charset = content_type.as_deref().and_then(|text| text.split("charset=").nth(1));
    let charset = charset.map(|text| text.split(';').next().unwrap_or_default().trim());
    match charset.map(|name| name.trim_matches('"')) {
        None | Some("utf-8" | "utf8" | "us-ascii") => String::from_utf8(bytes.to_vec())
            .map_err(|_| "the body is no UTF-8; \"bytes\" takes it as it is".to_owned()),
        Some("iso-8859-1" | "latin1") => Ok(bytes.iter().map(|byte| char::from(*byte)).collect()),
        Some(other) => Err(format!("the charset \"{other}\" is not supported")),
    }
}
