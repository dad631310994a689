//! `wsgi.file_wrapper`, PEP 3333: a file as an iterable, which `call` may send without Python.

use std::fs::File;

use pyo3::intern;
use pyo3::prelude::*;

use crate::sys;

#[pyclass(frozen, subclass, module = "causeway_app_host")]
pub(crate) struct FileWrapper {
    #[pyo3(get)]
    filelike: Py<PyAny>,
    #[pyo3(get)]
    blksize: isize,
}

#[pymethods]
impl FileWrapper {
    #[new]
    #[pyo3(signature = (filelike, blksize = 8192))]
    fn new(filelike: Py<PyAny>, blksize: isize) -> FileWrapper {
        FileWrapper { filelike, blksize }
    }

    fn __iter__(this: Bound<'_, Self>) -> Bound<'_, Self> {
        this
    }

    fn __next__<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyAny>>> {
        let read = intern!(py, "read");
        let block = self.filelike.bind(py).call_method1(read, (self.blksize,))?;
        Ok(if block.is_truthy()? { Some(block) } else { None })
    }

    /// Looked up when it is called: Django replaces the file's after it has wrapped it.
    fn close(&self, py: Python<'_>) -> PyResult<()> {
        let filelike = self.filelike.bind(py);
        if let Some(close) = filelike.getattr_opt(intern!(py, "close"))? {
            close.call0()?;
        }
        Ok(())
    }
}

/// A file that can be read without Python.
pub(crate) struct PlainFile {
    pub(crate) file: File,
    pub(crate) offset: u64,
    pub(crate) length: u64,
}

impl FileWrapper {
    /// `None`: its blocks come from Python. Only the types `open` gives are taken for what their
    /// descriptor says: a `GzipFile` has one too, of the compressed file, and a class that overrides
    /// `read` means something by it.
    pub(crate) fn plain_file(&self, py: Python<'_>) -> Option<PlainFile> {
        let filelike = self.filelike.bind(py);
        let io = py.import("io").ok()?;
        let is = |object: &Bound<'_, PyAny>, name: &str| {
            io.getattr(name).is_ok_and(|class| object.get_type().is(&class))
        };
        let buffered = is(filelike, "BufferedReader") || is(filelike, "BufferedRandom");
        let raw = if buffered { filelike.getattr("raw").ok()? } else { filelike.clone() };
        if !is(&raw, "FileIO") {
            return None;
        }
        // What was written to it may still be in its buffer.
        filelike.call_method0("flush").ok()?;
        let offset: u64 = filelike.call_method0("tell").ok()?.extract().ok()?;
        let number: i32 = filelike.call_method0("fileno").ok()?.extract().ok()?;
        let file = File::from(sys::duplicate(number).ok()?);
        let facts = file.metadata().ok()?;
        let length = facts.len().checked_sub(offset)?;
        facts.is_file().then_some(PlainFile { file, offset, length })
    }
}
