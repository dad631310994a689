//! `kill -9` of what started a topology, at every moment of its life: no process, socket, port, network
//! or shared memory stays.

#[cfg(feature = "real")]
use std::fs;

use anyhow::Result;
use e2e::scratch::Scratch;
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
#[cfg(feature = "real")]
use topology::{Options, Stack, Topology};

use crate::deployment::{Deployment, shipped, until};

/// When it is killed.
#[derive(Clone, Copy, Debug)]
enum Moment {
    /// As soon as it has so many processes.
    Processes(usize),
    /// When it can be used.
    Ready,
    /// After it was told to end, as soon as it has at most so many processes left.
    Leaving(usize),
}

use Moment::{Leaving, Processes, Ready};

async fn kill_at(topology: &str, application: &str, moment: Moment) -> Result<()> {
    let mut deployment = Deployment::start(topology, application)?;
    match moment {
        Processes(count) => {
            until(|| deployment.count() >= count).await?;
        }
        Ready => drop(deployment.ready().await?),
        Leaving(count) => {
            deployment.ready().await?;
            deployment.signal(Signal::SIGTERM);
            until(|| deployment.count() <= count).await?;
        }
    }
    let traces = deployment.traces();
    if let Ready = moment {
        // Else nothing could be left behind.
        let (processes, ports) = (traces.processes.len(), traces.ports.len());
        assert!(processes >= 8 && ports >= 1, "{processes} processes, {ports} ports");
        assert_eq!(traces.networks.is_empty(), topology != "hosts");
    }
    deployment.child.kill().await?;
    deployment.nothing_is_left_of(&traces).await
}

async fn kill_at_each(topology: &str, application: &str, moments: &[Moment]) {
    for moment in moments {
        if let Err(error) = kill_at(topology, application, *moment).await {
            panic!("{topology}, killed at {moment:?}: {error:#}");
        }
    }
}

#[tokio::test]
async fn of_the_default_topology() {
    let starting = [2, 3, 4, 5, 6, 7, 8].map(Processes);
    kill_at_each("default", "flaskr", &starting).await;
    kill_at_each("default", "flaskr", &[Ready, Leaving(8), Leaving(6), Leaving(4), Leaving(2)])
        .await;
}

/// As a CI ends a job: with everybody in the group, and the keepers are not in it.
#[tokio::test]
async fn of_one_whose_whole_process_group_is_killed() {
    let mut deployment = Deployment::start("default", "flaskr").unwrap();
    deployment.ready().await.unwrap();
    let traces = deployment.traces();
    let group = Pid::from_raw(deployment.child.id().unwrap() as i32);
    killpg(group, Signal::SIGKILL).unwrap();
    deployment.child.wait().await.unwrap();
    deployment.nothing_is_left_of(&traces).await.unwrap();
}

/// Even of what takes minutes and is done once.
#[tokio::test]
async fn of_an_environment_that_is_being_made() {
    let state = Scratch::new();
    let mut deployment =
        Deployment::start_with(&shipped("default"), Some("flaskr"), Some(state.path())).unwrap();
    until(|| deployment.runs("ensurepip") || deployment.runs("pip install")).await.unwrap();
    let traces = deployment.traces();
    deployment.child.kill().await.unwrap();
    deployment.nothing_is_left_of(&traces).await.unwrap();
}

#[cfg(feature = "real")]
#[tokio::test]
async fn of_a_topology_with_postgresql() {
    kill_at("postgresql", "pybo", Ready).await.unwrap();
    let starting = [2, 3, 4, 6, 8, 10, 12, 14].map(Processes);
    kill_at_each("postgresql", "pybo", &starting).await;
    kill_at_each("postgresql", "pybo", &[Leaving(14), Leaving(10), Leaving(7), Leaving(3)]).await;
}

#[cfg(feature = "real")]
#[tokio::test]
async fn of_a_topology_of_hosts() {
    kill_at("hosts", "pybo", Ready).await.unwrap();
    let starting = [2, 3, 4, 6, 8, 10, 12, 14].map(Processes);
    kill_at_each("hosts", "pybo", &starting).await;
    kill_at_each("hosts", "pybo", &[Leaving(14), Leaving(10), Leaving(7), Leaving(3)]).await;
}

/// While its cluster is made and the application prepared in it, which is done once.
#[cfg(feature = "real")]
#[tokio::test]
async fn of_a_database_that_is_being_prepared() {
    let topology = Topology::read(&shipped("postgresql")).unwrap();
    let ready = Stack::start(&topology, &Options::default()).await.unwrap();
    let python = ready.subject.environment.python();
    drop(ready);
    let own = format!(
        r#"
about = "Pybo, with an environment that is there and nothing else"
database = "postgresql"
[application]
folder = "{}"
python = "{}"
application = "config.wsgi:application"
prepare = [["manage.py", "migrate", "--noinput"], ["manage.py", "seed"], ["manage.py", "collectstatic", "--noinput"]]
env = {{ PYBO_DATA = "{{data}}" }}
[[hop]]
kind = "gateway"
"#,
        xtask::workspace::root().join("apps/pybo").display(),
        python.display()
    );
    for moment in ["initdb", "migrate", "seed", "collectstatic"] {
        let state = Scratch::new();
        let file = state.join("own.toml");
        fs::write(&file, &own).unwrap();
        let mut deployment = Deployment::start_with(&file, None, Some(state.path())).unwrap();
        until(|| deployment.runs(moment)).await.unwrap();
        let traces = deployment.traces();
        deployment.child.kill().await.unwrap();
        if let Err(error) = deployment.nothing_is_left_of(&traces).await {
            panic!("killed at {moment}: {error:#}");
        }
    }
}
