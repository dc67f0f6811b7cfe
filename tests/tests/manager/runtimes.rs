//! Handles and what they give, on runtimes and on plain threads.

use crate::caller::{DEVICE, Echo, LIMIT, LOCAL, S1F1};
use hsms_std::Config;
use hsms_std::manager::{Error, Expected, Manager, Peer, PeerSettings};
use std::sync::Arc;
use std::thread;

/// A host whose requests are echoed, and one whose requests nobody answers.
fn hosts(manager: &Manager) -> (Peer, Peer) {
    let add = |name: &str, echo: bool| {
        let tool = PeerSettings::passive(LOCAL, Expected::Anyone, Config::equipment(DEVICE));
        let tool = if echo { tool.with_delegate(Arc::new(Echo)) } else { tool };
        let tool = manager.add(&format!("{name} tool"), tool).unwrap();
        let host = PeerSettings::active([tool.local_addr().unwrap()], Config::host(DEVICE));
        let host = manager.add(name, host).unwrap();
        tool.enable().unwrap();
        host.enable().unwrap();
        host.selected().wait(LIMIT).unwrap();
        host
    };
    (add("echo", true), add("silent", false))
}

async fn exchange(peer: Peer, number: u32) {
    let text = number.to_be_bytes();
    assert_eq!(peer.request(S1F1, text).await.unwrap().body, text);
    peer.linktest().await.unwrap();
    peer.send(S1F1, text).await.unwrap();
}

#[test]
fn handles_serve_many_tasks_of_tokio() {
    let manager = Manager::start().unwrap();
    let (echo, silent) = hosts(&manager);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    runtime.block_on(async {
        let tasks: Vec<_> = (0..32).map(|number| tokio::spawn(exchange(echo.clone(), number))).collect();
        for task in tasks {
            task.await.unwrap();
        }
        let never = tokio::time::timeout(std::time::Duration::from_millis(10), silent.request(S1F1, []));
        assert!(never.await.is_err(), "nobody answers");
        tokio::select! {
            reply = echo.request(S1F1, *b"this one") => assert_eq!(reply.unwrap().body, b"this one"),
            other = silent.request(S1F1, []) => panic!("{other:?}"),
        }
        let mut pending = silent.request(S1F1, []);
        assert!(futures_are_cancel_safe(&mut pending).await.is_none());
        manager.remove("silent").unwrap();
        assert!(pending.await.is_err(), "its outcome when the peer is removed");
    });
    manager.stop(LIMIT).unwrap();
}

/// Polls once, with a waker of the runtime's.
async fn futures_are_cancel_safe<F: Future + Unpin>(future: &mut F) -> Option<F::Output> {
    tokio::select! {
        biased;
        output = future => Some(output),
        () = std::future::ready(()) => None,
    }
}

#[test]
fn handles_serve_many_tasks_of_smol() {
    let manager = Manager::start().unwrap();
    let (echo, silent) = hosts(&manager);
    smol::block_on(async {
        let executor = smol::LocalExecutor::new();
        let tasks: Vec<_> = (0..32).map(|number| executor.spawn(exchange(echo.clone(), number))).collect();
        executor
            .run(async {
                for task in tasks {
                    task.await;
                }
            })
            .await;
        let either = smol::future::or(async { silent.request(S1F1, []).await.map(|_| "silent") }, async {
            echo.request(S1F1, []).await.map(|_| "echo")
        });
        assert_eq!(either.await.unwrap(), "echo");
    });
    manager.stop(LIMIT).unwrap();
}

#[test]
fn handles_serve_many_plain_threads() {
    let manager = Manager::start().unwrap();
    let (echo, silent) = hosts(&manager);
    thread::scope(|scope| {
        for number in 0..16_u32 {
            let echo = &echo;
            scope.spawn(move || {
                let text = number.to_be_bytes();
                assert_eq!(echo.request(S1F1, text).wait(LIMIT).unwrap().body, text);
                echo.linktest().wait(LIMIT).unwrap();
                echo.send(S1F1, text).wait(LIMIT).unwrap();
            });
        }
    });
    let mut never = silent.request(S1F1, []);
    assert!(matches!(never.wait(std::time::Duration::from_millis(10)), Err(Error::Late { .. })));
    manager.stop(LIMIT).unwrap();
    assert!(never.wait(LIMIT).is_err_and(|error| !matches!(error, Error::Late { .. })));
}
