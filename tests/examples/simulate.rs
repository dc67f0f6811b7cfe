//! Any number of links and seeds over a virtual network: what the test `simulation` runs, at any size.
//!
//! ```text
//! cargo run --release -p hsms-tests --example simulate -- --links 100000
//! cargo run --release -p hsms-tests --example simulate -- --seeds 1000
//! cargo run --release -p hsms-tests --example simulate -- --seed 5 --link 3 --watched 1
//! ```

use hsms_tests::simulation::{Arguments, Figures, HELP, Plan, replay, run};
use std::error::Error;
use std::process::ExitCode;
use std::time::{Duration, Instant};

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
