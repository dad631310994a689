//! `[Multipart]` bodies, RFC 7578, as browsers write them. The boundary is the same in every run, so
//! that two deployments are sent the same bytes.

use std::path::Path;

use hurl_core::ast::{MultipartParam, Template};

use crate::check::{Reason, Variables, file_bytes, render};

pub(super) fn content_type(boundary: &str) -> String {
    format!("multipart/form-data; boundary={boundary}")
}

/// The boundary, and the body.
pub(super) fn multipart(
    params: &[MultipartParam],
    variables: &Variables,
    folder: &Path,
) -> Result<(String, Vec<u8>), (usize, Reason)> {
    let mut parts = Vec::new();
    for param in params {
        let line = match param {
            MultipartParam::Param(param) => param.key.source_info.start.line,
            MultipartParam::FilenameParam(param) => param.key.source_info.start.line,
        };
        parts.push(part(param, variables, folder).map_err(|reason| (line, reason))?);
    }
    let mut boundary = "----causeway-suite".to_owned();
    while parts.iter().any(|(_, content)| contains(content, boundary.as_bytes())) {
        boundary.push('-');
    }
    let mut body = Vec::new();
    for (head, content) in parts {
        body.extend_from_slice(format!("--{boundary}\r\n{head}\r\n\r\n").as_bytes());
        body.extend_from_slice(&content);
        body.extend_from_slice(b"\r\n");
    }
    body.extend_from_slice(format!("--{boundary}--\r\n").as_bytes());
    Ok((boundary, body))
}

fn part(
    param: &MultipartParam,
    variables: &Variables,
    folder: &Path,
) -> Result<(String, Vec<u8>), Reason> {
    let quoted = |template: &Template| -> Result<String, Reason> {
        let text = render(template, variables)?;
        Ok(text.replace('"', "%22").replace('\r', "%0D").replace('\n', "%0A"))
    };
    match param {
        MultipartParam::Param(param) => {
            let head = format!("Content-Disposition: form-data; name=\"{}\"", quoted(&param.key)?);
            Ok((head, render(&param.value, variables)?.into_bytes()))
        }
        MultipartParam::FilenameParam(param) => {
            let content = file_bytes(&param.value.filename, folder, variables)?;
            let name = quoted(&param.value.filename)?;
            let name = name.rsplit('/').next().unwrap_or_default();
            let kind = match &param.value.content_type {
                Some(kind) => render(kind, variables)?.replace(['\r', '\n'], " "),
                None => by_ending(name).to_owned(),
            };
            let head = format!(
                "Content-Disposition: form-data; name=\"{}\"; filename=\"{name}\"\r\nContent-Type: {kind}",
                quoted(&param.key)?
            );
            Ok((head, content))
        }
    }
}

fn contains(content: &[u8], boundary: &[u8]) -> bool {
    content.windows(boundary.len()).any(|window| window == boundary)
}

/// hurl's own short list.
fn by_ending(name: &str) -> &'static str {
    match name.rsplit('.').next().unwrap_or_default() {
        "gif" => "image/gif",
        "jpg" | "jpeg" => "image/jpeg",
        "png" => "image/png",
        "svg" => "image/svg+xml",
        "txt" => "text/plain",
        "htm" | "html" => "text/html",
        "pdf" => "application/pdf",
        "xml" => "application/xml",
        _ => "application/octet-stream",
    }
}
