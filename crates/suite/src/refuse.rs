//! What hurl has and this has not. All of it is found when a suite is loaded, so that no check is
//! ever left out without a word.

use hurl_core::ast::{
    Assert, Bytes, CountOption, EntryOption, Filter, FilterValue, HurlFile, MultilineString,
    MultilineStringKind, OptionKind, PredicateFuncValue, PredicateValue, Query, QueryValue,
    SectionValue, VersionValue, Whitespace,
};
use hurl_core::types::Count;

/// Line, and the construct's name.
pub(crate) fn refusals(file: &HurlFile) -> Vec<(usize, String)> {
    let mut refused = Vec::new();
    for entry in &file.entries {
        let request = &entry.request;
        let sections = request.sections.iter();
        let mut bodies = vec![&request.body];
        if let Some(response) = &entry.response {
            if matches!(response.version.value, VersionValue::Version2 | VersionValue::Version3) {
                let line = response.version.source_info.start.line;
                refused.push((line, format!("version \"{}\"", response.version.value)));
            }
            bodies.push(&response.body);
        }
        let answered = entry.response.iter().flat_map(|response| &response.sections);
        for section in sections.chain(answered) {
            match &section.value {
                SectionValue::Options(options) => {
                    refused.extend(options.iter().filter_map(option));
                }
                SectionValue::Captures(captures) => {
                    for capture in captures {
                        asked(&capture.query, &capture.filters, &mut refused);
                        if capture.redacted {
                            let line = capture.query.source_info.start.line;
                            refused.push((line, "\"redact\"".to_owned()));
                        }
                    }
                }
                SectionValue::Asserts(asserts) => {
                    for assert in asserts {
                        asked(&assert.query, &assert.filters, &mut refused);
                        refused.extend(predicate(assert));
                    }
                }
                SectionValue::QueryParams(..)
                | SectionValue::BasicAuth(_)
                | SectionValue::FormParams(..)
                | SectionValue::MultipartFormData(..)
                | SectionValue::Cookies(_) => {}
            }
        }
        for body in bodies.into_iter().flatten() {
            if let Bytes::MultilineString(text) = &body.value
                && is_graphql(text)
            {
                refused.push((text.space.source_info.start.line, "a graphql body".to_owned()));
            }
        }
    }
    refused.sort();
    refused
}

fn option(option: &EntryOption) -> Option<(usize, String)> {
    let supported = match &option.kind {
        OptionKind::Compressed(_)
        | OptionKind::ConnectTimeout(_)
        | OptionKind::Delay(_)
        | OptionKind::FollowLocation(_)
        | OptionKind::Header(_)
        | OptionKind::Http10(_)
        | OptionKind::Http11(_)
        | OptionKind::MaxTime(_)
        | OptionKind::PathAsIs(_)
        | OptionKind::RetryInterval(_)
        | OptionKind::Skip(_)
        | OptionKind::User(_)
        | OptionKind::Variable(_) => true,
        // Everything here is bounded.
        OptionKind::MaxRedirect(count) | OptionKind::Repeat(count) | OptionKind::Retry(count) => {
            !matches!(count, CountOption::Literal(Count::Infinite))
        }
        _ => false,
    };
    let line = option.space0.source_info.start.line;
    (!supported).then(|| (line, format!("option \"{}\"", option.kind)))
}

fn asked(query: &Query, filters: &[(Whitespace, Filter)], refused: &mut Vec<(usize, String)>) {
    if matches!(query.value, QueryValue::Certificate { .. }) {
        let line = query.source_info.start.line;
        refused.push((line, format!("query \"{}\"", query.value.identifier())));
    }
    for (_, filter) in filters {
        let dates_and_charsets = matches!(
            filter.value,
            FilterValue::CharsetDecode { .. }
                | FilterValue::Decode { .. }
                | FilterValue::DateFormat { .. }
                | FilterValue::Format { .. }
                | FilterValue::ToDate { .. }
                | FilterValue::DaysAfterNow
                | FilterValue::DaysBeforeNow
        );
        if dates_and_charsets {
            let line = filter.source_info.start.line;
            refused.push((line, format!("filter \"{}\"", filter.value.identifier())));
        }
    }
}

fn predicate(assert: &Assert) -> Option<(usize, String)> {
    let function = &assert.predicate.predicate_func;
    let line = function.source_info.start.line;
    match &function.value {
        PredicateFuncValue::IsDate => Some((line, "predicate \"isDate\"".to_owned())),
        PredicateFuncValue::Equal { value, .. } | PredicateFuncValue::NotEqual { value, .. } => {
            let graphql =
                matches!(value, PredicateValue::MultilineString(text) if is_graphql(text));
            graphql.then(|| (line, "a graphql value".to_owned()))
        }
        _ => None,
    }
}

fn is_graphql(text: &MultilineString) -> bool {
    matches!(text.kind, MultilineStringKind::GraphQl(_))
}
