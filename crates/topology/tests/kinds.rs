//! What topologies may say of their hops, and what is said of a program that is not there: from outside,
//! by the program, with nothing installed.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use topology::Topology;
use topology::kinds::ALL;

fn shipped() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../topologies");
    let files = std::fs::read_dir(folder).expect("topologies ship").flatten();
    let files = files.map(|entry| entry.path());
    let mut files: Vec<PathBuf> =
        files.filter(|file| file.extension().is_some_and(|ending| ending == "toml")).collect();
    files.sort();
    files
}

/// Where there is no program but those that are named by their whole path.
fn with_an_empty_path(arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_causeway-topology"));
    command.args(arguments).env("PATH", "");
    command.output().expect("cargo has built it")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn every_topology_that_ships_can_be_read_and_each_kind_is_in_one() {
    let files = shipped();
    let topologies: Vec<Topology> =
        files.iter().map(|file| Topology::read(file).unwrap()).collect();
    assert!(topologies.iter().all(|topology| !topology.about.is_empty()));
    let used = |kind: &str| {
        let mut hops = topologies.iter().flat_map(|topology| &topology.hops);
        hops.any(|hop| hop.kind.name() == kind)
    };
    // A database is no hop.
    let unused = ALL.iter().map(|kind| kind.name()).filter(|kind| !used(kind));
    assert_eq!(unused.collect::<Vec<_>>(), ["postgresql"]);
}

#[test]
fn what_a_kind_can_do_nothing_with_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("refused.toml");
    let refusal = |hops: &str| {
        let application = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../apps/flaskr");
        let head = format!("about = \"\"\napplication = \"{}\"\n", application.display());
        std::fs::write(&file, format!("{head}{hops}")).unwrap();
        format!("{:#}", Topology::read(&file).unwrap_err())
    };
    let server = "[[hop]]\nkind = \"gateway\"\n";
    for (hop, key) in [
        ("kind = \"edge\"\nthreads = 4", "threads"),
        ("kind = \"caddy\"\nworkers = 4", "workers"),
        ("kind = \"haproxy\"\nthreads = 4", "threads"),
        ("kind = \"apache\"\nworkers = 1", "workers"),
    ] {
        let said = refusal(&format!("[[hop]]\n{hop}\n{server}"));
        assert!(said.ends_with(&format!("can do nothing with \"{key}\"")), "{hop}: {said}");
    }
    for (hop, key) in [
        ("kind = \"uwsgi\"\ntls = true", "tls"),
        ("kind = \"granian\"\nconfig = \"granian.toml\"", "config"),
        ("kind = \"granian\"\nreplace = { a = \"b\" }", "replace"),
        ("kind = \"waitress\"\nworkers = 2", "workers"),
        ("kind = \"runserver\"\nthreads = 2", "threads"),
    ] {
        let said = refusal(&format!("[[hop]]\n{hop}\n"));
        assert!(said.ends_with(&format!("can do nothing with \"{key}\"")), "{hop}: {said}");
    }
    let said =
        refusal("[[hop]]\nkind = \"caddy\"\n[[hop]]\nkind = \"uwsgi\"\nprotocol = \"uwsgi\"\n");
    assert!(said.contains("caddy can not pass requests on by"), "{said}");
    let said =
        refusal("[[hop]]\nkind = \"edge\"\n[[hop]]\nkind = \"runserver\"\nlisten = \"unix\"\n");
    assert!(said.contains("runserver does not listen on unix sockets"), "{said}");
}

#[test]
fn a_missing_program_is_named_with_what_installs_it_before_anything_is_started() {
    let file = |name: &str| {
        let shipped = shipped().into_iter().find(|file| file.ends_with(name));
        shipped.unwrap().display().to_string()
    };
    for (topology, said) in [
        ("caddy-gateway.toml", "caddy is missing: apt-get install caddy"),
        ("runserver.toml", "no python3 was found: apt-get install python3 python3-venv"),
    ] {
        let output = with_an_empty_path(&["up", "--topology", &file(topology)]);
        assert!(!output.status.success());
        assert_eq!(text(&output.stdout), "");
        assert!(text(&output.stderr).contains(said), "{}", text(&output.stderr));
    }
}

#[test]
fn every_kind_that_is_missing_is_listed_with_what_installs_it() {
    let output = with_an_empty_path(&["kinds"]);
    let listed = text(&output.stdout);
    assert_eq!(listed.lines().count(), ALL.len());
    for line in listed.lines() {
        // Debian's servers lie in folders that are searched even when `PATH` is empty, and ours beside
        // the program itself.
        let is_there = line.contains(" /");
        let names_a_way = ["apt-get install", "pip install", "cargo build"];
        assert!(is_there || names_a_way.iter().any(|way| line.contains(way)), "{line}");
    }
}
