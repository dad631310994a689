//! A string of the configuration, compiled: nginx's "complex value".

use bytes::Bytes;

use super::{Names, VarId};
use crate::{
    conf::{ConfError, Span},
    exchange::Exchange,
};

#[derive(Clone, Debug, Default)]
pub struct Template(Vec<Part>);

#[derive(Clone, Debug)]
enum Part {
    Text(Bytes),
    Var(VarId),
    /// `$1` to `$9`.
    Capture(usize),
}

impl Template {
    /// A string in which `$` means nothing.
    pub fn literal(text: &str) -> Template {
        if text.is_empty() {
            return Template::default();
        }
        Template(vec![Part::Text(Bytes::copy_from_slice(text.as_bytes()))])
    }

    pub fn compile(text: &str, span: &Span, names: &mut Names) -> Result<Template, ConfError> {
        let mut parts = Vec::new();
        let mut literal = |text: &str| {
            if !text.is_empty() {
                parts.push(Part::Text(Bytes::copy_from_slice(text.as_bytes())));
            }
        };
        let Some((before, mut rest)) = text.split_once('$') else {
            literal(text);
            return Ok(Template(parts));
        };
        literal(before);
        loop {
            let (name, tail) = variable_name(rest, span)?;
            let capture = name.parse().ok().filter(|group: &usize| (1..=9).contains(group));
            parts.push(match capture {
                Some(group) => Part::Capture(group),
                None => Part::Var(names.id(name, span)),
            });
            let (text, next) = tail.split_once('$').map_or((tail, None), |(a, b)| (a, Some(b)));
            if !text.is_empty() {
                parts.push(Part::Text(Bytes::copy_from_slice(text.as_bytes())));
            }
            match next {
                Some(next) => rest = next,
                None => return Ok(Template(parts)),
            }
        }
    }

    /// The text, where there is no variable in it.
    pub fn as_literal(&self) -> Option<Bytes> {
        match &self.0[..] {
            [] => Some(Bytes::new()),
            [Part::Text(text)] => Some(text.clone()),
            _ => None,
        }
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub fn render(&self, exchange: &Exchange) -> Bytes {
        match &self.0[..] {
            [] => Bytes::new(),
            [part] => part.value(exchange).unwrap_or_default(),
            _ => {
                let mut text = Vec::new();
                self.render_into(exchange, &mut text);
                text.into()
            }
        }
    }

    pub fn render_into(&self, exchange: &Exchange, text: &mut Vec<u8>) {
        for part in &self.0 {
            if let Some(value) = part.value(exchange) {
                text.extend_from_slice(&value);
            }
        }
    }

    /// Renders with what `$1` to `$9` stand for passed through `write`.
    pub fn render_captures(
        &self,
        exchange: &Exchange,
        text: &mut Vec<u8>,
        write: impl Fn(&[u8], &mut Vec<u8>),
    ) {
        for part in &self.0 {
            let value = part.value(exchange).unwrap_or_default();
            match part {
                Part::Capture(_) => write(&value, text),
                Part::Text(_) | Part::Var(_) => text.extend_from_slice(&value),
            }
        }
    }

    /// Renders with every variable's value passed through `write`: the escapes of a log.
    pub fn render_with(
        &self,
        exchange: &Exchange,
        text: &mut Vec<u8>,
        write: impl Fn(Option<&[u8]>, &mut Vec<u8>),
    ) {
        for part in &self.0 {
            match part {
                Part::Text(literal) => text.extend_from_slice(literal),
                part => write(part.value(exchange).as_deref(), text),
            }
        }
    }
}

impl Part {
    fn value(&self, exchange: &Exchange) -> Option<Bytes> {
        match self {
            Part::Text(literal) => Some(literal.clone()),
            Part::Var(id) => exchange.var(*id),
            Part::Capture(group) => exchange.capture(*group),
        }
    }
}

/// `name` or `{name}`, and what follows it.
fn variable_name<'a>(text: &'a str, span: &Span) -> Result<(&'a str, &'a str), ConfError> {
    if let Some(braced) = text.strip_prefix('{') {
        let Some((name, tail)) = braced.split_once('}') else {
            let message = format!("the closing bracket in \"{braced}\" variable is missing");
            return Err(span.error(message));
        };
        if name.is_empty() {
            return Err(span.error("invalid variable name"));
        }
        return Ok((name, tail));
    }
    if text.starts_with(|first: char| ('1'..='9').contains(&first)) {
        return Ok(text.split_at(1));
    }
    let end = text.find(|next: char| !next.is_ascii_alphanumeric() && next != '_');
    let (name, tail) = text.split_at(end.unwrap_or(text.len()));
    if name.is_empty() { Err(span.error("invalid variable name")) } else { Ok((name, tail)) }
}
