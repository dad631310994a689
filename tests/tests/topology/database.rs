//! PostgreSQL of a run's own: the application works in it, and another run starts from the same state.

use anyhow::Result;
use topology::probe::Address;
use topology::{Options, Stack, Topology};

use crate::deployment::shipped;

async fn status(stack: &Stack, path: &str) -> Result<u16> {
    let address = Address::Tcp(stack.url.socket_addrs(|| None)?[0]);
    Ok(address.ask(path).await?)
}

/// What psql says to a question, asked as the application would.
fn ask(stack: &Stack, question: &str) -> Result<String> {
    let url = stack.subject.variables.iter().find(|(name, _)| name == "DATABASE_URL");
    let url = &url.expect("the application is told").1;
    let script = "import os, sys, psycopg\n\
        with psycopg.connect(sys.argv[1], autocommit=True) as connection:\n    \
        cursor = connection.execute(sys.argv[2])\n    \
        print(cursor.fetchone()[0] if cursor.description else cursor.statusmessage)";
    let mut python = std::process::Command::new(stack.subject.environment.python());
    let output = python.args(["-c", script, url, question]).output()?;
    anyhow::ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

const COUNT: &str = "select count(*) from board_question";

#[tokio::test]
async fn each_run_has_what_was_prepared_and_nothing_of_another() {
    let topology = Topology::read(&shipped("postgresql")).unwrap();
    let options = Options::default();
    let mut one = Stack::start(&topology, &options).await.unwrap();
    let mut two = Stack::start(&topology, &options).await.unwrap();
    assert_eq!(ask(&one, COUNT).unwrap(), "300");
    ask(&one, "truncate board_question cascade").unwrap();
    assert_eq!(ask(&one, COUNT).unwrap(), "0");
    assert_eq!(ask(&two, COUNT).unwrap(), "300");
    assert_eq!(status(&one, "/pybo/").await.unwrap(), 200);
    assert_eq!(status(&one, "/pybo/300/").await.unwrap(), 404);
    assert_eq!(status(&two, "/pybo/300/").await.unwrap(), 200);
    one.stop().await.unwrap();
    two.stop().await.unwrap();
}

/// It is a hop as any other to who would end it.
#[tokio::test]
async fn the_server_can_be_found_by_its_name() {
    let topology = Topology::read(&shipped("postgresql")).unwrap();
    let stack = Stack::start(&topology, &Options::default()).await.unwrap();
    let database = stack.hop("database").unwrap();
    assert_eq!(database.kind.name(), "postgresql");
    assert!(database.process.command_line().contains("postgres"));
    assert_eq!(stack.hops.last().unwrap().name, "database");
}

#[tokio::test]
async fn an_application_without_a_database_runs_beside_it() {
    let topology = Topology::read(&shipped("postgresql")).unwrap();
    let flaskr = topology.serving(&xtask::workspace::root().join("apps/flaskr")).unwrap();
    let stack = Stack::start(&flaskr, &Options::default()).await.unwrap();
    assert_eq!(status(&stack, "/environ").await.unwrap(), 200);
}
