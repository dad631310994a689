//! Each of Toxiproxy's types does what its name says.

use std::time::{Duration, Instant};

use fault::{
    Bandwidth, Kind, Latency, LimitData, ResetPeer, Slicer, SlowClose, Stream, Timeout, Toxic,
};

use crate::peer::{Family, Stand, converse, patiently};

fn bandwidth(rate: u64) -> Kind {
    Kind::Bandwidth(Bandwidth { rate })
}

#[tokio::test]
async fn latency_delays_by_at_least_its_time_and_keeps_the_order() {
    for stream in [Stream::Upstream, Stream::Downstream] {
        let stand = Stand::new().await;
        let latency = Kind::Latency(Latency { latency: 150, jitter: 50 });
        stand.proxy.toxic(Toxic::on(stream, latency)).unwrap();
        let (client, server) = stand.pair().await;
        let (mut sender, mut receiver) = match stream {
            Stream::Upstream => (client, server),
            Stream::Downstream => (server, client),
        };
        let begun = Instant::now();
        let text: String = (0..200).map(|at| format!("{at:05}")).collect();
        for piece in text.as_bytes().chunks(5) {
            sender.send(piece).await;
        }
        receiver.expect(&text).await;
        assert!(begun.elapsed() >= Duration::from_millis(100), "{:?}", begun.elapsed());
    }
}

#[tokio::test]
async fn latencies_add_up_and_hold_more_than_a_window() {
    let stand = Stand::new().await;
    let latency = || Kind::Latency(Latency { latency: 100, jitter: 0 });
    stand.proxy.toxic(Toxic::new(latency())).unwrap();
    stand.proxy.toxic(Toxic::new(latency()).named("again")).unwrap();
    let (mut client, mut server) = stand.pair().await;
    let begun = Instant::now();
    let sent = vec![7; 1_000_000];
    let (received, ()) = tokio::join!(client.exactly(sent.len()), server.send(&sent));
    assert!(received == sent);
    assert!(begun.elapsed() >= Duration::from_millis(200), "{:?}", begun.elapsed());
}

#[tokio::test]
async fn bandwidth_takes_the_time_its_rate_says() {
    let stand = Stand::new().await;
    stand.proxy.toxic(Toxic::new(bandwidth(200))).unwrap();
    let (mut client, mut server) = stand.pair().await;
    let begun = Instant::now();
    let sent = vec![7; 100_000];
    let (received, ()) = tokio::join!(client.exactly(sent.len()), server.send(&sent));
    assert!(received == sent);
    assert!(begun.elapsed() >= Duration::from_millis(490), "{:?}", begun.elapsed());
}

#[tokio::test]
async fn bandwidth_of_nothing_holds_everything_until_it_is_removed() {
    let stand = Stand::new().await;
    stand.proxy.toxic(Toxic::new(bandwidth(0))).unwrap();
    let (mut client, mut server) = stand.pair().await;
    client.send("ping").await;
    server.expect("ping").await;
    server.send("pong").await;
    server.finish().await;
    stand.has_read(Stream::Downstream, 4).await;
    assert_eq!(stand.proxy.counters().downstream.sent, 0);
    stand.proxy.remove("bandwidth_downstream").unwrap();
    client.expect("pong").await;
    client.ends().await;
}

#[tokio::test]
async fn slow_close_delays_the_end_only() {
    let stand = Stand::new().await;
    stand.proxy.toxic(Toxic::new(Kind::SlowClose(SlowClose { delay: 200 }))).unwrap();
    let (mut client, mut server) = stand.pair().await;
    converse(&mut client, &mut server).await;
    let begun = Instant::now();
    drop(server);
    client.ends().await;
    assert!(begun.elapsed() >= Duration::from_millis(200), "{:?}", begun.elapsed());
}

#[tokio::test]
async fn timeout_loses_what_is_sent_and_closes_after_its_time() {
    let stand = Stand::new().await;
    stand
        .proxy
        .toxic(Toxic::on(Stream::Upstream, Kind::Timeout(Timeout { timeout: 100 })))
        .unwrap();
    let begun = Instant::now();
    let (mut client, mut server) = stand.pair().await;
    client.send("lost").await;
    server.ends().await;
    client.ends().await;
    assert!(begun.elapsed() >= Duration::from_millis(100), "{:?}", begun.elapsed());
    assert_eq!(stand.lines("\"timeout_upstream\" (timeout) applied").len(), 1);
}

#[tokio::test]
async fn timeout_of_nothing_hangs_until_it_is_removed_and_then_closes() {
    let stand = Stand::new().await;
    stand.proxy.toxic(Toxic::new(Kind::Timeout(Timeout { timeout: 0 }))).unwrap();
    let (mut client, mut server) = stand.pair().await;
    client.send("ping").await;
    server.expect("ping").await;
    server.send("lost").await;
    stand.has_read(Stream::Downstream, 4).await;
    assert_eq!(stand.proxy.counters().open, 1);
    stand.proxy.remove("timeout_downstream").unwrap();
    client.ends().await;
    server.ends().await;
}

#[tokio::test]
async fn reset_peer_resets_both_sides() {
    for family in [Family::Tcp, Family::Unix] {
        let stand = Stand::of(family).await;
        let reset = Kind::ResetPeer(ResetPeer { timeout: 0 });
        stand.proxy.toxic(Toxic::on(Stream::Upstream, reset)).unwrap();
        let (mut client, mut server) = stand.pair().await;
        client.send("never read").await;
        client.is_reset().await;
        match family {
            Family::Tcp => server.is_reset().await,
            // A unix socket has no RST, and nothing that this side has sent is unread.
            Family::Unix => server.ends().await,
        }
    }
}

#[tokio::test]
async fn reset_peer_waits_its_time() {
    let stand = Stand::new().await;
    stand.proxy.toxic(Toxic::new(Kind::ResetPeer(ResetPeer { timeout: 150 }))).unwrap();
    let (mut client, mut server) = stand.pair().await;
    let begun = Instant::now();
    server.send("lost").await;
    client.is_reset().await;
    assert!(begun.elapsed() >= Duration::from_millis(150), "{:?}", begun.elapsed());
}

#[tokio::test]
async fn slicer_cuts_into_pieces_of_its_size() {
    let stand = Stand::new().await;
    let slicer = Slicer { average_size: 10, size_variation: 3, delay: 20_000 };
    stand.proxy.toxic(Toxic::new(Kind::Slicer(slicer))).unwrap();
    let (mut client, mut server) = stand.pair().await;
    let begun = Instant::now();
    let text = "0123456789".repeat(10);
    server.send(&text).await;
    client.expect(&text).await;
    // At most 13 bytes in a piece: at least 7 pauses.
    assert!(begun.elapsed() >= Duration::from_millis(140), "{:?}", begun.elapsed());
}

#[tokio::test]
async fn limit_data_closes_after_its_bytes() {
    for (bytes, arrive) in [(0, ""), (4, "0123"), (10, "0123456789")] {
        let stand = Stand::new().await;
        stand.proxy.toxic(Toxic::new(Kind::LimitData(LimitData { bytes }))).unwrap();
        let (mut client, mut server) = stand.pair().await;
        server.send("0123").await;
        // The limit may close the connection before the rest is sent.
        if bytes > 4 {
            server.send("456789").await;
        }
        let (all, end) = client.rest().await;
        end.unwrap();
        assert_eq!(String::from_utf8_lossy(&all), arrive);
    }
}

#[tokio::test]
async fn down_refuses_connections_and_closes_those_there_are() {
    for family in [Family::Tcp, Family::Unix] {
        let stand = Stand::of(family).await;
        let (mut client, mut server) = stand.pair().await;
        converse(&mut client, &mut server).await;
        let listen = stand.proxy.listen().to_string();
        stand.proxy.disable().await;
        client.ends().await;
        server.ends().await;
        assert!(crate::peer::Peer::connect(&listen).await.is_err());
        stand.proxy.enable().await.unwrap();
        assert_eq!(stand.proxy.listen().to_string(), listen);
        let (mut client, mut server) = stand.pair().await;
        converse(&mut client, &mut server).await;
    }
}

#[tokio::test]
async fn toxicity_zero_touches_no_connection() {
    let stand = Stand::new().await;
    let toxics = [
        Kind::LimitData(LimitData { bytes: 0 }),
        Kind::ResetPeer(ResetPeer { timeout: 0 }),
        Kind::Timeout(Timeout { timeout: 0 }),
        bandwidth(0),
    ];
    for stream in [Stream::Upstream, Stream::Downstream] {
        for kind in &toxics {
            stand.proxy.toxic(Toxic::on(stream, kind.clone()).toxicity(0.0)).unwrap();
        }
    }
    for _ in 0..50 {
        let (mut client, mut server) = stand.pair().await;
        converse(&mut client, &mut server).await;
        drop(client);
        server.ends().await;
    }
    assert_eq!(stand.lines("applied"), Vec::<String>::new());
}

#[tokio::test]
async fn toxicity_touches_about_its_share_of_connections() {
    let stand = Stand::new().await;
    stand.proxy.toxic(Toxic::new(Kind::LimitData(LimitData { bytes: 1 })).toxicity(0.5)).unwrap();
    let mut touched = 0;
    for _ in 0..200 {
        let (mut client, mut server) = stand.pair().await;
        server.send("ok").await;
        server.finish().await;
        let (all, _) = patiently("rest", client.rest()).await;
        touched += usize::from(all.len() == 1);
    }
    assert_eq!(stand.lines("applied").len(), touched);
    // 100 on average; the chance of so few or so many is below one in a billion.
    assert!((55..=145).contains(&touched), "{touched} of 200");
}
