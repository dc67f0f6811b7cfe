//! Any number of links and seeds over a virtual network: what the test `simulation` runs, at any size.
//!
//! ```text
//! cargo run --release -p hsms-tests --example simulate -- --links 100000
//! cargo run --release -p hsms-tests --example simulate -- --seeds 1000
//! cargo run --release -p hsms-tests --example simulate -- --seed 5 --link 3 --watched 1
//! ```

#[path = "simulate/arguments.rs"]
mod arguments;

use arguments::Arguments;
use hsms_tests::simulation::{Figures, Plan, replay, run};
use std::error::Error;
use std::process::ExitCode;
use std::time::{Duration, Instant};

const HELP: &str = "\
Simulates links of two machines each over a faulty network, and checks what came of it.

  --links N      links of a seed, 20 if not given
  --seed N       the first seed, 1 if not given
  --seeds N      so many seeds, 1 if not given
  --seconds N    virtual time of each link, 3600 if not given
  --pause-ms N   between two primaries of an end on average, 2500 if not given; 0: there are none
  --faults-s N   between two faults of a link on average, 150 if not given; 0: there are none
  --watched N    of so many links one has each step held to all invariants, 16 if not given; 0: none
  --link N       plays one link of the seed again, and prints what happened last
  --lines N      so many lines of that, 200 if not given
  --spoiled-s N  from then on every text leaves with a wrong octet, to see a failure; 0 if not given: none does";

fn main() -> ExitCode {
    match simulate() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn simulate() -> Result<(), Box<dyn Error>> {
    let Some(Arguments { plan, seeds, link, lines }) = Arguments::parse(lexopt::Parser::from_env())? else {
        println!("{HELP}");
        return Ok(());
    };
    if let Some(link) = link {
        let (figures, trace) = replay(&plan, link, lines)?;
        trace.iter().for_each(|line| println!("{line}"));
        println!("{figures}");
        return Ok(());
    }
    let (start, mut told) = (Instant::now(), Instant::now());
    let mut all = Figures::default();
    for seed in (plan.seed..).take(usize::try_from(seeds)?) {
        let figures = run(&Plan { seed, ..plan }, |hours| {
            if told.elapsed() > Duration::from_secs(5) {
                told = Instant::now();
                let years = all.years() + hours / 8_760.0;
                let rate = years / start.elapsed().as_secs_f64();
                println!("seed {seed}, {years:.3} link-years, {rate:.4} link-years per second");
            }
        })?;
        all.add(&figures);
    }
    let seconds = start.elapsed().as_secs_f64();
    println!("{all}");
    println!("{seconds:.1} s on one core: {:.4} link-years per core-second", all.years() / seconds);
    Ok(())
}
