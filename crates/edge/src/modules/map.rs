//! `map`: a variable whose value is looked up by the value of others. Nothing is computed until it
//! is asked for.

use std::{collections::HashMap, sync::Arc};

use bytes::Bytes;

use crate::{
    conf::{ConfError, Node},
    engine::plan::Plan,
    exchange::Exchange,
    load::{Args, Arity::Exactly, Block, Body, Directive, Module, Site, block},
    regex::{Case, Regex},
    vars::{Computed, Template},
};

#[derive(Default)]
pub struct Map;

/// One `map` block.
#[derive(Default)]
struct Table {
    source: Template,
    /// Keys know no case, as in nginx.
    exact: HashMap<Vec<u8>, Template>,
    /// `*.example.org` as `.example.org`, longest first; only with `hostnames`.
    leading: Wildcards,
    /// `example.*` as `example.`, longest first.
    trailing: Wildcards,
    /// In the order of the file.
    patterns: Vec<(Regex, Template)>,
    default: Option<Template>,
    hostnames: bool,
    volatile: bool,
}

type Wildcards = Vec<(Vec<u8>, Template)>;

const HTTP: &[Block] = &[Block::Http];

impl Module for Map {
    const DIRECTIVES: &'static [Directive<Self>] =
        &[block("map", HTTP, Exactly(2), Body::Own, |_, args| Table::read(args))];

    fn inherit(&mut self, _outer: &Self, _into: Block) {}

    fn install(self: Arc<Self>, _plan: &mut Plan, _site: &Site<'_>) -> Result<(), ConfError> {
        Ok(())
    }
}

impl Table {
    fn read(args: &mut Args<'_>) -> Result<(), ConfError> {
        let source = args.template(0)?;
        let word = args.word(1).to_owned();
        let Some(name) = word.strip_prefix('$').filter(|name| !name.is_empty()) else {
            return Err(args.complain(format!("invalid variable name \"{word}\"")));
        };
        if crate::vars::is_builtin(name) {
            return Err(args.complain(format!("the duplicate \"{name}\" variable")));
        }
        let mut table = Table { source, ..Table::default() };
        // The flags count for the whole table, wherever in it they stand.
        let rows = args.node.block.as_deref().unwrap_or_default();
        let flag =
            |name: &str| rows.iter().any(|row| row.name.text == name && row.words.is_empty());
        (table.hostnames, table.volatile) = (flag("hostnames"), flag("volatile"));
        rows.iter().try_for_each(|row| table.row(row, args))?;
        table.leading.sort_by_key(|(key, _)| std::cmp::Reverse(key.len()));
        table.trailing.sort_by_key(|(key, _)| std::cmp::Reverse(key.len()));
        args.loader.names.define(name, &args.node.name.span, Arc::new(table));
        Ok(())
    }

    fn row(&mut self, row: &Node, args: &mut Args<'_>) -> Result<(), ConfError> {
        let (key, span) = (&row.name.text, &row.name.span);
        if row.block.is_some() {
            return Err(span.error("unexpected \"{\""));
        }
        let value = match &row.words[..] {
            [] if matches!(key.as_str(), "hostnames" | "volatile") => return Ok(()),
            [value] => Template::compile(&value.text, span, &mut args.loader.names)?,
            _ => return Err(span.error("invalid number of the map parameters")),
        };
        if key == "default" {
            if self.default.replace(value).is_some() {
                return Err(span.error("duplicate default map parameter"));
            }
            return Ok(());
        }
        if let Some(pattern) = key.strip_prefix('~') {
            let (pattern, case) = match pattern.strip_prefix('*') {
                Some(pattern) => (pattern, Case::Insensitive),
                None => (pattern, Case::Sensitive),
            };
            let regex = Regex::compile(pattern, case, span, &mut args.loader.names)?;
            self.patterns.push((regex, value));
            return Ok(());
        }
        // `\default` is the word and not the keyword.
        let text = key.strip_prefix('\\').unwrap_or(key).to_ascii_lowercase();
        let added = if self.hostnames {
            let invalid = || span.error(format!("invalid hostname or wildcard \"{key}\""));
            self.hostname(text, value).map_err(|()| invalid())?
        } else {
            self.exact.insert(text.into_bytes(), value).is_none()
        };
        if added { Ok(()) } else { Err(span.error(format!("conflicting parameter \"{key}\""))) }
    }

    /// `false`: the name is there already.
    fn hostname(&mut self, name: String, value: Template) -> Result<bool, ()> {
        let stars = name.matches('*').count();
        let mut add = |list: fn(&mut Table) -> &mut Wildcards, key: &str| {
            let list = list(self);
            let new = list.iter().all(|(known, _)| known != key.as_bytes());
            list.push((key.as_bytes().to_vec(), value.clone()));
            new
        };
        if name.contains("..") || stars > 1 {
            return Err(());
        }
        if let Some(domain) = name.strip_prefix('.').filter(|_| stars == 0) {
            let new = add(|table| &mut table.leading, &name);
            return Ok(self.exact.insert(domain.as_bytes().to_vec(), value).is_none() && new);
        }
        if let Some(end) = name.strip_prefix('*').filter(|end| end.starts_with('.')) {
            return Ok(add(|table| &mut table.leading, end));
        }
        if let Some(start) = name.strip_suffix('*').filter(|start| start.ends_with('.')) {
            return Ok(add(|table| &mut table.trailing, start));
        }
        if stars > 0 {
            return Err(());
        }
        Ok(self.exact.insert(name.into_bytes(), value).is_none())
    }

    fn find(&self, exchange: &Exchange, subject: &Bytes) -> Option<&Template> {
        let whole = subject.strip_suffix(b".").filter(|_| self.hostnames);
        let key = whole.unwrap_or(subject);
        let lower = key.to_ascii_lowercase();
        let leading = || self.leading.iter().find(|(end, _)| lower.ends_with(end));
        let trailing = || self.trailing.iter().find(|(start, _)| lower.starts_with(start));
        let pattern = || {
            let found = self.patterns.iter().find(|(regex, _)| regex.matches(exchange, subject));
            found.map(|(_, value)| value)
        };
        self.exact
            .get(&lower)
            .or_else(|| leading().or_else(trailing).map(|(_, value)| value))
            .or_else(pattern)
            .or(self.default.as_ref())
    }
}

impl Computed for Table {
    fn compute(&self, exchange: &Exchange) -> Option<Bytes> {
        let subject = self.source.render(exchange);
        let value = self.find(exchange, &subject).map(|value| value.render(exchange));
        Some(value.unwrap_or_default())
    }

    fn cached(&self) -> bool {
        !self.volatile
    }
}
