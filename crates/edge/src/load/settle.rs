//! Drafts to blocks: outside-in to inherit, inside-out to install, and what comes out is only read
//! from then on.

use std::{
    collections::{HashMap, hash_map},
    sync::Arc,
};

use super::{
    blocks::{Address, Location, Name, Server},
    module::AnyModule,
    read::{Draft, Loader},
    servers::ServerNames,
    site::{Site, find},
};
use crate::{
    conf::{ConfError, Span},
    engine::{locate::Locations, plan::Plan},
    listen::Listen,
    modules::{server::VirtualServer, ssl::Ssl},
};

/// One family's value, settled.
pub(super) type Family = Arc<dyn AnyModule>;

/// The `http` block: its servers, by the addresses they listen on.
pub(super) fn http(
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
            address.servers.push((Arc::clone(&server), span.clone()));
            address.has_one_server &= Arc::ptr_eq(&address.first, &server);
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
    addresses.iter().try_for_each(AddressDraft::check_certificates)?;
    Ok(addresses.into_iter().map(AddressDraft::settle).collect())
}

/// An address, while the servers behind it are being read.
struct AddressDraft {
    listen: Listen,
    names: ServerNames,
    first: Arc<Server>,
    default: Option<Arc<Server>>,
    has_one_server: bool,
    /// All of them, with their places.
    servers: Vec<(Arc<Server>, Span)>,
}

impl AddressDraft {
    fn new(listen: Listen, first: &Arc<Server>) -> AddressDraft {
        let (names, first) = (ServerNames::default(), Arc::clone(first));
        let servers = Vec::new();
        AddressDraft { listen, names, first, default: None, has_one_server: true, servers }
    }

    /// Where TLS is spoken, the default has something to show; if it rejects everybody, all the
    /// others have.
    fn check_certificates(&self) -> Result<(), ConfError> {
        let default = self.default();
        if !self.listen.ssl || default.tls.is_some() {
            return Ok(());
        }
        let rejects = |server: &Server| server.ssl.rejects_handshake();
        let lacks = |server: &Arc<Server>| {
            if rejects(default) {
                server.tls.is_none() && !rejects(server)
            } else {
                Arc::ptr_eq(server, default)
            }
        };
        let message = "no \"ssl_certificate\" is defined for the \"listen ... ssl\" directive";
        match self.servers.iter().find(|(server, _)| lacks(server)) {
            Some((_, span)) => Err(span.error(message)),
            None => Ok(()),
        }
    }

    /// Where no server says `default_server`, the first is it.
    fn default(&self) -> &Arc<Server> {
        self.default.as_ref().unwrap_or(&self.first)
    }

    fn settle(self) -> Address {
        let default = Arc::clone(self.default());
        let AddressDraft { listen, names, has_one_server, .. } = self;
        Address { listen, names, default, has_one_server }
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
    let span = draft.span.clone().expect("a server block has a place");
    let settings = find::<VirtualServer>(&families);
    let outer = install(draft, &families, http, Locations::default())?;
    let ssl = find::<Ssl>(&families);
    let tls = ssl.settle(&span, warnings)?;
    Ok(Server { name: settings.first_name(), outer, locations, named, settings, ssl, tls })
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
    let (outside, inside) = (outer.text(), inner.text());
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
            if inside.starts_with(outside) {
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
        client_body: find(families),
        http2: find(families),
        error_log: find(families),
        error_pages: find(families),
        types: find(families),
        plan,
        locations,
        scopes,
    }))
}
