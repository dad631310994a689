//! A chain of real processes: edge, gateway with its workers, application. Each place can be taken by
//! our program or by the one it stands in for, with the same files and flags: a journey that passes on
//! nginx and gunicorn is a journey and not a description of our own habits.

use std::net::SocketAddr;
use std::process::Command;

use anyhow::{Context as _, Result, bail};
use xtask::progress::Progress;
use xtask::python::Environment;
use xtask::recipe::{Recipe, Timing};

use crate::apps;
use crate::binary;
use crate::hop::Hop;
use crate::log::Log;
use crate::scratch::Scratch;
use crate::wire::{Answer, Wire};

/// Who does the web server's job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Edge {
    Causeway,
    Nginx,
}

/// Who does the WSGI server's job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Gateway {
    Causeway,
    Gunicorn,
}

type EditConf = Box<dyn Fn(String) -> String>;

/// What chain a test wants.
pub struct Builder {
    application: &'static str,
    edge: Edge,
    gateway: Gateway,
    workers: usize,
    timing: Timing,
    variables: Vec<(String, String)>,
    edit_conf: EditConf,
}

/// A running chain.
pub struct Chain {
    // Dropped in this order: the browser's side first.
    pub edge: Hop,
    pub gateway: Hop,
    pub recipe: Recipe,
    pub gateway_kind: Gateway,
    timing: Timing,
    pub scratch: Scratch,
}

impl Edge {
    /// `CHAIN_EDGE=nginx` puts nginx under every test that does not choose.
    fn chosen() -> Edge {
        match std::env::var("CHAIN_EDGE").as_deref() {
            Ok("nginx") => Edge::Nginx,
            Ok("causeway") | Err(_) => Edge::Causeway,
            Ok(other) => panic!("CHAIN_EDGE is \"{other}\", neither \"nginx\" nor \"causeway\""),
        }
    }
}

impl Gateway {
    /// `CHAIN_GATEWAY=gunicorn` puts gunicorn under every test that does not choose.
    fn chosen() -> Gateway {
        match std::env::var("CHAIN_GATEWAY").as_deref() {
            Ok("gunicorn") => Gateway::Gunicorn,
            Ok("causeway") | Err(_) => Gateway::Causeway,
            Ok(other) => {
                panic!("CHAIN_GATEWAY is \"{other}\", neither \"gunicorn\" nor \"causeway\"")
            }
        }
    }
}

impl Builder {
    pub fn edge(mut self, edge: Edge) -> Builder {
        self.edge = edge;
        self
    }

    pub fn gateway(mut self, gateway: Gateway) -> Builder {
        self.gateway = gateway;
        self
    }

    pub fn workers(mut self, workers: usize) -> Builder {
        self.workers = workers;
        self
    }

    /// Switches tracing on in our hops, as `up` does. nginx and gunicorn have no such switch.
    pub fn timing(mut self) -> Builder {
        self.timing = Timing::On;
        self
    }

    /// One more environment variable for the application.
    pub fn variable(mut self, name: &str, value: &str) -> Builder {
        self.variables.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Changes nginx.conf before the edge reads it.
    pub fn conf(mut self, edit: impl Fn(String) -> String + 'static) -> Builder {
        self.edit_conf = Box::new(edit);
        self
    }

    /// Starts gateway and edge, and returns when a request gets through.
    pub async fn start(self) -> Result<Chain> {
        let prepared = apps::prepared(self.application)?;
        let scratch = Scratch::new();
        let mut recipe = Recipe {
            application: prepared.application.clone(),
            run: scratch.path().to_owned(),
            data: scratch.join("data"),
            python: prepared.environment.python(),
            port: 0,
            workers: self.workers,
            variables: self.variables,
        };
        prepared.copy_data(&recipe.data)?;
        recipe.lay_out()?;
        let gateway = start_gateway(&recipe, self.gateway, self.timing).await?;
        let edge = start_edge(&mut recipe, self.edge, self.timing, &self.edit_conf).await?;
        Ok(Chain {
            edge,
            gateway,
            recipe,
            gateway_kind: self.gateway,
            timing: self.timing,
            scratch,
        })
    }
}

/// Starts the gateway of a recipe, and waits until the application answers through it.
async fn start_gateway(recipe: &Recipe, kind: Gateway, timing: Timing) -> Result<Hop> {
    let command = match kind {
        Gateway::Causeway => recipe.gateway(&binary::program("causeway-gateway")?, timing),
        Gateway::Gunicorn => gunicorn(recipe)?,
    };
    let mut hop = Hop::start("the gateway", command, &recipe.run.join("gateway-output.log"))?;
    hop.ready(&recipe.gateway_address(), recipe.application.first_page()).await?;
    Ok(hop)
}

/// gunicorn lives in an environment of its own, and finds the application's packages by path.
fn gunicorn(recipe: &Recipe) -> Result<Command> {
    let program = xtask::peers::gunicorn(Progress::Quiet)?;
    let bin = recipe
        .python
        .parent()
        .and_then(|bin| bin.parent())
        .context("an interpreter lies in ENV/bin")?;
    let packages = Environment { folder: bin.to_owned() }.packages()?;
    let mut command = Command::new(program);
    command.arg("--no-control-socket").arg("--pythonpath").arg(packages);
    recipe.gateway_flags(&mut command);
    Ok(command)
}

/// Starts the edge on a free port. Between finding a port free and binding it, another process may
/// take it: then another is tried.
async fn start_edge(
    recipe: &mut Recipe,
    kind: Edge,
    timing: Timing,
    edit_conf: &EditConf,
) -> Result<Hop> {
    let program = match kind {
        Edge::Causeway => binary::program("causeway-edge")?,
        Edge::Nginx => nginx()?,
    };
    let timing = if kind == Edge::Nginx { Timing::Off } else { timing };
    let mut taken = None;
    for _ in 0..5 {
        recipe.port = free_port()?;
        let conf = edit_conf(recipe.conf().render("nginx.conf")?);
        std::fs::write(recipe.run.join("nginx.conf"), with_temporary_folders(kind, conf, recipe))?;
        let output = recipe.run.join("edge-output.log");
        let mut hop = Hop::start("the edge", recipe.edge(&program, timing), &output)?;
        match hop.ready(&recipe.edge_address(), recipe.application.first_page()).await {
            Ok(()) => return Ok(hop),
            Err(error) if Log::at(&output).text().contains("Address already in use") => {
                taken = Some(error);
            }
            Err(error) => return Err(error),
        }
    }
    Err(taken.expect("five attempts leave a reason"))
}

/// Debian's nginx keeps bodies under /var/lib/nginx, which only root can write.
fn with_temporary_folders(kind: Edge, conf: String, recipe: &Recipe) -> String {
    if kind == Edge::Causeway {
        return conf;
    }
    let folders = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"];
    let folders =
        folders.map(|name| format!("    {name}_temp_path {}/{name};\n", recipe.run.display()));
    conf.replacen("http {\n", &format!("http {{\n{}", folders.concat()), 1)
}

/// The real one.
pub fn nginx() -> Result<std::path::PathBuf> {
    let places = ["/usr/sbin/nginx", "/usr/local/sbin/nginx", "/usr/bin/nginx"];
    match places.iter().find(|place| std::path::Path::new(place).is_file()) {
        Some(place) => Ok(place.into()),
        None => bail!("there is no nginx: apt-get install nginx-light"),
    }
}

pub fn free_port() -> Result<u16> {
    Ok(std::net::TcpListener::bind(("127.0.0.1", 0))?.local_addr()?.port())
}

impl Chain {
    pub fn of(application: &'static str) -> Builder {
        Builder {
            application,
            edge: Edge::chosen(),
            gateway: Gateway::chosen(),
            workers: 2,
            timing: Timing::Off,
            variables: Vec::new(),
            edit_conf: Box::new(|conf| conf),
        }
    }

    pub fn address(&self) -> SocketAddr {
        ([127, 0, 0, 1], self.recipe.port).into()
    }

    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address())
    }

    /// A connection to the edge.
    pub async fn wire(&self) -> Result<Wire> {
        Wire::tcp(self.address()).await.context("the edge refuses")
    }

    /// A connection to the gateway's own socket.
    pub async fn gateway_wire(&self) -> Result<Wire> {
        Wire::unix(&self.recipe.socket()).await.context("the gateway refuses")
    }

    pub async fn get(&self, path: &str) -> Result<Answer> {
        self.wire().await?.get(path).await
    }

    /// The gateway once more, after a test stopped it. The edge is not told.
    pub async fn restart_gateway(&mut self) -> Result<()> {
        self.gateway = start_gateway(&self.recipe, self.gateway_kind, self.timing).await?;
        Ok(())
    }

    pub fn edge_log(&self) -> Log {
        Log::at(&self.scratch.join("edge.log"))
    }

    pub fn edge_access_log(&self) -> Log {
        Log::at(&self.scratch.join("edge-access.log"))
    }

    pub fn gateway_log(&self) -> Log {
        Log::at(&self.scratch.join("gateway.log"))
    }

    pub fn gateway_access_log(&self) -> Log {
        Log::at(&self.scratch.join("gateway-access.log"))
    }

    /// What the workers write, wherever it goes: what they say about a request is in the gateway's log,
    /// what they print stays on its output.
    pub fn application_log(&self) -> Log {
        Log::at(&self.scratch.join("gateway-output.log")).and(self.gateway_log())
    }
}
