//! `log_format` and `access_log`: one line a request, after its last byte.
//!
//! `combined`, which nearly everybody has, is written by hand; other formats are templates. A line
//! is written with one call and no buffer unless the file asks for one, and before the connection
//! is closed: whoever saw the response can read its line.

use std::{path::PathBuf, sync::Arc};

use bytes::Bytes;

use crate::{
    clock,
    conf::{ConfError, Span},
    engine::plan::{self, Plan},
    exchange::Exchange,
    load::{
        Args, Arity::AtLeast, Block, Directive, Module, Site, directive, parse_size, parse_time,
    },
    log::{Buffering, Escape, Level, LogFile},
    vars::{Template, basic_user},
};

#[derive(Clone, Default)]
pub struct AccessLog {
    formats: Vec<(String, Format)>,
    /// `None`: nothing is said here. Empty: `off`.
    logs: Option<Vec<Target>>,
}

#[derive(Clone)]
struct Target {
    to: Destination,
    format: Named,
    condition: Option<Template>,
}

#[derive(Clone)]
enum Destination {
    File(Arc<LogFile>),
    /// A path with variables in it, opened for each line.
    Path(PathBuf, Template),
}

#[derive(Clone)]
struct Named {
    name: String,
    span: Span,
}

#[derive(Clone)]
enum Format {
    Combined,
    Template(Template, Escape),
}

/// The logs of one block, with their formats found.
struct Logs(Vec<(Target, Format)>);

const BLOCKS: &[Block] =
    &[Block::Http, Block::Server, Block::Location, Block::If, Block::LimitExcept];

impl Module for AccessLog {
    const DIRECTIVES: &'static [Directive<Self>] = &[
        directive("log_format", &[Block::Http], AtLeast(2), AccessLog::add_format),
        directive("access_log", BLOCKS, AtLeast(1), AccessLog::add),
    ];

    fn inherit(&mut self, outer: &Self, _into: Block) {
        if self.logs.is_none() {
            self.logs.clone_from(&outer.logs);
        }
    }

    fn install(self: Arc<Self>, plan: &mut Plan, site: &Site<'_>) -> Result<(), ConfError> {
        let http = site.http::<AccessLog>();
        let mut logs = Vec::new();
        for target in self.logs.iter().flatten() {
            logs.push((target.clone(), http.format(&target.format)?));
        }
        if !logs.is_empty() {
            plan.log.push(Arc::new(Logs(logs)));
        }
        Ok(())
    }
}

impl AccessLog {
    fn add_format(&mut self, args: &mut Args<'_>) -> Result<(), ConfError> {
        let name = args.word(0).to_owned();
        if name == "combined" || self.formats.iter().any(|(known, _)| *known == name) {
            return Err(args.complain(format!("duplicate \"log_format\" name \"{name}\"")));
        }
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
        let template = args.template_of(&text)?;
        self.formats.push((name, Format::Template(template, escape)));
        Ok(())
    }

    fn add(&mut self, args: &mut Args<'_>) -> Result<(), ConfError> {
        let logs = self.logs.get_or_insert_default();
        let path = args.word(0).to_owned();
        if path == "off" {
            if 1 < args.len() {
                return Err(args.invalid_parameter(1));
            }
            logs.clear();
            return Ok(());
        }
        let mut name = "combined".to_owned();
        let (mut condition, mut buffer, mut flush) = (None, None, None);
        for place in 1..args.len() {
            let word = args.word(place).to_owned();
            match word.split_once('=') {
                Some(("buffer", size)) => {
                    let size = parse_size(size).filter(|size| *size > 0);
                    let invalid = || args.complain(format!("invalid buffer size \"{word}\""));
                    buffer = Some(size.ok_or_else(invalid)? as usize);
                }
                Some(("flush", time)) => {
                    let time = parse_time(time).filter(|time| !time.is_zero());
                    let invalid = || args.complain(format!("invalid flush time \"{word}\""));
                    flush = Some(time.ok_or_else(invalid)?);
                }
                Some(("if", text)) => condition = Some(args.template_of(text)?),
                Some(("gzip", _)) => return Err(refuse(args, "gzip")),
                None if word == "gzip" => return Err(refuse(args, "gzip")),
                None if place == 1 => name = word,
                _ => return Err(args.invalid_parameter(place)),
            }
        }
        if flush.is_some() && buffer.is_none() {
            let message = format!("no buffer is defined for access_log \"{path}\"");
            return Err(args.complain(message));
        }
        let buffering = buffer.map(|size| Buffering { size, flush });
        let to = if path.starts_with("syslog:") {
            return Err(refuse(args, "syslog:"));
        } else if path == "stderr" {
            Destination::File(args.loader.files.stderr())
        } else if path.contains('$') {
            if buffering.is_some() {
                let message = "buffered logs cannot have variables in name";
                return Err(args.complain(message));
            }
            Destination::Path(args.loader.prefix.clone(), args.template(0)?)
        } else {
            let file = args.loader.files.file(&args.path(0));
            if buffering.is_some_and(|buffering| !file.buffer(buffering)) {
                let message =
                    format!("access_log \"{path}\" already defined with conflicting parameters");
                return Err(args.complain(message));
            }
            Destination::File(file)
        };
        let span = args.node.name.span.clone();
        logs.push(Target { to, format: Named { name, span }, condition });
        Ok(())
    }

    fn format(&self, wanted: &Named) -> Result<Format, ConfError> {
        if wanted.name == "combined" {
            return Ok(Format::Combined);
        }
        let found = self.formats.iter().find(|(name, _)| *name == wanted.name);
        let unknown = || wanted.span.error(format!("unknown log format \"{}\"", wanted.name));
        found.map(|(_, format)| format.clone()).ok_or_else(unknown)
    }
}

fn refuse(args: &Args<'_>, parameter: &str) -> ConfError {
    let message =
        format!("\"{parameter}\" of \"access_log\": nginx has this; the edge does not yet");
    args.complain(message)
}

impl plan::Log for Logs {
    fn log(&self, exchange: &Exchange) {
        let mut line = Vec::with_capacity(256);
        for (target, format) in &self.0 {
            let unwanted = target
                .condition
                .as_ref()
                .is_some_and(|condition| matches!(&condition.render(exchange)[..], b"" | b"0"));
            if unwanted {
                continue;
            }
            line.clear();
            match format {
                Format::Combined => combined(exchange, &mut line),
                Format::Template(template, escape) => {
                    template
                        .render_with(exchange, &mut line, |value, line| escape.write(value, line));
                }
            }
            line.push(b'\n');
            target.to.write(exchange, &line);
        }
    }
}

impl Destination {
    fn write(&self, exchange: &Exchange, line: &[u8]) {
        let (path, written) = match self {
            Destination::File(file) => (None, file.write(line)),
            Destination::Path(prefix, template) => {
                let name = template.render(exchange);
                let path = prefix.join(String::from_utf8_lossy(&name).as_ref());
                let written = LogFile::append(&path, line);
                (Some(path), written)
            }
        };
        // A log that can not be written has only the other log to say so.
        if let Err(error) = written {
            let path = path.map_or_else(String::new, |path| path.display().to_string());
            let reason = crate::conf::errno(&error);
            exchange.log(Level::Crit, &format!("write to access log \"{path}\" failed ({reason})"));
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
