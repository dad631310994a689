//! A request told as CGI variables: what the configuration says of it, and its own fields as
//! `HTTP_*`.
//!
//! A variable the configuration sets takes the place of every field that would become the same one,
//! however that is spelt: `X-User` and `X_USER` are both `HTTP_X_USER`, and a client must not be
//! able to say what only the server may.

use bytes::Bytes;

use crate::{conf::ConfError, exchange::Exchange, load::Args, vars::Template};

/// One `*_param`.
#[derive(Clone)]
pub struct Param {
    name: Bytes,
    value: Template,
    /// `if_not_empty`.
    only_with_value: bool,
}

/// The variables of one location.
pub struct Params {
    set: Vec<Param>,
    /// What fields become `HTTP_` and this, in lower case, that are not passed on.
    replaced: Vec<Vec<u8>>,
    fields: Fields,
}

/// Whether the client's fields are passed on: `*_pass_request_headers`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fields {
    Passed,
    Dropped,
}

const TRACEPARENT: &[u8] = b"HTTP_TRACEPARENT";

impl Param {
    pub fn read(args: &mut Args<'_>) -> Result<Param, ConfError> {
        let only_with_value = match args.get(2) {
            None => false,
            Some("if_not_empty") => true,
            Some(_) => return Err(args.invalid_parameter(2)),
        };
        let name = Bytes::copy_from_slice(args.word(0).as_bytes());
        Ok(Param { name, value: args.template(1)?, only_with_value })
    }

    /// What the application is told of the host unless the configuration says otherwise: the host
    /// the request was found by, and not whatever the field says.
    pub fn host(args: &mut Args<'_>) -> Result<Param, ConfError> {
        Ok(Param {
            name: Bytes::from_static(b"HTTP_HOST"),
            value: args.template_of("$host$is_request_port$request_port")?,
            only_with_value: true,
        })
    }
}

impl Params {
    pub fn settle(said: &[Param], host: &Param, fields: Fields) -> Params {
        let mut set = said.to_vec();
        if !said.iter().any(|param| param.name.eq_ignore_ascii_case(&host.name)) {
            set.push(host.clone());
        }
        let replaced = set.iter().filter_map(|param| param.name.strip_prefix(b"HTTP_"));
        let replaced = replaced.map(<[u8]>::to_ascii_lowercase).collect();
        // That a field is not passed on is said by an empty value, and is no variable.
        set.retain(|param| !(param.name.starts_with(b"HTTP_") && param.value.is_empty()));
        Params { set, replaced, fields }
    }

    /// Gives each variable to `write`, name and value.
    pub fn tell(&self, exchange: &Exchange, mut write: impl FnMut(&[u8], &[u8])) {
        let (mut name, mut value) = (Vec::new(), Vec::new());
        for param in &self.set {
            value.clear();
            param.value.render_into(exchange, &mut value);
            if !(param.only_with_value && value.is_empty()) {
                write(&param.name, &value);
            }
        }
        if self.fields == Fields::Dropped {
            return;
        }
        let trace = exchange.story.trace_forward.filter(|_| !self.replaces(b"traceparent"));
        if let Some(trace) = trace {
            write(TRACEPARENT, trace.to_string().as_bytes());
        }
        let headers = &exchange.request.headers;
        for (place, header) in headers.iter().enumerate() {
            let same =
                |other: &&crate::headers::Header| other.name.eq_ignore_ascii_case(&header.name);
            if self.replaces(&header.name) || headers.iter().take(place).any(|it| same(&it)) {
                continue;
            }
            name.clear();
            name.extend_from_slice(b"HTTP_");
            name.extend(header.name.iter().map(|byte| match byte {
                b'-' => b'_',
                byte => byte.to_ascii_uppercase(),
            }));
            if trace.is_some() && name == TRACEPARENT {
                continue;
            }
            // Fields of one name are one variable, as RFC 3875 §4.1.18 has it.
            let separator: &[u8] = if header.is("cookie") { b"; " } else { b", " };
            value.clear();
            value.extend_from_slice(&header.value);
            for other in headers.iter().skip(place + 1).filter(same) {
                value.extend_from_slice(separator);
                value.extend_from_slice(&other.value);
            }
            write(&name, &value);
        }
    }

    /// Whether the configuration says what this field would.
    fn replaces(&self, field: &[u8]) -> bool {
        let same = |byte: &u8, wanted: &u8| {
            byte.to_ascii_lowercase() == *wanted || (*byte == b'-' && *wanted == b'_')
        };
        self.replaced.iter().any(|replaced| {
            replaced.len() == field.len()
                && field.iter().zip(replaced).all(|(byte, wanted)| same(byte, wanted))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn params(set: &[(&str, &str)]) -> Params {
        let param = |name: &str, value: &str| Param {
            name: Bytes::copy_from_slice(name.as_bytes()),
            value: Template::literal(value),
            only_with_value: false,
        };
        let said: Vec<Param> = set.iter().map(|(name, value)| param(name, value)).collect();
        Params::settle(&said, &param("HTTP_HOST", "found"), Fields::Passed)
    }

    #[test]
    fn a_field_is_replaced_however_it_is_spelt() {
        let params = params(&[("HTTP_X_USER", "server"), ("HTTP_PROXY", ""), ("NAME", "")]);
        for field in ["X-User", "x_user", "X_USER", "x-USER", "Proxy", "Host", "host"] {
            assert!(params.replaces(field.as_bytes()), "{field}");
        }
        for field in ["X-User-Id", "XUser", "X.User", "User", "Name"] {
            assert!(!params.replaces(field.as_bytes()), "{field}");
        }
    }

    #[test]
    fn an_empty_value_unsets_a_field_and_is_no_variable() {
        let names = |params: &Params| {
            let names = params.set.iter().map(|param| String::from_utf8_lossy(&param.name).into());
            names.collect::<Vec<String>>()
        };
        assert_eq!(names(&params(&[("HTTP_PROXY", ""), ("EMPTY", "")])), ["EMPTY", "HTTP_HOST"]);
        assert_eq!(names(&params(&[("http_host", "mine")])), ["http_host"]);
    }
}
