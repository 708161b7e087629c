# Shared by the scripts: what the system lacks is installed from its packages.

say() { printf '\033[1m%s\033[0m\n' "$*" >&2; }

as_root() {
  if [ "$(id -u)" = 0 ]; then "$@"; else sudo "$@"; fi
}

# need COMMAND PACKAGE...: installs the Debian packages if the command is missing.
need() {
  local command=$1
  shift
  command -v "$command" >/dev/null 2>&1 && return 0
  say "installing $* (for $command)"
  as_root apt-get update -qq
  as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$@"
}

need_cargo() {
  command -v cargo >/dev/null 2>&1 || {
    echo "cargo is missing: install Rust first, see https://rustup.rs" >&2
    exit 1
  }
  need cc gcc libc6-dev
  need make make
}

# What the tests went through is summed up in a file that each of them adds to.
tally_begin() {
  mkdir -p target
  export CALLGATE_TALLY="$PWD/target/tally.tsv"
  rm -f "$CALLGATE_TALLY"
}

tally_print() {
  [ -s "$CALLGATE_TALLY" ] || return 0
  say "went through:"
  awk -F '\t' '{ sum[$2] += $1 } END { for (what in sum) printf "%12d  %s\n", sum[what], what }' "$CALLGATE_TALLY" | sort -k2
}
