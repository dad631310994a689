//! gunicorn's control commands, and what of ours they show besides.
//!
//! Answers have gunicorn's keys, so that gunicornc prints them; what gunicorn can not tell (which
//! request a worker has, whose, for how long, its memory, how many it has answered) stands beside
//! them, and `show requests` is only that.

use std::{process, time::Instant};

use nix::{sys::signal::Signal, unistd::Uid};
use serde_json::{Map, Value, json};

use crate::{
    gateway::Gateway,
    pool::{Held, Worker},
    supervisor::Event,
};

/// Of one `worker add`: a slip of the finger must not take the machine down.
const MOST_AT_ONCE: i64 = 256;

const HELP: &[(&str, &str)] = &[
    ("show all", "Every process"),
    ("show workers", "Workers, with what they have in hand (-j)"),
    ("show requests", "Requests in workers' hands"),
    ("show config", "Settings in force"),
    ("show stats", "Uptime and counts"),
    ("show listeners", "What is listened on"),
    ("worker add [N]", "N more workers (TTIN)"),
    ("worker remove [N]", "N fewer, but never less than one (TTOU)"),
    ("worker kill <PID>", "Replace this worker; what it has in hand is finished"),
    ("reload", "New workers, new settings (HUP)"),
    ("reopen", "Open log files anew (USR1)"),
    ("shutdown [graceful|quick]", "Stop (TERM, INT)"),
    ("help", "These commands"),
];

pub(super) fn answer(gateway: &Gateway, request: &Value, who: u32) -> Value {
    let id = request.get("id").cloned().unwrap_or(json!(0));
    let words = words(request);
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    match carry_out(gateway, &words, Uid::from_raw(who)) {
        Ok(data) => json!({"id": id, "status": "ok", "data": data}),
        Err(reason) => json!({"id": id, "status": "error", "error": reason}),
    }
}

fn words(request: &Value) -> Vec<String> {
    let command = request.get("command").and_then(Value::as_str).unwrap_or_default();
    let mut words: Vec<String> = command.split_whitespace().map(str::to_owned).collect();
    for argument in request.get("args").and_then(Value::as_array).into_iter().flatten() {
        words.push(argument.as_str().map_or_else(|| argument.to_string(), str::to_owned));
    }
    words
}

fn carry_out(gateway: &Gateway, words: &[&str], who: Uid) -> Result<Value, String> {
    if !matches!(words, [] | ["show" | "help", ..]) {
        let command = words.join(" ");
        gateway.log.info(format_args!("Control command: {} (user {who})", command.escape_debug()));
    }
    match words {
        [] => Err("Empty command".to_owned()),
        ["show", "all"] => Ok(all(gateway)),
        ["show", "workers"] => Ok(workers(gateway)),
        ["show", "requests"] => Ok(requests(gateway)),
        ["show", "config"] => Ok(gateway.census.config.borrow().clone()),
        ["show", "stats"] => Ok(stats(gateway)),
        ["show", "listeners"] => Ok(listeners(gateway)),
        ["show", "dirty"] => Ok(json!({"enabled": false, "pid": null, "workers": [], "apps": []})),
        ["worker", "add", count @ ..] => add(gateway, number(count)?),
        ["worker", "remove", count @ ..] => Ok(remove(gateway, number(count)?)),
        ["worker", "kill", pid] => kill(gateway, pid),
        ["reload"] => signal(Signal::SIGHUP, json!({"status": "reloading"})),
        ["reopen"] => signal(Signal::SIGUSR1, json!({"status": "reopening"})),
        ["shutdown"] | ["shutdown", "graceful"] => {
            signal(Signal::SIGTERM, json!({"status": "shutting_down", "mode": "graceful"}))
        }
        ["shutdown", "quick"] => {
            signal(Signal::SIGINT, json!({"status": "shutting_down", "mode": "quick"}))
        }
        ["help"] => Ok(help()),
        ["dirty", ..] => Err("dirty workers are gunicorn's; causeway-gateway has none".to_owned()),
        other => Err(format!("Invalid argument: Unknown command: {}", other.join(" "))),
    }
}

fn number(words: &[&str]) -> Result<i64, String> {
    match words {
        [] => Ok(1),
        [word, ..] => {
            word.parse().map_err(|_| format!("Invalid argument: \"{word}\" is not a number"))
        }
    }
}

fn add(gateway: &Gateway, count: i64) -> Result<Value, String> {
    let count = count.max(1);
    if count > MOST_AT_ONCE {
        return Err(format!("Invalid argument: \"{count}\" is above {MOST_AT_ONCE}"));
    }
    let previous = gateway.census.target.get();
    (0..count).for_each(|_| gateway.inbox.put(Event::More));
    let total = previous + count.unsigned_abs() as usize;
    Ok(json!({"added": count, "previous": previous, "total": total}))
}

fn remove(gateway: &Gateway, count: i64) -> Value {
    let previous = gateway.census.target.get();
    let most = previous.saturating_sub(1);
    let removed = usize::try_from(count.max(1)).unwrap_or(most).min(most);
    (0..removed).for_each(|_| gateway.inbox.put(Event::Fewer));
    json!({"removed": removed, "previous": previous, "total": previous - removed})
}

fn kill(gateway: &Gateway, pid: &str) -> Result<Value, String> {
    let pid: u32 =
        pid.parse().map_err(|_| format!("Invalid argument: \"{pid}\" is not a number"))?;
    let worker = gateway.pool.workers().into_iter().find(|worker| worker.pid == pid);
    let Some(worker) = worker else {
        return Ok(json!({"success": false, "error": format!("Worker {pid} not found")}));
    };
    gateway.inbox.put(Event::Dismissed(worker.id));
    Ok(json!({"success": true, "killed": pid}))
}

/// To ourselves, so that it is handled and logged as if it came from outside.
fn signal(signal: Signal, data: Value) -> Result<Value, String> {
    nix::sys::signal::raise(signal).map_err(|error| format!("Command failed: {error}"))?;
    Ok(data)
}

fn help() -> Value {
    let commands: Map<String, Value> =
        HELP.iter().map(|(command, what)| ((*command).to_owned(), json!(what))).collect();
    json!({"commands": commands})
}

fn all(gateway: &Gateway) -> Value {
    let workers = workers(gateway);
    json!({
        "arbiter": {"pid": process::id(), "type": "arbiter", "role": "master"},
        "web_workers": workers["workers"],
        "web_worker_count": workers["count"],
        "dirty_arbiter": null,
        "dirty_workers": [],
        "dirty_worker_count": 0,
    })
}

fn workers(gateway: &Gateway) -> Value {
    let now = Instant::now();
    let mut workers = gateway.pool.workers();
    workers.sort_by_key(|worker| worker.id);
    let described: Vec<Value> = workers.iter().map(|worker| describe(worker, now)).collect();
    json!({"count": described.len(), "workers": described})
}

fn describe(worker: &Worker, now: Instant) -> Value {
    let mut requests = Vec::new();
    worker.each_held(|held| requests.push(request(held, now)));
    json!({
        "pid": worker.pid,
        "type": "web",
        "age": worker.id,
        "booted": worker.has_booted(),
        "aborted": worker.is_aborted(),
        // One that owes us nothing is as good as heard of.
        "last_heartbeat": seconds(worker.silence(now).unwrap_or_default()),
        "requests": requests,
        "requests_served": worker.served(),
        "memory": worker.memory(),
    })
}

fn request(held: &Held, now: Instant) -> Value {
    let title = held.title.escape_ascii().to_string();
    let (method, path) = title.split_once(' ').unwrap_or((&title, ""));
    let age = seconds(now.saturating_duration_since(held.since));
    json!({"method": method, "path": path, "age": age, "client": held.peer.to_string()})
}

fn requests(gateway: &Gateway) -> Value {
    let now = Instant::now();
    let mut requests = Vec::new();
    for worker in gateway.pool.workers() {
        worker.each_held(|held| {
            let mut request = request(held, now);
            request["worker"] = json!(worker.pid);
            requests.push(request);
        });
    }
    let waiting = gateway.pool.waiting(0);
    json!({"requests": requests, "count": requests.len(), "waiting": waiting})
}

fn stats(gateway: &Gateway) -> Value {
    let census = &gateway.census;
    json!({
        "uptime": seconds(census.started.elapsed()),
        "pid": process::id(),
        "workers_current": gateway.pool.workers().len(),
        "workers_target": census.target.get(),
        "workers_spawned": census.spawned.get(),
        "workers_killed": census.killed.get(),
        "reloads": census.reloads.get(),
        "dirty_arbiter_pid": null,
        "connections": gateway.connections.count(),
        "waiting": gateway.pool.waiting(0),
    })
}

fn listeners(gateway: &Gateway) -> Value {
    let listeners: Vec<Value> = gateway
        .census
        .listeners
        .borrow()
        .iter()
        .map(|it| json!({"address": it.shown, "type": it.kind, "fd": it.number}))
        .collect();
    json!({"count": listeners.len(), "listeners": listeners})
}

fn seconds(duration: std::time::Duration) -> f64 {
    (duration.as_secs_f64() * 100.0).round() / 100.0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ask(gateway: &Gateway, command: &str) -> Value {
        answer(gateway, &json!({"id": 7, "command": command}), 0)
    }

    #[test]
    fn what_is_not_known_is_refused_by_name() {
        let gateway = crate::gateway::idle(&[]);
        for (command, reason) in [
            ("", "Empty command"),
            ("show", "Unknown command: show"),
            ("show me", "Unknown command: show me"),
            ("worker kill x", "\"x\" is not a number"),
            ("worker add 1e9", "\"1e9\" is not a number"),
            ("worker add 99999", "\"99999\" is above 256"),
            ("dirty add 1", "dirty workers are gunicorn's"),
        ] {
            let answer = ask(&gateway, command);
            assert_eq!((&answer["id"], &answer["status"]), (&json!(7), &json!("error")));
            assert!(answer["error"].as_str().unwrap().contains(reason), "{answer}");
        }
        assert_eq!(ask(&gateway, "worker kill 1")["data"]["success"], json!(false));
        let words = words(&json!({"command": "worker add", "args": [2, "3"]}));
        assert_eq!(words, ["worker", "add", "2", "3"]);
    }

    #[test]
    fn the_last_worker_stays() {
        let gateway = crate::gateway::idle(&[]);
        gateway.census.target.set(3);
        let removed = ask(&gateway, "worker remove 9")["data"].clone();
        assert_eq!(removed, json!({"removed": 2, "previous": 3, "total": 1}));
    }
}
