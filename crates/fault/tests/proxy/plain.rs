//! Without toxics the two ends can not tell that there is a proxy.

use fault::{Counters, Fault, Journal};
use tokio::net::UnixListener;

use crate::peer::{Family, Peer, Stand, converse, patiently};

#[tokio::test]
async fn bytes_pass_both_ways_and_are_counted() {
    for family in [Family::Tcp, Family::Unix] {
        let stand = Stand::of(family).await;
        let (mut client, mut server) = stand.pair().await;
        converse(&mut client, &mut server).await;
        let counters = stand.proxy.counters();
        assert_eq!((counters.accepted, counters.open), (1, 1));
        let bytes = [counters.upstream, counters.downstream];
        assert_eq!(bytes.map(|bytes| (bytes.received, bytes.sent)), [(4, 4), (4, 4)]);
    }
}

#[tokio::test]
async fn megabytes_pass_both_ways_at_once() {
    let stand = Stand::new().await;
    let (mut client, mut server) = stand.pair().await;
    let sent: Vec<u8> = (0..4_000_000_u32).map(|at| (at % 251) as u8).collect();
    let echo = async {
        let (all, end) = server.rest().await;
        end.unwrap();
        server.send(&all).await;
        server.finish().await;
    };
    let back = async {
        client.send(&sent).await;
        client.finish().await;
        client.rest().await
    };
    let ((), (received, end)) = patiently("echo", async { tokio::join!(echo, back) }).await;
    end.unwrap();
    assert!(received == sent, "{} bytes of {} came back", received.len(), sent.len());
}

#[tokio::test]
async fn a_half_closed_connection_still_answers() {
    for family in [Family::Tcp, Family::Unix] {
        let stand = Stand::of(family).await;
        let (mut client, mut server) = stand.pair().await;
        client.send("question").await;
        client.finish().await;
        assert_eq!(server.rest().await.0, b"question");
        server.send("answer").await;
        drop(server);
        assert_eq!(client.rest().await.0, b"answer");
    }
}

#[tokio::test]
async fn an_upstream_may_come_later_than_its_proxy() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("server");
    let fault = Fault::new(Journal::stderr());
    let upstream = format!("unix:{}", path.display());
    let proxy = fault.proxy("early", "127.0.0.1:0", &upstream).await.unwrap();
    let listen = proxy.listen().to_string();
    Peer::connect(&listen).await.unwrap().is_reset().await;
    let Counters { accepted, unreachable, .. } = proxy.counters();
    assert_eq!((accepted, unreachable), (1, 1));
    let server = UnixListener::bind(&path).unwrap();
    let mut client = Peer::connect(&listen).await.unwrap();
    client.send("ping").await;
    let (mut accepted, _) = patiently("accept", server.accept()).await.unwrap();
    let mut read = [0; 4];
    patiently("read", tokio::io::AsyncReadExt::read_exact(&mut accepted, &mut read)).await.unwrap();
    assert_eq!(&read, b"ping");
}

#[tokio::test]
async fn two_hundred_connections_through_eight_proxies_do_not_mix() {
    let mut stands = Vec::new();
    for _ in 0..8 {
        stands.push(Stand::new().await);
    }
    let mut pairs = Vec::new();
    for _ in 0..25 {
        for stand in &stands {
            pairs.push(stand.pair().await);
        }
    }
    for (at, (client, _)) in pairs.iter_mut().enumerate() {
        client.send(format!("{at:08}")).await;
    }
    for (at, (_, server)) in pairs.iter_mut().enumerate() {
        server.expect(&format!("{at:08}")).await;
    }
    assert!(stands.iter().all(|stand| stand.proxy.counters().open == 25));
}
