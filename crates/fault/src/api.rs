//! Toxiproxy's control API: its paths, fields, statuses and errors, so that the clients people have
//! in their test suites drive this proxy unchanged. What it does not know it refuses by name.

use std::{collections::BTreeMap, fmt::Write as _, io, net::SocketAddr};

use axum::{
    Router,
    body::Bytes,
    extract::{DefaultBodyLimit, Path, Request, State, rejection::BytesRejection},
    http::{Method, StatusCode, Uri, header},
    middleware::{self, Next},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};
use tokio::{net::TcpListener, sync::oneshot};

use crate::{
    Address, Fault, FaultError, Proxy, Toxic,
    fault::Held,
    ordered::{Ordered, address},
    toxic::Described,
};

/// Hundreds of proxies fit into it.
const LARGEST_BODY: usize = 1024 * 1024;

pub(crate) async fn serve(
    held: Held,
    address: &str,
    stopped: oneshot::Receiver<()>,
) -> io::Result<SocketAddr> {
    let listener = TcpListener::bind(address).await?;
    let address = listener.local_addr()?;
    let serving = axum::serve(listener, routes(held)).with_graceful_shutdown(async {
        // An error is the same order: whoever could give it is gone.
        let _ = stopped.await;
    });
    tokio::spawn(serving.into_future());
    Ok(address)
}

fn routes(held: Held) -> Router {
    Router::new()
        .route("/proxies", get(proxies).post(create))
        .route("/populate", post(populate))
        .route("/proxies/{proxy}", get(show).post(update).patch(update).delete(delete))
        .route("/proxies/{proxy}/toxics", get(toxics).post(add_toxic))
        .route(
            "/proxies/{proxy}/toxics/{toxic}",
            get(show_toxic).post(update_toxic).patch(update_toxic).delete(delete_toxic),
        )
        .route("/reset", post(reset))
        .route("/version", get(version))
        .route("/metrics", get(metrics))
        .fallback(unknown)
        .method_not_allowed_fallback(not_allowed)
        .layer(DefaultBodyLimit::max(LARGEST_BODY))
        .layer(middleware::from_fn(no_browsers))
        .with_state(held)
}

/// What a request is refused with.
struct Refusal {
    status: StatusCode,
    error: String,
    /// More fields beside the two, as `/populate` has them.
    more: Map<String, Value>,
}

impl Refusal {
    fn new(status: StatusCode, error: String) -> Refusal {
        Refusal { status, error, more: Map::new() }
    }
}

impl From<FaultError> for Refusal {
    fn from(error: FaultError) -> Refusal {
        let status = StatusCode::from_u16(error.status());
        Refusal::new(status.expect("the statuses of FaultError are statuses"), error.to_string())
    }
}

impl IntoResponse for Refusal {
    fn into_response(mut self) -> Response {
        let status = self.status;
        let mut body = Map::new();
        body.insert("error".to_owned(), self.error.into());
        body.insert("status".to_owned(), status.as_u16().into());
        body.append(&mut self.more);
        written(status, &Value::Object(body))
    }
}

type Answer = Result<Response, Refusal>;

fn written(status: StatusCode, body: &Value) -> Response {
    (status, [(header::CONTENT_TYPE, "application/json")], body.to_string()).into_response()
}

fn shown(toxic: &Toxic) -> Value {
    serde_json::to_value(toxic).expect("a toxic is strings and numbers")
}

/// The body of a request, whatever its Content-Type: Toxiproxy's clients do not all send one.
fn read<T: DeserializeOwned>(body: Result<Bytes, BytesRejection>) -> Result<T, Refusal> {
    let body = body.map_err(|error| Refusal::new(error.status(), error.body_text()))?;
    serde_json::from_slice(&body).map_err(|error| FaultError::Body(error.to_string()).into())
}

impl Held {
    fn open(&self) -> Result<Fault, Refusal> {
        let closing = || Refusal::new(StatusCode::SERVICE_UNAVAILABLE, "closing down".to_owned());
        self.fault().ok_or_else(closing)
    }

    fn proxy(&self, name: &str) -> Result<Proxy, Refusal> {
        Ok(self.open()?.get(name)?)
    }
}

async fn proxies(State(held): State<Held>) -> Answer {
    let all = held.open()?.all();
    let all = all.iter().map(|proxy| (proxy.name().to_owned(), proxy.shown()));
    Ok(written(StatusCode::OK, &Value::Object(all.collect())))
}

async fn create(State(held): State<Held>, body: Result<Bytes, BytesRejection>) -> Answer {
    let (name, listen, upstream, enabled) = read::<Ordered>(body)?.complete()?;
    let proxy = held.open()?.add(&name, listen, upstream, enabled).await?;
    Ok(written(StatusCode::CREATED, &proxy.shown()))
}

async fn populate(State(held): State<Held>, body: Result<Bytes, BytesRejection>) -> Answer {
    let (made, result) = held.open()?.populate(read(body)?).await;
    let made: Value = made.iter().map(Proxy::shown).collect();
    match result {
        Ok(()) => Ok(written(StatusCode::CREATED, &json!({ "proxies": made }))),
        Err(error) => {
            let mut refusal = Refusal::from(error);
            refusal.more.insert("proxies".to_owned(), made);
            Err(refusal)
        }
    }
}

async fn show(State(held): State<Held>, Path(name): Path<String>) -> Answer {
    Ok(written(StatusCode::OK, &held.proxy(&name)?.shown()))
}

async fn update(
    State(held): State<Held>,
    Path(name): Path<String>,
    body: Result<Bytes, BytesRejection>,
) -> Answer {
    let proxy = held.proxy(&name)?;
    let ordered: Ordered = read(body)?;
    if ordered.name.is_some_and(|ordered| ordered != name) {
        return Err(FaultError::Fixed("name").into());
    }
    let or = |given: Option<String>, now: Address| given.map_or(Ok(now), |given| address(&given));
    let listen = or(ordered.listen, proxy.listen())?;
    let upstream = or(ordered.upstream, proxy.upstream())?;
    let enabled = ordered.enabled.unwrap_or(proxy.is_enabled());
    proxy.change(listen, upstream, enabled).await?;
    Ok(written(StatusCode::OK, &proxy.shown()))
}

async fn delete(State(held): State<Held>, Path(name): Path<String>) -> Answer {
    held.open()?.remove(&name).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

async fn toxics(State(held): State<Held>, Path(name): Path<String>) -> Answer {
    let toxics = held.proxy(&name)?.toxics();
    Ok(written(StatusCode::OK, &toxics.iter().map(shown).collect()))
}

async fn add_toxic(
    State(held): State<Held>,
    Path(name): Path<String>,
    body: Result<Bytes, BytesRejection>,
) -> Answer {
    let proxy = held.proxy(&name)?;
    let toxic = Toxic::try_from(read::<Described>(body)?)?;
    Ok(written(StatusCode::OK, &shown(&proxy.toxic(toxic)?)))
}

async fn show_toxic(
    State(held): State<Held>,
    Path((name, toxic)): Path<(String, String)>,
) -> Answer {
    Ok(written(StatusCode::OK, &shown(&held.proxy(&name)?.live().get(&toxic)?)))
}

async fn update_toxic(
    State(held): State<Held>,
    Path((name, toxic)): Path<(String, String)>,
    body: Result<Bytes, BytesRejection>,
) -> Answer {
    let proxy = held.proxy(&name)?;
    Ok(written(StatusCode::OK, &shown(&proxy.live().change(&toxic, read(body)?)?)))
}

async fn delete_toxic(
    State(held): State<Held>,
    Path((name, toxic)): Path<(String, String)>,
) -> Answer {
    held.proxy(&name)?.remove(&toxic)?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

async fn reset(State(held): State<Held>) -> Answer {
    held.open()?.reset().await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

async fn version() -> Response {
    written(StatusCode::OK, &json!({ "version": env!("CARGO_PKG_VERSION") }))
}

/// Prometheus' text, with Toxiproxy's names and labels, and the connections under names of the same
/// make.
async fn metrics(State(held): State<Held>) -> Answer {
    let mut families: BTreeMap<(&str, &str), String> = BTreeMap::new();
    for proxy in held.open()?.all() {
        let counters = proxy.counters();
        let (listen, upstream) = (proxy.listen().to_string(), proxy.upstream().to_string());
        let labels = format!(
            "proxy=\"{}\",listener=\"{}\",upstream=\"{}\"",
            escaped(proxy.name()),
            escaped(&listen),
            escaped(&upstream)
        );
        let mut count = |name, kind, direction: &str, value: u64| {
            let family = families.entry((name, kind)).or_default();
            writeln!(family, "toxiproxy_proxy_{name}{{{direction}{labels}}} {value}")
                .expect("a string takes everything");
        };
        for (direction, bytes) in
            [("upstream", counters.upstream), ("downstream", counters.downstream)]
        {
            let direction = format!("direction=\"{direction}\",");
            count("received_bytes_total", "counter", &direction, bytes.received);
            count("sent_bytes_total", "counter", &direction, bytes.sent);
        }
        count("connections_total", "counter", "", counters.accepted);
        count("connections_open", "gauge", "", counters.open);
        count("upstream_unreachable_total", "counter", "", counters.unreachable);
    }
    let families = families.iter();
    let text: String = families
        .map(|((name, kind), lines)| format!("# TYPE toxiproxy_proxy_{name} {kind}\n{lines}"))
        .collect();
    Ok(([(header::CONTENT_TYPE, "text/plain; version=0.0.4")], text).into_response())
}

fn escaped(label: &str) -> String {
    label.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

async fn unknown(uri: Uri) -> Refusal {
    Refusal::new(StatusCode::NOT_FOUND, format!("no such resource: \"{}\"", uri.path()))
}

async fn not_allowed(method: Method, uri: Uri) -> Refusal {
    let error = format!("\"{method}\" is not a method of \"{}\"", uri.path());
    Refusal::new(StatusCode::METHOD_NOT_ALLOWED, error)
}

/// A page in somebody's browser must not be able to give orders here.
async fn no_browsers(request: Request, next: Next) -> Response {
    let agent = request.headers().get(header::USER_AGENT);
    if agent.is_some_and(|agent| agent.as_bytes().starts_with(b"Mozilla/")) {
        return Refusal::new(StatusCode::FORBIDDEN, "user agent not allowed".to_owned())
            .into_response();
    }
    next.run(request).await
}
