//! A page, obeyed: text goes on as it is, commands are done where they stand.

use std::{
    collections::VecDeque,
    io,
    rc::Rc,
    task::{Context, Poll, ready},
};

use bytes::Bytes;

use super::{
    Rules,
    commands::Kind,
    condition::{self, Test},
    date::TimeFormat,
    include::{self, Got, Include},
    knowledge::Knowledge,
    reader::{Command, Reader, Token},
    text::evaluate,
};
use crate::{
    body::Joined, engine::twin, exchange::Exchange, log::Level, regex, response::Source, uri,
};

pub(super) struct Page {
    /// The request, as far as commands ask about it.
    context: Box<Exchange>,
    knowledge: Knowledge,
    rules: Rules,
    /// `None` after the end.
    source: Option<Box<dyn Source>>,
    reader: Reader,
    out: VecDeque<Bytes>,
    /// How it ended, once it has.
    end: Option<io::Result<()>>,
    include: Option<Box<Include>>,
    branch: Branch,
    in_block: bool,
    encoding: Encoding,
    error_message: Bytes,
}

/// Where the page stands among `if`, `elif` and `else`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Branch {
    Outside,
    If { shown: bool, chosen: bool },
    Else { shown: bool },
}

/// How `echo` writes values.
#[derive(Clone, Copy)]
enum Encoding {
    Entity,
    Url,
    None,
}

/// So much leaves together, where it need not be waited for.
const TOGETHER: usize = 16 << 10;

impl Page {
    pub(super) fn new(exchange: &mut Exchange, source: Box<dyn Source>, rules: Rules) -> Page {
        let knowledge = Rc::clone(exchange.keep::<Knowledge>());
        Page {
            context: Box::new(twin(exchange)),
            knowledge,
            rules,
            source: Some(source),
            reader: Reader::new(rules.value_length),
            out: VecDeque::new(),
            end: None,
            include: None,
            branch: Branch::Outside,
            in_block: false,
            encoding: Encoding::Entity,
            error_message: Bytes::from_static(
                b"[an error occurred while processing the directive]",
            ),
        }
    }

    /// A block that stands for an answer.
    pub(super) fn of_block(exchange: &mut Exchange, block: Bytes, rules: Rules) -> Page {
        let mut page = Page::new(exchange, Box::new(Nothing), rules);
        page.reader.feed(block);
        page
    }

    fn is_shown(&self) -> bool {
        let shown = match self.branch {
            Branch::Outside => true,
            Branch::If { shown, .. } | Branch::Else { shown } => shown,
        };
        shown && !self.in_block
    }

    fn take(&mut self, token: Token) {
        let done = match token {
            Token::Text(text) if self.is_shown() => {
                self.out.push_back(text);
                Ok(())
            }
            Token::Text(text) if self.in_block => self.add_to_block(&text),
            Token::Text(_) => Ok(()),
            Token::Command(command) => self.obey(&command),
            Token::Error(message) => Err(message),
        };
        if let Err(message) = done {
            self.context.log(Level::Error, &message);
            if !self.rules.silent_errors {
                self.out.push_back(self.error_message.clone());
            }
        }
    }

    fn obey(&mut self, command: &Command) -> Result<(), String> {
        let Some(kind) = Kind::of(&command.name) else {
            if self.is_shown() {
                return Err(format!("invalid SSI command: \"{}\"", command.name));
            }
            return Ok(());
        };
        if !self.is_shown() && kind != Kind::Endblock {
            if self.in_block {
                return self.add_to_block(&command.source);
            }
            if !kind.is_about_conditions() {
                return Ok(());
            }
        }
        let fits = match (kind, self.branch) {
            (Kind::Elif | Kind::Else, Branch::If { .. }) => true,
            (Kind::Endif, branch) => branch != Branch::Outside,
            (kind, _) => !kind.is_about_conditions(),
        };
        if !fits {
            return Err(format!("invalid context of SSI command: \"{}\"", command.name));
        }
        command.check(kind)?;
        match kind {
            Kind::Include => self.begin_include(command),
            Kind::Echo => {
                self.echo(command);
                Ok(())
            }
            Kind::Config => {
                self.configure(command);
                Ok(())
            }
            Kind::Set => self.set(command),
            Kind::If if self.branch != Branch::Outside => {
                Err("the \"if\" command inside the \"if\" command".to_owned())
            }
            Kind::If | Kind::Elif => self.choose(command),
            Kind::Else => {
                if let Branch::If { chosen, .. } = self.branch {
                    self.branch = Branch::Else { shown: !chosen };
                }
                Ok(())
            }
            Kind::Endif => {
                self.branch = Branch::Outside;
                Ok(())
            }
            Kind::Block => {
                let name = Bytes::copy_from_slice(command.get("name").unwrap_or_default());
                self.in_block = true;
                self.knowledge.borrow_mut().begin_block(name)
            }
            Kind::Endblock => {
                self.in_block = false;
                Ok(())
            }
        }
    }

    fn add_to_block(&mut self, text: &[u8]) -> Result<(), String> {
        self.knowledge.borrow_mut().add_to_block(text)
    }

    fn look_up(&self, name: &str) -> Option<Bytes> {
        let own = self.knowledge.borrow().variable(name);
        own.or_else(|| self.context.var_named(name))
    }

    fn evaluate(&self, text: &[u8]) -> Result<Vec<u8>, String> {
        evaluate(text, |name| self.look_up(name))
    }

    fn echo(&mut self, command: &Command) {
        let name = lower(command.get("var").unwrap_or_default());
        let value = self.look_up(&name).or_else(|| {
            let default = command.get("default").unwrap_or(b"(none)");
            Some(Bytes::copy_from_slice(default))
        });
        let Some(value) = value.filter(|value| !value.is_empty()) else { return };
        match command.get("encoding") {
            None => (),
            Some(b"none") => self.encoding = Encoding::None,
            Some(b"url") => self.encoding = Encoding::Url,
            Some(b"entity") => self.encoding = Encoding::Entity,
            Some(other) => {
                let other = String::from_utf8_lossy(other);
                let message = format!("unknown encoding \"{other}\" in the \"echo\" command");
                self.context.log(Level::Error, &message);
            }
        }
        let mut text = Vec::with_capacity(value.len());
        match self.encoding {
            Encoding::None => text.extend_from_slice(&value),
            Encoding::Url => uri::escape_link_into(&value, &mut text),
            Encoding::Entity => uri::escape_html_into(&value, &mut text),
        }
        self.out.push_back(text.into());
    }

    fn configure(&mut self, command: &Command) {
        if let Some(format) = command.get("timefmt") {
            let format = String::from_utf8_lossy(format).into_owned();
            self.context.keep::<TimeFormat>().0 = Some(format);
        }
        if let Some(message) = command.get("errmsg") {
            self.error_message = Bytes::copy_from_slice(message);
        }
    }

    fn set(&mut self, command: &Command) -> Result<(), String> {
        let value = self.evaluate(command.get("value").unwrap_or_default())?;
        self.set_variable(lower(command.get("var").unwrap_or_default()), value.into())
    }

    fn set_variable(&mut self, name: String, value: Bytes) -> Result<(), String> {
        self.knowledge.borrow_mut().set(name, value)
    }

    fn choose(&mut self, command: &Command) -> Result<(), String> {
        if let Branch::If { chosen: true, .. } = self.branch {
            self.branch = Branch::If { shown: false, chosen: true };
            return Ok(());
        }
        let expression = command.get("expr").unwrap_or_default();
        let Some(condition) = condition::parse(expression) else {
            let expression = String::from_utf8_lossy(expression);
            return Err(format!("invalid expression in \"{expression}\""));
        };
        let left = Bytes::from(self.evaluate(&condition.left)?);
        let holds = match condition.test {
            Test::IsThere => !left.is_empty(),
            Test::Text { equal, right } => (self.evaluate(&right)? == left) == equal,
            Test::Pattern { matches, pattern } => {
                let pattern = self.evaluate(&pattern)?;
                self.matches(&pattern, &left)? == matches
            }
        };
        self.branch = Branch::If { shown: holds, chosen: holds };
        Ok(())
    }

    /// Matches, and keeps what was captured for the rest of the request.
    fn matches(&mut self, pattern: &[u8], subject: &Bytes) -> Result<bool, String> {
        let Some(found) = regex::find_once(&String::from_utf8_lossy(pattern), subject)? else {
            return Ok(false);
        };
        for (name, value) in found.named {
            self.set_variable(name.to_ascii_lowercase(), value)?;
        }
        self.knowledge.borrow_mut().captures = found.groups;
        Ok(true)
    }

    fn begin_include(&mut self, command: &Command) -> Result<(), String> {
        let mut place = self.evaluate(include::place(command)?)?;
        if place.first() != Some(&b'/') {
            let folder = self.context.uri.iter().rposition(|byte| *byte == b'/');
            let folder = folder.map_or(0, |slash| slash + 1);
            place = [&self.context.uri[..folder], &place].concat();
        }
        let (rules, knowledge) = (self.rules, &self.knowledge);
        let begun = Include::begin(&mut self.context, knowledge, command, &place, rules)?;
        match begun {
            Some(include) => self.include = Some(Box::new(include)),
            // Why has been said.
            None if !self.rules.silent_errors => self.out.push_back(self.error_message.clone()),
            None => (),
        }
        Ok(())
    }
}

fn lower(name: &[u8]) -> String {
    String::from_utf8_lossy(name).to_ascii_lowercase()
}

impl Page {
    /// The next piece, however small.
    fn poll_piece(&mut self, context: &mut Context<'_>) -> Poll<Option<io::Result<Bytes>>> {
        loop {
            if let Some(data) = self.out.pop_front() {
                return Poll::Ready(Some(Ok(data)));
            }
            if let Some(include) = &mut self.include {
                match ready!(include.poll(context, self.rules)) {
                    Ok(Got::Data(data)) => return Poll::Ready(Some(Ok(data))),
                    Ok(Got::Value { name, value }) => {
                        self.include = None;
                        if let Err(message) = self.set_variable(name, value) {
                            self.context.log(Level::Error, &message);
                        }
                    }
                    Ok(Got::End) => self.include = None,
                    Err(error) => return Poll::Ready(Some(Err(error))),
                }
                continue;
            }
            if let Some(token) = self.reader.next() {
                self.take(token);
                continue;
            }
            let Some(source) = &mut self.source else { return Poll::Ready(None) };
            match ready!(source.poll_chunk(context)) {
                Some(Ok(piece)) => self.reader.feed(piece),
                Some(Err(error)) => return Poll::Ready(Some(Err(error))),
                None => {
                    self.source = None;
                    if let Some(token) = self.reader.end() {
                        self.take(token);
                    }
                }
            }
        }
    }
}

impl Source for Page {
    /// What there is without waiting goes together, up to a bound: a page may be nothing but short
    /// lines between commands.
    fn poll_chunk(&mut self, context: &mut Context<'_>) -> Poll<Option<io::Result<Bytes>>> {
        let mut joined = Joined::default();
        while joined.len() < TOGETHER && self.end.is_none() {
            match self.poll_piece(context) {
                Poll::Ready(Some(Ok(piece))) => {
                    if !joined.is_empty() && piece.len() >= TOGETHER {
                        self.out.push_front(piece);
                        break;
                    }
                    joined.add(piece);
                }
                Poll::Ready(Some(Err(error))) => self.end = Some(Err(error)),
                Poll::Ready(None) => self.end = Some(Ok(())),
                Poll::Pending if joined.is_empty() => return Poll::Pending,
                // The source has noted who waits; what there is goes out.
                Poll::Pending => break,
            }
        }
        if let Some(data) = joined.take() {
            return Poll::Ready(Some(Ok(data)));
        }
        match self.end.replace(Ok(())) {
            Some(Err(error)) => Poll::Ready(Some(Err(error))),
            _ => Poll::Ready(None),
        }
    }

    fn poll_ahead(&mut self, context: &mut Context<'_>) {
        if let Some(source) = &mut self.source {
            source.poll_ahead(context);
        }
    }

    fn is_finished(&self) -> bool {
        matches!(self.end, Some(Ok(())))
    }
}

/// A page that has come whole has nothing behind it.
struct Nothing;

impl Source for Nothing {
    fn poll_chunk(&mut self, _context: &mut Context<'_>) -> Poll<Option<io::Result<Bytes>>> {
        Poll::Ready(None)
    }
}
