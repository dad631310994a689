//! `root` and `alias`: which file a URI means.

use std::{ffi::OsString, os::unix::ffi::OsStringExt, path::PathBuf};

use super::Core;
use crate::{
    conf::ConfError,
    exchange::Exchange,
    load::{Args, Name},
    vars::Template,
};

/// Which folder a location's files are in.
#[derive(Clone)]
pub(super) struct Root {
    path: Template,
    kind: RootKind,
    /// What an alias stands for: the name of the location that says it. `None`: it is a pattern, and
    /// the alias is the file.
    prefix: Option<String>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum RootKind {
    /// The whole URI is looked up below it.
    Root,
    /// It stands for the location's own name.
    Alias,
}

impl Core {
    pub(super) fn set_root(
        &mut self,
        kind: RootKind,
        args: &mut Args<'_>,
    ) -> Result<(), ConfError> {
        if let Some(root) = self.root.said() {
            let name = match kind {
                RootKind::Root => "root",
                RootKind::Alias => "alias",
            };
            let other = match root.kind {
                RootKind::Root => "root",
                RootKind::Alias => "alias",
            };
            return Err(if name == other {
                args.refuse("is duplicate")
            } else {
                args.complain(format!(
                    "\"{name}\" directive is duplicate, \"{other}\" directive was specified earlier"
                ))
            });
        }
        let location = args.loader.around.last();
        if kind == RootKind::Alias && matches!(location, Some(Name::Named(_))) {
            let message = "the \"alias\" directive cannot be used inside the named location";
            return Err(args.complain(message));
        }
        let prefix = location.and_then(Name::prefix).map(str::to_owned);
        let word = args.word(0);
        let path = if word.starts_with('/') || word.starts_with('$') {
            word.to_owned()
        } else {
            args.loader.prefix.join(word).to_string_lossy().into_owned()
        };
        let path = if kind == RootKind::Root { path.trim_end_matches('/') } else { &path };
        let path = args.template_of(path)?;
        self.root.set(Root { path, kind, prefix }, args)
    }

    /// The file a URI means: `root` + URI, or `alias` in place of the location's name.
    /// `None`: no file can (an alias under a name the URI does not begin with, or a step out of
    /// the alias, which a request must not take).
    pub fn map(&self, exchange: &Exchange) -> Option<PathBuf> {
        self.map_uri(exchange, &exchange.uri)
    }

    pub fn map_uri(&self, exchange: &Exchange, uri: &[u8]) -> Option<PathBuf> {
        let mut path = Vec::with_capacity(64);
        match self.root.said() {
            None => path.extend_from_slice(b"html"),
            Some(root) => {
                root.path.render_into(exchange, &mut path);
                // Nobody writes `..` after a variable: it came with the request.
                if root.path.as_literal().is_none() && steps_up(&path) {
                    return None;
                }
            }
        }
        if self.is_alias() {
            let rest = match self.alias_prefix() {
                Some(prefix) => uri.strip_prefix(prefix.as_bytes())?,
                None if exchange.below_alias => uri,
                // The pattern's alias names the file itself.
                None => return Some(to_path(path)),
            };
            // `location /static { alias /x/static/; }` and `/static../secret`: nginx serves
            // /x/secret; here an alias is the end of the way up.
            if steps_up(rest) {
                return None;
            }
            path.extend_from_slice(rest);
        } else {
            path.extend_from_slice(uri);
        }
        Some(to_path(path))
    }

    /// `$document_root`.
    pub fn document_root(&self, exchange: &Exchange) -> PathBuf {
        let root = self.root.said().map(|root| root.path.render(exchange));
        root.map_or_else(|| PathBuf::from("html"), |root| to_path(root.to_vec()))
    }

    pub fn is_alias(&self) -> bool {
        self.root.said().is_some_and(|root| root.kind == RootKind::Alias)
    }

    /// The name an alias stands for, where it is none given by a pattern.
    pub fn alias_prefix(&self) -> Option<&str> {
        self.root.said().and_then(|root| root.prefix.as_deref())
    }
}

fn steps_up(path: &[u8]) -> bool {
    path.split(|byte| *byte == b'/').any(|segment| segment == b"..")
}

fn to_path(bytes: Vec<u8>) -> PathBuf {
    PathBuf::from(OsString::from_vec(bytes))
}
