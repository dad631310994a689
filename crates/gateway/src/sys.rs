//! The system calls nobody wraps safely. Everything `unsafe` of this crate is here.

#![expect(
    unsafe_code,
    reason = "fork, exec hooks, capabilities, localtime_r, descriptors by number"
)]

use std::{
    io,
    mem::MaybeUninit,
    os::{
        fd::{AsRawFd, FromRawFd, OwnedFd, RawFd},
        unix::process::CommandExt,
    },
    process::Command,
};

use nix::{
    libc,
    unistd::{ForkResult, Gid, Uid, setgroups, setresgid, setresuid},
};
use tokio::io::unix::AsyncFd;

/// A moment as the wall clock shows it here.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct LocalTime {
    pub(crate) year: i32,
    /// 1 to 12.
    pub(crate) month: u8,
    pub(crate) day: u8,
    pub(crate) hour: u8,
    pub(crate) minute: u8,
    pub(crate) second: u8,
    /// Minutes east of Greenwich.
    pub(crate) offset: i32,
}

pub(crate) fn local_time(unix_seconds: i64) -> LocalTime {
    let mut broken_down = MaybeUninit::<libc::tm>::zeroed();
    // SAFETY: both pointers are valid for the call, and a zeroed `tm` is a valid one, so it may be
    // read even where localtime_r fails.
    let broken_down = unsafe {
        libc::localtime_r(&raw const unix_seconds, broken_down.as_mut_ptr());
        broken_down.assume_init()
    };
    LocalTime {
        year: broken_down.tm_year + 1900,
        month: (broken_down.tm_mon + 1) as u8,
        day: broken_down.tm_mday as u8,
        hour: broken_down.tm_hour as u8,
        minute: broken_down.tm_min as u8,
        second: broken_down.tm_sec as u8,
        offset: (broken_down.tm_gmtoff / 60) as i32,
    }
}

/// A descriptor the runtime watches. Not blocking already.
pub(crate) fn watched(descriptor: OwnedFd) -> io::Result<AsyncFd<OwnedFd>> {
    // SAFETY: it is owned, so it stays the same open descriptor for as long as it is watched.
    let watched = unsafe { AsyncFd::register(descriptor) };
    watched.map_err(io::Error::from)
}

/// How many connections wait to be accepted from a TCP socket that listens. `None`: it is none.
pub(crate) fn waiting_connections(number: RawFd) -> Option<u32> {
    // The start of the kernel's `tcp_info`: eight bytes, then numbers; in a socket that listens, the
    // fifth of them is the length of its queue.
    let mut info = [0_u32; 7];
    let mut length = size_of_val(&info) as libc::socklen_t;
    // SAFETY: the kernel writes at most `length` bytes, which is what there is; a number that is not
    // open, or no TCP socket, is an error.
    let result = unsafe {
        libc::getsockopt(
            number,
            libc::IPPROTO_TCP,
            libc::TCP_INFO,
            info.as_mut_ptr().cast(),
            &raw mut length,
        )
    };
    (result == 0).then_some(info[6])
}

/// Takes over a descriptor this process was started with. `None`: it is not open.
pub(crate) fn take_descriptor(number: RawFd) -> Option<OwnedFd> {
    // SAFETY: F_GETFD only looks the number up.
    if unsafe { libc::fcntl(number, libc::F_GETFD) } < 0 {
        return None;
    }
    // SAFETY: the descriptor is open, and `fd://N` is read once, at start, before anything of ours
    // is opened, so nobody else owns it.
    let descriptor = unsafe { OwnedFd::from_raw_fd(number) };
    // SAFETY: as above; workers must not inherit the listener.
    unsafe { libc::fcntl(number, libc::F_SETFD, libc::FD_CLOEXEC) };
    Some(descriptor)
}

/// Which of the two a process is after a fork.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Forked {
    Parent,
    Child,
}

/// Forks a process that is alone with itself. With other threads, whose locks would stay closed for
/// ever in the child, it refuses.
pub(crate) fn fork_alone() -> io::Result<Forked> {
    if std::fs::read_dir("/proc/self/task")?.count() != 1 {
        return Err(io::Error::other("a process with threads can not go to the background"));
    }
    // SAFETY: there is one thread, as was just seen, so the child may do whatever the parent may.
    match unsafe { nix::unistd::fork() }? {
        ForkResult::Parent { .. } => Ok(Forked::Parent),
        ForkResult::Child => Ok(Forked::Child),
    }
}

/// Without destructors: another process goes on with what they would undo.
pub(crate) fn exit_at_once() -> ! {
    // SAFETY: _exit takes no memory of ours and does not return.
    unsafe { libc::_exit(0) }
}

/// Takes variables out of the environment, for everything that is started from now on. Only while
/// there is one thread: at the very start.
pub(crate) fn forget_variables(names: &[&str]) {
    for name in names {
        // SAFETY: called before there is a runtime or any other thread, so nobody reads meanwhile.
        unsafe { std::env::remove_var(name) };
    }
}

/// Of all of root's rights, that to bind ports below 1024; not inherited by what is started.
pub(crate) fn keep_only_low_ports() -> io::Result<()> {
    const NET_BIND_SERVICE: u32 = 1 << 10;
    /// `_LINUX_CAPABILITY_VERSION_3`: two sets of 32 each.
    const VERSION: u32 = 0x2008_0522;
    #[repr(C)]
    struct Header {
        version: u32,
        pid: libc::c_int,
    }
    #[repr(C)]
    struct Set {
        effective: u32,
        permitted: u32,
        inheritable: u32,
    }
    let header = Header { version: VERSION, pid: 0 };
    let kept = Set { effective: NET_BIND_SERVICE, permitted: NET_BIND_SERVICE, inheritable: 0 };
    let sets = [kept, Set { effective: 0, permitted: 0, inheritable: 0 }];
    // SAFETY: both pointers are to values laid out as capset(2) has them, valid for the call.
    let done = unsafe { libc::syscall(libc::SYS_capset, &raw const header, sets.as_ptr()) };
    if done == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Has the child find these descriptors under the numbers they have here.
pub(crate) fn hand_down(command: &mut Command, descriptors: Vec<OwnedFd>) {
    let hook = move || {
        for descriptor in &descriptors {
            // SAFETY: fcntl is async-signal-safe, and the descriptor is open.
            if unsafe { libc::fcntl(descriptor.as_raw_fd(), libc::F_SETFD, 0) } < 0 {
                return Err(io::Error::last_os_error());
            }
        }
        Ok(())
    };
    // SAFETY: the hook calls only fcntl, which is async-signal-safe, and allocates nothing.
    unsafe { command.pre_exec(hook) };
}

/// Has the child become somebody else before it is anything.
pub(crate) fn run_as(command: &mut Command, uid: Uid, gid: Gid, groups: Vec<Gid>) {
    let hook = move || {
        setgroups(&groups)?;
        setresgid(gid, gid, gid)?;
        setresuid(uid, uid, uid)?;
        Ok(())
    };
    // SAFETY: the hook calls only setgroups, setresgid and setresuid, of which the child's only thread
    // makes system calls, and allocates nothing.
    unsafe { command.pre_exec(hook) };
}

#[cfg(test)]
mod tests {
    use std::{
        fs::File,
        os::fd::{AsRawFd, IntoRawFd},
    };

    use super::*;

    #[test]
    fn local_time_is_a_plausible_moment() {
        // Whatever the zone, noon of that day is in 2001.
        let time = local_time(1_000_000_000);
        assert_eq!((time.year, time.month), (2001, 9));
        assert!(time.offset.abs() <= 14 * 60);
    }

    #[test]
    fn connections_wait_to_be_accepted() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let number = listener.as_raw_fd();
        assert_eq!(waiting_connections(number), Some(0));
        let _client = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        assert_eq!(waiting_connections(number), Some(1));
        let file = File::open("/dev/null").unwrap();
        assert_eq!(waiting_connections(file.as_raw_fd()), None);
    }

    #[test]
    fn a_closed_descriptor_is_not_taken() {
        let number = File::open("/dev/null").unwrap().into_raw_fd();
        drop(take_descriptor(number).expect("it is open"));
        assert!(take_descriptor(900).is_none());
    }
}
