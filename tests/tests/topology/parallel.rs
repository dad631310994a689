//! Four runs of one topology at once: nobody takes a port, a socket or a folder from another.

use std::collections::BTreeSet;

use e2e::wire::PATIENCE;
use topology::kinds::Places;
use topology::probe::Address;
use topology::{Options, Stack, Topology};

use crate::deployment::{Deployment, shipped};

#[tokio::test]
async fn runs_of_one_topology_do_not_collide() {
    let mut others = ["default"; 2].map(|name| Deployment::start(name, "flaskr").unwrap());
    let topology = Topology::read(&shipped("default")).unwrap();
    let topology = topology.serving(&xtask::workspace::root().join("apps/flaskr")).unwrap();
    let options = Options::default();
    let (one, two) =
        tokio::join!(Stack::start(&topology, &options), Stack::start(&topology, &options));
    let (mut one, mut two) = (one.unwrap(), two.unwrap());

    let mut urls = BTreeSet::from([one.url.clone(), two.url.clone()]);
    let mut folders = BTreeSet::from([one.folder().to_owned(), two.folder().to_owned()]);
    for other in &mut others {
        let described = other.ready().await.unwrap();
        urls.insert(described.url);
        folders.insert(described.folder);
    }
    assert_eq!((urls.len(), folders.len()), (4, 4));
    for url in &urls {
        let address = Address::Tcp(url.socket_addrs(|| None).unwrap()[0]);
        let asked = tokio::time::timeout(PATIENCE, address.ask("/environ")).await;
        assert_eq!(asked.unwrap().unwrap(), 200, "{url}");
    }
    one.stop().await.unwrap();
    two.stop().await.unwrap();
    for mut other in others {
        drop(other.child.stdin.take());
        assert_eq!(other.ended().await.unwrap().0, Some(0));
    }
}

#[tokio::test]
async fn a_port_that_is_taken_is_named() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    let topology = Topology::read(&shipped("default")).unwrap();
    let topology = topology.serving(&xtask::workspace::root().join("apps/flaskr")).unwrap();
    let options = Options { places: Places::default(), port: Some(port), ..Options::default() };
    let error = Stack::start(&topology, &options).await.unwrap_err().to_string();
    assert!(error.starts_with(&format!("port {port} is in use")), "{error}");
}
