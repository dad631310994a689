//! Queries: what is looked at.

use hurl_core::ast::{
    Capture, CookieAttributeName, CookiePath, Filter, Query, QueryValue, RegexValue, Whitespace,
};
use md5::{Digest as _, Md5};
use regex::Regex;

use super::filter::filtered;
use super::json_path::json_path;
use super::xpath::{Markup, xpath};
use super::{Answered, Reason, Value, Variables, render};
use crate::wire::{Exchange, Version};

/// A query with its filters. `None` is what `not exists` is true of.
pub(crate) fn evaluate(
    asked: &Query,
    filters: &[(Whitespace, Filter)],
    answered: &Answered<'_>,
    variables: &Variables,
) -> Result<Option<Value>, Reason> {
    let mut value = query(asked, answered, variables)?;
    for (_, filter) in filters {
        let Some(input) = value else { return Ok(None) };
        let name = filter.value.identifier();
        value = filtered(&filter.value, input, variables)
            .map_err(|reason| format!("filter \"{name}\": {reason}"))?;
    }
    Ok(value)
}

/// A variable's name and value.
pub(crate) fn capture(
    capture: &Capture,
    answered: &Answered<'_>,
    variables: &Variables,
) -> Result<(String, Value), Reason> {
    let name = render(&capture.name, variables)?;
    let value = evaluate(&capture.query, &capture.filters, answered, variables)?;
    let value = value.ok_or_else(|| "there is nothing to capture".to_owned())?;
    Ok((name, value))
}

fn query(
    query: &Query,
    answered: &Answered<'_>,
    variables: &Variables,
) -> Result<Option<Value>, Reason> {
    let last = answered.last();
    Ok(match &query.value {
        QueryValue::Status => Some(Value::Integer(i64::from(last.head.status))),
        QueryValue::Version => {
            let version = if last.head.version == Version::Http10 { "1.0" } else { "1.1" };
            Some(Value::String(version.to_owned()))
        }
        QueryValue::Url => Some(Value::String(last.request.url.to_string())),
        QueryValue::Header { name, .. } => {
            let name = render(name, variables)?;
            let mut values: Vec<_> = last
                .head
                .values(&name)
                .map(|field| Value::String(field.text().into_owned()))
                .collect();
            match values.len() {
                0 => None,
                1 => values.pop(),
                _ => Some(Value::List(values)),
            }
        }
        QueryValue::Cookie { expr, .. } => cookie(last, expr, variables)?,
        QueryValue::Body => Some(Value::String(answered.text()?.to_owned())),
        QueryValue::Xpath { expr, .. } => {
            let html = answered.content_type().contains("html");
            let markup = if html { Markup::Html } else { Markup::Xml };
            xpath(answered.text()?, markup, &render(expr, variables)?)?
        }
        QueryValue::Jsonpath { expr, .. } => {
            json_path(answered.json()?, &render(expr, variables)?)?
        }
        QueryValue::Regex { value, .. } => first_group(answered.text()?, value, variables)?,
        QueryValue::Variable { name, .. } => variables.get(&render(name, variables)?).cloned(),
        QueryValue::Duration => {
            let spent = answered.exchanges.iter().map(|exchange| exchange.duration).sum();
            let spent: std::time::Duration = spent;
            Some(Value::Integer(spent.as_millis() as i64))
        }
        QueryValue::Bytes => Some(Value::Bytes(answered.bytes()?.to_vec())),
        QueryValue::RawBytes => Some(Value::Bytes(last.body.to_vec())),
        QueryValue::Sha256 => {
            let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, answered.bytes()?);
            Some(Value::Bytes(digest.as_ref().to_vec()))
        }
        QueryValue::Md5 => Some(Value::Bytes(Md5::digest(answered.bytes()?).to_vec())),
        QueryValue::Ip => Some(Value::String(last.peer.ip().to_string())),
        QueryValue::Redirects => {
            let steps = answered.exchanges.windows(2).map(|pair| Value::Redirect {
                location: pair[1].request.url.to_string(),
                status: i64::from(pair[0].head.status),
            });
            Some(Value::List(steps.collect()))
        }
        QueryValue::Certificate { .. } => unreachable!("refused when the suite was loaded"),
    })
}

/// A cookie that this answer sets; what the jar holds from before is none of its business.
fn cookie(
    exchange: &Exchange,
    path: &CookiePath,
    variables: &Variables,
) -> Result<Option<Value>, Reason> {
    let name = render(&path.name, variables)?;
    let set = exchange.head.values("set-cookie");
    let cookies =
        set.filter_map(|field| cookie_store::RawCookie::parse(field.text().into_owned()).ok());
    let Some(cookie) = cookies.filter(|cookie| cookie.name() == name).last() else {
        return Ok(None);
    };
    let text = |text: &str| Some(Value::String(text.to_owned()));
    let Some(attribute) = &path.attribute else { return Ok(text(cookie.value())) };
    // A flag that is not there is no value, as with hurl: `not exists` asks for that.
    let flag = |set: Option<bool>| set.filter(|set| *set).map(Value::Bool);
    Ok(match attribute.name {
        CookieAttributeName::Value(_) => text(cookie.value()),
        CookieAttributeName::Expires(_) => {
            cookie.expires_datetime().map(|date| Value::String(date.to_string()))
        }
        CookieAttributeName::MaxAge(_) => {
            cookie.max_age().map(|age| Value::Integer(age.whole_seconds()))
        }
        CookieAttributeName::Domain(_) => cookie.domain().and_then(text),
        CookieAttributeName::Path(_) => cookie.path().and_then(text),
        CookieAttributeName::Secure(_) => flag(cookie.secure()),
        CookieAttributeName::HttpOnly(_) => flag(cookie.http_only()),
        CookieAttributeName::SameSite(_) => {
            cookie.same_site().and_then(|same_site| text(&same_site.to_string()))
        }
    })
}

/// The first group of the first match.
pub(super) fn first_group(
    text: &str,
    pattern: &RegexValue,
    variables: &Variables,
) -> Result<Option<Value>, Reason> {
    let captures = |regex: &Regex| {
        let group = regex.captures(text)?.get(1)?;
        Some(Value::String(group.as_str().to_owned()))
    };
    Ok(captures(&regex(pattern, variables)?))
}

pub(super) fn regex(pattern: &RegexValue, variables: &Variables) -> Result<Regex, Reason> {
    match pattern {
        RegexValue::Regex(regex) => Ok(regex.inner.clone()),
        RegexValue::Template(template) => pattern_of(&render(template, variables)?),
    }
}

pub(super) fn pattern_of(pattern: &str) -> Result<Regex, Reason> {
    Regex::new(pattern).map_err(|error| format!("\"{pattern}\" is no regex: {error}"))
}
