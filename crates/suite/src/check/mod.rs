//! What is asked of an answer: a query takes something out of it, filters change it, a predicate
//! judges it. Values are hurl's own kinds, so that the same file says the same to both.

mod value;
mod template;
mod answered; // an answer with what queries read from it, once
mod query;
mod filter;
mod json_path;
mod xpath;
mod predicate;

pub(crate) use answered::Answered;
pub(crate) use predicate::{expected_text, judge, number_value};
pub(crate) use query::{capture, evaluate};
pub(crate) use template::{expression, file_bytes, json_text, render};
pub(crate) use value::{Value, Variables};

/// Why an expression has no value, in words.
pub(crate) type Reason = String;
