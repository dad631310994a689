//! The control API: Toxiproxy's paths, fields, statuses and errors.

use std::time::Duration;

use fault::{Fault, Journal};
use serde_json::{Value, json};
use tokio::{task::JoinSet, time::interval};

use crate::peer::{Peer, Stand, converse, patiently};

/// The program's API, spoken to as bytes.
struct Api {
    address: String,
    fault: Fault,
}

impl Api {
    async fn new() -> Api {
        let (fault, address) = Fault::start("127.0.0.1:0", Journal::stderr()).await.unwrap();
        Api { address: address.to_string(), fault }
    }

    async fn call(&self, method: &str, path: &str, body: &str) -> (u16, String) {
        call(&self.address, method, path, body, "test").await
    }

    /// Status and JSON of the answer, null for an empty one.
    async fn json(&self, method: &str, path: &str, body: Value) -> (u16, Value) {
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let (status, body) = self.call(method, path, &body).await;
        let json = if body.is_empty() { Value::Null } else { serde_json::from_str(&body).unwrap() };
        (status, json)
    }
}

async fn call(address: &str, method: &str, path: &str, body: &str, agent: &str) -> (u16, String) {
    let mut peer = Peer::connect(address).await.unwrap();
    let length = body.len();
    peer.send(format!(
        "{method} {path} HTTP/1.1\r\nHost: x\r\nUser-Agent: {agent}\r\nContent-Length: {length}\r\n\
         Connection: close\r\n\r\n{body}"
    ))
    .await;
    let (answer, end) = peer.rest().await;
    end.unwrap();
    let answer = String::from_utf8(answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    (head[9..12].parse().unwrap(), body.to_owned())
}

#[tokio::test]
async fn a_proxy_is_made_shown_changed_and_deleted() {
    let api = Api::new().await;
    let stand = Stand::new().await;
    let upstream = stand.proxy.upstream().to_string();
    let order = json!({"name": "a b", "upstream": upstream, "listen": "127.0.0.1:0"});
    let (status, made) = api.json("POST", "/proxies", order.clone()).await;
    assert_eq!(status, 201);
    let listen = made["listen"].as_str().unwrap().to_owned();
    assert!(!listen.ends_with(":0"), "{listen}");
    let shown = json!({"name": "a b", "listen": listen, "upstream": upstream, "enabled": true, "toxics": []});
    assert_eq!(made, shown);
    assert_eq!(api.json("GET", "/proxies", Value::Null).await, (200, json!({"a b": shown})));
    assert_eq!(api.json("GET", "/proxies/a%20b", Value::Null).await, (200, shown.clone()));
    let mut client = Peer::connect(&listen).await.unwrap();
    converse(&mut client, &mut stand.accept().await).await;

    let error = json!({"error": "proxy already exists: \"a b\"", "status": 409});
    assert_eq!(api.json("POST", "/proxies", order).await, (409, error));

    let mut down = shown.clone();
    down["enabled"] = false.into();
    for method in ["POST", "PATCH"] {
        let answer = api.json(method, "/proxies/a%20b", json!({"enabled": false})).await;
        assert_eq!(answer, (200, down.clone()));
        client.ends().await;
        Peer::connect(&listen).await.map(|_| ()).unwrap_err();
        // What a client has seen it sends back, with toxics that may have gone since.
        let mut seen = shown.clone();
        seen["toxics"] = json!([{"name": "gone", "type": "latency"}]);
        assert_eq!(api.json(method, "/proxies/a%20b", seen).await, (200, shown.clone()));
        client = Peer::connect(&listen).await.unwrap();
        converse(&mut client, &mut stand.accept().await).await;
    }

    let other = Stand::new().await;
    let elsewhere = json!({"upstream": other.proxy.upstream().to_string()});
    assert_eq!(api.json("POST", "/proxies/a%20b", elsewhere).await.0, 200);
    let mut client = Peer::connect(&listen).await.unwrap();
    converse(&mut client, &mut other.accept().await).await;

    assert_eq!(api.json("DELETE", "/proxies/a%20b", Value::Null).await, (204, Value::Null));
    client.ends().await;
    let error = json!({"error": "proxy not found: \"a b\"", "status": 404});
    assert_eq!(api.json("DELETE", "/proxies/a%20b", Value::Null).await, (404, error));
}

#[tokio::test]
async fn a_toxic_is_added_shown_changed_and_deleted() {
    let api = Api::new().await;
    let order = json!({"name": "p", "upstream": "127.0.0.1:1"});
    assert_eq!(api.json("POST", "/proxies", order).await.0, 201);
    let toxics = "/proxies/p/toxics";
    let order = json!({"type": "latency", "attributes": {"latency": 100}});
    let mut shown = json!({
        "name": "latency_downstream", "type": "latency", "stream": "downstream", "toxicity": 1.0,
        "attributes": {"latency": 100, "jitter": 0},
    });
    assert_eq!(api.json("POST", toxics, order.clone()).await, (200, shown.clone()));
    let error = json!({"error": "toxic already exists: \"latency_downstream\"", "status": 409});
    assert_eq!(api.json("POST", toxics, order).await, (409, error));
    let one = "/proxies/p/toxics/latency_downstream";
    assert_eq!(api.json("GET", one, Value::Null).await, (200, shown.clone()));

    // What is not named stays.
    let change = json!({"toxicity": 0.5, "attributes": {"jitter": 7}});
    shown["toxicity"] = json!(0.5);
    shown["attributes"]["jitter"] = json!(7);
    assert_eq!(api.json("POST", one, change).await, (200, shown.clone()));
    assert_eq!(api.json("PATCH", one, shown.clone()).await, (200, shown.clone()));
    assert_eq!(api.json("GET", toxics, Value::Null).await, (200, json!([shown])));
    assert_eq!(api.json("GET", "/proxies/p", Value::Null).await.1["toxics"], json!([shown]));

    assert_eq!(api.json("DELETE", one, Value::Null).await, (204, Value::Null));
    let error = json!({"error": "toxic not found: \"latency_downstream\"", "status": 404});
    for method in ["GET", "DELETE"] {
        assert_eq!(api.json(method, one, Value::Null).await, (404, error.clone()));
    }
    assert_eq!(api.json("POST", one, json!({})).await, (404, error));
}

#[tokio::test]
async fn what_is_wrong_is_refused_by_name() {
    let api = Api::new().await;
    let order = json!({"name": "p", "upstream": "127.0.0.1:1"});
    assert_eq!(api.json("POST", "/proxies", order).await.0, 201);
    let toxics = "/proxies/p/toxics";
    let latency = json!({"type": "latency"});
    api.json("POST", toxics, latency).await;
    let one = "/proxies/p/toxics/latency_downstream";
    let wrong = [
        ("POST", "/proxies", json!({"upstream": "a:1"}), 400, "missing required field: name"),
        ("POST", "/proxies", json!({"name": "q"}), 400, "missing required field: upstream"),
        (
            "POST",
            "/proxies",
            json!({"name": "q", "upstream": "nowhere"}),
            400,
            "\"nowhere\" is not an address",
        ),
        (
            "POST",
            "/proxies",
            json!({"name": "q", "upstream": "a:1", "colour": 1}),
            400,
            "unknown field `colour`",
        ),
        (
            "POST",
            "/proxies",
            json!({"name": "q", "upstream": "a:1", "listen": api.address}),
            500,
            "cannot listen on",
        ),
        ("POST", "/proxies", json!([]), 400, "bad request body"),
        (
            "POST",
            "/proxies",
            json!({"name": "q", "upstream": "a:1", "toxics": [{}]}),
            400,
            "\"toxics\" can not be",
        ),
        ("POST", "/proxies/p", json!({"name": "other"}), 400, "\"name\" can not be changed"),
        (
            "POST",
            "/populate",
            json!([{"name": "q"}]),
            400,
            "missing required field: upstream at proxy 1",
        ),
        ("POST", toxics, json!({"type": "rain"}), 400, "invalid toxic type: \"rain\""),
        ("POST", toxics, json!({"type": "latency", "stream": "up"}), 400, "stream was invalid"),
        ("POST", toxics, json!({"type": "latency", "toxicity": 2}), 400, "invalid toxicity: 2"),
        (
            "POST",
            toxics,
            json!({"type": "latency", "attributes": {"rate": 1}}),
            400,
            "unknown field `rate`",
        ),
        ("POST", toxics, json!({"type": "latency", "attributes": {"latency": -1}}), 400, "`-1`"),
        ("POST", toxics, json!({"type": "slicer"}), 400, "average_size is 0"),
        (
            "POST",
            toxics,
            json!({"type": "http_status", "attributes": {"status": 99}}),
            400,
            "status 99",
        ),
        ("POST", one, json!({"type": "timeout"}), 400, "\"type\" can not be changed"),
        ("POST", one, json!({"stream": "upstream"}), 400, "\"stream\" can not be changed"),
        ("GET", "/proxies/q/toxics", Value::Null, 404, "proxy not found: \"q\""),
        ("GET", "/nowhere", Value::Null, 404, "no such resource: \"/nowhere\""),
        ("PUT", "/proxies", Value::Null, 405, "\"PUT\" is not a method of \"/proxies\""),
    ];
    for (method, path, body, status, part) in wrong {
        let (answered, error) = api.json(method, path, body.clone()).await;
        assert_eq!(
            (answered, &error["status"]),
            (status, &json!(status)),
            "{method} {path} {body}: {error}"
        );
        let error = error["error"].as_str().unwrap();
        assert!(error.contains(part), "{method} {path} {body}: {error}");
    }
    let (status, error) = api.call("POST", "/proxies", &" ".repeat(2_000_000)).await;
    assert_eq!(status, 413, "{error}");
    let (status, error) = call(&api.address, "GET", "/proxies", "", "Mozilla/5.0").await;
    assert_eq!(
        (status, &error[..]),
        (403, "{\"error\":\"user agent not allowed\",\"status\":403}")
    );
}

#[tokio::test]
async fn populate_makes_and_replaces_and_reset_mends() {
    let api = Api::new().await;
    let order = json!([
        {"name": "a", "listen": "127.0.0.1:0", "upstream": "127.0.0.1:1"},
        {"name": "b", "upstream": "unix:/nowhere", "enabled": false},
    ]);
    let (status, made) = api.json("POST", "/populate", order).await;
    assert_eq!(status, 201);
    let enabled: Vec<bool> =
        made["proxies"].as_array().unwrap().iter().map(|proxy| proxy["enabled"] == true).collect();
    assert_eq!(enabled, [true, false]);
    let listen = &made["proxies"][0]["listen"];
    api.json("POST", "/proxies/a/toxics", json!({"type": "timeout"})).await;
    // The same again changes nothing; another upstream is another proxy.
    let same = json!([{"name": "a", "listen": listen, "upstream": "127.0.0.1:1"}]);
    let (_, again) = api.json("POST", "/populate", same).await;
    assert_eq!(again["proxies"][0]["toxics"].as_array().unwrap().len(), 1);
    let (status, _) = api.json("POST", "/reset", Value::Null).await;
    assert_eq!(status, 204);
    let (_, all) = api.json("GET", "/proxies", Value::Null).await;
    for name in ["a", "b"] {
        assert_eq!((&all[name]["enabled"], &all[name]["toxics"]), (&json!(true), &json!([])));
    }
    let other = json!([{"name": "a", "listen": listen, "upstream": "127.0.0.1:2"}]);
    let (_, other) = api.json("POST", "/populate", other).await;
    assert_eq!(other["proxies"][0]["upstream"], "127.0.0.1:2");
    // Those before the one that fails are made, and told of.
    let half = json!([
        {"name": "c", "upstream": "127.0.0.1:1"},
        {"name": "d", "upstream": "127.0.0.1:1", "listen": listen},
    ]);
    let (status, half) = api.json("POST", "/populate", half).await;
    assert_eq!(
        (status, &half["status"], &half["proxies"][0]["name"]),
        (500, &json!(500), &json!("c"))
    );
}

#[tokio::test]
async fn version_and_metrics_are_told() {
    let api = Api::new().await;
    let (status, version) = api.json("GET", "/version", Value::Null).await;
    assert_eq!((status, version), (200, json!({"version": env!("CARGO_PKG_VERSION")})));
    let stand = Stand::new().await;
    let upstream = stand.proxy.upstream().to_string();
    let (_, made) = api.json("POST", "/proxies", json!({"name": "m", "upstream": upstream})).await;
    let listen = made["listen"].as_str().unwrap();
    let mut client = Peer::connect(listen).await.unwrap();
    converse(&mut client, &mut stand.accept().await).await;
    let (_, metrics) = api.call("GET", "/metrics", "").await;
    let labels = format!("proxy=\"m\",listener=\"{listen}\",upstream=\"{upstream}\"");
    for direction in ["upstream", "downstream"] {
        for name in ["received", "sent"] {
            let line = format!(
                "toxiproxy_proxy_{name}_bytes_total{{direction=\"{direction}\",{labels}}} 4\n"
            );
            assert!(metrics.contains(&line), "{line}{metrics}");
        }
    }
    assert!(metrics.contains(&format!("toxiproxy_proxy_connections_open{{{labels}}} 1\n")));
}

#[tokio::test]
async fn two_hundred_calls_at_once_are_all_answered() {
    let api = Api::new().await;
    let mut calls = JoinSet::new();
    for at in 0..200 {
        let address = api.address.clone();
        calls.spawn(async move {
            let order = json!({"name": format!("p{at}"), "upstream": "127.0.0.1:1"}).to_string();
            let made = call(&address, "POST", "/proxies", &order, "test").await.0;
            let toxics = format!("/proxies/p{at}/toxics");
            let toxic = call(&address, "POST", &toxics, r#"{"type":"latency"}"#, "test").await.0;
            let all = call(&address, "GET", "/proxies", "", "test").await.0;
            let proxy = format!("/proxies/p{at}");
            let gone = call(&address, "DELETE", &proxy, "", "test").await.0;
            [made, toxic, all, gone]
        });
    }
    while let Some(statuses) = calls.join_next().await {
        assert_eq!(statuses.unwrap(), [201, 200, 200, 204]);
    }
    assert_eq!(api.json("GET", "/proxies", Value::Null).await, (200, json!({})));
}

#[tokio::test]
async fn the_api_ends_with_the_last_handle() {
    let Api { address, fault } = Api::new().await;
    drop(fault);
    let refused = async {
        let mut tick = interval(Duration::from_millis(5));
        while Peer::connect(&address).await.is_ok() {
            tick.tick().await;
        }
    };
    patiently("refused", refused).await;
}

#[tokio::test]
async fn a_limit_that_is_changed_counts_on() {
    let api = Api::new().await;
    let stand = Stand::new().await;
    let upstream = stand.proxy.upstream().to_string();
    let (_, made) = api.json("POST", "/proxies", json!({"name": "p", "upstream": upstream})).await;
    let limit = json!({"type": "limit_data", "attributes": {"bytes": 100}});
    api.json("POST", "/proxies/p/toxics", limit).await;
    let mut client = Peer::connect(made["listen"].as_str().unwrap()).await.unwrap();
    let mut server = stand.accept().await;
    server.send("0123").await;
    client.expect("0123").await;
    let limit = json!({"attributes": {"bytes": 6}});
    assert_eq!(api.json("PATCH", "/proxies/p/toxics/limit_data_downstream", limit).await.0, 200);
    server.send("456789").await;
    client.expect("45").await;
    client.ends().await;
}

#[tokio::test]
async fn a_changed_toxic_takes_its_first_requests_again() {
    let api = Api::new().await;
    let stand = Stand::new().await;
    let upstream = stand.proxy.upstream().to_string();
    let (_, made) = api.json("POST", "/proxies", json!({"name": "p", "upstream": upstream})).await;
    let status = json!({"type": "http_status", "stream": "upstream", "attributes": {"first": 1}});
    api.json("POST", "/proxies/p/toxics", status).await;
    let mut client = Peer::connect(made["listen"].as_str().unwrap()).await.unwrap();
    let mut server = stand.accept().await;
    for code in [503, 418] {
        let change = json!({"attributes": {"status": code}});
        api.json("PATCH", "/proxies/p/toxics/http_status_upstream", change).await;
        client.send("HEAD / HTTP/1.1\r\n\r\n").await;
        let answer = String::from_utf8(client.piece().await.unwrap()).unwrap();
        assert!(answer.starts_with(&format!("HTTP/1.1 {code} ")), "{answer}");
        client.send("GET / HTTP/1.1\r\n\r\n").await;
        server.expect("GET / HTTP/1.1\r\n\r\n").await;
        server.send("HTTP/1.1 204 No Content\r\n\r\n").await;
        client.expect("HTTP/1.1 204 No Content\r\n\r\n").await;
    }
}
