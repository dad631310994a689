//! What an entry says of its answer: version, status, headers and body first, then captures, then
//! asserts. After a wrong status nothing else is looked at: the rest was meant for another answer.

use hurl_core::ast::{self, Response, StatusValue, VersionValue};

use super::{Attempt, Run};
use crate::check::{
    Answered, Reason, Value, capture, evaluate, expected_text, file_bytes, json_text, judge, render,
};
use crate::wire::Version;

impl Run<'_> {
    pub(super) fn expect(
        &mut self,
        response: &Response,
        answered: &Answered<'_>,
        attempt: &mut Attempt,
    ) {
        self.expect_status(response, answered, attempt);
        if !attempt.failures.is_empty() {
            return;
        }
        self.expect_headers(response, answered, attempt);
        self.expect_body(response, answered, attempt);
        for wanted in response.captures() {
            attempt.checks += 1;
            match capture(wanted, answered, &self.variables) {
                Ok((name, value)) => {
                    self.variables.insert(name, value);
                }
                Err(reason) => {
                    let line = wanted.query.source_info.start.line;
                    attempt.failures.push(self.failure(line, "a value to capture", reason));
                }
            }
        }
        for assert in response.asserts() {
            attempt.checks += 1;
            let line = assert.query.source_info.start.line;
            let folder = self.source.folder();
            let expected = || expected_text(&assert.predicate, &self.variables, folder);
            let value = evaluate(&assert.query, &assert.filters, answered, &self.variables);
            let failure = match value {
                Err(reason) => Some(reason),
                Ok(value) => {
                    match judge(&assert.predicate, value.as_ref(), &self.variables, folder) {
                        Ok(true) => None,
                        Ok(false) => {
                            let nothing = || "nothing".to_owned();
                            Some(value.map_or_else(nothing, |value| value.to_string()))
                        }
                        Err(reason) => Some(reason),
                    }
                }
            };
            if let Some(actual) = failure {
                let failure = self.failure(line, &expected(), actual);
                attempt.failures.push(failure);
            }
        }
    }

    fn expect_status(&self, response: &Response, answered: &Answered<'_>, attempt: &mut Attempt) {
        let head = &answered.last().head;
        let wanted = match response.version.value {
            VersionValue::Version1 => Some((Version::Http10, "HTTP/1.0")),
            VersionValue::Version11 => Some((Version::Http11, "HTTP/1.1")),
            _ => None,
        };
        if let Some((version, name)) = wanted {
            attempt.checks += 1;
            if version != head.version {
                let other = if name == "HTTP/1.0" { "HTTP/1.1" } else { "HTTP/1.0" };
                let line = response.version.source_info.start.line;
                attempt.failures.push(self.failure(line, name, other.to_owned()));
            }
        }
        if let StatusValue::Specific(status) = response.status.value {
            attempt.checks += 1;
            if status != u64::from(head.status) {
                let line = response.status.source_info.start.line;
                let actual = format!("status {} {}", head.status, head.reason);
                let failure = self.failure(line, &format!("status {status}"), actual);
                attempt.failures.push(failure);
            }
        }
    }

    fn expect_headers(&self, response: &Response, answered: &Answered<'_>, attempt: &mut Attempt) {
        for header in &response.headers {
            attempt.checks += 1;
            let line = header.key.source_info.start.line;
            let wanted = render(&header.key, &self.variables)
                .and_then(|name| Ok((name, render(&header.value, &self.variables)?)));
            let (name, value) = match wanted {
                Ok(wanted) => wanted,
                Err(reason) => {
                    attempt.failures.push(self.failure(line, "a header's value", reason));
                    continue;
                }
            };
            let found: Vec<_> =
                answered.last().head.values(&name).map(|field| field.text()).collect();
            if !found.iter().any(|text| *text == value) {
                let actual = match found.len() {
                    0 => format!("no \"{name}\""),
                    _ => format!("\"{}\"", found.join("\", \"")),
                };
                let failure = self.failure(line, &format!("\"{value}\""), actual);
                attempt.failures.push(failure);
            }
        }
    }

    fn expect_body(&self, response: &Response, answered: &Answered<'_>, attempt: &mut Attempt) {
        let Some(body) = &response.body else { return };
        attempt.checks += 1;
        let line = body.space0.source_info.start.line;
        match self
            .wanted_body(&body.value)
            .and_then(|wanted| Ok((actual(&wanted, answered)?, wanted)))
        {
            Ok((actual, wanted)) if actual == wanted => {}
            Ok((actual, wanted)) => {
                let failure = self.failure(line, &wanted.to_string(), actual.to_string());
                attempt.failures.push(failure);
            }
            Err(reason) => attempt.failures.push(self.failure(line, "a body", reason)),
        }
    }

    fn wanted_body(&self, body: &ast::Bytes) -> Result<Value, Reason> {
        let variables = &self.variables;
        Ok(match body {
            ast::Bytes::Json(value) => Value::String(json_text(value, variables)?),
            ast::Bytes::OnelineString(text) => Value::String(render(text, variables)?),
            ast::Bytes::MultilineString(text) => Value::String(render(&text.value(), variables)?),
            ast::Bytes::Base64(value) => Value::Bytes(value.value.clone()),
            ast::Bytes::Hex(value) => Value::Bytes(value.value.clone()),
            ast::Bytes::File(file) => {
                Value::Bytes(file_bytes(&file.filename, self.source.folder(), variables)?)
            }
            ast::Bytes::Xml(_) => unreachable!("the parser finds no xml without quotes"),
        })
    }
}

/// The body in the kind that is compared with.
fn actual(wanted: &Value, answered: &Answered<'_>) -> Result<Value, Reason> {
    Ok(match wanted {
        Value::Bytes(_) => Value::Bytes(answered.bytes()?.to_vec()),
        _ => Value::String(answered.text()?.to_owned()),
    })
}
