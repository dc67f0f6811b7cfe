//! Images, built and read.

use crate::image::Image;
use crate::rows::{FEATURES, PLANTED, RAM, ROWS, RUN};
use crate::run::Figures;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Who builds.
pub struct Builder {
    /// For RUSTUP_TOOLCHAIN.
    toolchain: Option<String>,
    /// Folder of this package.
    package: PathBuf,
    target_dir: PathBuf,
}

impl Builder {
    pub fn new(toolchain: Option<String>) -> Self {
        let package = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
        let target_dir =
            std::env::var_os("CARGO_TARGET_DIR").map_or(package.join("../../target/footprint"), PathBuf::from);
        Builder { toolchain, package, target_dir }
    }

    /// Release of the compiler and of its LLVM: what figures depend on.
    pub fn version(&self) -> Result<String, String> {
        let output = self.command("rustc").arg("-vV").output().map_err(|error| format!("rustc: {error}"))?;
        let told = String::from_utf8_lossy(&output.stdout);
        let field = |name: &str| told.lines().find_map(|line| line.strip_prefix(name)).map(str::trim);
        match (field("release:"), field("LLVM version:")) {
            (Some(release), Some(llvm)) => Ok(format!("{release}-llvm{llvm}")),
            _ => Err(format!("rustc -vV: {}", String::from_utf8_lossy(&output.stderr).trim())),
        }
    }

    /// Builds all images for a target at a level. Gives them by their programs.
    pub fn images(&self, target: &str, profile: &str) -> Result<BTreeMap<&'static str, Image>, String> {
        let mut images = BTreeMap::new();
        for features in FEATURES {
            let rows = ROWS.iter().filter(|row| row.features == features);
            let mut programs: Vec<_> = rows.map(|row| row.program).collect();
            programs.extend(RAM.iter().filter(|(with, _)| *with == features).map(|(_, program)| *program));
            if features.is_empty() {
                programs.push(PLANTED);
            }
            self.build("hsms-footprint-image", target, profile, features, &programs)?;
            for program in programs {
                images.insert(program, Image::read(&self.folder(target, profile).join(program))?);
            }
        }
        Ok(images)
    }

    /// Builds the program that measures calls, and runs it on this board.
    pub fn run(&self, target: &str, profile: &str, board: &str) -> Result<Figures, String> {
        self.build("hsms-footprint-run", target, profile, "", &[RUN])?;
        Figures::of(board, &self.folder(target, profile).join(RUN))
    }

    fn folder(&self, target: &str, profile: &str) -> PathBuf {
        self.target_dir.join(target).join(target).join(profile)
    }

    fn build(
        &self,
        package: &str,
        target: &str,
        profile: &str,
        features: &str,
        programs: &[&str],
    ) -> Result<(), String> {
        let mut cargo = self.command("cargo");
        cargo.args(["build", "--quiet", "--locked", "--package", package, "--features", features]);
        cargo.args(["--target", target, "--profile", profile]).env("CARGO_TARGET_DIR", self.target_dir.join(target));
        cargo.args(programs.iter().flat_map(|program| ["--bin", *program]));
        let status = cargo.status().map_err(|error| format!("cargo: {error}"))?;
        if status.success() { Ok(()) } else { Err(format!("cannot build {package} for {target}: {status}")) }
    }

    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        // Code that is compiled in steps is another, and larger.
        command.current_dir(&self.package).env_remove("RUSTFLAGS").env("CARGO_INCREMENTAL", "0");
        // Of the cargo that runs this program: its job server is not handed on.
        command.env_remove("CARGO_MAKEFLAGS").env_remove("MAKEFLAGS");
        if let Some(toolchain) = &self.toolchain {
            command.env("RUSTUP_TOOLCHAIN", toolchain);
        }
        command
    }

    /// A file of this package.
    pub fn file(&self, path: impl AsRef<Path>) -> PathBuf {
        self.package.join(path)
    }
}
