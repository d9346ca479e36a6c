# What the scripts of this folder share: messages, packages, toolchain. Sourced, never run.

# No command of ours asks questions, and none may wait for a terminal that is not there.
exec </dev/null
export DEBIAN_FRONTEND=noninteractive
cd "$(dirname "${BASH_SOURCE[0]}")/.."
case ":$PATH:" in
    *":$HOME/.cargo/bin:"*) ;;
    *) export PATH="$PATH:$HOME/.cargo/bin:/usr/sbin:/sbin" ;;
esac

RUST_MIN=1.95

if [[ -t 1 ]]; then
    bold=$'\e[1m' red=$'\e[31m' green=$'\e[32m' plain=$'\e[0m'
else
    bold='' red='' green='' plain=''
fi

# A step begins.
say() { printf '%s==> %s%s\n' "$bold" "$*" "$plain"; }

# What went wrong, and what to do about it.
fail() {
    printf '%serror:%s %s\n' "$red" "$plain" "$1" >&2
    shift
    local line
    for line in "$@"; do printf '       %s\n' "$line" >&2; done
    exit 1
}

# Seconds as people say them.
duration() {
    if (($1 < 60)); then printf '%d s' "$1"; else printf '%d min %d s' $(($1 / 60)) $(($1 % 60)); fi
}

# True when a Debian package is installed.
has_package() {
    [[ "$(dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null)" == installed ]]
}

# Installs the Debian packages that are missing; nothing happens when none is.
need_packages() {
    if ! command -v apt-get >/dev/null; then
        say "no apt-get here: make sure your system has the counterparts of: $*"
        return
    fi
    local missing=() package sudo=() log
    for package in "$@"; do has_package "$package" || missing+=("$package"); done
    ((${#missing[@]})) || return 0
    if ((EUID != 0)); then
        command -v sudo >/dev/null || fail "packages are missing: ${missing[*]}" \
            "Install them as root: apt-get install ${missing[*]}"
        sudo=(sudo --non-interactive --preserve-env=DEBIAN_FRONTEND)
    fi
    say "installing ${missing[*]}"
    # Capturing as an ordinary user is not needed; the package asks unless told.
    printf 'wireshark-common wireshark-common/install-setuid boolean false\n' |
        "${sudo[@]}" debconf-set-selections 2>/dev/null || true
    log="$(mktemp)"
    local install=(apt-get install --yes --no-install-recommends -qq "${missing[@]}")
    if ! "${sudo[@]}" "${install[@]}" >"$log" 2>&1; then
        # The package lists are old or absent: fetch them and try once more.
        if ! "${sudo[@]}" apt-get update -qq >>"$log" 2>&1 ||
            ! "${sudo[@]}" "${install[@]}" >>"$log" 2>&1; then
            tail -n 5 "$log" >&2
            fail "apt could not install: ${missing[*]}" \
                "Its output is in $log." \
                "Repair it, or install the packages by hand, and run this again."
        fi
    fi
    rm -f "$log"
}

# Checks the Rust toolchain and says how to get it.
need_rust() {
    if ! command -v cargo >/dev/null || ! command -v rustc >/dev/null; then
        fail "no Rust toolchain found (cargo, rustc $RUST_MIN or newer)" \
            "Get one with: curl --proto '=https' -sSf https://sh.rustup.rs | sh -s -- -y" \
            "and run this again."
    fi
    local have
    have="$(rustc --version | cut -d ' ' -f 2)"
    if [[ "$(printf '%s\n%s\n' "$RUST_MIN" "$have" | sort -V | head -n 1)" != "$RUST_MIN" ]]; then
        fail "rustc is $have, and this needs $RUST_MIN or newer" \
            "Update with: rustup update stable"
    fi
    command -v cc >/dev/null || fail "no C compiler found, which Rust needs to link" \
        "Install one: apt-get install gcc libc6-dev"
}

# Where cargo puts what it builds.
target_dir() { printf '%s' "${CARGO_TARGET_DIR:-$PWD/target}"; }
