//! The blocks themselves: `http`, `server`, `location`, and the unnamed ones (`if`, `limit_except`).
//!
//! Two steps. [`Loader::block`] reads nodes into a [`Draft`]: one blank value per family, filled by
//! the directives. [`settle`] goes over the drafts outside-in to inherit and inside-out to install,
//! and what comes out is only read from then on.

use std::{
    collections::{HashMap, hash_map},
    path::PathBuf,
    sync::Arc,
};

use super::{
    args::{Args, Scope},
    defaults,
    known::nginx_has,
    module::{AnyDirective, AnyModule, Block, Body, Entry, Module},
    servers::ServerNames,
    site::{Site, find},
};
use crate::{
    conf::{self, ConfError, Node, Source, Span},
    engine::{locate::Locations, plan::Plan},
    listen::Listen,
    log::Files,
    modules::{
        MODULES, core::Core, error_log::ErrorLog, error_page::ErrorPages, main::Main,
        server::VirtualServer, types::Types,
    },
    regex::{Case, Regex},
    vars::{Linked, Names},
};

/// What the command line says about reading the configuration.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// `-p`: what relative names are relative to.
    pub prefix: PathBuf,
    /// `-c`: the file.
    pub file: PathBuf,
    /// `-g`: directives outside of the file.
    pub globals: String,
    /// `-e`: the error log until the file names one.
    pub error_log: Option<String>,
}

/// The whole configuration, settled.
pub struct Config {
    pub main: Arc<Main>,
    pub error_log: Arc<ErrorLog>,
    /// `None` without an `http` block: a server with nothing to serve, which nginx allows.
    pub http: Option<Arc<Http>>,
    /// What was read, for `-T`.
    pub sources: Vec<Source>,
    /// Every log, opened once however often it is named.
    pub files: Arc<Files>,
    /// What is worth saying but no reason to refuse.
    pub warnings: Vec<ConfError>,
}

pub struct Http {
    pub addresses: Vec<Address>,
    pub linked: Arc<Linked>,
}

impl Http {
    /// Of a configuration without an `http` block.
    pub fn nothing() -> Http {
        let linked = Names::default().link(&[]).expect("no name is mentioned, so none is unknown");
        Http { addresses: Vec::new(), linked: Arc::new(linked) }
    }
}

/// One socket address and the servers behind it.
pub struct Address {
    pub listen: Listen,
    pub names: ServerNames,
    pub default: Arc<Server>,
}

pub struct Server {
    /// The first name of `server_name`, for `$server_name` and the logs.
    pub name: String,
    /// A server is also a location: the one in force before any is found.
    pub outer: Arc<Location>,
    pub locations: Locations,
    pub named: HashMap<String, Arc<Location>>,
    pub settings: Arc<VirtualServer>,
}

pub struct Location {
    pub name: Name,
    pub core: Arc<Core>,
    pub error_log: Arc<ErrorLog>,
    pub error_pages: Arc<ErrorPages>,
    pub types: Arc<Types>,
    pub plan: Plan,
    pub locations: Locations,
    scopes: Vec<Arc<Location>>,
}

/// How a location is found.
#[derive(Clone, Debug)]
pub enum Name {
    /// A server's own block.
    Outer,
    Exact(String),
    Prefix(String),
    /// `^~`: where this is the longest prefix, no pattern is asked.
    FinalPrefix(String),
    Pattern(Regex, String),
    /// `@name`: only by name.
    Named(String),
}

impl Name {
    /// The text a URI is compared with; of `alias` and `proxy_pass`, what is replaced.
    pub fn prefix(&self) -> Option<&str> {
        match self {
            Name::Exact(text) | Name::Prefix(text) | Name::FinalPrefix(text) => Some(text),
            _ => None,
        }
    }
}

impl Location {
    /// The block in force for a method: `limit_except` puts another in this one's place.
    pub fn for_method(self: &Arc<Location>, method: &[u8]) -> Arc<Location> {
        match self.core.limit_except(method) {
            Some(scope) => self.scope(scope),
            None => Arc::clone(self),
        }
    }

    pub fn scope(&self, scope: Scope) -> Arc<Location> {
        Arc::clone(&self.scopes[scope.0])
    }
}

impl Address {
    pub fn server(&self, host: Option<&bytes::Bytes>) -> &Arc<Server> {
        // No host at all is the name "".
        let none = bytes::Bytes::new();
        self.names.find(host.unwrap_or(&none)).unwrap_or(&self.default)
    }
}

pub(super) type Family = Arc<dyn AnyModule>;

/// A block as written: what it says itself, before it hears from the block around it.
pub struct Draft {
    kind: Block,
    name: Name,
    span: Option<Span>,
    modules: Vec<Box<dyn AnyModule>>,
    children: Vec<Draft>,
    scopes: Vec<Draft>,
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
    pub warnings: Vec<ConfError>,
}

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
        warnings: Vec::new(),
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
    let http = main.children.pop().map(|draft| http(draft, &outside, &mut loader)).transpose()?;
    let linked = Arc::new(std::mem::take(&mut loader.names).link(MODULES)?);
    let http = http.map(|addresses| Arc::new(Http { addresses, linked }));
    Ok(Config {
        main: find(&outside),
        error_log: find(&outside),
        http,
        sources,
        files,
        warnings: loader.warnings,
    })
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
                    let mut child = self.block(Block::Location, braces(node)?)?;
                    child.name = name;
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
            let unknown = node.name.span.error(format!("unknown directive \"{name}\""));
            let lacking = "(nginx has this; the edge does not yet)";
            return Err(if nginx_has(name) { unknown.noting(lacking) } else { unknown });
        };
        let Some((slot, row)) = rows.iter().find(|(_, row)| row.blocks().contains(&kind)).copied()
        else {
            return Err(not_allowed(node));
        };
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

fn wrong_number(node: &Node) -> ConfError {
    let name = &node.name.text;
    node.name.span.error(format!("invalid number of arguments in \"{name}\" directive"))
}

fn not_allowed(node: &Node) -> ConfError {
    let name = &node.name.text;
    node.name.span.error(format!("\"{name}\" directive is not allowed here"))
}

/// The `http` block: its servers, by the addresses they listen on.
fn http(
    mut draft: Draft,
    outside: &[Family],
    loader: &mut Loader,
) -> Result<Vec<Address>, ConfError> {
    let servers = std::mem::take(&mut draft.children);
    let families = inherit(&mut draft, outside);
    let mut addresses: Vec<AddressDraft> = Vec::new();
    for draft in servers {
        let span = draft.span.clone().expect("a server block has a place");
        let server = Arc::new(server(draft, &families, &mut loader.warnings)?);
        for listen in server.settings.listens() {
            let known = addresses.iter().position(|known| known.listen.address == listen.address);
            let place = known.unwrap_or(addresses.len());
            if known.is_none() {
                addresses.push(AddressDraft::new(listen.clone(), &server));
            }
            let address = &mut addresses[place];
            address.listen.merge(&listen)?;
            if listen.default_server && address.default.replace(Arc::clone(&server)).is_some() {
                let address = &listen.address;
                return Err(span.error(format!("a duplicate default server for {address}")));
            }
            for name in server.settings.names() {
                if let Err(name) = address.names.add(name, &server) {
                    let address = &listen.address;
                    let message =
                        format!("conflicting server name \"{name}\" on {address}, ignored");
                    loader.warnings.push(ConfError::whole(message));
                }
            }
        }
    }
    Ok(addresses.into_iter().map(AddressDraft::settle).collect())
}

/// An address, while the servers behind it are being read.
struct AddressDraft {
    listen: Listen,
    names: ServerNames,
    first: Arc<Server>,
    default: Option<Arc<Server>>,
}

impl AddressDraft {
    fn new(listen: Listen, first: &Arc<Server>) -> AddressDraft {
        let (names, first) = (ServerNames::default(), Arc::clone(first));
        AddressDraft { listen, names, first, default: None }
    }

    /// Where no server says `default_server`, the first is it.
    fn settle(self) -> Address {
        let default = self.default.unwrap_or(self.first);
        Address { listen: self.listen, names: self.names, default }
    }
}

fn server(
    mut draft: Draft,
    http: &[Family],
    warnings: &mut Vec<ConfError>,
) -> Result<Server, ConfError> {
    let children = std::mem::take(&mut draft.children);
    let families = inherit(&mut draft, http);
    let (mut locations, mut named) = (Locations::default(), HashMap::new());
    for child in children {
        let span = child.span.clone().expect("a location has a place");
        let location = settle(child, &families, http)?;
        match &location.name {
            // nginx takes a name twice, and the first is the one it finds.
            Name::Named(name) => match named.entry(name.clone()) {
                hash_map::Entry::Vacant(place) => {
                    place.insert(location);
                }
                hash_map::Entry::Occupied(_) => {
                    let message = format!("duplicate location \"{name}\", ignored");
                    warnings.push(span.error(message));
                }
            },
            _ => locations.add(location).map_err(|message| span.error(message))?,
        }
    }
    let settings = find::<VirtualServer>(&families);
    let outer = install(draft, &families, http, Locations::default())?;
    Ok(Server { name: settings.first_name(), outer, locations, named, settings })
}

/// A location, with everything inside it.
fn settle(mut draft: Draft, outer: &[Family], http: &[Family]) -> Result<Arc<Location>, ConfError> {
    let children = std::mem::take(&mut draft.children);
    let families = inherit(&mut draft, outer);
    let mut locations = Locations::default();
    for child in children {
        let span = child.span.clone().expect("a location has a place");
        check_nesting(&draft.name, &child.name).map_err(|message| span.error(message))?;
        let location = settle(child, &families, http)?;
        locations.add(location).map_err(|message| span.error(message))?;
    }
    install(draft, &families, http, locations)
}

fn check_nesting(outer: &Name, inner: &Name) -> Result<(), String> {
    let text = |name: &Name| match name {
        Name::Pattern(_, text) | Name::Named(text) => text.clone(),
        name => name.prefix().unwrap_or_default().to_owned(),
    };
    let (outside, inside) = (text(outer), text(inner));
    match (outer, inner) {
        (Name::Exact(_), _) => {
            Err(format!("location \"{inside}\" cannot be inside the exact location \"{outside}\""))
        }
        (Name::Named(_), _) => {
            Err(format!("location \"{inside}\" cannot be inside the named location \"{outside}\""))
        }
        (_, Name::Named(_)) => {
            Err(format!("named location \"{inside}\" can be on the server level only"))
        }
        (Name::Prefix(_) | Name::FinalPrefix(_), inner) if inner.prefix().is_some() => {
            if inside.starts_with(&outside) {
                Ok(())
            } else {
                Err(format!("location \"{inside}\" is outside location \"{outside}\""))
            }
        }
        _ => Ok(()),
    }
}

/// The draft's own values, completed by the block around it.
fn inherit(draft: &mut Draft, outer: &[Family]) -> Vec<Family> {
    let mut modules = std::mem::take(&mut draft.modules);
    for (module, outer) in modules.iter_mut().zip(outer) {
        module.inherit_any(&**outer, draft.kind);
    }
    modules.into_iter().map(Arc::from).collect()
}

fn install(
    draft: Draft,
    families: &[Family],
    http: &[Family],
    locations: Locations,
) -> Result<Arc<Location>, ConfError> {
    let mut scopes = Vec::with_capacity(draft.scopes.len());
    for mut scope in draft.scopes {
        // An `if` goes by the name of the location it stands in: `alias` and `proxy_pass` ask.
        scope.name = draft.name.clone();
        scopes.push(settle(scope, families, http)?);
    }
    let mut plan = Plan::default();
    let site = Site { block: draft.kind, name: &draft.name, here: families, http };
    for family in families {
        Arc::clone(family).install_any(&mut plan, &site)?;
    }
    Ok(Arc::new(Location {
        name: draft.name,
        core: find(families),
        error_log: find(families),
        error_pages: find(families),
        types: find(families),
        plan,
        locations,
        scopes,
    }))
}
