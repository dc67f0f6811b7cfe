//! The board's Ethernet controller as a driver for embassy-net.

use crate::board::Controller;
use core::task::Context;
use embassy_net_driver::{Capabilities, HardwareAddress, LinkState, RxToken, TxToken};
use embassy_sync::waitqueue::AtomicWaker;

/// Octets of the longest frame, from the destination's address to the end of the payload.
pub const FRAME: usize = 1514;

/// Administered locally: it belongs to nobody.
pub const ADDRESS: [u8; 6] = [0x02, 0x48, 0x53, 0x4D, 0x53, 0x01];

/// The task that waits for the controller.
static WAITING: AtomicWaker = AtomicWaker::new();

/// What the controller's interrupt calls after it has been silenced.
pub(crate) fn wake() {
    WAITING.wake();
}

/// The controller with a buffer for each direction.
pub struct Driver {
    controller: Controller,
    received: [u8; FRAME],
    sent: [u8; FRAME],
}

impl Driver {
    pub(crate) fn new(controller: Controller) -> Self {
        Driver { controller, received: [0; FRAME], sent: [0; FRAME] }
    }

    /// Asks `is_ready`, and where it is not, has the task woken when it may be.
    fn ready(&mut self, cx: &Context<'_>, is_ready: impl Fn(&Controller) -> bool) -> bool {
        if is_ready(&self.controller) {
            return true;
        }
        WAITING.register(cx.waker());
        self.controller.listen();
        // It may have become so just before.
        is_ready(&self.controller)
    }
}

impl embassy_net_driver::Driver for Driver {
    type RxToken<'a> = Received<'a>;
    type TxToken<'a> = Room<'a>;

    fn receive(&mut self, cx: &mut Context<'_>) -> Option<(Received<'_>, Room<'_>)> {
        while self.ready(cx, |controller| controller.has_room() && controller.has_frame()) {
            if let Some(len) = self.controller.take(&mut self.received) {
                let frame = self.received.get_mut(..len)?;
                return Some((Received(frame), Room { controller: &mut self.controller, buffer: &mut self.sent }));
            }
        }
        None
    }

    fn transmit(&mut self, cx: &mut Context<'_>) -> Option<Room<'_>> {
        self.ready(cx, Controller::has_room)
            .then_some(Room { controller: &mut self.controller, buffer: &mut self.sent })
    }

    fn link_state(&mut self, _: &mut Context<'_>) -> LinkState {
        // QEMU's cable is always plugged in.
        LinkState::Up
    }

    fn capabilities(&self) -> Capabilities {
        let mut capabilities = Capabilities::default();
        capabilities.max_transmission_unit = FRAME;
        capabilities.max_burst_size = Some(1);
        capabilities
    }

    fn hardware_address(&self) -> HardwareAddress {
        HardwareAddress::Ethernet(ADDRESS)
    }
}

/// A frame that has come.
pub struct Received<'a>(&'a mut [u8]);

impl RxToken for Received<'_> {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(self, f: F) -> R {
        f(self.0)
    }
}

/// Room for a frame to send.
pub struct Room<'a> {
    controller: &'a mut Controller,
    buffer: &'a mut [u8; FRAME],
}

impl TxToken for Room<'_> {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(self, len: usize, f: F) -> R {
        // smoltcp keeps to the capabilities; a longer frame would go out cut, as on a wire that is cut.
        let len = len.min(FRAME);
        let (frame, _) = self.buffer.split_at_mut(len);
        let result = f(frame);
        self.controller.send(frame);
        result
    }
}
