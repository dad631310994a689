//! What was imported, for the gateway to watch: see `imports.py`.

use std::ffi::CStr;

use pyo3::prelude::*;

use crate::boot::{self, code};

const IMPORTS: &CStr = code!("imports.py");

pub(crate) struct Imports {
    module: Py<PyModule>,
}

impl Imports {
    pub(crate) fn new(py: Python<'_>) -> PyResult<Imports> {
        Ok(Imports { module: boot::module(py, IMPORTS, c"imports")?.unbind() })
    }

    /// Lines for the gateway, about what is new; and about what `error` came up in.
    pub(crate) fn news(
        &self,
        py: Python<'_>,
        error: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<String> {
        self.module.bind(py).getattr("news")?.call1((error,))?.extract()
    }
}
