//! Toxics that come, change and go while connections are open.

use std::time::{Duration, Instant};

use fault::{Bandwidth, Kind, Latency, LimitData, Slicer, Stream, Timeout, Toxic};

use crate::peer::{Stand, converse};

#[tokio::test]
async fn a_toxic_added_takes_effect_on_what_is_sent_next() {
    let stand = Stand::new().await;
    let (mut client, mut server) = stand.pair().await;
    converse(&mut client, &mut server).await;
    // Without a pause between the two, many times: no byte may slip through before the toxic.
    for _ in 0..50 {
        let (mut client, mut server) = stand.pair().await;
        converse(&mut client, &mut server).await;
        stand
            .proxy
            .toxic(Toxic::on(Stream::Upstream, Kind::LimitData(LimitData { bytes: 0 })))
            .unwrap();
        client.send("more").await;
        server.ends().await;
        client.ends().await;
        stand.proxy.remove("limit_data_upstream").unwrap();
    }
    converse(&mut client, &mut server).await;
}

#[tokio::test]
async fn a_toxic_removed_lets_go_of_what_it_held_in_order() {
    let stand = Stand::new().await;
    let hours = Kind::Latency(Latency { latency: 10_000_000, jitter: 0 });
    stand.proxy.toxic(Toxic::new(hours).named("far")).unwrap();
    stand.proxy.toxic(Toxic::new(Kind::Bandwidth(Bandwidth { rate: 0 })).named("cut")).unwrap();
    let slicer = Slicer { average_size: 3, ..Slicer::default() };
    stand.proxy.toxic(Toxic::new(Kind::Slicer(slicer)).named("sliced")).unwrap();
    let (mut client, mut server) = stand.pair().await;
    for at in 0..10 {
        server.send(format!("{at}{at}{at}")).await;
    }
    stand.has_read(Stream::Downstream, 30).await;
    stand.proxy.remove("far").unwrap();
    server.send("xyz").await;
    stand.proxy.remove("cut").unwrap();
    client.expect("000111222333444555666777888999xyz").await;
    stand.proxy.remove_all();
    converse(&mut client, &mut server).await;
}

#[tokio::test]
async fn one_stream_is_touched_and_the_other_is_not() {
    let stand = Stand::new().await;
    let (mut client, mut server) = stand.pair().await;
    stand.proxy.toxic(Toxic::on(Stream::Upstream, Kind::Timeout(Timeout { timeout: 0 }))).unwrap();
    client.send("lost").await;
    server.send("pong").await;
    client.expect("pong").await;
    stand.proxy.remove_all();
    server.ends().await;
}

#[tokio::test]
async fn the_end_does_not_overtake_what_is_delayed() {
    let stand = Stand::new().await;
    stand.proxy.toxic(Toxic::new(Kind::Latency(Latency { latency: 100, jitter: 0 }))).unwrap();
    let (mut client, mut server) = stand.pair().await;
    let begun = Instant::now();
    server.send("late").await;
    drop(server);
    client.expect("late").await;
    client.ends().await;
    assert!(begun.elapsed() >= Duration::from_millis(100), "{:?}", begun.elapsed());
}
