# shellcheck shell=bash
# What the scripts beside this file share. To be sourced by bash, not run.
#
# It enters the repository's top folder, so that a script works from anywhere, and defines:
#   say TEXT...        a line on what happens next
#   die TEXT...        an error that ends the script
#   usage TEXT "$@"    prints TEXT and ends if --help is among the arguments
#   need PACKAGE...    Debian packages, installed if they are missing
#   want PACKAGE...    the same, but one that cannot be had is told of, and left out
#   need_npm NAME      the npm packages of tests/interop/NAME/package-lock.json, in build/npm/NAME
#   configure PRESET [OPTION...]   configures a preset, quietly if all goes well
#   build PRESET [TARGET...]       builds what was configured; without a target, all of the preset

set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

# The packages, each list in this one place.
# shellcheck disable=SC2034  # used by the scripts that source this file
{
  packages_build=(cmake ninja-build clang-19 lld-19 libclang-rt-19-dev g++ pkg-config
    liburing-dev libc-ares-dev libcli11-dev nlohmann-json3-dev libfmt-dev libtomlplusplus-dev)
  packages_test=(libgtest-dev libgmock-dev libprotobuf-dev protobuf-compiler llvm-19
    netcat-openbsd ncat socat strace python3 systemd tshark groff-base zsh fish iproute2 nftables valgrind)
  packages_bench=(libbenchmark-dev python3)
  packages_peers=(libboost1.81-dev libuv1-dev libevent-dev golang-go iperf3
    libgrpc++-dev libprotobuf-dev protobuf-compiler protobuf-compiler-grpc libns3-dev)
  packages_format=(clang-format-19)
  packages_tidy=(clang-tidy-19)
}

if [ -t 1 ]; then
  bold=$'\e[1m' plain=$'\e[0m'
else
  bold='' plain=''
fi

say() { printf '%s== %s%s\n' "$bold" "$*" "$plain"; }

die() {
  printf '%s: %s\n' "$0" "$*" >&2
  exit 1
}

usage() {
  local text=$1 argument
  shift
  for argument; do
    case $argument in
      --help | -h)
        printf '%s\n' "$text"
        exit 0
        ;;
      --) return 0 ;;
    esac
  done
}

missing() {
  local package
  for package; do
    # "installed" may also be said of a package that provides this one; ask for the thing itself.
    [ "$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null)" = installed ] ||
      printf '%s\n' "$package"
  done
}

need() {
  local absent as_root=()
  command -v dpkg-query >/dev/null ||
    die "this is no Debian system: install by hand what stands for $* and use cmake directly"
  mapfile -t absent < <(missing "$@")
  [ ${#absent[@]} -gt 0 ] || return 0

  if [ "$(id -u)" -ne 0 ]; then
    command -v sudo >/dev/null ||
      die "missing packages, and neither root nor sudo to install them: apt-get install ${absent[*]}"
    as_root=(sudo)
  fi
  say "installing ${absent[*]}"
  local install=("${as_root[@]}" env DEBIAN_FRONTEND=noninteractive
    apt-get install -y -q --no-install-recommends "${absent[@]}")
  # The lists of a fresh machine are empty, those of an old one name files that are gone.
  if ! "${install[@]}" </dev/null >build/apt.log 2>&1; then
    "${as_root[@]}" apt-get update -q </dev/null >>build/apt.log 2>&1 ||
      { tail -n 20 build/apt.log >&2 && die "apt-get update failed (all of it: build/apt.log)"; }
    "${install[@]}" </dev/null >>build/apt.log 2>&1 ||
      { tail -n 20 build/apt.log >&2 && die "cannot install ${absent[*]} (all of it: build/apt.log)"; }
  fi
}

want() {
  local package
  # All at once, which is quick; and only if that fails, each by itself.
  (need "$@") 2>/dev/null && return 0
  for package; do
    (need "$package") || say "LEFT OUT: $package cannot be installed, nor what needs it be measured"
  done
}

# Programs of others that tests talk to. Without them those tests say loudly that they did not run,
# and fail where CI=true.
need_npm() {
  local from=tests/interop/$1 to=build/npm/$1
  cmp -s "$from/package-lock.json" "$to/node_modules/installed" && return 0
  command -v npm >/dev/null || need nodejs npm
  mkdir -p "$to"
  cp "$from/package.json" "$from/package-lock.json" "$to"
  say "installing the npm packages of $from"
  if (cd "$to" && npm ci --ignore-scripts --no-audit --no-fund) >"$to/npm.log" 2>&1; then
    cp "$from/package-lock.json" "$to/node_modules/installed"
  else
    tail -n 20 "$to/npm.log" >&2
    say "npm ci failed (all of it: $to/npm.log)"
  fi
}

configure() {
  local log=build/configure.$1.log
  if ! cmake --preset "$@" >"$log" 2>&1; then
    cat "$log" >&2
    die "configuring preset $1 failed"
  fi
}

build() {
  local preset=$1
  shift
  say "building preset $preset${*:+: $*}"
  if [ $# -gt 0 ]; then
    cmake --build --preset "$preset" --target "$@"
  else
    cmake --build --preset "$preset"
  fi
}

mkdir -p build
