//! The calls of the system that the blocking adapter makes: when, what they can fail with, and what comes of it.

use super::ends::{Outcome, Stage};
use Outcome::{Done, Nothing, Told};
use Stage::{Again, Close, Drop, Idle, Listen, Open, Request, Second, Select, Separate, Stall};
use libc::*;

/// Not of the same type in every C library.
const FIONBIO: u64 = 0x5421;

/// A call, as narrow as is told apart.
#[derive(Debug)]
pub struct Call {
    pub name: &'static str,
    pub numbers: &'static [i64],
    /// Places of arguments, and what they are.
    pub arguments: &'static [(u8, u64)],
    /// What it can fail with, by its manual page, of a TCP socket.
    pub errors: &'static [i32],
}

const fn call(name: &'static str, numbers: &'static [i64], errors: &'static [i32]) -> Call {
    Call { name, numbers, arguments: &[], errors }
}

const fn with(arguments: &'static [(u8, u64)], call: Call) -> Call {
    Call { arguments, ..call }
}

const fn option(name: &'static str, arguments: &'static [(u8, u64)]) -> Call {
    with(arguments, call(name, &[SYS_setsockopt], &[ENOPROTOOPT, EINVAL, EDOM, ENOBUFS, ENOMEM, EPERM]))
}

#[cfg(target_arch = "x86_64")]
const WAITS: &[i64] = &[SYS_epoll_wait, SYS_epoll_pwait];
#[cfg(not(target_arch = "x86_64"))]
const WAITS: &[i64] = &[SYS_epoll_pwait];

pub static EPOLL_CREATE: Call = call("epoll_create1", &[SYS_epoll_create1], &[EINVAL, EMFILE, ENFILE, ENOMEM]);
pub static EPOLL_ADD: Call = with(
    &[(1, EPOLL_CTL_ADD as u64)],
    call("epoll_ctl ADD", &[SYS_epoll_ctl], &[EBADF, EEXIST, EINVAL, ELOOP, ENOMEM, ENOSPC, EPERM]),
);
pub static EPOLL_MOD: Call = with(
    &[(1, EPOLL_CTL_MOD as u64)],
    call("epoll_ctl MOD", &[SYS_epoll_ctl], &[EBADF, EINVAL, ENOENT, ENOMEM, EPERM]),
);
pub static EPOLL_DEL: Call = with(
    &[(1, EPOLL_CTL_DEL as u64)],
    call("epoll_ctl DEL", &[SYS_epoll_ctl], &[EBADF, EINVAL, ENOENT, ENOMEM, EPERM]),
);
pub static EPOLL_WAIT: Call = call("epoll_wait", WAITS, &[EINTR, EBADF, EFAULT, EINVAL]);
pub static SOCKET: Call = call(
    "socket",
    &[SYS_socket],
    &[EACCES, EAFNOSUPPORT, EINVAL, EMFILE, ENFILE, ENOBUFS, ENOMEM, EPERM, EPROTONOSUPPORT],
);
pub static BIND: Call =
    call("bind", &[SYS_bind], &[EACCES, EADDRINUSE, EADDRNOTAVAIL, EAFNOSUPPORT, EINVAL, ENOBUFS, ENOMEM, EPERM]);
pub static LISTEN: Call = call("listen", &[SYS_listen], &[EACCES, EADDRINUSE, EINVAL, ENOBUFS, EOPNOTSUPP]);
pub static ACCEPT: Call = call(
    "accept4",
    &[SYS_accept4],
    &[
        EAGAIN,
        EINTR,
        ECONNABORTED,
        EINVAL,
        EMFILE,
        ENFILE,
        ENOBUFS,
        ENOMEM,
        EOPNOTSUPP,
        EPERM,
        EPROTO,
        ENETDOWN,
        ENOPROTOOPT,
        EHOSTDOWN,
        ENONET,
        EHOSTUNREACH,
        ENETUNREACH,
        ETIMEDOUT,
        ENOSR,
        ECONNRESET,
    ],
);
pub static CONNECT: Call = call(
    "connect",
    &[SYS_connect],
    &[
        EACCES,
        EPERM,
        EADDRINUSE,
        EADDRNOTAVAIL,
        EAFNOSUPPORT,
        EAGAIN,
        EALREADY,
        ECONNREFUSED,
        ECONNRESET,
        EHOSTUNREACH,
        EINPROGRESS,
        EINTR,
        EISCONN,
        ENETDOWN,
        ENETUNREACH,
        ENOBUFS,
        ENOMEM,
        ETIMEDOUT,
    ],
);
pub static GETSOCKNAME: Call = call("getsockname", &[SYS_getsockname], &[EINVAL, ENOBUFS, ENOTCONN, EOPNOTSUPP]);
pub static GETPEERNAME: Call = call("getpeername", &[SYS_getpeername], &[EINVAL, ENOBUFS, ENOTCONN, EAGAIN]);
pub static SO_ERROR_READ: Call = with(
    &[(1, SOL_SOCKET as u64), (2, SO_ERROR as u64)],
    call("getsockopt SO_ERROR", &[SYS_getsockopt], &[EINVAL, ENOPROTOOPT, ENOBUFS, ENOMEM, EACCES]),
);
pub static REUSEADDR: Call = option("SO_REUSEADDR", &[(1, SOL_SOCKET as u64), (2, SO_REUSEADDR as u64)]);
pub static NODELAY: Call = option("TCP_NODELAY", &[(1, IPPROTO_TCP as u64), (2, TCP_NODELAY as u64)]);
pub static KEEPALIVE: Call = option("SO_KEEPALIVE", &[(1, SOL_SOCKET as u64), (2, SO_KEEPALIVE as u64)]);
pub static KEEPIDLE: Call = option("TCP_KEEPIDLE", &[(1, IPPROTO_TCP as u64), (2, TCP_KEEPIDLE as u64)]);
pub static KEEPINTVL: Call = option("TCP_KEEPINTVL", &[(1, IPPROTO_TCP as u64), (2, TCP_KEEPINTVL as u64)]);
pub static RCVTIMEO: Call = option("SO_RCVTIMEO", &[(1, SOL_SOCKET as u64), (2, SO_RCVTIMEO as u64)]);
pub static SNDTIMEO: Call = option("SO_SNDTIMEO", &[(1, SOL_SOCKET as u64), (2, SO_SNDTIMEO as u64)]);
pub static NONBLOCKING: Call =
    with(&[(1, FIONBIO)], call("ioctl FIONBIO", &[SYS_ioctl], &[EBADF, EFAULT, EINVAL, ENOTTY]));
pub static DUPLICATE: Call =
    with(&[(1, F_DUPFD_CLOEXEC as u64)], call("fcntl F_DUPFD_CLOEXEC", &[SYS_fcntl], &[EBADF, EINVAL, EMFILE, EPERM]));
pub static READ: Call = call(
    "recvfrom",
    &[SYS_recvfrom],
    &[
        EAGAIN,
        EINTR,
        ECONNREFUSED,
        ECONNRESET,
        ETIMEDOUT,
        EHOSTUNREACH,
        ENETUNREACH,
        ENETDOWN,
        ENOTCONN,
        EINVAL,
        ENOBUFS,
        ENOMEM,
        EPIPE,
    ],
);
pub static WRITE: Call = call("sendto", &[SYS_sendto], WRITES);
pub static WRITE_PARTS: Call = call("writev", &[SYS_writev], WRITES);
const WRITES: &[i32] = &[
    EAGAIN,
    EINTR,
    EACCES,
    ECONNRESET,
    ECONNREFUSED,
    EHOSTUNREACH,
    EINVAL,
    EMSGSIZE,
    ENETDOWN,
    ENETUNREACH,
    ENOBUFS,
    ENOMEM,
    ENOTCONN,
    EPERM,
    EPIPE,
    ETIMEDOUT,
];
pub static SHUTDOWN: Call = call("shutdown", &[SYS_shutdown], &[EINVAL, ENOBUFS, ENOTCONN]);
/// By the filter the descriptor stays open, unlike by the system.
pub static CLOSE: Call = call("close", &[SYS_close], &[EINTR, EIO]);

/// What threads, their memory and a panic take, and that std asks, where it has its own assertions, whether a descriptor that it closes is
/// open.
pub static OTHERS: &[&Call] = &[
    &call(
        "others",
        &[
            SYS_brk,
            SYS_clock_gettime,
            SYS_exit,
            SYS_exit_group,
            SYS_futex,
            SYS_getrandom,
            SYS_gettid,
            SYS_madvise,
            SYS_mmap,
            SYS_mprotect,
            SYS_mremap,
            SYS_munmap,
            SYS_restart_syscall,
            SYS_rt_sigprocmask,
            SYS_sched_yield,
            SYS_sigaltstack,
            SYS_write,
        ],
        &[],
    ),
    &with(&[(1, F_GETFD as u64)], call("fcntl F_GETFD", &[SYS_fcntl], &[])),
];

/// Calls that are made in a stage, and how it is told that they fail; `None` where it does no harm, or is too late for anything.
#[derive(Debug)]
pub struct Row {
    pub stage: Stage,
    pub told: Option<&'static str>,
    pub calls: &'static [&'static Call],
}

const fn row(stage: Stage, told: Option<&'static str>, calls: &'static [&'static Call]) -> Row {
    Row { stage, told, calls }
}

/// What a dial takes, beside what any connected socket takes.
static DIALS: &[&Call] = &[&SOCKET, &CONNECT, &SO_ERROR_READ, &EPOLL_DEL];

/// What a port takes.
static LISTENS: &[&Call] = &[&SOCKET, &REUSEADDR, &BIND, &LISTEN];

/// What any socket takes that has been connected or accepted.
static SOCKETS: &[&Call] = &[
    &EPOLL_ADD,
    &GETPEERNAME,
    &GETSOCKNAME,
    &NODELAY,
    &KEEPALIVE,
    &KEEPIDLE,
    &KEEPINTVL,
    &NONBLOCKING,
    &RCVTIMEO,
    &SNDTIMEO,
    &DUPLICATE,
    &EPOLL_CREATE,
];

/// Calls that are made wherever a connection is ended. What fails then has failed before, or concerns nobody any more; the last word
/// may be lost.
static ENDS: &[&Call] = &[&NONBLOCKING, &WRITE, &READ, &SHUTDOWN, &CLOSE];

/// Of the end that dials.
pub static ACTIVE: &[Row] = &[
    row(Open, Some("System"), &[&EPOLL_CREATE]),
    row(Select, Some("ConnectFailed"), DIALS),
    row(Select, Some("ConnectFailed"), SOCKETS),
    row(Select, Some("System"), &[&EPOLL_WAIT]),
    row(Select, Some("Closed"), &[&READ, &WRITE]),
    row(Request, Some("Closed"), &[&NONBLOCKING, &READ, &WRITE]),
    row(Idle, Some("Closed"), &[&NONBLOCKING, &RCVTIMEO, &READ]),
    row(Stall, Some("Closed"), &[&WRITE_PARTS, &WRITE, &READ, &EPOLL_ADD, &EPOLL_MOD, &EPOLL_WAIT]),
    row(Stall, None, &[&SHUTDOWN, &CLOSE]),
    row(Separate, None, ENDS),
    row(Again, Some("ConnectFailed"), DIALS),
    row(Again, Some("ConnectFailed"), SOCKETS),
    row(Again, Some("System"), &[&EPOLL_WAIT]),
    row(Again, Some("Closed"), &[&READ, &WRITE]),
    row(Close, Some("Closed"), &[&NONBLOCKING, &WRITE]),
    row(Close, None, &[&READ, &SHUTDOWN, &CLOSE]),
    row(Drop, None, ENDS),
];

/// Of the end that listens. What it waits with for a caller it may not need, where that is quick: that it does so without one is in
/// `Idle`.
pub static PASSIVE: &[Row] = &[
    row(Open, Some("System"), &[&EPOLL_CREATE]),
    row(Open, Some("Listen"), LISTENS),
    row(Open, Some("Listen"), &[&GETSOCKNAME, &EPOLL_ADD]),
    row(Select, Some("ConnectFailed"), &[&ACCEPT]),
    row(Select, Some("ConnectFailed"), SOCKETS),
    row(Select, Some("Closed"), &[&READ]),
    // The answer to the Select.req: where it fails, it is written by the next call.
    row(Select, None, &[&WRITE]),
    // Told by the next call of `next`.
    row(Request, None, &[&ACCEPT]),
    row(Request, Some("System"), &[&EPOLL_MOD, &EPOLL_WAIT]),
    row(Request, Some("Closed"), &[&NONBLOCKING, &READ, &WRITE]),
    row(Idle, Some("CallersWait"), &[&ACCEPT]),
    row(Idle, Some("System"), &[&EPOLL_MOD, &EPOLL_WAIT]),
    row(Stall, Some("Closed"), &[&WRITE_PARTS, &WRITE, &READ, &EPOLL_ADD, &EPOLL_MOD, &EPOLL_WAIT]),
    row(Stall, None, &[&SHUTDOWN, &CLOSE]),
    row(Second, Some("CallersWait"), &[&ACCEPT]),
    row(Second, Some("CallersWait"), SOCKETS),
    row(Second, Some("System"), &[&EPOLL_MOD, &EPOLL_WAIT]),
    // Of that caller, who is hung up on.
    row(Second, None, &[&READ, &WRITE, &SHUTDOWN, &CLOSE]),
    row(Separate, None, ENDS),
    row(Again, Some("ConnectFailed"), &[&ACCEPT]),
    row(Again, Some("ConnectFailed"), SOCKETS),
    row(Again, Some("Closed"), &[&READ]),
    row(Again, None, &[&WRITE, &CLOSE]),
    row(Listen, Some("ConnectFailed"), LISTENS),
    row(Listen, Some("ConnectFailed"), &[&ACCEPT]),
    row(Listen, Some("ConnectFailed"), SOCKETS),
    row(Listen, Some("Closed"), &[&READ]),
    row(Listen, None, &[&WRITE]),
    row(Close, Some("Closed"), &[&NONBLOCKING, &WRITE]),
    row(Close, None, &[&READ, &SHUTDOWN, &CLOSE]),
    row(Drop, None, ENDS),
];

/// Calls that are made in a stage as well where the far end takes its time.
pub fn perhaps(active: bool, stage: Stage) -> &'static [&'static Call] {
    match (active, stage) {
        (_, Open | Stall | Separate | Close | Drop) => &[],
        (true, _) => const { &[&RCVTIMEO] },
        (false, _) => const { &[&ACCEPT, &EPOLL_WAIT, &EPOLL_MOD, &RCVTIMEO, &NONBLOCKING, &READ] },
    }
}

/// Whether it says that the same call may do better.
fn is_again(error: i32) -> bool {
    matches!(error, EAGAIN | EINTR)
}

/// What has to come of it when this call fails with this error in this stage, and so does every other such call.
pub fn outcome(active: bool, row: &Row, call: &Call, error: i32) -> Outcome {
    let (stage, is) = (row.stage, |other: &Call| call.name == other.name);
    let Some(by) = row.told else { return Done };
    if is(&WRITE) || is(&WRITE_PARTS) {
        // As where the peer takes nothing.
        let stalls = if stage == Stall { Done } else { Told("WriteStalled", None) };
        return if is_again(error) { stalls } else { Told(by, Some(error)) };
    }
    if (is(&READ) || is(&EPOLL_WAIT)) && is_again(error) {
        // As where the peer sends nothing; callers and what is dialled are looked at all the same.
        return match stage {
            Request => Told("NoReply", None),
            Select | Again | Listen if is(&READ) => Nothing,
            _ => Done,
        };
    }
    if active && (is(&CONNECT) && error == EINPROGRESS || is(&GETPEERNAME) && matches!(error, ENOTCONN | EAGAIN)) {
        // As where nobody answers.
        return Told(by, None);
    }
    // The caller is not there yet, or has gone: nobody is left to be told of.
    let gone = match stage {
        Select | Second | Again | Listen if !active => {
            is(&ACCEPT) && (is_again(error) || matches!(error, ECONNABORTED | ECONNRESET))
                || error == ENOTCONN && (is(&GETPEERNAME) || is(&GETSOCKNAME) && stage != Listen)
        }
        _ => false,
    };
    if gone {
        return Nothing;
    }
    // There is no caller.
    if is(&ACCEPT) && stage == Idle && (is_again(error) || matches!(error, ECONNABORTED | ECONNRESET)) {
        return Done;
    }
    Told(by, Some(error))
}
