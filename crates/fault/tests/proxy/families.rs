//! TCP and unix sockets, from either to either, and what becomes of a unix socket's file.

use std::os::unix::fs::FileTypeExt as _;

use fault::{Fault, FaultError, Journal};
use tokio::net::UnixListener;

use crate::peer::{Family, Peer, Stand, converse};

#[tokio::test]
async fn either_family_is_joined_to_either() {
    for family in [Family::Tcp, Family::Unix] {
        let stand = Stand::of(family).await;
        let upstream = stand.proxy.upstream().to_string();
        let path = format!("unix:{}/other", stand.folder.path().display());
        let name = format!("unix:@fault-test-{}", fastrand::u64(..));
        for listen in ["127.0.0.1:0", &path, &name] {
            let proxy = stand.fault.proxy(listen, listen, &upstream).await.unwrap();
            let mut client = Peer::connect(&proxy.listen().to_string()).await.unwrap();
            converse(&mut client, &mut stand.accept().await).await;
        }
    }
}

#[tokio::test]
async fn the_file_of_a_socket_goes_with_its_proxy() {
    let stand = Stand::of(Family::Unix).await;
    let path = stand.folder.path().join("proxy");
    assert!(path.metadata().unwrap().file_type().is_socket());
    stand.fault.remove("hop").await.unwrap();
    assert!(!path.exists());
}

#[tokio::test]
async fn a_stale_file_is_replaced_and_any_other_is_not() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("socket");
    // As a process leaves it that is killed.
    drop(UnixListener::bind(&path).unwrap());
    assert!(path.exists());
    let fault = Fault::new(Journal::stderr());
    let listen = format!("unix:{}", path.display());
    fault.proxy("stale", &listen, "127.0.0.1:1").await.unwrap();
    let error = fault.proxy("taken", &listen, "127.0.0.1:1").await.unwrap_err();
    assert!(matches!(error, FaultError::Listen { .. }), "{error}");
    assert_eq!(error.status(), 500);
    let file = folder.path().join("file");
    std::fs::write(&file, "precious").unwrap();
    let listen = format!("unix:{}", file.display());
    fault.proxy("file", &listen, "127.0.0.1:1").await.unwrap_err();
    assert_eq!(std::fs::read(&file).unwrap(), b"precious");
}

#[tokio::test]
async fn a_socket_that_another_has_put_in_the_place_stays() {
    let stand = Stand::of(Family::Unix).await;
    let path = stand.folder.path().join("proxy");
    std::fs::remove_file(&path).unwrap();
    let _other = UnixListener::bind(&path).unwrap();
    stand.proxy.disable().await;
    assert!(path.exists());
}

#[tokio::test]
async fn everything_ends_with_its_last_handle() {
    let stand = Stand::of(Family::Unix).await;
    let (mut client, mut server) = stand.pair().await;
    converse(&mut client, &mut server).await;
    let Stand { proxy, fault, folder, .. } = stand;
    drop((proxy, fault));
    client.ends().await;
    server.ends().await;
    assert!(!folder.path().join("proxy").exists());
}
