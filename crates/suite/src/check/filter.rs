//! Filters: what is done to a value before it is judged.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use hurl_core::ast::{FilterValue, IntegerValue, Template};
use percent_encoding::percent_decode_str;
use url::Url;

use super::json_path::json_path;
use super::query::{first_group, regex};
use super::template::expression;
use super::xpath::{Markup, xpath};
use super::{Reason, Value, Variables, render};
use crate::run::escaped;

pub(super) fn filtered(
    filter: &FilterValue,
    input: Value,
    variables: &Variables,
) -> Result<Option<Value>, Reason> {
    let rendered = |template: &Template| render(template, variables);
    Ok(match filter {
        FilterValue::Base64Decode => Some(decoded(STANDARD.decode(text(&input)?))?),
        FilterValue::Base64UrlSafeDecode => {
            let text = text(&input)?.trim_end_matches('=');
            Some(decoded(URL_SAFE_NO_PAD.decode(text))?)
        }
        FilterValue::Base64Encode => Some(Value::String(STANDARD.encode(bytes(&input)?))),
        FilterValue::Base64UrlSafeEncode => {
            Some(Value::String(URL_SAFE_NO_PAD.encode(bytes(&input)?)))
        }
        FilterValue::Count => Some(Value::Integer(match &input {
            Value::String(_) => return Err(wrong(&input, "a list")),
            input => input.size().ok_or_else(|| wrong(input, "a list"))? as i64,
        })),
        FilterValue::First => list(input)?.into_iter().next(),
        FilterValue::Last => list(input)?.pop(),
        FilterValue::Nth { n, .. } => {
            let values = list(input)?;
            let place = match n {
                IntegerValue::Literal(number) => number.as_i64(),
                IntegerValue::Placeholder(placeholder) => {
                    match expression(&placeholder.expr, variables)? {
                        Value::Integer(number) => number,
                        other => return Err(wrong(&other, "an integer")),
                    }
                }
            };
            let length = values.len() as i64;
            let place = if place < 0 { length + place } else { place };
            usize::try_from(place).ok().and_then(|place| values.into_iter().nth(place))
        }
        FilterValue::HtmlEscape => {
            let mut out = String::new();
            for character in text(&input)?.chars() {
                match character {
                    '&' => out.push_str("&amp;"),
                    '<' => out.push_str("&lt;"),
                    '>' => out.push_str("&gt;"),
                    '"' => out.push_str("&quot;"),
                    '\'' => out.push_str("&#x27;"),
                    other => out.push(other),
                }
            }
            Some(Value::String(out))
        }
        FilterValue::HtmlUnescape => {
            // The parser of pages knows all two thousand names.
            let page = scraper::Html::parse_fragment(&text(&input)?.replace('<', "&lt;"));
            Some(Value::String(page.root_element().text().collect()))
        }
        FilterValue::JsonPath { expr, .. } => {
            let json = serde_json::from_str(text(&input)?)
                .map_err(|error| format!("the value is no JSON: {error}"))?;
            json_path(&json, &rendered(expr)?)?
        }
        FilterValue::XPath { expr, .. } => {
            let text = text(&input)?;
            let markup =
                if text.trim_start().starts_with("<?xml") { Markup::Xml } else { Markup::Html };
            xpath(text, markup, &rendered(expr)?)?
        }
        FilterValue::Location => match input {
            Value::Redirect { location, .. } => Some(Value::String(location)),
            other => return Err(wrong(&other, "a redirect")),
        },
        FilterValue::Regex { value, .. } => first_group(text(&input)?, value, variables)?,
        FilterValue::Replace { old_value, new_value, .. } => {
            Some(Value::String(text(&input)?.replace(&rendered(old_value)?, &rendered(new_value)?)))
        }
        FilterValue::ReplaceRegex { pattern, new_value, .. } => {
            let regex = regex(pattern, variables)?;
            let replaced = regex.replace_all(text(&input)?, rendered(new_value)?.as_str());
            Some(Value::String(replaced.into_owned()))
        }
        FilterValue::Split { sep, .. } => {
            let separator = rendered(sep)?;
            let parts = text(&input)?.split(&separator).map(str::to_owned);
            Some(Value::List(parts.map(Value::String).collect()))
        }
        FilterValue::ToFloat => Some(Value::Float(match &input {
            Value::Float(number) => *number,
            Value::Integer(number) => *number as f64,
            input => number(input)?,
        })),
        FilterValue::ToHex => {
            let digits = bytes(&input)?.iter().map(|byte| format!("{byte:02x}")).collect();
            Some(Value::String(digits))
        }
        FilterValue::ToInt => Some(Value::Integer(match &input {
            Value::Integer(number) => *number,
            Value::Float(number) => *number as i64,
            input => number(input)?,
        })),
        FilterValue::ToString => {
            let text = input.text().ok_or_else(|| wrong(&input, "one with a text"))?;
            Some(Value::String(text))
        }
        FilterValue::UrlDecode => {
            let decoded = percent_decode_str(text(&input)?).decode_utf8();
            let decoded = decoded.map_err(|_| "the decoded text is no UTF-8".to_owned())?;
            Some(Value::String(decoded.into_owned()))
        }
        FilterValue::UrlEncode => Some(Value::String(escaped(text(&input)?))),
        FilterValue::UrlQueryParam { param, .. } => {
            let text = text(&input)?;
            let url = Url::parse(text).map_err(|error| format!("\"{text}\" is no URL: {error}"))?;
            let name = rendered(param)?;
            let mut pairs = url.query_pairs();
            pairs.find(|(known, _)| *known == name).map(|(_, value)| Value::String(value.into()))
        }
        FilterValue::Utf8Decode => {
            let text = String::from_utf8(bytes(&input)?.to_vec());
            Some(Value::String(text.map_err(|_| "the bytes are no UTF-8".to_owned())?))
        }
        FilterValue::Utf8Encode => Some(Value::Bytes(text(&input)?.as_bytes().to_vec())),
        FilterValue::CharsetDecode { .. }
        | FilterValue::Decode { .. }
        | FilterValue::DateFormat { .. }
        | FilterValue::Format { .. }
        | FilterValue::ToDate { .. }
        | FilterValue::DaysAfterNow
        | FilterValue::DaysBeforeNow => unreachable!("refused when the suite was loaded"),
    })
}

fn wrong(value: &Value, wanted: &str) -> Reason {
    format!("it takes {wanted}, and got a {}", value.kind())
}

fn text(value: &Value) -> Result<&str, Reason> {
    match value {
        Value::String(text) => Ok(text),
        other => Err(wrong(other, "a string")),
    }
}

fn bytes(value: &Value) -> Result<&[u8], Reason> {
    match value {
        Value::Bytes(bytes) => Ok(bytes),
        other => Err(wrong(other, "bytes")),
    }
}

fn list(value: Value) -> Result<Vec<Value>, Reason> {
    match value {
        Value::List(values) => Ok(values),
        other => Err(wrong(&other, "a list")),
    }
}

fn number<N: std::str::FromStr>(value: &Value) -> Result<N, Reason> {
    let text = text(value)?;
    text.trim().parse().map_err(|_| format!("\"{text}\" is no such number"))
}

fn decoded(bytes: Result<Vec<u8>, base64::DecodeError>) -> Result<Value, Reason> {
    bytes.map(Value::Bytes).map_err(|error| format!("the text is no base64: {error}"))
}
