//! `[Options]`: how one entry is run.

use std::time::Duration;

use http1::Version;
use hurl_core::ast::{
    BooleanOption, CountOption, DurationOption, OptionKind, Placeholder, Request, VariableValue,
};
use hurl_core::types::{Count, DurationUnit};

use crate::check::{Reason, Value, Variables, expression, number_value, render};

#[derive(Debug)]
#[expect(clippy::struct_excessive_bools, reason = "they are hurl's options, each by its name")]
pub(super) struct Options {
    pub(super) compressed: bool,
    pub(super) connect_timeout: Option<Duration>,
    pub(super) delay: Duration,
    pub(super) headers: Vec<(usize, String)>,
    pub(super) location: bool,
    pub(super) max_redirects: usize,
    pub(super) max_time: Option<Duration>,
    pub(super) path_as_is: bool,
    pub(super) repeat: usize,
    pub(super) retry: u32,
    pub(super) retry_interval: Duration,
    pub(super) skip: bool,
    pub(super) user: Option<String>,
    pub(super) version: Version,
}

impl Options {
    /// Those of an entry. Variables it sets stay set for the entries after it.
    pub(super) fn of(
        request: &Request,
        variables: &mut Variables,
    ) -> Result<Options, (usize, Reason)> {
        let mut options = Options {
            compressed: false,
            connect_timeout: None,
            delay: Duration::ZERO,
            headers: Vec::new(),
            location: false,
            max_redirects: 50,
            max_time: None,
            path_as_is: false,
            repeat: 1,
            retry: 0,
            retry_interval: Duration::from_secs(1),
            skip: false,
            user: None,
            version: Version::Http11,
        };
        for option in request.options() {
            let line = option.space0.source_info.start.line;
            options.take(&option.kind, line, variables).map_err(|reason| (line, reason))?;
        }
        Ok(options)
    }

    fn take(
        &mut self,
        kind: &OptionKind,
        line: usize,
        variables: &mut Variables,
    ) -> Result<(), Reason> {
        match kind {
            OptionKind::Compressed(value) => self.compressed = boolean(value, variables)?,
            OptionKind::ConnectTimeout(value) => {
                self.connect_timeout = Some(duration(value, DurationUnit::Second, variables)?);
            }
            OptionKind::Delay(value) => {
                self.delay = duration(value, DurationUnit::MilliSecond, variables)?;
            }
            OptionKind::FollowLocation(value) => self.location = boolean(value, variables)?,
            OptionKind::Header(value) => self.headers.push((line, render(value, variables)?)),
            OptionKind::Http10(value) => {
                let old = boolean(value, variables)?;
                self.version = if old { Version::Http10 } else { Version::Http11 };
            }
            // It is what is spoken anyway.
            OptionKind::Http11(value) => {
                if boolean(value, variables)? {
                    self.version = Version::Http11;
                }
            }
            OptionKind::MaxRedirect(value) => self.max_redirects = count(value, variables)?,
            OptionKind::MaxTime(value) => {
                self.max_time = Some(duration(value, DurationUnit::Second, variables)?);
            }
            OptionKind::PathAsIs(value) => self.path_as_is = boolean(value, variables)?,
            OptionKind::Repeat(value) => self.repeat = count(value, variables)?,
            OptionKind::Retry(value) => {
                let count = count(value, variables)?;
                self.retry = u32::try_from(count).map_err(|_| format!("{count} is too often"))?;
            }
            OptionKind::RetryInterval(value) => {
                self.retry_interval = duration(value, DurationUnit::MilliSecond, variables)?;
            }
            OptionKind::Skip(value) => self.skip = boolean(value, variables)?,
            OptionKind::User(value) => self.user = Some(render(value, variables)?),
            OptionKind::Variable(definition) => {
                let value = match &definition.value {
                    VariableValue::Null => Value::Null,
                    VariableValue::Bool(value) => Value::Bool(*value),
                    VariableValue::Number(number) => number_value(number),
                    VariableValue::String(text) => Value::String(render(text, variables)?),
                };
                variables.insert(definition.name.clone(), value);
            }
            _ => unreachable!("refused when the suite was loaded"),
        }
        Ok(())
    }
}

fn boolean(option: &BooleanOption, variables: &Variables) -> Result<bool, Reason> {
    let placeholder = match option {
        BooleanOption::Literal(value) => return Ok(*value),
        BooleanOption::Placeholder(placeholder) => placeholder,
    };
    match expression(&placeholder.expr, variables)? {
        Value::Bool(value) => Ok(value),
        // Variables of a command line are text.
        Value::String(text) if text == "true" => Ok(true),
        Value::String(text) if text == "false" => Ok(false),
        other => Err(format!("\"{{{{{placeholder}}}}}\" is {other}, and no boolean")),
    }
}

fn count(option: &CountOption, variables: &Variables) -> Result<usize, Reason> {
    match option {
        CountOption::Literal(Count::Finite(count)) => Ok(*count),
        CountOption::Literal(Count::Infinite) => unreachable!("refused when the suite was loaded"),
        CountOption::Placeholder(placeholder) => Ok(natural(placeholder, variables)? as usize),
    }
}

fn duration(
    option: &DurationOption,
    unit: DurationUnit,
    variables: &Variables,
) -> Result<Duration, Reason> {
    let (number, unit) = match option {
        DurationOption::Literal(literal) => (literal.value.as_u64(), literal.unit.unwrap_or(unit)),
        DurationOption::Placeholder(placeholder) => (natural(placeholder, variables)?, unit),
    };
    let unit = match unit {
        DurationUnit::MilliSecond => 1,
        DurationUnit::Second => 1000,
        DurationUnit::Minute => 60_000,
        DurationUnit::Hour => 3_600_000,
    };
    Ok(Duration::from_millis(number.saturating_mul(unit)))
}

fn natural(placeholder: &Placeholder, variables: &Variables) -> Result<u64, Reason> {
    let value = expression(&placeholder.expr, variables)?;
    let number = match &value {
        Value::Integer(number) => u64::try_from(*number).ok(),
        Value::String(digits) => digits.parse().ok(),
        _ => None,
    };
    number.ok_or_else(|| format!("\"{{{{{placeholder}}}}}\" is {value}, and no count"))
}
