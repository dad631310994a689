//! The C library's look-up of names, taken over: a configuration is full of names, and a fuzzer must
//! ask nobody's name servers about those it makes up.
#![expect(unsafe_code, reason = "to be found in the C library's place, it needs its very name")]

use std::ffi::{c_char, c_int, c_void};

use nix::libc::EAI_NONAME;

/// There is no such host.
// SAFETY: every caller means this function and passes what the C library's takes; nothing of it is
// looked at, and `result` is not read by who is told that there is none.
#[unsafe(no_mangle)]
pub extern "C" fn getaddrinfo(
    _node: *const c_char,
    _service: *const c_char,
    _hints: *const c_void,
    _result: *mut *mut c_void,
) -> c_int {
    EAI_NONAME
}

#[cfg(test)]
mod tests {
    use std::net::ToSocketAddrs as _;

    #[test]
    fn no_name_is_looked_up_and_addresses_are_read() {
        assert!(("localhost", 80).to_socket_addrs().is_err());
        assert!(("127.0.0.1", 80).to_socket_addrs().is_ok());
    }
}
