//! Templates: text with `{{variables}}` in it, the JSON bodies made of them, and files named by them.

use std::fs;
use std::path::{Component, Path};

use hurl_core::ast::{Expr, ExprKind, Function, JsonValue, Placeholder, Template, TemplateElement};

use super::{Reason, Value, Variables};

pub(crate) fn render(template: &Template, variables: &Variables) -> Result<String, Reason> {
    let mut text = String::new();
    for element in &template.elements {
        match element {
            TemplateElement::String { value, .. } => text.push_str(value),
            TemplateElement::Placeholder(Placeholder { expr, .. }) => {
                let value = expression(expr, variables)?;
                let rendered = value.text();
                text.push_str(&rendered.ok_or_else(|| {
                    format!("\"{{{{{expr}}}}}\" is a {} and has no text", value.kind())
                })?);
            }
        }
    }
    Ok(text)
}

pub(crate) fn expression(expression: &Expr, variables: &Variables) -> Result<Value, Reason> {
    match &expression.kind {
        ExprKind::Variable(variable) => variables
            .get(&variable.name)
            .cloned()
            .ok_or_else(|| format!("there is no variable \"{}\"", variable.name)),
        ExprKind::Function(Function::NewUuid) => Ok(Value::String(new_uuid())),
        ExprKind::Function(Function::NewDate) => {
            Ok(Value::String(jiff::Timestamp::now().to_string()))
        }
    }
}

/// Version 4, RFC 9562 §5.4: random but for six bits.
fn new_uuid() -> String {
    let bits = fastrand::u128(..) & !(0xf << 76) & !(0x3 << 62) | (0x4 << 76) | (0x2 << 62);
    let digits = format!("{bits:032x}");
    [&digits[..8], &digits[8..12], &digits[12..16], &digits[16..20], &digits[20..]].join("-")
}

/// A JSON body with its white space as in the file.
pub(crate) fn json_text(json: &JsonValue, variables: &Variables) -> Result<String, Reason> {
    let quoted = |template: &Template| -> Result<String, Reason> {
        Ok(serde_json::Value::String(render(template, variables)?).to_string())
    };
    Ok(match json {
        JsonValue::Null => "null".to_owned(),
        JsonValue::Boolean(value) => value.to_string(),
        JsonValue::Number(digits) => digits.clone(),
        JsonValue::String(template) => quoted(template)?,
        JsonValue::Placeholder(placeholder) => match expression(&placeholder.expr, variables)? {
            Value::String(text) => serde_json::Value::String(text).to_string(),
            value => value.text().ok_or_else(|| {
                format!("\"{{{{{placeholder}}}}}\" is a {} and has no text", value.kind())
            })?,
        },
        JsonValue::List { space0, elements } => {
            let mut parts = Vec::new();
            for element in elements {
                let value = json_text(&element.value, variables)?;
                parts.push(format!("{}{value}{}", element.space0, element.space1));
            }
            format!("[{space0}{}]", parts.join(","))
        }
        JsonValue::Object { space0, elements } => {
            let mut parts = Vec::new();
            for member in elements {
                let (name, value) = (quoted(&member.name)?, json_text(&member.value, variables)?);
                parts.push(format!(
                    "{}{name}{}:{}{value}{}",
                    member.space0, member.space1, member.space2, member.space3
                ));
            }
            format!("{{{space0}{}}}", parts.join(","))
        }
    })
}

/// A file that a suite names. It is below the suite's own folder: a suite that somebody sends does
/// not send this machine's files anywhere.
pub(crate) fn file_bytes(
    name: &Template,
    folder: &Path,
    variables: &Variables,
) -> Result<Vec<u8>, Reason> {
    let name = render(name, variables)?;
    let stays = Path::new(&name).components().all(|part| matches!(part, Component::Normal(_)));
    if !stays {
        return Err(format!("the file \"{name}\" is not below the suite's own folder"));
    }
    let path = folder.join(&name);
    fs::read(&path).map_err(|error| format!("cannot read \"{}\": {error}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_uuid_says_that_it_is_random() {
        let uuid = new_uuid();
        assert_eq!(uuid.len(), 36);
        assert_eq!(&uuid[14..15], "4");
        assert!("89ab".contains(&uuid[19..20]));
        assert_ne!(uuid, new_uuid());
    }
}
