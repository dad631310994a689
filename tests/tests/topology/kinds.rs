//! Each program that can take a hop's place: it starts, serves, reads its configuration again, finishes what
//! it has begun and leaves nothing; and says at once what is wrong with what it was given.

use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail, ensure};
use e2e::binary;
use tempfile::TempDir;
use topology::application::Application;
use topology::kinds::Places;
use topology::probe::Address;
use topology::process::Process;
use topology::progress::Progress;
use topology::python::Python;
use topology::{Options, Stack, Topology};
use xtask::wire::Wire;
use xtask::workspace;

const GATEWAY: &str = "[[hop]]\nkind = \"gateway\"\n";

/// Every hop swapped, with both applications behind it. The others that ship have tests of their own.
macro_rules! serves_both {
    ($($test:ident: $topology:literal,)*) => { $(
        #[tokio::test]
        async fn $test() -> Result<()> {
            serves($topology, "pybo", "/pybo/").await?;
            serves($topology, "flaskr", "/").await
        }
    )* };
}

serves_both! {
    edge_and_gateway: "default",
    nginx_and_gunicorn: "nginx-gunicorn",
    nginx_and_gateway: "nginx-gateway",
    caddy_and_gateway: "caddy-gateway",
    haproxy_and_gateway: "haproxy-gateway",
    apache_and_gateway: "apache-gateway",
    edge_and_gunicorn: "edge-gunicorn",
    edge_and_gunicorn_with_threads: "edge-gunicorn-gthread",
    edge_and_uwsgi: "edge-uwsgi",
    edge_and_uwsgi_by_http: "edge-uwsgi-http",
    nginx_and_uwsgi: "nginx-uwsgi",
    edge_and_granian: "edge-granian",
    edge_and_waitress: "edge-waitress",
    runserver: "runserver",
    gateway_alone: "gateway-alone",
    edge_and_two_gateways: "two-gateways",
}

async fn serves(topology: &str, application: &str, page: &str) -> Result<()> {
    let topology = shipped(topology)?.serving(&application_folder(application))?;
    let stack = start(&topology).await?;
    for _ in 0..4 {
        let answer = Wire::to(first(&stack)).await?.get(page).await?;
        ensure!(answer.status() == 200 && answer.text().contains("</html>"), "{}", answer.text());
    }
    leaves_nothing(stack).await
}

#[tokio::test]
async fn a_request_goes_to_each_of_two_gateways() -> Result<()> {
    let mut stack = start(&shipped("two-gateways")?).await?;
    // Whichever of the edge's workers they come to: each of them begins with the first gateway.
    for _ in 0..4 {
        ensure!(Wire::to(first(&stack)).await?.get("/pybo/").await?.status() == 200);
    }
    stack.stop().await?;
    for gateway in stack.hops.iter().filter(|hop| hop.of == "gateway") {
        // The first of them was the start's own.
        let served = gateway.log().matches("\"GET /pybo/ HTTP/1.").count();
        ensure!(served >= 2, "{} served {served}", gateway.name);
    }
    Ok(())
}

/// As proxies, in front of a server that finishes, too; and as servers, with nothing in front.
macro_rules! finishes {
    ($($test:ident: $hops:literal,)*) => { $(
        #[tokio::test]
        async fn $test() -> Result<()> {
            finishes_what_it_has_begun($hops).await
        }
    )* };
}

finishes! {
    edge_finishes: "edge gateway",
    nginx_finishes: "nginx gateway",
    caddy_finishes: "caddy gateway",
    haproxy_finishes: "haproxy gateway",
    apache_finishes: "apache gateway",
    gateway_finishes: "gateway",
    gunicorn_finishes: "gunicorn",
    uwsgi_finishes: "uwsgi",
    granian_finishes: "granian",
    waitress_finishes: "waitress",
}

async fn finishes_what_it_has_begun(kinds: &str) -> Result<()> {
    let hops = kinds.split(' ').map(|kind| format!("[[hop]]\nkind = \"{kind}\"\n"));
    let folder = tempfile::tempdir()?;
    let topology = of_flaskr(&folder, &hops.collect::<String>())?;
    let stack = start(&topology).await?;
    let reloads = stack.hops[0].kind.reload();
    if let Some(reload) = reloads {
        let before = stack.hops[0].process;
        stack.hops[0].signal(reload);
        ensure!(Wire::to(first(&stack)).await?.get("/").await?.status() == 200);
        ensure!(before.alive(), "{kinds}: a reload ended it");
    }
    let mut client = Wire::to(first(&stack)).await?;
    client
        .send("GET /stream?n=2&delay=1 HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        .await?;
    let head = client.head().await?;
    ensure!(head.status == 200, "{}", head.status);
    let (rest, stopped) = tokio::join!(client.rest(), leaves_nothing(stack));
    stopped?;
    let rest = String::from_utf8_lossy(&rest?).into_owned();
    ensure!(rest.contains("line 2 of 2"), "{kinds}: {rest:?}");
    Ok(())
}

#[tokio::test]
async fn runs_of_one_topology_do_not_get_in_each_others_way() -> Result<()> {
    for name in ["caddy-gateway", "apache-gateway", "edge-uwsgi"] {
        let topology = shipped(name)?;
        let (mut left, right) = tokio::try_join!(start(&topology), start(&topology))?;
        ensure!(left.url != right.url);
        left.stop().await?;
        ensure!(Wire::to(first(&right)).await?.get("/pybo/").await?.status() == 200);
        leaves_nothing(right).await?;
    }
    Ok(())
}

#[tokio::test]
async fn a_broken_configuration_fails_at_once_with_what_the_program_says_of_it() -> Result<()> {
    let folder = tempfile::tempdir()?;
    fs::write(folder.path().join("broken"), "this is { no configuration\n")?;
    for (kind, said) in [
        ("edge", "nginx.conf:"),
        ("nginx", "nginx.conf:"),
        ("caddy", "Caddyfile:1"),
        ("haproxy", "haproxy.cfg:1"),
        ("apache", "Configuration error"),
        ("uwsgi", "--socket option is missing"),
        ("gunicorn", "SyntaxError"),
    ] {
        let behind = if matches!(kind, "uwsgi" | "gunicorn") { "" } else { GATEWAY };
        let hops = format!("[[hop]]\nkind = \"{kind}\"\nconfig = \"broken\"\n{behind}");
        let error = failure(&of_flaskr(&folder, &hops)?).await?;
        ensure!(error.contains(" ended ") && error.contains(said), "{kind}: {error}");
    }
    Ok(())
}

#[tokio::test]
async fn an_application_that_can_not_be_imported_fails_at_once_with_its_error() -> Result<()> {
    let folder = tempfile::tempdir()?;
    for server in ["gateway", "gunicorn", "uwsgi", "granian", "waitress", "runserver"] {
        let hops = format!("[[hop]]\nkind = \"{server}\"\n");
        let application = described("nowhere:application", "flaskr")?;
        let error = failure(&topology(&folder, &application, &hops)?).await?;
        ensure!(error.contains(" ended ") && error.contains("nowhere"), "{server}: {error}");
    }
    Ok(())
}

#[tokio::test]
async fn runserver_refuses_what_is_neither_djangos_nor_flasks() -> Result<()> {
    let folder = tempfile::tempdir()?;
    // An environment without Flask, a folder without manage.py.
    let application = described("wsgi:application", "pybo")?;
    let topology = topology(&folder, &application, "[[hop]]\nkind = \"runserver\"\n")?;
    let error = failure(&topology).await?;
    ensure!(error.contains("runserver is Django's or Flask's, and"), "{error}");
    Ok(())
}

async fn failure(topology: &Topology) -> Result<String> {
    match start(topology).await {
        Ok(_) => bail!("\"{}\" starts", topology.name),
        Err(error) => Ok(format!("{error:#}")),
    }
}

async fn start(topology: &Topology) -> Result<Stack> {
    let ours = binary::program("causeway-edge")?.parent().map(Path::to_owned);
    let places = Places { ours, progress: Progress::Quiet };
    Stack::start(topology, &Options { places, ..Options::default() }).await
}

fn first(stack: &Stack) -> &Address {
    &stack.hops[0].address
}

/// It stops within its time, and nothing of it is there afterwards.
async fn leaves_nothing(mut stack: Stack) -> Result<()> {
    let processes: Vec<Process> = stack.hops.iter().flat_map(|hop| hop.process.tree()).collect();
    let addresses: Vec<Address> = stack.hops.iter().map(|hop| hop.address.clone()).collect();
    let folder = stack.folder().to_owned();
    stack.stop().await?;
    drop(stack);
    for process in processes {
        ensure!(!process.alive(), "process {} is left", process.pid);
    }
    for address in addresses {
        match address {
            Address::Tcp(address) => {
                TcpListener::bind(address).with_context(|| format!("{address} is left"))?;
            }
            Address::Unix(socket) => {
                ensure!(!socket.exists(), "\"{}\" is left", socket.display());
            }
        }
    }
    ensure!(!folder.exists(), "\"{}\" is left", folder.display());
    Ok(())
}

fn application_folder(name: &str) -> PathBuf {
    workspace::root().join("apps").join(name)
}

fn shipped(name: &str) -> Result<Topology> {
    Topology::read(&workspace::root().join(format!("topologies/{name}.toml")))
}

fn of_flaskr(folder: &TempDir, hops: &str) -> Result<Topology> {
    let application = format!("application = \"{}\"", application_folder("flaskr").display());
    topology(folder, &application, hops)
}

/// What is in flaskr's folder, called so, in the environment of another.
fn described(callable: &str, environment: &str) -> Result<String> {
    let other = Application::in_folder(environment, &application_folder(environment))?;
    let python = other.environment(&Python::find()?, Progress::Quiet)?.python();
    Ok(format!(
        "[application]\nfolder = \"{}\"\napplication = \"{callable}\"\npython = \"{}\"",
        application_folder("flaskr").display(),
        python.display()
    ))
}

/// One of somebody's own.
fn topology(folder: &TempDir, application: &str, hops: &str) -> Result<Topology> {
    let file = folder.path().join("own.toml");
    fs::write(&file, format!("about = \"\"\n{application}\n{hops}"))?;
    Topology::read(&file)
}
