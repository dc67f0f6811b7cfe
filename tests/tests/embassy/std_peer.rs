//! A link against the driver of `hsms-std`, over a pipe in memory.

use crate::kit::executor::run;
use crate::kit::pipe::{Reader, Writer, pair};
use crate::kit::scene::{DEVICE, Plain, S1F1, S6F11, beside, echo, quiet};
use embassy_futures::join::join;
use hsms_embassy::hsms_core::connection::{CloseReason, State};
use hsms_embassy::{Buffers, Config, Error};
use hsms_std::Incoming;
use hsms_std::driver::Driver;
use std::cell::RefCell;
use std::io::{self, ErrorKind, IoSlice};
use std::rc::Rc;
use std::time::Duration;

/// A pipe for the driver, which never waits for it.
struct Pipe {
    reader: Rc<RefCell<Option<Reader>>>,
    writer: Option<Writer>,
}

impl hsms_std::transport::Transport for Pipe {
    fn read(&mut self, octets: &mut [u8], _: Duration) -> io::Result<usize> {
        let reader = self.reader.borrow();
        reader.as_ref().and_then(|reader| reader.try_read(octets)).ok_or(ErrorKind::WouldBlock.into())
    }

    fn write(&mut self, parts: &[IoSlice<'_>], _: Duration) -> io::Result<usize> {
        let writer = self.writer.as_ref().ok_or(ErrorKind::BrokenPipe)?;
        let part = parts.iter().find(|part| !part.is_empty()).map_or(&[][..], |part| part);
        match writer.try_write(part) {
            None => Err(ErrorKind::BrokenPipe.into()),
            Some(0) => Err(ErrorKind::WouldBlock.into()),
            Some(written) => Ok(written),
        }
    }

    fn wait(&mut self, _: bool, _: Duration) -> io::Result<()> {
        Ok(())
    }

    fn close(&mut self) {
        self.reader.take();
        self.writer.take();
    }
}

/// Turns the driver whenever there is something to read, and shows `act` all that comes, until it has enough.
async fn drive(
    driver: &mut Driver<Pipe>,
    reader: &Rc<RefCell<Option<Reader>>>,
    mut act: impl FnMut(&mut Driver<Pipe>) -> bool,
) {
    loop {
        let now = driver.tick();
        driver.turn(now).unwrap();
        let enough = act(driver);
        // Where it has ended there is nothing to write to.
        let _ = driver.flush();
        if enough {
            return;
        }
        let Some(waiting) = reader.take() else { return };
        waiting.readable().await;
        reader.replace(Some(waiting));
    }
}

fn driver(config: Config, (reader, writer): (Reader, Writer)) -> (Driver<Pipe>, Rc<RefCell<Option<Reader>>>) {
    let reader = Rc::new(RefCell::new(Some(reader)));
    let mut driver = Driver::new(quiet(config), hsms_std::Options::new());
    driver.enable();
    driver.opened(Pipe { reader: reader.clone(), writer: Some(writer) });
    (driver, reader)
}

#[test]
fn a_host_of_hsms_std_is_answered() {
    for room in [3, 100, 100_000] {
        let ((reader, writer), far) = pair(room);
        // The driver does not wait for room: it gets what it needs.
        far.1.widen(1 << 20);
        let (mut host, host_reader) = driver(Config::host(DEVICE), far);
        let mut buffers = Buffers::<64, 64, 128>::new();
        let equipment = Plain::new(quiet(Config::equipment(DEVICE)), buffers.lend()).unwrap();
        run(async {
            equipment.enable();
            let seen = RefCell::new(Vec::new());
            let texts: Vec<Vec<u8>> = (0..40).map(|n: usize| vec![n as u8; n * 20]).collect();
            let work = async {
                drive(&mut host, &host_reader, |host| {
                    while host.poll().is_some() {}
                    host.is_selected()
                })
                .await;
                for text in &texts {
                    host.post(DEVICE.session(), S1F1, text).unwrap();
                    let mut answered = false;
                    drive(&mut host, &host_reader, |host| {
                        while let Some(incoming) = host.poll() {
                            if let Incoming::Reply { message } = incoming {
                                assert_eq!(message.body, text);
                                answered = true;
                            }
                        }
                        answered
                    })
                    .await;
                }
                equipment.disable();
                let mut closed = None;
                drive(&mut host, &host_reader, |host| {
                    while let Some(incoming) = host.poll() {
                        if let Incoming::Closed { reason, .. } = incoming {
                            closed = Some(reason);
                        }
                    }
                    closed.is_some()
                })
                .await;
                assert_eq!(closed, Some(CloseReason::SeparateReceived));
            };
            let link = async {
                let reason = equipment.run_over(reader, writer).await.unwrap();
                assert_eq!(reason, CloseReason::Disabled);
            };
            beside(join(work, link), echo(&equipment, &seen)).await;
            assert_eq!(seen.into_inner(), texts);
        });
    }
}

#[test]
fn equipment_of_hsms_std_answers() {
    let ((reader, writer), far) = pair(50);
    far.1.widen(1 << 20);
    let (mut equipment, far_reader) = driver(Config::equipment(DEVICE), far);
    let mut buffers = Buffers::<64, 64, 128>::new();
    let host = Plain::new(quiet(Config::host(DEVICE)), buffers.lend()).unwrap();
    run(async {
        host.enable();
        let mut events = 0;
        let serve = drive(&mut equipment, &far_reader, |equipment| {
            let mut answers = Vec::new();
            let mut over = false;
            while let Some(incoming) = equipment.poll() {
                match incoming {
                    Incoming::Primary { message, token: Some(token) } => answers.push((token, message.body.to_vec())),
                    Incoming::Primary { .. } => events += 1,
                    Incoming::Closed { .. } => over = true,
                    _ => {}
                }
            }
            for (token, text) in answers {
                match text.len() {
                    7 => equipment.abort(&token).unwrap(),
                    _ => equipment.reply(&token, &text).unwrap(),
                }
            }
            over
        });
        let work = async {
            host.reached(State::Selected).await.unwrap();
            let mut buffer = [0; 1000];
            for len in 0..100 {
                let text = vec![len as u8; len * 10];
                assert_eq!(host.request(S1F1, &text, &mut buffer).await.unwrap().body, text);
                host.send(S6F11, &text).await.unwrap();
            }
            assert!(matches!(host.request(S1F1, &[0; 7], &mut buffer).await, Err(Error::Aborted { .. })));
            host.linktest().await.unwrap();
            host.disable();
        };
        let ((reason, ()), ()) = join(join(host.run_over(reader, writer), work), serve).await;
        assert_eq!(reason, Ok(CloseReason::Disabled));
        assert_eq!(events, 100);
    });
}
