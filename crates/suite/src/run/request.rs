//! The request that an entry describes, as hurl would send it: what the file says in the order of
//! the file, and before it the few fields that every request has.

use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http1::{Version, is_field_value, is_token};
use hurl_core::ast::{self, Body, KeyValue, MultilineStringKind, Template};
use percent_encoding::{AsciiSet, CONTROLS, NON_ALPHANUMERIC, utf8_percent_encode};
use url::{Position, Url};

use super::multipart::{content_type, multipart};
use super::options::Options;
use crate::check::{Reason, Variables, file_bytes, json_text, render};
use crate::wire::{Field, Request};

/// What RFC 3986 leaves as it is; the rest of a value is percent-encoded, in queries and forms.
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');
/// What must not stand on a request line.
const UNSENDABLE: &AsciiSet = &CONTROLS.add(b' ').add(b'"').add(b'<').add(b'>');

pub(crate) fn escaped(text: &str) -> String {
    utf8_percent_encode(text, RESERVED).to_string()
}

/// A request but for what each sending of it adds.
#[derive(Debug)]
pub(super) struct Prepared {
    method: String,
    pub(super) url: Url,
    target: String,
    version: Version,
    fields: Vec<Field>,
    /// Those of the section; the jar's come before.
    cookies: Vec<(String, String)>,
    content_type: Option<Field>,
    body: Bytes,
}

impl Prepared {
    /// Or the line of the file that can not be made into one, and why.
    pub(super) fn new(
        request: &ast::Request,
        options: &Options,
        variables: &Variables,
        folder: &Path,
    ) -> Result<Prepared, (usize, Reason)> {
        let at = |line: usize| move |reason: Reason| (line, reason);
        let pair = |line: &KeyValue| -> Result<(String, String), (usize, Reason)> {
            let (name, value) =
                (rendered(&line.key, variables)?, rendered(&line.value, variables)?);
            Ok((name, value))
        };
        let pairs = |lines: &[KeyValue]| lines.iter().map(pair).collect::<Result<Vec<_>, _>>();

        let line = request.url.source_info.start.line;
        let mut url = rendered(&request.url, variables)?;
        for (name, value) in pairs(request.querystring_params())? {
            let joint = if url.contains('?') { '&' } else { '?' };
            url = format!("{url}{joint}{}={}", escaped(&name), escaped(&value));
        }
        let (url, target) = place(&url, options.path_as_is).map_err(at(line))?;

        let mut fields = Vec::new();
        for header in &request.headers {
            let (name, value) = pair(header)?;
            let line = header.key.source_info.start.line;
            fields.push(field(&name, value.into()).map_err(at(line))?);
        }
        for (line, header) in &options.headers {
            let (name, value) = header.split_once(':').unwrap_or((header, ""));
            fields.push(field(name.trim(), value.trim().to_owned().into()).map_err(at(*line))?);
        }
        let user = match request.basic_auth() {
            Some(auth) => {
                let (name, password) = pair(auth)?;
                Some(format!("{name}:{password}"))
            }
            None => options.user.clone(),
        };
        if let Some(user) = user {
            let value = format!("Basic {}", STANDARD.encode(user));
            fields.push(Field::new("Authorization", value));
        }
        if options.compressed {
            fields.push(Field::new("Accept-Encoding", "gzip, deflate"));
        }
        let mut cookies = Vec::new();
        for cookie in request.cookies() {
            let name = rendered(&cookie.name, variables)?;
            cookies.push((name, rendered(&cookie.value, variables)?));
        }

        let (mut kind, mut body) = (None, Vec::new());
        let forms = pairs(request.form_params())?;
        if !forms.is_empty() {
            let form =
                forms.iter().map(|(name, value)| format!("{}={}", escaped(name), escaped(value)));
            body = form.collect::<Vec<_>>().join("&").into_bytes();
            kind = Some("application/x-www-form-urlencoded".to_owned());
        } else if !request.multipart_form_data().is_empty() {
            let (boundary, bytes) = multipart(request.multipart_form_data(), variables, folder)?;
            body = bytes;
            kind = Some(content_type(&boundary));
        } else if let Some(described) = &request.body {
            let line = described.space0.source_info.start.line;
            (kind, body) = body_of(described, variables, folder).map_err(at(line))?;
        }
        let named = fields.iter().any(|field: &Field| field.is("content-type"));
        let content_type = kind.filter(|_| !named).map(|kind| Field::new("Content-Type", kind));
        Ok(Prepared {
            method: request.method.to_string(),
            url,
            target,
            version: options.version,
            fields,
            cookies,
            content_type,
            body: body.into(),
        })
    }

    /// The request, with the cookies of now, and with one more field.
    pub(super) fn request(&self, jar: Vec<(String, String)>, more: Option<Field>) -> Request {
        let has = |name: &str| self.fields.iter().any(|field| field.is(name));
        let mut fields = Vec::new();
        let mut unless_given = |name: &str, value: String| {
            if !has(name) {
                fields.push(Field::new(name, value));
            }
        };
        unless_given("Host", self.url[Position::BeforeHost..Position::AfterPort].to_owned());
        unless_given(
            "User-Agent",
            concat!("causeway-suite/", env!("CARGO_PKG_VERSION")).to_owned(),
        );
        unless_given("Accept", "*/*".to_owned());
        fields.extend(self.fields.iter().cloned());
        fields.extend(more);
        let own = |name: &str| self.cookies.iter().any(|(known, _)| known == name);
        let mut cookies: Vec<_> = jar.into_iter().filter(|(name, _)| !own(name)).collect();
        cookies.extend(self.cookies.iter().cloned());
        if !cookies.is_empty() {
            let pairs: Vec<_> =
                cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
            fields.push(Field::new("Cookie", pairs.join("; ")));
        }
        fields.extend(self.content_type.clone());
        let takes_one = matches!(self.method.as_str(), "POST" | "PUT" | "PATCH");
        let framed = has("content-length") || has("transfer-encoding");
        if (takes_one || !self.body.is_empty()) && !framed {
            fields.push(Field::new("Content-Length", self.body.len().to_string()));
        }
        Request {
            method: self.method.clone(),
            url: self.url.clone(),
            target: self.target.clone(),
            version: self.version,
            fields,
            body: self.body.clone(),
        }
    }

    /// Becomes the request that a redirect of this status asks for, RFC 9110 §15.4.
    pub(super) fn follow(&mut self, status: u16, next: &Url) -> Result<(), Reason> {
        let elsewhere = next.origin() != self.url.origin();
        let (url, target) = place(next.as_str(), false)?;
        (self.url, self.target) = (url, target);
        let becomes_get = match status {
            303 => self.method != "HEAD",
            301 | 302 => self.method == "POST",
            _ => false,
        };
        if becomes_get {
            "GET".clone_into(&mut self.method);
            self.body = Bytes::new();
            self.content_type = None;
        }
        self.fields.retain(|field| {
            let secret = field.is("authorization") || field.is("cookie") || field.is("host");
            let of_body = field.is("content-type")
                || field.is("content-length")
                || field.is("transfer-encoding")
                || field.is("expect");
            !(secret && elsewhere || of_body && becomes_get)
        });
        if elsewhere {
            self.cookies.clear();
        }
        Ok(())
    }
}

fn rendered(template: &Template, variables: &Variables) -> Result<String, (usize, Reason)> {
    render(template, variables).map_err(|reason| (template.source_info.start.line, reason))
}

/// A field that can be sent as one line, whatever a variable held.
fn field(name: &str, value: Bytes) -> Result<Field, Reason> {
    if !is_token(name.as_bytes()) {
        return Err(format!("\"{name}\" is no name of a header"));
    }
    if !is_field_value(&value) {
        return Err(format!("the value of \"{name}\" has a line break or a control character"));
    }
    Ok(Field::new(name, value))
}

/// The URL, and what of it stands on the request line.
fn place(text: &str, path_as_is: bool) -> Result<(Url, String), Reason> {
    let url = Url::parse(text).map_err(|error| format!("\"{text}\" is no URL: {error}"))?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(format!("\"{text}\" is neither http nor https"));
    }
    if !path_as_is {
        let target = url[Position::BeforePath..Position::AfterQuery].to_owned();
        return Ok((url, target));
    }
    let authority = text.split_once("://").map_or(text, |(_, rest)| rest);
    let path = authority.find(['/', '?', '#']).map_or("", |start| &authority[start..]);
    let path = path.split('#').next().unwrap_or_default();
    let slash = if path.starts_with('/') { "" } else { "/" };
    let target = format!("{slash}{}", utf8_percent_encode(path, UNSENDABLE));
    Ok((url, target))
}

/// The content type that goes without saying, and the bytes.
fn body_of(
    body: &Body,
    variables: &Variables,
    folder: &Path,
) -> Result<(Option<String>, Vec<u8>), Reason> {
    let json = || Some("application/json".to_owned());
    Ok(match &body.value {
        ast::Bytes::Json(value) => (json(), json_text(value, variables)?.into_bytes()),
        ast::Bytes::OnelineString(text) => (None, render(text, variables)?.into_bytes()),
        ast::Bytes::MultilineString(text) => {
            let kind = match &text.kind {
                MultilineStringKind::Json(_) => json(),
                MultilineStringKind::Xml(_) => Some("application/xml".to_owned()),
                _ => None,
            };
            (kind, render(&text.value(), variables)?.into_bytes())
        }
        ast::Bytes::Base64(value) => (None, value.value.clone()),
        ast::Bytes::Hex(value) => (None, value.value.clone()),
        ast::Bytes::File(file) => (None, file_bytes(&file.filename, folder, variables)?),
        ast::Bytes::Xml(_) => unreachable!("the parser finds no xml without quotes"),
    })
}
