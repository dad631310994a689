//! System calls that take or give what Rust can not check: descriptors by number, memory that is
//! not initialised yet.
#![expect(unsafe_code, reason = "each use below says why it is sound")]

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};

use bytes::{BufMut, BytesMut};
use nix::errno::Errno;
use nix::libc;
use nix::sys::socket::{SockFlag, accept4};

/// Takes over a descriptor this process was started with. `None` if it is not open.
///
/// Called once for each number, before anything else in this process opens or closes descriptors.
pub(crate) fn inherit(number: RawFd) -> Option<OwnedFd> {
    // SAFETY: F_GETFD reads nothing and changes nothing; a number that is not open is an error.
    if unsafe { libc::fcntl(number, libc::F_GETFD) } == -1 {
        return None;
    }
    // SAFETY: it is open, it was opened by whoever started us, for us, and nothing else here knows
    // of it: it is ours alone.
    Some(unsafe { OwnedFd::from_raw_fd(number) })
}

/// A connection, of whatever kind of socket `listener` is.
pub(crate) fn accept(listener: BorrowedFd<'_>) -> io::Result<OwnedFd> {
    let number = accept4(listener.as_raw_fd(), SockFlag::SOCK_CLOEXEC)?;
    // SAFETY: the kernel has just made it, for us.
    Ok(unsafe { OwnedFd::from_raw_fd(number) })
}

/// Whether what could arrive at once is to be waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wait {
    Yes,
    No,
}

/// Receives into the room behind `input`, which is not cleared first: at 64 KB a read, that would
/// cost as much as the read. 0 is the end.
pub(crate) fn receive(
    socket: BorrowedFd<'_>,
    input: &mut BytesMut,
    wait: Wait,
) -> io::Result<usize> {
    let flags = match wait {
        Wait::Yes => 0,
        Wait::No => libc::MSG_DONTWAIT,
    };
    loop {
        let room = input.spare_capacity_mut();
        // SAFETY: `room` is exclusively ours and as long as said; the kernel only writes to it.
        let length =
            unsafe { libc::recv(socket.as_raw_fd(), room.as_mut_ptr().cast(), room.len(), flags) };
        match usize::try_from(length) {
            Ok(length) => {
                // SAFETY: the kernel has written so many bytes at the start of the room.
                unsafe { input.advance_mut(length) };
                return Ok(length);
            }
            Err(_) if Errno::last() == Errno::EINTR => (),
            Err(_) => return Err(Errno::last().into()),
        }
    }
}

/// A second descriptor for what `number`, which Python gave us, stands for.
pub(crate) fn duplicate(number: RawFd) -> io::Result<OwnedFd> {
    if number < 0 {
        return Err(Errno::EBADF.into());
    }
    // SAFETY: it is borrowed for the one call only; if Python closed it meanwhile, that is an error.
    unsafe { BorrowedFd::borrow_raw(number) }.try_clone_to_owned()
}

/// Makes `number` stand for what `other` stands for. It stays with whoever owns it.
pub(crate) fn replace(number: RawFd, other: RawFd) -> io::Result<()> {
    // SAFETY: dup3 touches no memory. `number` changes its meaning for its owner, who is ours, and
    // who would get an error from a socket that is broken just the same.
    match unsafe { libc::dup3(other, number, libc::O_CLOEXEC) } {
        -1 => Err(Errno::last().into()),
        _ => Ok(()),
    }
}
