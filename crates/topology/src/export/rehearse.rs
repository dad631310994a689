//! A hop laid out for a target. Its kind is asked to launch it, in a folder that stands for the folders
//! it will have there; nothing is started. Then that folder's paths are exchanged for the target's, in the
//! command line and in each file that was written. So what is exported is what runs here: a second
//! description of each kind was rejected, because it would be the one that is wrong.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail, ensure};
use tempfile::TempDir;

use super::target::{Logs, Socket, Target};
use super::{Elsewhere, Written};
use crate::file::{Hop, Protocol, Topology};
use crate::kinds::{Found, Role};
use crate::place::{Place, Purpose};
use crate::probe::Address;
use crate::python::Environment;
use crate::subject::Subject;
use crate::tls::Tls;

/// One instance of a hop, as it is on the target.
#[derive(Debug)]
pub(super) struct Exported<'a> {
    /// With its number when there are several.
    pub(super) name: String,
    pub(super) hop: &'a Hop,
    pub(super) elsewhere: Elsewhere,
    pub(super) listen: Address,
    /// Program and arguments.
    pub(super) command: Vec<String>,
    pub(super) variables: Vec<(String, String)>,
    /// Below the hop's folder of configurations.
    pub(super) files: Vec<Written>,
}

impl Exported<'_> {
    pub(super) fn is_server(&self) -> bool {
        self.hop.kind.role() == Role::Server
    }

    pub(super) fn port(&self) -> Option<u16> {
        match &self.listen {
            Address::Tcp(address) => Some(address.port()),
            Address::Unix(_) => None,
        }
    }
}

/// Every instance, the browser's side first.
pub(super) fn rehearse<'a>(
    topology: &'a Topology,
    target: &dyn Target,
) -> Result<Vec<Exported<'a>>> {
    let stage = tempfile::Builder::new().prefix("causeway-export-").tempdir()?;
    let subject = subject(topology, target);
    let mut at = 0;
    let mut sockets = Vec::new();
    for hop in &topology.hops {
        let elsewhere = elsewhere(hop)?;
        let of_hop = names(hop, target).into_iter().map(|name| {
            let socket = target.socket(at, &name, hop, &elsewhere);
            at += 1;
            (name, socket)
        });
        sockets.push(of_hop.collect::<Vec<(String, Socket)>>());
    }
    let mut exported = Vec::new();
    for (at, hop) in topology.hops.iter().enumerate() {
        let upstreams: &[(String, Socket)] = sockets.get(at + 1).map_or(&[], Vec::as_slice);
        for (name, socket) in &sockets[at] {
            let tls = (at == 0 && hop.tls).then(|| tls(target));
            let laid_out = Rehearsal {
                target,
                stage: &stage,
                subject: &subject,
                upstreams,
                upstream_protocol: topology.protocol_behind(at),
                tls: tls.as_ref(),
            };
            let about = || format!("hop \"{name}\" ({})", hop.kind.name());
            exported.push(laid_out.of(name, hop, socket).with_context(about)?);
        }
    }
    Ok(exported)
}

fn elsewhere(hop: &Hop) -> Result<Elsewhere> {
    hop.kind.elsewhere().with_context(|| {
        format!("hop \"{}\": {} can not be exported yet", hop.name, hop.kind.name())
    })
}

fn names(hop: &Hop, target: &dyn Target) -> Vec<String> {
    match target.instances(hop) {
        1 => vec![hop.name.clone()],
        count => (1..=count).map(|number| format!("{}-{number}", hop.name)).collect(),
    }
}

fn subject(topology: &Topology, target: &dyn Target) -> Subject {
    let mut application = topology.application.clone();
    application.folder = target.application();
    let data = target.data();
    let mut variables = application.variables(&data);
    variables.push(("PYTHONUNBUFFERED".to_owned(), "1".to_owned()));
    let environment = Environment { folder: target.environment() };
    Subject { application, environment, data, variables }
}

fn tls(target: &dyn Target) -> Tls {
    let file = |name: &str| target.tls().join(name);
    Tls {
        authority: file("authority.pem"),
        certificate: file("certificate.pem"),
        key: file("key.pem"),
    }
}

struct Rehearsal<'a> {
    target: &'a dyn Target,
    stage: &'a TempDir,
    subject: &'a Subject,
    upstreams: &'a [(String, Socket)],
    upstream_protocol: Protocol,
    tls: Option<&'a Tls>,
}

impl Rehearsal<'_> {
    fn of<'a>(&self, name: &str, hop: &'a Hop, socket: &Socket) -> Result<Exported<'a>> {
        let elsewhere = elsewhere(hop)?;
        let folder = self.stage.path().join(name);
        fs::create_dir(&folder)?;
        let mut exchange = Exchange::default();
        let upstreams = self.upstreams.iter().enumerate();
        let upstreams = upstreams.map(|(number, (_, upstream))| match &upstream.reached {
            None => upstream.listen.clone(),
            Some(reached) => {
                let address = stand_in(number, &upstream.listen);
                exchange.add(address.to_string(), reached.clone());
                Address::Tcp(address)
            }
        });
        let upstreams = upstreams.collect();
        let mut flagged = hop.clone();
        let is_told = elsewhere.trusting.iter().any(|flag| hop.flags.iter().any(|own| own == flag));
        if socket.reached.is_some() && !is_told {
            flagged.flags.extend(elsewhere.trusting.iter().map(|flag| (*flag).to_owned()));
        }
        let place = Place {
            name: name.to_owned(),
            hop: &flagged,
            purpose: Purpose::Export,
            folder: folder.clone(),
            listen: socket.listen.clone(),
            upstreams,
            upstream_protocol: self.upstream_protocol,
            also_unlinks: Vec::new(),
            subject: self.subject,
            tls: self.tls,
            namespace: None,
        };
        // Whether it is installed here does not matter.
        let program = elsewhere.program(&self.target.environment());
        let launch = hop.kind.launch(&place, &Found { program, version: String::new() })?;

        let config = self.target.config(name);
        for log in &launch.logs {
            exchange.add(shown(log), self.log(name, log, elsewhere.streams));
        }
        let mut files = files_below(&folder)?;
        for file in &files {
            // The folders between them, too: a configuration may name one.
            let between = file.ancestors().take_while(|path| !path.as_os_str().is_empty());
            for path in between {
                exchange.add(shown(&folder.join(path)), shown(&config.join(path)));
            }
        }
        exchange.add(shown(&folder), shown(&self.target.run(name)));

        let command = std::iter::once(launch.command.get_program())
            .chain(launch.command.get_args())
            .map(|word| word.to_string_lossy().into_owned());
        let mut command: Vec<String> = command.collect();
        let mut texts = Vec::new();
        for file in &files {
            texts.push(fs::read(folder.join(file))?);
        }
        if let Some(beside) = hop.config.as_deref().and_then(Path::parent) {
            // One of them may name the next.
            while let Some(name) = named_below(beside, &command, &texts, &exchange)? {
                let text = fs::read(beside.join(&name))?;
                exchange.add(shown(&beside.join(&name)), shown(&config.join(&name)));
                files.push(name);
                texts.push(text);
            }
        }
        for word in &mut command {
            *word = exchange.apply(word);
        }
        let written = files.into_iter().zip(texts).map(|(path, text)| {
            let text = match String::from_utf8(text) {
                Ok(text) => exchange.apply(&text).into_bytes(),
                Err(not_text) => not_text.into_bytes(),
            };
            Written { path, contents: text }
        });
        let mut variables = Vec::new();
        if hop.kind.role() == Role::Server {
            variables.extend(self.subject.variables.iter().cloned());
        }
        for (name, value) in launch.command.get_envs() {
            // One that is taken away is not there to begin with.
            if let Some(value) = value {
                let value = exchange.apply(&value.to_string_lossy());
                variables.push((name.to_string_lossy().into_owned(), value));
            }
        }
        variables.extend(hop.env.iter().map(|(name, value)| (name.clone(), value.clone())));
        let files = written.collect();
        let listen = socket.listen.clone();
        Ok(Exported { name: name.to_owned(), hop, elsewhere, listen, command, variables, files })
    }

    fn log(&self, hop: &str, log: &Path, [output, errors]: [&str; 2]) -> String {
        let name = log.file_name().unwrap_or_default();
        match self.target.logs(hop) {
            Logs::Folder(folder) => shown(&folder.join(name)),
            Logs::Streams if name.to_string_lossy().contains("access") => output.to_owned(),
            Logs::Streams => errors.to_owned(),
        }
    }
}

/// An address that nobody has (RFC 1112, section 4), for one that is only known by a name.
fn stand_in(number: usize, listen: &Address) -> SocketAddr {
    let port = match listen {
        Address::Tcp(address) => address.port(),
        Address::Unix(_) => 0,
    };
    (Ipv4Addr::new(240, 0, 0, number as u8 + 1), port).into()
}

/// What stands for what; the longest first, because one path begins with another.
#[derive(Default)]
struct Exchange {
    pairs: Vec<(String, String)>,
}

impl Exchange {
    fn knows(&self, left: &str) -> bool {
        self.pairs.iter().any(|(known, _)| known == left)
    }

    fn add(&mut self, left: String, right: String) {
        if !self.knows(&left) {
            self.pairs.push((left, right));
            self.pairs.sort_by_key(|(left, _)| std::cmp::Reverse(left.len()));
        }
    }

    fn apply(&self, text: &str) -> String {
        self.pairs.iter().fold(text.to_owned(), |text, (left, right)| text.replace(left, right))
    }
}

/// A file beside a configuration that the command line or a file names, and that is not known yet.
fn named_below(
    beside: &Path,
    command: &[String],
    texts: &[Vec<u8>],
    exchange: &Exchange,
) -> Result<Option<PathBuf>> {
    let prefix = format!("{}/", beside.display());
    let texts = texts.iter().map(|text| String::from_utf8_lossy(text));
    for text in command.iter().map(|word| word.as_str().into()).chain(texts) {
        for (at, _) in text.match_indices(&prefix) {
            let rest = &text[at + prefix.len()..];
            let end = rest.find(|c: char| c.is_whitespace() || ";\"'{}()".contains(c));
            let name = &rest[..end.unwrap_or(rest.len())];
            ensure!(
                beside.join(name).is_file() && !name.contains(".."),
                "the configuration names \"{prefix}{name}\", which is not one file, so it can not be exported"
            );
            if !exchange.knows(&format!("{prefix}{name}")) {
                return Ok(Some(PathBuf::from(name)));
            }
        }
    }
    Ok(None)
}

/// What was written there, each named from there.
fn files_below(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(here) = folders.pop() {
        for entry in fs::read_dir(&here)? {
            let path = entry?.path();
            if path.is_dir() {
                folders.push(path);
            } else if let Ok(name) = path.strip_prefix(folder) {
                found.push(name.to_owned());
            } else {
                bail!("\"{}\" is not below \"{}\"", path.display(), folder.display());
            }
        }
    }
    found.sort();
    Ok(found)
}

fn shown(path: &Path) -> String {
    path.display().to_string()
}
