//! No descriptors left. Each test runs in a process of its own, which is allowed only a few.

use crate::support::*;
use hsms_core::wire::{Header, SelectStatus, SystemBytes};
use hsms_std::security::Refusal;
use hsms_std::{Connection, Incoming, State};
use rustix::time::{ClockId, clock_gettime};
use std::fs::File;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

const CHILD: &str = "HSMS_FEW_DESCRIPTORS";
const FEW: &str = "64";

/// What the system says when there is none left: EMFILE.
const TOO_MANY_OPEN_FILES: i32 = 24;

/// Runs the test of this name in a process that may have only a few descriptors, and `child` there.
fn with_few_descriptors(name: &str, child: impl FnOnce()) {
    if std::env::var_os(CHILD).is_some() {
        return child();
    }
    let output = Command::new("sh")
        .args(["-c", "ulimit -n \"$1\" && shift && exec \"$@\"", "sh", FEW])
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", name, "--nocapture"])
        .env(CHILD, "yes")
        .output()
        .unwrap();
    let told = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{told}{}", String::from_utf8_lossy(&output.stderr));
    assert!(told.contains("1 passed"), "{told}");
}

/// All descriptors that are left, but so many.
fn all_but(left: usize) -> Vec<File> {
    let mut files = Vec::new();
    loop {
        match File::open("/dev/null") {
            Ok(file) => files.push(file),
            Err(error) => {
                assert_eq!(error.raw_os_error(), Some(TOO_MANY_OPEN_FILES));
                assert!(files.len() > left && files.len() < 64);
                files.truncate(files.len() - left);
                return files;
            }
        }
    }
}

/// Time that this thread has kept a processor busy.
fn busy() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(u64::try_from(time.tv_sec).unwrap(), u32::try_from(time.tv_nsec).unwrap())
}

fn failed(connection: &mut Connection) -> Option<i32> {
    next_of(connection, |incoming| match incoming {
        Incoming::ConnectFailed { error } => Some(error.raw_os_error()),
        Incoming::Connected => panic!("connected without descriptors"),
        _ => None,
    })
}

#[test]
fn a_passive_side_without_descriptors_tells_so_at_every_t5_and_takes_callers_when_there_are_some() {
    let name =
        "descriptors::a_passive_side_without_descriptors_tells_so_at_every_t5_and_takes_callers_when_there_are_some";
    with_few_descriptors(name, || {
        let t5 = Duration::from_millis(100);
        let mut taken = 0;
        // Wherever it is that they run out: at the accept, or at one of those that a connection needs beside its own.
        for left in 0..10 {
            let (mut tool, address) = equipment(equipment_config().with_t5(t5).unwrap());
            let mut callers: Vec<Raw> = (0..3).map(|_| Raw::connect(address)).collect();
            let files = all_but(left);
            if let Some(Incoming::Connected) = tool.next(LONG).unwrap() {
                taken += 1;
                continue;
            }
            let (started, worked) = (Instant::now(), busy());
            for _ in 0..2 {
                assert_eq!(failed(&mut tool), Some(TOO_MANY_OPEN_FILES), "{left} left");
            }
            let passed = started.elapsed();
            // The first interval began before; milliseconds are cut off at both ends.
            assert!(passed >= t5 - Duration::from_millis(2), "two attempts within {passed:?}");
            assert!((busy() - worked) * 2 < passed, "it waits busily");
            drop(files);
            callers.push(Raw::connect(address));
            let caller = callers.last_mut().unwrap();
            caller.send(Header::select_req(SystemBytes(1)), &[]);
            if left > 0 {
                // Those before it may have been hung up on.
                callers.drain(..3);
            } else {
                callers.drain(1..);
                callers[0].send(Header::select_req(SystemBytes(1)), &[]);
            }
            tool.select(LONG).unwrap();
        }
        assert!((1..10).contains(&taken), "{taken} of ten got through");
    });
}

#[test]
fn a_link_does_not_suffer_from_callers_for_whom_there_are_no_descriptors() {
    let name = "descriptors::a_link_does_not_suffer_from_callers_for_whom_there_are_no_descriptors";
    with_few_descriptors(name, || {
        for left in 0..5 {
            let (mut tool, address) = equipment(equipment_config());
            let mut first = Raw::connect(address);
            first.send(Header::select_req(SystemBytes(1)), &[]);
            tool.select(LONG).unwrap();
            first.receive();
            let mut second = Raw::connect(address);
            second.send(Header::select_req(SystemBytes(2)), &[]);
            let files = all_but(left);
            let told = next_of(&mut tool, |incoming| match incoming {
                Incoming::CallersWait { error } => Some(error.raw_os_error()),
                Incoming::Closed { .. } => panic!("the link suffers"),
                _ => None,
            });
            assert_eq!(told, Some(TOO_MANY_OPEN_FILES), "{left} left");
            // It is told once, though it is tried every second, waits without work, and the link is as good as before.
            let (started, worked) = (Instant::now(), busy());
            let wait = Duration::from_millis(if left == 0 { 1_200 } else { 100 });
            assert!(tool.next(wait).unwrap().is_none());
            assert!((busy() - worked) * 2 < started.elapsed(), "it waits busily");
            thread::scope(|scope| {
                let peer = scope.spawn(|| {
                    first.send(primary(7, S1F1), &[1]);
                    assert_eq!(first.receive().1, [2]);
                });
                let token = next_of(&mut tool, |incoming| match incoming {
                    Incoming::Primary { token, .. } => token,
                    _ => None,
                });
                tool.reply(&token, &[2]).unwrap();
                tool.flush().unwrap();
                peer.join().unwrap();
            });
            assert_eq!(tool.state(), State::Selected);
            // The caller in the system's queue is taken without another one coming.
            drop(files);
            if left == 0 {
                let why = next_of(&mut tool, |incoming| match incoming {
                    Incoming::CallerRefused { why, .. } => Some(why),
                    _ => None,
                });
                assert_eq!(why, Refusal::Taken);
                thread::scope(|scope| {
                    let told = scope.spawn(|| second.receive().0.byte3);
                    while !told.is_finished() {
                        let _ = tool.next(Duration::from_millis(5)).unwrap();
                    }
                    assert_eq!(told.join().unwrap(), SelectStatus::COMMUNICATION_ALREADY_ACTIVE.0);
                });
                assert_eq!(tool.callers_refused().total(), 1);
            }
        }
    });
}

#[test]
fn an_active_side_without_descriptors_tells_so_at_every_t5_and_dials_when_there_are_some() {
    let name = "descriptors::an_active_side_without_descriptors_tells_so_at_every_t5_and_dials_when_there_are_some";
    with_few_descriptors(name, || {
        let t5 = Duration::from_millis(100);
        for left in 0..3 {
            let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
            let mut host = host(listener.local_addr().unwrap(), host_config().with_t5(t5).unwrap());
            let files = all_but(left);
            let (started, worked) = (Instant::now(), busy());
            for _ in 0..3 {
                assert_eq!(failed(&mut host), Some(TOO_MANY_OPEN_FILES), "{left} left");
            }
            let passed = started.elapsed();
            assert!(passed >= (t5 - Duration::from_millis(2)) * 2, "three attempts within {passed:?}");
            assert!((busy() - worked) * 2 < passed, "it waits busily");
            drop(files);
            thread::scope(|scope| {
                scope.spawn(|| {
                    // Those that were given up come first.
                    for _ in 0..100 {
                        let mut peer = Raw::over(listener.accept().unwrap().0);
                        let mut octets = [0; 14];
                        if std::io::Read::read_exact(&mut peer.0, &mut octets).is_ok() {
                            let request = Header::decode(octets.last_chunk().unwrap());
                            peer.send(Header::select_rsp(request.system), &[]);
                            return peer.expect_close();
                        }
                    }
                });
                host.select(LONG).unwrap();
                drop(host);
            });
        }
    });
}
