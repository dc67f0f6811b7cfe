//! What hsms-core takes on bare-metal targets: flash and RAM from linked images, stack and instructions from a program that QEMU runs;
//! see `hsms-core/docs/footprint.md`, which it writes. Usually called by `.ci/footprint`, which finds the toolchain.

mod baseline;
mod build;
mod image;
mod judge;
mod page;
mod reach;
mod rows;
mod run;

use baseline::Key;
use build::Builder;
use image::{Finding, Image};
use rows::{
    COUNTED, FIRMWARE, FIRMWARE_IMAGES, FIRMWARE_TARGET, GATED_LEVEL, GATED_TARGETS, GROUPS, LEVELS, PLANTED, RAM,
    ROWS, RUNS, TARGETS,
};
use run::Figures;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

const HELP: &str = "\
bash .ci/footprint            prints the whole table
bash .ci/footprint --gate     builds the gated rows only; fails where they grew, or hold what they must not
bash .ci/footprint --write    the whole table, into the page and the baseline of this compiler; with --gate the gated rows
bash .ci/footprint --symbols PROGRAM [TARGET [LEVEL]]
                              what takes how much in one image: a program of tests/footprint/image/src/bin
";

/// Whose symbols are printed unless it is said.
const SYMBOLS_TARGET: &str = "thumbv7em-none-eabi";

#[derive(Default)]
struct Arguments {
    gate: bool,
    write: bool,
    /// Program, target and level.
    symbols: Option<(String, String, String)>,
    toolchain: Option<String>,
    /// Folder of the firmware's images, by board.
    firmware: Option<PathBuf>,
}

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(wrong) => {
            eprintln!("footprint: {wrong}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<(), String> {
    let Arguments { gate, write: writes, symbols: wanted, toolchain, firmware } =
        arguments().map_err(|error| format!("{error}\n{HELP}"))?;
    let builder = Builder::new(toolchain);
    let version = builder.version()?;
    if let Some((program, target, level)) = wanted {
        return symbols(&builder, &program, &target, &level);
    }
    let targets = TARGETS.iter().filter(|(target, _)| !gate || GATED_TARGETS.contains(target));
    let levels: Vec<_> = LEVELS.iter().filter(|(_, level)| !gate || *level == GATED_LEVEL).collect();
    let mut measured = Measured::default();
    // Each target has a folder of its own, so they do not wait for each other.
    let built = std::thread::scope(|scope| {
        let build = |target: &'static str| -> Result<Vec<_>, String> {
            let board = RUNS.iter().find(|(runs, _)| *runs == target).map(|(_, board)| *board);
            let build = |(profile, level): &(&'static str, &'static str)| {
                let images = builder.images(target, profile)?;
                let ran = board.map(|board| builder.run(target, profile, board)).transpose()?;
                eprintln!("{target} at {level}: measured");
                Ok((target, *level, images, ran))
            };
            levels.iter().map(|level| build(level)).collect()
        };
        let threads: Vec<_> = targets.map(|(target, _)| scope.spawn(move || build(target))).collect();
        let ended =
            |thread: std::thread::ScopedJoinHandle<'_, _>| thread.join().unwrap_or(Err("a build panicked".into()));
        threads.into_iter().map(ended).collect::<Result<Vec<_>, String>>()
    })?;
    for (target, level, images, ran) in built.into_iter().flatten() {
        measured.take(target, level, &images)?;
        if let Some(ran) = ran {
            measured.take_run(target, level, ran);
        }
    }
    if let Some(folder) = firmware {
        measured.take_firmware(&folder)?;
    }
    let figures = measured.figures();
    let text = page::tables(&version, &measured);
    println!("{text}");
    let judge::Judgement { lines, wrong: missed } = judge::judge(&figures);
    for line in lines {
        println!("{line}");
    }
    let file = builder.file(format!("baseline/{version}.txt"));
    if writes {
        write(&file, &baseline::print(&figures))?;
        write(&builder.file("../../hsms-core/docs/footprint.md"), &page::page(&text, &judge::table(&figures)))?;
    }
    let mut wrong = measured.wrong;
    wrong.extend(missed);
    match std::fs::read_to_string(&file) {
        Ok(text) => wrong.extend(baseline::compare(&baseline::parse(&text)?, &figures)),
        Err(_) => println!("there is no baseline for {version}: nothing to compare with"),
    }
    if wrong.is_empty() { Ok(()) } else { Err(wrong.join("\nfootprint: ")) }
}

fn arguments() -> Result<Arguments, lexopt::Error> {
    use lexopt::prelude::*;
    let mut given = Arguments::default();
    let mut parser = lexopt::Parser::from_env();
    while let Some(argument) = parser.next()? {
        match argument {
            Long("gate") => given.gate = true,
            Long("write") => given.write = true,
            Long("symbols") => {
                let mut values = parser.values()?.map(|value| value.string());
                let program = values.next().transpose()?.unwrap_or_default();
                let target = values.next().transpose()?.unwrap_or(SYMBOLS_TARGET.into());
                let level = values.next().transpose()?.unwrap_or(GATED_LEVEL.into());
                given.symbols = Some((program, target, level));
            }
            Long("firmware") => given.firmware = Some(parser.value()?.into()),
            Long("toolchain") => given.toolchain = Some(parser.value()?.string()?),
            Long("help") => {
                print!("{HELP}");
                std::process::exit(0);
            }
            other => return Err(other.unexpected()),
        }
    }
    Ok(given)
}

fn symbols(builder: &Builder, program: &str, target: &str, level: &str) -> Result<(), String> {
    let Some((profile, _)) = LEVELS.iter().find(|(_, known)| *known == level) else {
        return Err(format!("no such level: {level}"));
    };
    let images = builder.images(target, profile)?;
    let image = images.get(program).ok_or_else(|| format!("no such program: {program}"))?;
    for (name, size) in image.by_size() {
        println!("{size:>6}  {name}");
    }
    println!("{:>6}  without memcpy and friends, {} with", image.own(), image.own() + image.helpers());
    Ok(())
}

fn write(path: &Path, text: &str) -> Result<(), String> {
    let folder = path.parent().unwrap_or(path);
    std::fs::create_dir_all(folder)
        .and_then(|()| std::fs::write(path, text))
        .map_err(|error| format!("{}: {error}", path.display()))
}

/// All figures, and what is wrong with what they were taken from.
#[derive(Default)]
pub struct Measured {
    /// Without the compiler's helpers, and those alone.
    pub flash: BTreeMap<Key, u64>,
    pub helpers: BTreeMap<Key, u64>,
    /// By target and symbol.
    pub ram: BTreeMap<(String, String), u64>,
    /// By target and level.
    pub ran: BTreeMap<(String, String), Figures>,
    /// What core and adapter add to the image with the echo, by board.
    added: BTreeMap<String, u64>,
    /// What was found in images that may not be without it, such as formatting where SML is printed.
    pub found: BTreeMap<(&'static str, Finding), usize>,
    wrong: Vec<String>,
}

impl Measured {
    fn take(&mut self, target: &str, level: &str, images: &BTreeMap<&'static str, Image>) -> Result<(), String> {
        let image = |program: &str| images.get(program).ok_or_else(|| format!("{program} was not built"));
        for row in &ROWS {
            let image = image(row.program)?;
            let key = (target.to_owned(), level.to_owned(), row.program.to_owned());
            self.flash.insert(key.clone(), image.own());
            self.helpers.insert(key, image.helpers());
            for (finding, mut symbols) in image.findings() {
                if row.formats && finding != Finding::Allocator {
                    self.found.insert((row.program, finding), symbols.len());
                    continue;
                }
                symbols.retain(|symbol| finding != Finding::Panic || !row.panics.contains(symbol));
                if symbols.is_empty() {
                    self.found.insert((row.program, finding), row.panics.len());
                    continue;
                }
                let some = symbols.iter().take(5).copied().collect::<Vec<_>>().join(", ");
                self.wrong.push(format!("{target} {level} {}: {finding:?} in the image: {some}", row.program));
            }
        }
        let planted = image(PLANTED)?.findings();
        for finding in [Finding::Panic, Finding::Allocator, Finding::Formatting] {
            if !planted.contains_key(&finding) {
                self.wrong.push(format!("{target} {level}: the {finding:?} that was planted is not found"));
            }
        }
        for (_, program) in RAM {
            for (name, octets) in image(program)?.ram() {
                let key = (target.to_owned(), name.clone());
                if self.ram.insert(key, *octets).is_some_and(|before| before != *octets) {
                    self.wrong.push(format!("{target}: {name} takes different RAM at different levels"));
                }
            }
        }
        Ok(())
    }

    fn take_run(&mut self, target: &str, level: &str, ran: Figures) {
        for (group, _) in GROUPS.iter().filter(|(group, _)| !ran.stack.contains_key(*group)) {
            self.wrong.push(format!("{target} {level}: no call of {group} was measured"));
        }
        for (what, _) in COUNTED.iter().filter(|(what, _)| !ran.instructions.contains_key(*what)) {
            self.wrong.push(format!("{target} {level}: instructions of {what} were not counted"));
        }
        self.ran.insert((target.to_owned(), level.to_owned()), ran);
    }

    /// The images of the firmware, which are of one target.
    fn take_firmware(&mut self, folder: &Path) -> Result<(), String> {
        let boards = std::fs::read_dir(folder).map_err(|error| format!("{}: {error}", folder.display()))?;
        for board in boards {
            let board = board.map_err(|error| format!("{}: {error}", folder.display()))?;
            let flash = |image: &str| Image::read(&board.path().join(image)).map(|image| image.own() + image.helpers());
            let [echo, reply] = FIRMWARE_IMAGES.map(flash);
            let name = board.file_name().to_string_lossy().into_owned();
            let added =
                reply?.checked_sub(echo?).ok_or_else(|| format!("{name}: the echo is larger than the reply"))?;
            self.added.insert(name, added);
        }
        Ok(())
    }

    /// All that is compared with the baseline.
    fn figures(&self) -> BTreeMap<Key, u64> {
        let mut figures = self.flash.clone();
        for ((target, symbol), octets) in &self.ram {
            figures.insert((target.clone(), "-".into(), format!("ram/{symbol}")), *octets);
        }
        for (board, added) in &self.added {
            figures.insert((FIRMWARE_TARGET.into(), "-".into(), format!("{FIRMWARE}{board}")), *added);
        }
        for ((target, level), ran) in &self.ran {
            let key = |row: String| (target.clone(), level.clone(), row);
            let stack = ran.stack.iter().map(|(group, (octets, _))| (key(format!("stack/{group}")), *octets));
            let counted = ran.instructions.iter().map(|(what, number)| (key(format!("instructions/{what}")), *number));
            figures.extend(stack.chain(counted));
        }
        figures
    }
}
