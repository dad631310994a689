//! `log_format`: what a line says.

use bytes::Bytes;

use crate::{
    clock,
    conf::ConfError,
    exchange::Exchange,
    load::Args,
    log::Escape,
    vars::{Template, basic_user},
};

#[derive(Clone)]
pub(super) enum Format {
    /// Nearly everybody has it, and it is written by hand.
    Combined,
    Template(Template, Escape),
}

impl Format {
    /// The words after the format's name.
    pub(super) fn read(args: &mut Args<'_>) -> Result<Format, ConfError> {
        let (escape, first) = match args.word(1).strip_prefix("escape=") {
            None => (Escape::Default, 1),
            Some("default") => (Escape::Default, 2),
            Some("json") => (Escape::Json, 2),
            Some("none") => (Escape::Nothing, 2),
            Some(word) => {
                return Err(args.complain(format!("unknown log format escaping \"{word}\"")));
            }
        };
        let text: String = args.words()[first..].iter().map(|word| word.text.as_str()).collect();
        Ok(Format::Template(args.template_of(&text)?, escape))
    }

    pub(super) fn write(&self, exchange: &Exchange, line: &mut Vec<u8>) {
        match self {
            Format::Combined => combined(exchange, line),
            Format::Template(template, escape) => {
                template.render_with(exchange, line, |value, line| escape.write(value, line));
            }
        }
    }
}

/// `$remote_addr - $remote_user [$time_local] "$request" $status $body_bytes_sent "$http_referer"
/// "$http_user_agent"`, and the trace, where one is kept.
fn combined(exchange: &Exchange, line: &mut Vec<u8>) {
    let field = |name: &str| exchange.header(name).map(Bytes::as_ref);
    let mut number = itoa::Buffer::new();
    Escape::Default.write(Some(exchange.remote().text()), line);
    line.extend_from_slice(b" - ");
    Escape::Default.write(basic_user(exchange).as_deref(), line);
    line.extend_from_slice(b" [");
    line.extend_from_slice(&clock::combined_time());
    line.extend_from_slice(b"] \"");
    Escape::Default.write(Some(&exchange.request.line), line);
    line.extend_from_slice(b"\" ");
    if exchange.sent.status < 100 {
        line.extend_from_slice(b"000");
    } else {
        line.extend_from_slice(number.format(exchange.sent.status).as_bytes());
    }
    line.push(b' ');
    line.extend_from_slice(number.format(exchange.sent.body_bytes).as_bytes());
    line.extend_from_slice(b" \"");
    Escape::Default.write(field("referer"), line);
    line.extend_from_slice(b"\" \"");
    Escape::Default.write(field("user-agent"), line);
    line.push(b'"');
    if let Some(span) = exchange.story.trace_span {
        line.extend_from_slice(format!(" trace={}", span.trace_id()).as_bytes());
    }
}
