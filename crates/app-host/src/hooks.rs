//! The hooks of gunicorn.conf.py that are called in a worker. Without any, a request costs one look
//! at a flag.

use std::sync::Arc;

use pyo3::prelude::*;
use pyo3::types::PyDict;

/// Shared by all threads of the worker.
#[derive(Clone)]
pub(crate) struct Hooks(Option<Arc<Given>>);

struct Given {
    worker: Py<PyAny>,
    server: Py<PyAny>,
    /// Called with every request; the most costly of them, so looked up once.
    pre_request: Option<Py<PyAny>>,
    post_request: Option<PostRequest>,
}

struct PostRequest {
    hook: Py<PyAny>,
    /// How many arguments it takes: 2, 3 or 4.
    arity: usize,
}

/// One request that hooks want to hear of.
pub(crate) struct RequestHooks<'py> {
    given: Arc<Given>,
    request: Bound<'py, PyAny>,
    environ: Bound<'py, PyDict>,
}

/// What `resp` says of the answer.
#[derive(Debug, Default)]
pub(crate) struct Told {
    pub(crate) status: String,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) sent: u64,
    pub(crate) headers_sent: bool,
}

impl Told {
    /// The head as it was sent: `Status: 200 OK`, then the fields.
    pub(crate) fn read(&mut self, lines: &[u8]) {
        // As everything in WSGI, Latin-1.
        let text = |bytes: &[u8]| bytes.iter().map(|byte| char::from(*byte)).collect::<String>();
        for line in lines.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
            let colon = line.iter().position(|byte| *byte == b':').unwrap_or(line.len());
            let (name, value) = line.split_at(colon);
            let value = text(value.get(1..).unwrap_or_default().trim_ascii());
            if name == b"Status" && !self.headers_sent {
                self.status = value;
                self.headers_sent = true;
            } else {
                self.headers.push((text(name), value));
            }
        }
    }
}

impl Hooks {
    pub(crate) fn none() -> Hooks {
        Hooks(None)
    }

    pub(crate) fn new(worker: &Bound<'_, PyAny>, server: &Bound<'_, PyAny>) -> PyResult<Hooks> {
        let cfg = worker.getattr("cfg")?;
        let hook = |name: &str| -> PyResult<Option<Bound<'_, PyAny>>> {
            let hook = cfg.call_method1("hook", (name,))?;
            Ok((!hook.is_none()).then_some(hook))
        };
        let post_request = hook("post_request")?;
        let post_request =
            post_request.map(|hook| PostRequest { arity: arity(&hook), hook: hook.unbind() });
        Ok(Hooks(Some(Arc::new(Given {
            worker: worker.clone().unbind(),
            server: server.clone().unbind(),
            pre_request: hook("pre_request")?.map(Bound::unbind),
            post_request,
        }))))
    }

    /// `post_fork`. What it raises is a failure to boot.
    pub(crate) fn forked(&self, py: Python<'_>) -> PyResult<()> {
        let Some(given) = &self.0 else { return Ok(()) };
        match given.hook(py, "post_fork")? {
            Some(hook) => hook.call1((&given.server, &given.worker)).map(drop),
            None => Ok(()),
        }
    }

    /// `post_worker_init`. Likewise.
    pub(crate) fn has_application(
        &self,
        py: Python<'_>,
        application: &Bound<'_, PyAny>,
    ) -> PyResult<()> {
        let Some(given) = &self.0 else { return Ok(()) };
        let worker = given.worker.bind(py);
        worker.setattr("wsgi", application)?;
        if let Some(hook) = given.hook(py, "post_worker_init")? {
            hook.call1((worker,))?;
        }
        worker.setattr("booted", true)
    }

    /// `worker_int`: told to leave at once.
    pub(crate) fn interrupted(&self, py: Python<'_>) {
        self.call_logged(py, "worker_int");
    }

    /// `worker_abort`: a request was too long.
    pub(crate) fn aborted(&self, py: Python<'_>) {
        if let Some(given) = &self.0 {
            let _ = given.worker.bind(py).setattr("aborted", true);
        }
        self.call_logged(py, "worker_abort");
    }

    /// `worker_exit`, the last of them.
    pub(crate) fn exit(&self, py: Python<'_>) {
        let Some(given) = &self.0 else { return };
        let hook = given.hook(py, "worker_exit").ok().flatten();
        if let Some(Err(error)) = hook.map(|hook| hook.call1((&given.server, &given.worker))) {
            given.complain(py, "worker_exit", &error);
        }
    }

    fn call_logged(&self, py: Python<'_>, name: &str) {
        let Some(given) = &self.0 else { return };
        let hook = given.hook(py, name).ok().flatten();
        if let Some(Err(error)) = hook.map(|hook| hook.call1((&given.worker,))) {
            given.complain(py, name, &error);
        }
    }

    /// `None`: nobody wants to hear of requests.
    pub(crate) fn begin<'py>(&self, environ: &Bound<'py, PyDict>) -> Option<RequestHooks<'py>> {
        let given = self.0.as_ref()?;
        if given.pre_request.is_none() && given.post_request.is_none() {
            return None;
        }
        let py = environ.py();
        let request = given.make(py, "request_of", (environ,)).ok()?;
        Some(RequestHooks { given: Arc::clone(given), request, environ: environ.clone() })
    }
}

impl Given {
    fn hook<'py>(&self, py: Python<'py>, name: &str) -> PyResult<Option<Bound<'py, PyAny>>> {
        let hook = self.worker.bind(py).getattr("cfg")?.call_method1("hook", (name,))?;
        Ok((!hook.is_none()).then_some(hook))
    }

    fn make<'py>(
        &self,
        py: Python<'py>,
        what: &str,
        arguments: impl pyo3::call::PyCallArgs<'py>,
    ) -> PyResult<Bound<'py, PyAny>> {
        self.worker.bind(py).call_method1(what, arguments)
    }

    fn complain(&self, py: Python<'_>, name: &str, error: &PyErr) {
        let options = PyDict::new(py);
        let told = options.set_item("exc_info", error.value(py)).and_then(|()| {
            let log = self.worker.bind(py).getattr("log")?;
            log.call_method("error", ("Exception in %s hook", name), Some(&options)).map(drop)
        });
        // A log of the application's own making may raise too; then there is nobody left to tell.
        drop(told);
    }
}

impl RequestHooks<'_> {
    /// `pre_request`. What it raises is answered like what the application raises.
    pub(crate) fn before(&self) -> PyResult<()> {
        let py = self.request.py();
        match &self.given.pre_request {
            Some(hook) => hook.call1(py, (&self.given.worker, &self.request)).map(drop),
            None => Ok(()),
        }
    }

    /// Whether `resp` is asked for.
    pub(crate) fn wants_response(&self) -> bool {
        self.given.post_request.as_ref().is_some_and(|it| it.arity > 3)
    }

    /// `post_request`, once everything was sent.
    pub(crate) fn after(self, told: Told) {
        let py = self.request.py();
        let given = &self.given;
        let Some(PostRequest { hook, arity }) = &given.post_request else { return };
        let (worker, request, environ) = (given.worker.bind(py), self.request, self.environ);
        let called = match arity {
            0..=2 => hook.call1(py, (worker, request)),
            3 => hook.call1(py, (worker, request, environ)),
            _ => {
                let Told { status, headers, sent, headers_sent } = told;
                given
                    .make(py, "response_of", (status, headers, sent, headers_sent))
                    .and_then(|response| hook.call1(py, (worker, request, environ, response)))
            }
        };
        if let Err(error) = called {
            given.complain(py, "post_request", &error);
        }
    }
}

/// As gunicorn looks: what can not be told takes all.
fn arity(hook: &Bound<'_, PyAny>) -> usize {
    let py = hook.py();
    let signature = || -> PyResult<usize> {
        let signature = py.import("inspect")?.call_method1("signature", (hook,))?;
        signature.getattr("parameters")?.len()
    };
    signature().unwrap_or(4)
}
