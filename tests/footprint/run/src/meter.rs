//! Measures calls, and prints what they take.

use core::hint::black_box;
use semihosting::{println, process};

/// What the stack is painted with, and words of it that are.
const PAINT: u32 = 0xCCCC_CCCC;
const WORDS: usize = 8 * 1024;

/// Takes calls, and tells their figures.
#[derive(Default)]
pub struct Meter {
    group: &'static str,
    figures: usize,
}

impl Meter {
    /// What the calls that follow belong to.
    pub fn group(&mut self, group: &'static str) {
        self.group = group;
    }

    /// Makes a call and tells how much stack it took, with what its caller keeps for arguments and result. It has to give true.
    pub fn call(&mut self, what: &str, mut call: impl FnMut() -> bool) {
        let mut done = false;
        let octets = depth(&mut || done = black_box(call()));
        if !done {
            self.fail(what);
        }
        self.figures += 1;
        println!("stack {} {octets} {what}", self.group);
    }

    /// Makes a call of `it`, which has to give true, and so has to look at it afterwards.
    pub fn on<T>(
        &mut self,
        it: &mut T,
        what: &str,
        mut call: impl FnMut(&mut T) -> bool,
        after: impl FnOnce(&mut T) -> bool,
    ) {
        self.call(what, || call(it));
        if !after(it) {
            self.fail(what);
        }
    }

    /// Tells how many instructions something takes.
    pub fn instructions(&mut self, count: u32, what: &str) {
        self.figures += 1;
        println!("instructions {count} {what}");
    }

    /// Ends the run, as something did not do what it is measured for.
    pub fn fail(&self, what: &str) -> ! {
        println!("failed in {}: {what}", self.group);
        process::exit(1)
    }

    /// Ends the run.
    pub fn finish(&self) -> ! {
        println!("figures {}", self.figures);
        process::exit(0)
    }
}

/// Octets of stack that a call takes.
#[inline(never)]
fn depth(call: &mut dyn FnMut()) -> usize {
    let top = core::ptr::with_exposed_provenance_mut::<u32>(cortex_m::register::msp::read() as usize);
    // Neither loop calls anything, so that nothing of theirs lies there. No interrupt is enabled.
    for word in 1..=WORDS {
        // SAFETY: memory below the stack pointer, which nobody uses; the stack is far larger than this.
        unsafe { top.sub(word).write_volatile(PAINT) };
    }
    call();
    let mut unused = WORDS;
    // SAFETY: as above, read only.
    while unused > 0 && unsafe { top.sub(unused).read_volatile() } == PAINT {
        unused -= 1;
    }
    unused * size_of::<u32>()
}
