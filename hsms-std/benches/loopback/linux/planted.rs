//! Faults put into (b) on request, to see that the checks of this benchmark can fail.

use std::io::{Read, Write};
use std::net::SocketAddr;

use super::baseline::{Batched, Plain, listen};
use super::contender::{Case, Contender, Meter, Outcome, Serve};

/// The fault to plant, and the contender that has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Planted {
    /// Writes every message alone, so is no ceiling.
    Slow,
    /// Never answers.
    Stall,
    /// Alters one octet.
    Mangle,
    /// Claims one message more than it answered.
    Miscount,
}

impl Planted {
    /// By the name of the option's value.
    pub(crate) fn by_name(name: &str) -> Option<&'static Self> {
        match name {
            "slow" => Some(&Self::Slow),
            "stall" => Some(&Self::Stall),
            "mangle" => Some(&Self::Mangle),
            "miscount" => Some(&Self::Miscount),
            _ => None,
        }
    }
}

impl Contender for Planted {
    fn name(&self) -> &'static str {
        "(b) with a fault"
    }

    fn listen(&self, case: &Case) -> Outcome<(SocketAddr, Serve)> {
        match self {
            Self::Slow => Plain.listen(case),
            Self::Stall => listen(|mut stream| {
                let mut store = [0; 4096];
                while stream.read(&mut store)? > 0 {}
                Ok(0)
            }),
            Self::Mangle => listen(|mut stream| {
                let mut store = [0; 4096];
                loop {
                    let got = stream.read(&mut store)?;
                    let Some(last) = store[..got].last_mut() else {
                        return Ok(0);
                    };
                    *last ^= 1;
                    stream.write_all(&store[..got])?;
                }
            }),
            Self::Miscount => {
                let (address, serve) = Batched::SLEEPING.listen(case)?;
                Ok((address, Box::new(|| Ok(serve()? + 1))))
            }
        }
    }

    fn run(&self, to: SocketAddr, case: &Case, meter: &mut Meter) -> Outcome<u64> {
        match self {
            Self::Slow => Plain.run(to, case, meter),
            Self::Stall | Self::Mangle | Self::Miscount => Batched::SLEEPING.run(to, case, meter),
        }
    }
}
