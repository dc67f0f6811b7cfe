# The stages of .ci/run as functions, so that .ci/planted can call each of them on a copy with a fault in it.
# shellcheck shell=bash
#
# Every stage works on the folder in $root, succeeds or says why not, and takes $packages (default: --workspace).

# Workspaces of their own.
workspaces=(fuzz hsms-embassy/examples/firmware tests/footprint tests/nopanic)

cargo_deny_version=0.20.2
cargo_hack_version=0.6.46
cargo_fuzz_version=0.13.2
cargo_llvm_cov_version=0.9.1
cargo_mutants_version=27.1.0

: "${packages:=--workspace}"
# Outside the tree, so that a fresh one does not build them again; each is asked for its version.
export HSMS_TOOLS=${HSMS_TOOLS:-$HOME/.cache/hsms/tools}
tools=$HSMS_TOOLS
PATH=$tools/bin:$PATH
export CARGO_TERM_PROGRESS_WHEN=never

fail() {
  printf '\n.ci: %s\n' "$*" >&2
  return 1
}

# --- tools ---------------------------------------------------------------------------------------------------------------

stage_tools() {
  rustup component list --installed 2>/dev/null | grep -q '^clippy' ||
    rustup component add clippy rustfmt || fail "clippy and rustfmt are missing and rustup cannot add them" || return
  cargo --version && cargo fmt --version && cargo clippy --version || return
  need_program gcc gcc libc6-dev && need_program python3 python3 && need_program npm npm || return
  need_program valgrind valgrind && need_program tshark tshark && need_python_venv || return
  need_program qemu-system-arm qemu-system-arm || return
  need_crate cargo-hack "$cargo_hack_version" && need_crate cargo-deny "$cargo_deny_version" || return
  need_crate cargo-fuzz "$cargo_fuzz_version" && need_crate cargo-mutants "$cargo_mutants_version" || return
  # What later stages build from, so that none of them waits for the network.
  local manifest
  for manifest in Cargo.toml "${workspaces[@]/%//Cargo.toml}"; do
    (cd "$root" && cargo fetch --quiet --locked --manifest-path "$manifest") || fail "cannot fetch what $manifest needs" || return
  done
  "$root/tests/peers/setup" && bash "$root/.ci/embedded-toolchain" >/dev/null
}

need_program() { # program, its Debian packages
  local program=$1
  shift
  command -v "$program" >/dev/null || install_packages "$@" || fail "$program is missing and cannot be installed" || return
  printf '%s: %s\n' "$program" "$(command -v "$program")"
}

# Debian has it in a package of its own.
need_python_venv() {
  python3 -c 'import ensurepip, venv' 2>/dev/null || install_packages python3-venv ||
    fail "python3 has no venv and it cannot be installed"
}

install_packages() {
  local sudo=
  if [ "$(id -u)" != 0 ]; then sudo="sudo -n"; fi
  command -v apt-get >/dev/null && $sudo apt-get update -q &&
    $sudo env DEBIAN_FRONTEND=noninteractive apt-get install -qy --no-install-recommends "$@"
}

# Optimised little, because it is built more often than used; the version is asked from the program itself.
need_crate() { # crate, version
  if [ "$(crate_version "$1")" != "$2" ]; then
    CARGO_PROFILE_RELEASE_LTO=off CARGO_PROFILE_RELEASE_CODEGEN_UNITS=16 CARGO_PROFILE_RELEASE_OPT_LEVEL=1 \
      cargo install --quiet --locked --force --root "$tools" "$1" --version "=$2" || fail "cannot install $1 $2" || return
    hash -r
  fi
  [ "$(crate_version "$1")" = "$2" ] ||
    fail "$1 is ${2} by its pin, but the one found says '$(crate_version "$1")'" || return
  printf '%s %s: %s\n' "$1" "$2" "$(command -v "$1")"
}

# What .ci/coverage measures with: tools of LLVM that read what a compiler with that number of LLVM writes. Those named by LLVM_COV and
# LLVM_PROFDATA are taken as they are; Debian's where it has them; else rustup's of the toolchain.
need_coverage() { # number of LLVM, toolchain as cargo is given it: +nightly, or nothing
  local folder=/usr/lib/llvm-$1/bin
  need_crate cargo-llvm-cov "$cargo_llvm_cov_version" || return
  if [ -n "${LLVM_COV:-}" ] && [ -n "${LLVM_PROFDATA:-}" ]; then return; fi
  if [ -x "$folder/llvm-cov" ] && [ -x "$folder/llvm-profdata" ] || install_packages "llvm-$1"; then return; fi
  rustup component add ${2:+--toolchain "${2#+}"} llvm-tools || fail "llvm-$1 and rustup's llvm-tools are missing and cannot be installed"
}

# cargo-hack answers only with cargo's subcommand word before the option; cargo-deny takes it too.
crate_version() {
  "$1" "${1#cargo-}" --version 2>/dev/null | awk 'NR == 1 { print $2 }'
}

# --- source --------------------------------------------------------------------------------------------------------------

# What a commit would hold: tracked, or new and not ignored, and there.
files() {
  git -C "$root" ls-files -z --cached --others --exclude-standard "$@" |
    (cd "$root" && while IFS= read -r -d '' file; do if [ -f "$file" ]; then printf '%s\0' "$file"; fi; done)
}

# Fails with the lines found when any file among the given ones matches.
forbid() { # what it is, extended regular expression, git pathspecs
  local what=$1 pattern=$2 found
  shift 2
  found=$(files "$@" | (cd "$root" && xargs -0r grep -nIE -e "$pattern" --)) || return 0
  printf '%s\n' "$found"
  fail "$what"
}

stage_hygiene() {
  local entry bad=0
  # One letter of each pattern stands in brackets so that this file does not match itself.
  forbid "a path of one machine" '(^|[^A-Za-z0-9_.])/(wor[k]|roo[t]|hom[e]|User[s])/' || bad=1
  forbid "a registry other than the public ones by their default" \
    'artifactor[y]|jfro[g]|sonatyp[e]|registry\.npmj[s]|registry\.yarnpk[g]|pypi\.or[g]/simple|--(extra-)?index-ur[l]|--find-link[s] ' || bad=1
  if files '*Cargo.lock' | (cd "$root" && xargs -0r grep -nH '^source = ') |
    grep -vF 'source = "registry+https://github.com/rust-lang/crates.io-index"'; then
    fail "Cargo.lock names a source other than crates.io" || bad=1
  fi
  forbid "package-lock.json says where it was fetched from" '"resolve[d]"' '*package-lock.json' || bad=1
  forbid "a test is ignored without a reason" '#\[ignor[e]\]' '*.rs' || bad=1
  # All of them but what plays a peer: the duties with their tests, and the faults.
  forbid "an adapter decides by message type" '(^|[^A-Za-z_])(Kin[d]|STyp[e]|PTyp[e])::|\.[sp]typ[e] *[=!]=|match [a-z_.()]*\.[sp]typ[e]' \
    'hsms-std/src/*' 'hsms-embassy/src/*' ':!hsms-std/src/conformance/*' ':!hsms-std/src/faults/*' || bad=1
  for entry in $(files | tr '\0' '\n' | cut -d / -f 1 | sort -u); do
    case $entry in
    .* | Cargo.toml | Cargo.lock | hsms-core | hsms-std | hsms-embassy | fuzz | tests) ;;
    README.md | CHANGELOG.md | CONTRIBUTING.md | LICENSE-MIT | LICENSE-APACHE) ;;
    *) fail "$entry does not belong on the top level" || bad=1 ;;
    esac
  done
  (cd "$root" && cargo metadata --locked --format-version 1 >/dev/null) || fail "Cargo.lock is not up to date" || bad=1
  for entry in "${workspaces[@]}"; do
    (cd "$root" && cargo metadata --locked --manifest-path "$entry/Cargo.toml" --format-version 1 >/dev/null) ||
      fail "$entry/Cargo.lock is not up to date" || bad=1
  done
  check_figures || bad=1
  (cd "$root" && tests/planted/run --check) || fail "the planted faults are not in order" || bad=1
  return "$bad"
}

# Each of these blocks of the README stands there once, with a table in which every row has a number beside its name.
figures="core loopback scale"
check_figures() {
  awk -v wanted="$figures" '
    function wrong(what) { print "README.md: figures block " what; bad = 1 }
    /^<!-- figures: .* -->$/ {
      if (block != "") wrong(block " has no end")
      block = $3
      if (begun[block]++) wrong(block " stands there twice")
      lines = 0
      rows = 0
      next
    }
    /^<!-- end -->$/ {
      if (block != "" && !rows) wrong(block " is empty")
      block = ""
      next
    }
    block == "" || !/^\|/ || /^\|[-:| ]+$/ { next }
    lines++ {
      values = $0
      sub(/^\|[^|]*\|/, "", values)
      if (values ~ /[0-9]/) rows++; else wrong(block " has a row without a number: " $0)
    }
    END {
      if (block != "") wrong(block " has no end")
      count = split(wanted, names, " ")
      for (i = 1; i <= count; i++) if (!(names[i] in begun)) wrong(names[i] " is missing")
      exit bad
    }' "$root/README.md" || fail "the figures of README.md are not all there"
}

stage_format() {
  local entry bad=0
  (cd "$root" && cargo fmt --all --check) || fail "run cargo fmt --all" || bad=1
  for entry in "${workspaces[@]}"; do
    (cd "$root/$entry" && cargo fmt --all --check) || fail "run cargo fmt --all in $entry" || bad=1
  done
  return "$bad"
}

# The rows of the nightly figures in a page, without their head.
nightly_rows() { # page
  sed -n '/^<!-- nightly -->$/,/^<!-- end -->$/p' "$1" 2>/dev/null | grep '^| [a-z]* | [0-9a-f]\{7,\} |' || true
}

# Says which figures of tests/README.md are older than the core, missing, or of a stage that did not pass. They take hours, so this is a
# word and no failure.
warn_nightly() {
  local rows commit stage missing='' failed
  rows=$(nightly_rows "$root/tests/README.md")
  if [ -z "$rows" ]; then
    printf 'WARNING: tests/README.md has no figures of .ci/nightly\n'
    return 0
  fi
  for stage in $(bash "$root/.ci/nightly" --list); do
    grep -q "^| $stage |" <<<"$rows" || missing+=" $stage"
  done
  [ -z "$missing" ] || printf 'WARNING: tests/README.md has no figures of:%s\n' "$missing"
  failed=$(awk '/\| \*\*(FAILED|STOPPED) / { printf " %s", $2 }' <<<"$rows")
  [ -z "$failed" ] || printf 'WARNING: tests/README.md has figures of stages that did not pass:%s\n' "$failed"
  for commit in $(awk '{ print $4 }' <<<"$rows" | sort -u); do
    if ! git -C "$root" cat-file -e "$commit^{commit}" 2>/dev/null; then
      printf 'WARNING: figures in tests/README.md are of commit %s, which is not here\n' "$commit"
    elif ! git -C "$root" diff --quiet "$commit" -- hsms-core/src hsms-core/Cargo.toml; then
      printf 'WARNING: hsms-core changed since %s, which figures in tests/README.md are of: %s\n' "$commit" \
        "$(awk -v c="$commit" '$4 == c { printf "%s ", $2 }' <<<"$rows")"
    fi
  done
  return 0
}

# --- builds --------------------------------------------------------------------------------------------------------------

stage_clippy() {
  # shellcheck disable=SC2086
  (cd "$root" && cargo clippy --locked $packages --all-targets --all-features -- -D warnings)
}

# For another system than this one. Nothing is linked, so nothing of that system is needed but the standard library: rustup's where it can
# add it, else built from the sources that come with Debian's compiler.
stage_windows() {
  local target=x86_64-pc-windows-gnu std=()
  if ! rustup target list --installed | grep -qx "$target" && ! timeout 100 rustup target add "$target"; then
    local RUSTUP_TOOLCHAIN RUSTC_BOOTSTRAP=1
    # The standard library names functions of that system.
    need_program x86_64-w64-mingw32-dlltool binutils-mingw-w64-x86-64 || return
    RUSTUP_TOOLCHAIN=$(bash "$root/.ci/embedded-toolchain" --debian) || fail "there is no toolchain for $target" || return
    export RUSTUP_TOOLCHAIN RUSTC_BOOTSTRAP
    std=(-Zbuild-std=std)
  fi
  (cd "$root" && cargo clippy --locked "${std[@]}" -p hsms-core -p hsms-std --target "$target" -- -D warnings &&
    cargo clippy --locked "${std[@]}" -p hsms-std --features manager --target "$target" -- -D warnings) ||
    fail "hsms-core and hsms-std are not in order for $target"
}

# No feature, each alone and all, and a third of the pairs, drawn by the commit; HSMS_PAIRS=all has every pair. Nothing of Cargo.toml is
# rewritten: resolver 3 keeps dev-dependencies out by itself.
stage_features() {
  local pairs=()
  [ "${HSMS_PAIRS:-}" = all ] || pairs=(--partition "$((0x0$(git -C "$root" rev-parse --short=7 HEAD 2>/dev/null) % 3 + 1))/3")
  # In a folder of its own, so that it need not wait for the tests.
  # shellcheck disable=SC2086
  (cd "$root" && export CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-$root/target/features} &&
    cargo hack clippy --locked $packages --each-feature -- -D warnings &&
    cargo hack clippy --locked $packages --feature-powerset --depth 2 "${pairs[@]}" -- -D warnings)
}

stage_docs() {
  # shellcheck disable=SC2086
  (cd "$root" && RUSTDOCFLAGS="-D warnings" cargo doc --locked $packages --no-deps --all-features)
}

stage_deny() {
  (cd "$root" && cargo deny --locked --all-features --config "$deny_config" check licenses bans sources) && deny_workspaces
}

deny_workspaces() {
  local manifest
  for manifest in "${workspaces[@]/%//Cargo.toml}"; do
    (cd "$root" && cargo deny --locked --all-features --workspace --manifest-path "$manifest" --config "$deny_beside" \
      check licenses bans sources) || fail "$manifest takes what it may not" || return
  done
}
deny_config=$root/.ci/deny.toml
deny_beside=$root/.ci/deny-beside.toml

# A library without std that has its own panic handler does not compile with std anywhere below it: two handlers.
stage_no_std() {
  local probe=$root/target/ci/no_std features
  mkdir -p "$probe/src" && cp "$root/Cargo.lock" "$probe/" || return
  cat >"$probe/Cargo.toml" <<EOF || return
[package]
name = "no_std_probe"
edition = "2024"
[lib]
crate-type = ["staticlib"]
[dependencies]
hsms-core = { path = "../../../hsms-core" }
hsms-embassy = { path = "../../../hsms-embassy", optional = true }
[features]
adapter = ["dep:hsms-embassy"]
defmt = ["hsms-core/defmt", "hsms-embassy?/defmt"]
net = ["adapter", "hsms-embassy/net"]
auth = ["hsms-core/auth"]
secs2 = ["hsms-core/secs2"]
services = ["hsms-core/services"]
serde = ["hsms-core/serde"]
[profile.dev]
panic = "abort"
[workspace]
EOF
  cat >"$probe/src/lib.rs" <<'EOF' || return
#![no_std]
pub use hsms_core;
#[cfg(feature = "adapter")]
pub use hsms_embassy;
#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    loop {}
}
EOF
  for features in "" auth defmt serde secs2 services adapter net net,defmt; do
    (cd "$probe" && CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-$root/target/ci/no_std_target} \
      cargo build --quiet --features "$features") ||
      fail "hsms-core or hsms-embassy does not build without std (features: ${features:-none})" || return
  done
  printf 'hsms-core builds for this machine without std: no features, auth, defmt, serde, secs2, services; hsms-embassy: none, net, defmt\n'
  if rustup target list --installed | grep -qx thumbv7m-none-eabi; then
    # In a folder of its own, so that it need not wait for the tests.
    (cd "$root" && export CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-$root/target/ci/no_std_target} &&
      cargo build --locked -p hsms-core --target thumbv7m-none-eabi &&
      cargo build --locked -p hsms-core --target thumbv7m-none-eabi --features alloc,auth,defmt,secs2,serde,services) || return
    printf 'and for thumbv7m-none-eabi\n'
  else
    printf 'NOT RUN: the build for thumbv7m-none-eabi (rustup target add thumbv7m-none-eabi)\n'
  fi
}

# Bare metal: core and adapter for four targets, and what the core takes there against the committed baseline.
stage_footprint() {
  local toolchain target features targets=() folder=${CARGO_TARGET_DIR:-$root/target/footprint}
  toolchain=$(footprint_toolchain) || fail "there is no toolchain for the bare-metal targets" || return
  for target in thumbv6m-none-eabi thumbv7m-none-eabi thumbv7em-none-eabihf riscv32imc-unknown-none-elf; do
    targets+=(--target "$target")
  done
  for features in "" defmt auth,hsms-embassy/net auth,defmt,hsms-embassy/net; do
    # A name without a package is that of a feature of both.
    (cd "$root" && CARGO_TARGET_DIR=$folder RUSTUP_TOOLCHAIN=$toolchain \
      cargo build --quiet --locked -p hsms-core -p hsms-embassy "${targets[@]}" --features "$features") ||
      fail "hsms-core or hsms-embassy does not build for bare metal (features: ${features:-none})" || return
  done
  printf 'hsms-core and hsms-embassy, with no features, defmt, net with auth, and all these, are built for:%s\n' "${targets[*]//--target/}"
  (cd "$root/tests/footprint" &&
    CARGO_TARGET_DIR=$folder cargo clippy --quiet --locked --all-targets -- -D warnings &&
    CARGO_TARGET_DIR=$folder cargo test --quiet --locked &&
    CARGO_TARGET_DIR=$folder RUSTUP_TOOLCHAIN=$toolchain cargo clippy --quiet --locked -p hsms-footprint-run -p hsms-footprint-image \
      --features hsms-footprint-image/auth,hsms-footprint-image/adapter --target thumbv7m-none-eabi --profile s -- -D warnings) ||
    fail "tests/footprint is not in order" || return
  footprint_gate "$toolchain"
}

footprint_gate() { # toolchain
  HSMS_EMBEDDED_TOOLCHAIN=$1 CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-$root/target/footprint} bash "$root/.ci/footprint" --gate ||
    fail "the footprint of hsms-core is not what it was"
}

# Emulated boards with the firmware, spoken to over real sockets.
stage_firmware() {
  local toolchain folder=${CARGO_TARGET_DIR:-$root/target/firmware} board
  toolchain=$(footprint_toolchain) || fail "there is no toolchain for the bare-metal targets" || return
  firmware_acceptance || return
  for board in $(bash "$root/.ci/firmware" --boards); do
    (cd "$root/hsms-embassy/examples/firmware" && CARGO_TARGET_DIR=$folder RUSTUP_TOOLCHAIN=$toolchain cargo clippy --quiet --locked \
      --release --target thumbv7m-none-eabi --no-default-features --features "$board,services" -- -D warnings) ||
      fail "the firmware for $board is not in order" || return
  done
  HSMS_EMBEDDED_TOOLCHAIN=$toolchain CARGO_TARGET_DIR=$folder bash "$root/.ci/firmware" || fail "the firmware does not do what it must"
}

# The program that talks to the boards: what it says of them is right only where its own tests pass. And what the adapter logs, on the host.
firmware_acceptance() {
  (cd "$root/hsms-embassy/examples/firmware" && export CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-$root/target/firmware} &&
    cargo clippy --quiet --locked -p hsms-firmware-acceptance --all-targets -- -D warnings &&
    cargo test --quiet --locked -p hsms-firmware-acceptance) || fail "the acceptance of the firmware is not in order" || return
  (cd "$root/hsms-embassy/examples/firmware" && export CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-$root/target/firmware} DEFMT_LOG=debug &&
    cargo clippy --quiet --locked -p hsms-firmware-log --all-targets -- -D warnings &&
    cargo test --quiet --locked -p hsms-firmware-log) || fail "the log of hsms-embassy is not what it must be"
}

# At the level of firmware alone; `tests/nopanic/run` without a level tries all three.
stage_nopanic() {
  local folder=${CARGO_TARGET_DIR:-$root/target/nopanic}
  (cd "$root/tests/nopanic" &&
    CARGO_TARGET_DIR=$folder cargo clippy --quiet --locked --profile os --all-features -- -D warnings) ||
    fail "tests/nopanic is not in order" || return
  CARGO_TARGET_DIR=$folder bash "$root/tests/nopanic/run" s || fail "hsms-core can panic, or asks for what it may not"
}

# Where the checked tree is a copy, the toolchain is that of the workspace.
footprint_toolchain() {
  if [ -n "${HSMS_EMBEDDED_TOOLCHAIN:-}" ]; then
    printf '%s\n' "$HSMS_EMBEDDED_TOOLCHAIN"
  else
    bash "$root/.ci/embedded-toolchain"
  fi
}

# --- tests ---------------------------------------------------------------------------------------------------------------

# The command a reader finds in the README is the one that is run.
readme_command() { # its beginning
  local line
  line=$(sed -n '/^```/,/^```/p' "$root/README.md" 2>/dev/null | grep -m 1 "^$1\( \|$\)") ||
    fail "README.md has no code block with a line that begins with: $1" || return
  printf '%s\n' "$line"
}

# The layers that go far go as far as there is time for here: optimised, and with the checks of debug builds.
stage_tests() {
  local command log=$root/target/ci/tests.log status=0
  command=$(readme_command "cargo test --workspace") || return
  printf 'README.md: %s\n' "$command"
  mkdir -p "$root/target/ci"
  (
    set -o pipefail
    cd "$root" && bash -c "export HSMS_PEERS=required HSMS_SCALE=ci; $command" 2>&1 | tee "$log"
  ) || status=$?
  count_tests "$log" || status=1
  [ "$status" = 0 ] || fail "the tests failed"
}

# Sums the result lines of all test programs. Fails for no tests, a failed one, and an ignored one: nothing may be left out here.
count_tests() { # log
  awk '
    /^test result: / {
      programs++
      for (i = 2; i <= NF; i++) {
        if ($i == "passed;") passed += $(i - 1)
        if ($i == "failed;") failed += $(i - 1)
        if ($i == "ignored;") ignored += $(i - 1)
      }
    }
    END {
      printf "tests: %d passed, %d failed, %d ignored in %d programs\n", passed, failed, ignored, programs
      exit !(passed > 0 && failed == 0 && ignored == 0)
    }' "$1" | tee "$root/target/ci/tests-counts"
  [ "${PIPESTATUS[0]}" = 0 ] || fail "not every test ran and passed"
}

# On stable even where a nightly is installed, so that the figures are of the same build on every machine, and that it is built in the time.
# Thus without a sanitizer and without watching comparisons, which leave too few executions for the time; .ci/nightly fuzz has both.
stage_fuzz() {
  HSMS_FUZZ_TOOLCHAIN=${HSMS_FUZZ_TOOLCHAIN:-stable} fuzz_targets
}

# Every target, or those named, two side by side: see .ci/fuzz.
fuzz_targets() {
  local seconds=${HSMS_FUZZ_SECONDS:-30} runs=${HSMS_FUZZ_RUNS:-100000} area=$root/target/fuzz target status=0
  local toolchain=${HSMS_FUZZ_TOOLCHAIN:-} sanitizer="-s address"
  need_crate cargo-fuzz "$cargo_fuzz_version" || return
  if [ -z "$toolchain" ]; then
    toolchain=stable
    if rustup toolchain list 2>/dev/null | grep -q '^nightly'; then toolchain=nightly; fi
  fi
  # Comparisons are not watched then either: executions are worth more.
  case $toolchain in nightly*) ;; *) sanitizer="-s none --no-trace-compares --codegen-units 4" ;; esac
  [ $# -gt 0 ] || mapfile -t targets < <(sed -n 's/^name = "\(.*\)"$/\1/p' "$root/fuzz/Cargo.toml" | grep -vx hsms-fuzz)
  [ $# -eq 0 ] || targets=("$@")
  [ ${#targets[@]} -gt 0 ] || fail "fuzz/Cargo.toml has no targets" || return
  printf 'fuzz: %d targets, %s s and %s executions each, %s, %s\n' "${#targets[@]}" "$seconds" "$runs" "$toolchain" "$sanitizer"
  mkdir -p "$area" || return
  for target in "${targets[@]}"; do
    # shellcheck disable=SC2086
    (cd "$root" && CARGO_TARGET_DIR=$area/target cargo "+$toolchain" fuzz build $sanitizer "$target") \
      >"$area/build.log" 2>&1 || {
      tail -n 30 "$area/build.log"
      fail "fuzz target $target does not build" || return
    }
  done
  export -f fuzz_target
  printf '%s\n' "${targets[@]}" |
    root=$root area=$area seconds=$seconds runs=$runs toolchain=$toolchain sanitizer=$sanitizer \
      xargs -P 2 -I {} bash -c 'fuzz_target {}' || status=1
  for target in "${targets[@]}"; do cat "$area/$target/result" 2>/dev/null || status=1; done
  [ "$status" = 0 ] || fail "fuzzing found something, or did not get far enough"
}

# One target, for its seconds, and on to its executions. The result is in $area/NAME/result.
fuzz_target() { # target
  local target=$1 place=$area/$1 done=0 limit=$((seconds * 10)) started=$SECONDS status=0 slice=$seconds rate words
  rm -rf "$place" && mkdir -p "$place/found" "$place/artifacts" && : >"$place/result" || return
  while :; do
    (
      # shellcheck disable=SC2086
      cd "$root" && CARGO_TARGET_DIR=$area/target cargo "+$toolchain" fuzz run $sanitizer "$target" \
        "$place/found" "fuzz/corpus/$target" -- -max_total_time="$slice" -max_len=1024 -dict=fuzz/hsms.dict -timeout=20 \
        -rss_limit_mb=1024 -print_final_stats=1 -artifact_prefix="$place/artifacts/"
    ) >"$place/log" 2>&1 || status=$?
    words=$(sed -n 's/^stat::number_of_executed_units: *//p' "$place/log" | tail -n 1)
    done=$((done + ${words:-0}))
    if [ "$status" != 0 ]; then
      {
        # What was said first, which is far above the end.
        grep -A 3 -E 'panicked at|^SUMMARY: ' "$place/log" | head -n 20
        tail -n 40 "$place/log"
        printf '%-20s FAILED after %d executions; the input: %s\n' "$target" "$done" "$(find "$place/artifacts" -type f | head -n 1)"
      } >"$place/result"
      return 1
    fi
    if [ "$done" -ge "$runs" ] || [ $((SECONDS - started)) -ge "$limit" ]; then break; fi
    slice=$((limit - SECONDS + started))
    if [ "$slice" -gt 5 ]; then slice=5; fi
  done
  rate=$((done / (SECONDS - started > 0 ? SECONDS - started : 1)))
  printf '%-20s %9d executions in %3d s, %7d a second, %d inputs kept\n' "$target" "$done" "$((SECONDS - started))" "$rate" \
    "$(find "$place/found" -type f | wc -l)" >"$place/result"
  if [ "$done" -lt "$runs" ]; then
    printf '%-20s has fewer executions than the %d asked for\n' "$target" "$runs" >>"$place/result"
    return 1
  fi
}

stage_demo() {
  local command
  command=$(readme_command "cargo run --release --example demo") || return
  (cd "$root" && bash -c "$command")
}

stage_bench() {
  (cd "$root" && HSMS_BENCH=${HSMS_BENCH:-required} cargo bench --locked -p hsms-core &&
    cargo bench --locked -p hsms-std --bench loopback -- --quick &&
    cargo bench --locked -p hsms-std --bench scale --bench peers -- --once)
}

# Two faults in the core, drawn by the commit, for the layers of tests to find.
stage_drawn() {
  local green=--assume-green
  [[ " ${HSMS_RUN:-} " == *" tests "* ]] || green=
  # What stage tests has built of other packages need not be built again.
  (cd "$root" && HSMS_PLANTED_TARGET=$root/target tests/planted/run ${green:+"$green"} --draw 2 --by "$(git rev-parse HEAD)")
}

# Of what the last commits changed in the core; .ci/mutants --all has every one.
stage_mutants() {
  HSMS_NICE=0 "$root/.ci/mutants" || fail "no test notices a change of the core that the last commits changed"
}

# The gates that take long to try are drawn by the commit; .ci/nightly tries each.
stage_planted() {
  local stage green=--assume-green
  for stage in hygiene format windows features no_std footprint; do
    [[ " ${HSMS_RUN:-} " == *" $stage "* ]] || green=
  done
  "$root/.ci/planted" ${green:+"$green"} --draw 2 --by "$(git -C "$root" rev-parse HEAD)"
}
