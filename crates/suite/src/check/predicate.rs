//! Predicates: what has to be true of a value.

use std::cmp::Ordering;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::path::Path;

use hurl_core::ast::{MultilineStringKind, Number, Predicate, PredicateFuncValue, PredicateValue};

use super::query::pattern_of;
use super::template::{expression, file_bytes};
use super::{Reason, Value, Variables, render};

/// Whether it holds. A value of a kind that the predicate can not judge is a reason, with `not`
/// before it as without.
pub(crate) fn judge(
    predicate: &Predicate,
    actual: Option<&Value>,
    variables: &Variables,
    folder: &Path,
) -> Result<bool, Reason> {
    let function = &predicate.predicate_func.value;
    let holds = match (function, actual) {
        (PredicateFuncValue::Exist, actual) => is_there(actual),
        (_, None) => false,
        (function, Some(actual)) => {
            let operand = operand(function).map(|value| literal(value, variables, folder));
            holds(function, actual, operand.transpose()?)?
        }
    };
    Ok(holds != predicate.not)
}

/// What was wanted, with its variables filled in.
pub(crate) fn expected_text(predicate: &Predicate, variables: &Variables, folder: &Path) -> String {
    let function = &predicate.predicate_func.value;
    let not = if predicate.not { "not " } else { "" };
    let value = operand(function).map(|value| match literal(value, variables, folder) {
        Ok(value) => format!(" {value}"),
        Err(reason) => format!(" ({reason})"),
    });
    format!("{not}{}{}", function.identifier(), value.unwrap_or_default())
}

fn operand(function: &PredicateFuncValue) -> Option<&PredicateValue> {
    match function {
        PredicateFuncValue::Equal { value, .. }
        | PredicateFuncValue::NotEqual { value, .. }
        | PredicateFuncValue::GreaterThan { value, .. }
        | PredicateFuncValue::GreaterThanOrEqual { value, .. }
        | PredicateFuncValue::LessThan { value, .. }
        | PredicateFuncValue::LessThanOrEqual { value, .. }
        | PredicateFuncValue::StartWith { value, .. }
        | PredicateFuncValue::EndWith { value, .. }
        | PredicateFuncValue::Contain { value, .. }
        | PredicateFuncValue::Include { value, .. }
        | PredicateFuncValue::Match { value, .. } => Some(value),
        _ => None,
    }
}

fn literal(value: &PredicateValue, variables: &Variables, folder: &Path) -> Result<Value, Reason> {
    Ok(match value {
        PredicateValue::Base64(value) => Value::Bytes(value.value.clone()),
        PredicateValue::Hex(value) => Value::Bytes(value.value.clone()),
        PredicateValue::Bool(value) => Value::Bool(*value),
        PredicateValue::Null => Value::Null,
        PredicateValue::Number(number) => number_value(number),
        PredicateValue::File(file) => Value::Bytes(file_bytes(&file.filename, folder, variables)?),
        PredicateValue::MultilineString(text) => match &text.kind {
            MultilineStringKind::GraphQl(_) => unreachable!("refused when the suite was loaded"),
            _ => Value::String(render(&text.value(), variables)?),
        },
        PredicateValue::Placeholder(placeholder) => expression(&placeholder.expr, variables)?,
        PredicateValue::Regex(regex) => Value::Regex(regex.inner.as_str().to_owned()),
        PredicateValue::String(template) => Value::String(render(template, variables)?),
    })
}

pub(crate) fn number_value(number: &Number) -> Value {
    match number {
        Number::Integer(number) => Value::Integer(number.as_i64()),
        Number::Float(number) => Value::Float(number.as_f64()),
        Number::BigInteger(digits) => Value::BigInteger(digits.clone()),
    }
}

/// An empty set of nodes is nothing.
fn is_there(actual: Option<&Value>) -> bool {
    !matches!(actual, None | Some(Value::Nodes(0)))
}

fn holds(
    function: &PredicateFuncValue,
    actual: &Value,
    operand: Option<Value>,
) -> Result<bool, Reason> {
    let operand = operand.unwrap_or(Value::Null);
    let wrong = || {
        let name = function.identifier();
        match operand {
            Value::Null => format!("\"{name}\" can not judge {actual}"),
            _ => format!("\"{name} {operand}\" can not judge {actual}"),
        }
    };
    let compared = || order(actual, &operand).ok_or_else(wrong);
    Ok(match function {
        PredicateFuncValue::Equal { .. } => equal(actual, &operand),
        PredicateFuncValue::NotEqual { .. } => !equal(actual, &operand),
        PredicateFuncValue::GreaterThan { .. } => compared()?.is_gt(),
        PredicateFuncValue::GreaterThanOrEqual { .. } => compared()?.is_ge(),
        PredicateFuncValue::LessThan { .. } => compared()?.is_lt(),
        PredicateFuncValue::LessThanOrEqual { .. } => compared()?.is_le(),
        PredicateFuncValue::StartWith { .. } => match (actual, &operand) {
            (Value::String(actual), Value::String(start)) => actual.starts_with(start.as_str()),
            (Value::Bytes(actual), Value::Bytes(start)) => actual.starts_with(start),
            _ => return Err(wrong()),
        },
        PredicateFuncValue::EndWith { .. } => match (actual, &operand) {
            (Value::String(actual), Value::String(end)) => actual.ends_with(end.as_str()),
            (Value::Bytes(actual), Value::Bytes(end)) => actual.ends_with(end),
            _ => return Err(wrong()),
        },
        PredicateFuncValue::Contain { .. } => match (actual, &operand) {
            (Value::String(actual), Value::String(part)) => actual.contains(part.as_str()),
            (Value::Bytes(actual), Value::Bytes(part)) => {
                part.is_empty() || actual.windows(part.len()).any(|window| window == part)
            }
            (Value::List(values), part) => values.iter().any(|value| equal(value, part)),
            _ => return Err(wrong()),
        },
        PredicateFuncValue::Include { .. } => match actual {
            Value::List(values) => values.iter().any(|value| equal(value, &operand)),
            _ => return Err(wrong()),
        },
        PredicateFuncValue::Match { .. } => match (actual, &operand) {
            (Value::String(actual), Value::String(pattern) | Value::Regex(pattern)) => {
                pattern_of(pattern)?.is_match(actual)
            }
            _ => return Err(wrong()),
        },
        PredicateFuncValue::Exist => is_there(Some(actual)),
        PredicateFuncValue::IsBoolean => matches!(actual, Value::Bool(_)),
        PredicateFuncValue::IsCollection => {
            matches!(actual, Value::Bytes(_) | Value::List(_) | Value::Object(_) | Value::Nodes(_))
        }
        PredicateFuncValue::IsEmpty => actual.size().ok_or_else(wrong)? == 0,
        PredicateFuncValue::IsFloat => matches!(actual, Value::Float(_)),
        PredicateFuncValue::IsInteger => {
            matches!(actual, Value::Integer(_) | Value::BigInteger(_))
        }
        PredicateFuncValue::IsNumber => {
            matches!(actual, Value::Integer(_) | Value::BigInteger(_) | Value::Float(_))
        }
        PredicateFuncValue::IsList => matches!(actual, Value::List(_)),
        PredicateFuncValue::IsObject => matches!(actual, Value::Object(_)),
        PredicateFuncValue::IsString => matches!(actual, Value::String(_)),
        PredicateFuncValue::IsIpv4 => text(actual, wrong)?.parse::<Ipv4Addr>().is_ok(),
        PredicateFuncValue::IsIpv6 => text(actual, wrong)?.parse::<Ipv6Addr>().is_ok(),
        PredicateFuncValue::IsIsoDate => text(actual, wrong)?.parse::<jiff::Timestamp>().is_ok(),
        PredicateFuncValue::IsUuid => is_uuid(text(actual, wrong)?),
        PredicateFuncValue::IsDate => unreachable!("refused when the suite was loaded"),
    })
}

fn text(value: &Value, wrong: impl Fn() -> Reason) -> Result<&str, Reason> {
    match value {
        Value::String(text) => Ok(text),
        _ => Err(wrong()),
    }
}

fn is_uuid(text: &str) -> bool {
    text.len() == 36
        && text.char_indices().all(|(place, character)| match place {
            8 | 13 | 18 | 23 => character == '-',
            _ => character.is_ascii_hexdigit(),
        })
}

/// Numbers by what they are worth, whatever their kind; a nodeset by its size.
fn equal(actual: &Value, expected: &Value) -> bool {
    match (actual, expected) {
        (Value::Nodes(nodes), Value::Integer(count)) => *nodes as i64 == *count,
        (Value::Integer(_) | Value::Float(_), Value::Integer(_) | Value::Float(_)) => {
            order(actual, expected).is_some_and(Ordering::is_eq)
        }
        (Value::List(actual), Value::List(expected)) => {
            actual.len() == expected.len()
                && actual.iter().zip(expected).all(|(actual, expected)| equal(actual, expected))
        }
        _ => actual == expected,
    }
}

fn order(actual: &Value, expected: &Value) -> Option<Ordering> {
    match (actual, expected) {
        (Value::Integer(actual), Value::Integer(expected)) => Some(actual.cmp(expected)),
        (Value::Integer(actual), Value::Float(expected)) => (*actual as f64).partial_cmp(expected),
        (Value::Float(actual), Value::Integer(expected)) => actual.partial_cmp(&(*expected as f64)),
        (Value::Float(actual), Value::Float(expected)) => actual.partial_cmp(expected),
        (Value::String(actual), Value::String(expected)) => Some(actual.cmp(expected)),
        _ => None,
    }
}
