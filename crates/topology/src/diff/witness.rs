//! What the application saw: a small WSGI middleware is put before it, which writes down environ and what
//! is read of the body. It is Python, because that is where the truth of it is.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, ensure};
use aws_lc_rs::digest::{SHA256, digest};
use serde::Deserialize;
use suite::wire::Request;

use crate::Topology;
use crate::run_folder::RunFolder;
use crate::trail::Trails;

/// The name under which its lines are found in the trail.
pub(super) const NAME: &str = "witness";

/// One that is ready to be put before an application.
#[derive(Debug)]
pub(super) struct Witness {
    folder: RunFolder,
}

/// One call of the application.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Call {
    pub(super) environ: BTreeMap<String, String>,
    pub(super) inherited: Vec<String>,
    read: Option<Read>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Read {
    bytes: usize,
    sha256: String,
}

/// A line of its file.
#[derive(Deserialize)]
#[serde(untagged)]
enum Fact {
    Asked {
        call: String,
        environ: BTreeMap<String, String>,
        plain: BTreeMap<String, String>,
        types: BTreeMap<String, String>,
        inherited: Vec<String>,
    },
    Read {
        call: String,
        bytes: usize,
        sha256: String,
    },
}

impl Witness {
    pub(super) fn make() -> io::Result<Witness> {
        let folder = RunFolder::make(false)?;
        let write = |name: &str, text: &str| fs::write(folder.path().join(name), text);
        write("causeway_witness.py", include_str!("causeway_witness.py"))?;
        let witness = Witness { folder };
        fs::write(witness.file(), "")?;
        Ok(witness)
    }

    /// Where it writes.
    pub(super) fn file(&self) -> PathBuf {
        self.folder.path().join("witness.jsonl")
    }

    /// The variables that bring it in.
    pub(super) fn stand_before(&self, topology: &mut Topology) -> Result<Vec<(String, String)>> {
        let shown = |path: &Path| path.display().to_string();
        let mut variables = vec![
            ("PYTHONPATH".to_owned(), shown(self.folder.path())),
            // Else a Python set has another order in each process.
            ("PYTHONHASHSEED".to_owned(), "0".to_owned()),
            ("CAUSEWAY_WITNESS_FILE".to_owned(), shown(&self.file())),
        ];
        let server = topology.hops.last().context("a topology has hops")?;
        if server.kind.calls_by_name() {
            let callable = topology.application.callable().to_owned();
            let plain = |name: &str| {
                name.chars().all(|c| c.is_alphanumeric() || matches!(c, '_' | '.' | ':'))
            };
            ensure!(
                plain(callable.strip_suffix("()").unwrap_or(&callable)),
                "application = \"{callable}\" is neither module:name nor module:name()"
            );
            variables.push(("CAUSEWAY_WITNESS_OF".to_owned(), callable));
            topology.application.call("causeway_witness:application");
        } else {
            let text = include_str!("sitecustomize.py");
            fs::write(self.folder.path().join("sitecustomize.py"), text)?;
        }
        Ok(variables)
    }
}

/// How the application was called because of a request.
pub(super) fn calls(trails: &Trails, request: &Request) -> Result<Vec<Call>> {
    let mut calls: Vec<(String, Call)> = Vec::new();
    for line in trails.of(request).iter().filter(|line| line.hop == NAME) {
        let fact = serde_json::from_str(&line.text)
            .with_context(|| format!("the witness wrote \"{}\"", line.text))?;
        match fact {
            Fact::Asked { call, mut environ, plain, types, inherited } => {
                environ.extend(plain);
                environ.extend(types.into_iter().map(|(key, class)| (key, format!("a {class}"))));
                calls.push((call, Call { environ, inherited, read: None }));
            }
            Fact::Read { call, bytes, sha256 } => {
                if let Some((_, known)) = calls.iter_mut().find(|(known, _)| *known == call) {
                    known.read = Some(Read { bytes, sha256 });
                }
            }
        }
    }
    Ok(calls.into_iter().map(|(_, call)| call).collect())
}

impl Call {
    /// What of the request's body it read, in words that are the same for bodies that had to differ.
    pub(super) fn read_of(&self, sent: &[u8]) -> String {
        let Some(read) = &self.read else { return "what is not known".to_owned() };
        let is = |part: &[u8]| hexadecimal(digest(&SHA256, part).as_ref()) == read.sha256;
        match sent.get(..read.bytes) {
            _ if read.bytes == 0 => "nothing".to_owned(),
            Some(part) if is(part) && part.len() == sent.len() => "all, as it was sent".to_owned(),
            Some(part) if is(part) => format!("its first {} bytes", read.bytes),
            _ => format!("{} other bytes, sha256 {}", read.bytes, read.sha256),
        }
    }
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
