//! Nodes to drafts: one blank value per family, filled by the block's directives.

use std::{
    collections::HashMap,
    path::{Path, PathBuf},
    sync::Arc,
};

use super::{
    args::Args,
    blocks::{Config, Http, Name, Options},
    defaults,
    known::nginx_has,
    module::{AnyDirective, AnyModule, Block, Body, Entry, Module},
    settle::{self, Family},
    site::find,
};
use crate::{
    conf::{self, ConfError, Node, Span},
    log::Files,
    modules::{MODULES, main::Main},
    regex::{Case, Regex},
    tls::SessionCache,
    vars::Names,
};

pub fn load(options: &Options) -> Result<Config, ConfError> {
    let mut sources = Vec::new();
    let mut nodes = conf::parse(&options.globals, &"command line".into())?;
    nodes.extend(conf::read(&options.file, &mut sources)?);
    defaults::add(&mut nodes, options);
    let files = Arc::new(Files::default());
    let mut loader = Loader {
        known: index(MODULES),
        names: Names::default(),
        prefix: options.prefix.clone(),
        files: Arc::clone(&files),
        folders: Vec::new(),
        warnings: Vec::new(),
        folder: options.file.parent().unwrap_or(Path::new("")).to_path_buf(),
        session_caches: HashMap::new(),
        around: Vec::new(),
    };
    let mut main = loader.block(Block::Main, &nodes)?;
    let mut events = nodes.iter().filter(|node| node.name.text == "events");
    match (events.next(), events.next()) {
        (None, _) => return Err(ConfError::whole("no \"events\" section in configuration")),
        (_, Some(second)) => {
            return Err(second.name.span.error("\"events\" directive is duplicate"));
        }
        _ => (),
    }
    let outside: Vec<Family> = main.modules.into_iter().map(Arc::from).collect();
    let http =
        main.children.pop().map(|draft| settle::http(draft, &outside, &mut loader)).transpose()?;
    let linked = Arc::new(std::mem::take(&mut loader.names).link(MODULES)?);
    let debugged = find::<Main>(&outside).debug_connection().to_vec();
    let http = http.map(|addresses| Arc::new(Http { addresses, linked, debugged }));
    Ok(Config {
        main: find(&outside),
        error_log: find(&outside),
        http,
        sources,
        files,
        folders: loader.folders,
        warnings: loader.warnings,
    })
}

/// A block as written: what it says itself, before it hears from the block around it.
pub struct Draft {
    pub(super) kind: Block,
    pub(super) name: Name,
    pub(super) span: Option<Span>,
    pub(super) modules: Vec<Box<dyn AnyModule>>,
    pub(super) children: Vec<Draft>,
    pub(super) scopes: Vec<Draft>,
}

impl Draft {
    pub(super) fn family<M: Module>(&mut self) -> &mut M {
        let mut values = self.modules.iter_mut().map(|module| module.as_any_mut());
        values.find_map(<dyn std::any::Any>::downcast_mut).expect("a draft has every family")
    }
}

pub struct Loader {
    known: HashMap<&'static str, Vec<(usize, &'static dyn AnyDirective)>>,
    pub names: Names,
    pub prefix: PathBuf,
    pub files: Arc<Files>,
    /// To be made before the server answers, by whom may.
    pub folders: Vec<PathBuf>,
    pub warnings: Vec<ConfError>,
    /// Where the configuration is: some names are relative to it.
    pub folder: PathBuf,
    /// `shared:NAME`, however often it is named.
    pub session_caches: HashMap<String, Arc<SessionCache>>,
    /// The locations around what is being read, the innermost last.
    pub around: Vec<Name>,
}

impl Loader {
    pub fn block(&mut self, kind: Block, nodes: &[Node]) -> Result<Draft, ConfError> {
        let mut draft = Draft {
            kind,
            name: Name::Outer,
            span: None,
            modules: MODULES.iter().map(|module| (module.blank)()).collect(),
            children: Vec::new(),
            scopes: Vec::new(),
        };
        self.fill(kind, nodes, &mut draft)?;
        Ok(draft)
    }

    fn fill(&mut self, kind: Block, nodes: &[Node], draft: &mut Draft) -> Result<(), ConfError> {
        for node in nodes {
            match (kind, node.name.text.as_str()) {
                (Block::Main, "http") | (Block::Http, "server") => {
                    let inner = braces(node)?;
                    if !node.words.is_empty() {
                        return Err(wrong_number(node));
                    }
                    let kind = if kind == Block::Main { Block::Http } else { Block::Server };
                    if kind == Block::Http && !draft.children.is_empty() {
                        return Err(node.name.span.error("\"http\" directive is duplicate"));
                    }
                    let mut child = self.block(kind, inner)?;
                    child.name = Name::Outer;
                    child.span = Some(node.name.span.clone());
                    draft.children.push(child);
                }
                (Block::Server | Block::Location, "location") => {
                    let name = self.location_name(node)?;
                    self.around.push(name);
                    let mut child = self.block(Block::Location, braces(node)?)?;
                    child.name = self.around.pop().expect("pushed above");
                    child.span = Some(node.name.span.clone());
                    draft.children.push(child);
                }
                (_, "http" | "server" | "location") if !self.is_row(kind, &node.name.text) => {
                    return Err(not_allowed(node));
                }
                _ => self.directive(kind, node, draft)?,
            }
        }
        Ok(())
    }

    fn is_row(&self, kind: Block, name: &str) -> bool {
        let rows = self.known.get(name).into_iter().flatten();
        rows.into_iter().any(|(_, row)| row.blocks().contains(&kind))
    }

    fn directive(&mut self, kind: Block, node: &Node, draft: &mut Draft) -> Result<(), ConfError> {
        let name = &node.name.text;
        let Some(rows) = self.known.get(name.as_str()) else {
            return Err(unknown(node));
        };
        let Some((slot, row)) = rows.iter().find(|(_, row)| row.blocks().contains(&kind)).copied()
        else {
            return Err(not_allowed(node));
        };
        if row.is_lacking() {
            return Err(unknown(node));
        }
        match (row.body(), &node.block) {
            (Body::None, Some(_)) => {
                let message = format!("directive \"{name}\" is not terminated by \";\"");
                return Err(node.name.span.error(message));
            }
            (Body::Own | Body::Inside(_), None) => {
                braces(node)?;
            }
            _ => (),
        }
        if !row.arity().fits(node.words.len()) {
            return Err(wrong_number(node));
        }
        let mut args = Args { node, block: kind, loader: self, scopes: &mut draft.scopes };
        row.set(&mut *draft.modules[slot], &mut args)?;
        if let Body::Inside(inner) = row.body() {
            self.fill(inner, braces(node)?, draft)?;
        }
        Ok(())
    }

    /// `location [ = | ~ | ~* | ^~ ] uri` or `location @name`; the sign may stand at the word.
    fn location_name(&mut self, node: &Node) -> Result<Name, ConfError> {
        let span = &node.name.span;
        let words: Vec<&str> = node.words.iter().map(|word| word.text.as_str()).collect();
        let (sign, text) = match words[..] {
            [sign @ ("=" | "~" | "~*" | "^~"), text] => (sign, text),
            [sign, _] => {
                return Err(span.error(format!("invalid location modifier \"{sign}\"")));
            }
            [word] => {
                let sign = ["=", "^~", "~*", "~"].into_iter().find(|sign| word.starts_with(sign));
                let sign = sign.unwrap_or("");
                (sign, &word[sign.len()..])
            }
            _ => return Err(wrong_number(node)),
        };
        Ok(match sign {
            "=" => Name::Exact(text.to_owned()),
            "^~" => Name::FinalPrefix(text.to_owned()),
            "" if text.starts_with('@') => Name::Named(text.to_owned()),
            "" => Name::Prefix(text.to_owned()),
            sign => {
                let case = if sign == "~*" { Case::Insensitive } else { Case::Sensitive };
                Name::Pattern(Regex::compile(text, case, span, &mut self.names)?, text.to_owned())
            }
        })
    }
}

fn index(modules: &[Entry]) -> HashMap<&'static str, Vec<(usize, &'static dyn AnyDirective)>> {
    let mut known: HashMap<_, Vec<_>> = HashMap::new();
    for (slot, module) in modules.iter().enumerate() {
        for row in (module.directives)() {
            known.entry(row.name()).or_default().push((slot, row));
        }
    }
    known
}

fn braces(node: &Node) -> Result<&[Node], ConfError> {
    let name = &node.name;
    let message = || format!("directive \"{}\" has no opening \"{{\"", name.text);
    node.block.as_deref().ok_or_else(|| name.span.error(message()))
}

fn unknown(node: &Node) -> ConfError {
    let name = &node.name.text;
    let unknown = node.name.span.error(format!("unknown directive \"{name}\""));
    let hint = "(nginx has this; the edge does not yet)";
    if nginx_has(name) { unknown.noting(hint) } else { unknown }
}

fn wrong_number(node: &Node) -> ConfError {
    let name = &node.name.text;
    node.name.span.error(format!("invalid number of arguments in \"{name}\" directive"))
}

fn not_allowed(node: &Node) -> ConfError {
    let name = &node.name.text;
    node.name.span.error(format!("\"{name}\" directive is not allowed here"))
}
