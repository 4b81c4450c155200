# shellcheck shell=bash
# Sourced by the scripts beside it that start trainings; it does nothing by itself.

# The text at the head of a script, as its help.
print_help() { sed -n '2,/^[^#]/s/^# \{0,1\}//p' "$0"; }

# wrong_usage TEXT: say what is wrong and where to look, and leave with status 2.
wrong_usage() {
    echo "$(basename "$0"): $1; see $(basename "$0") --help" >&2
    exit 2
}

is_number() { [[ $1 =~ ^[1-9][0-9]*$ ]]; }

# fault_of_hostfile FILE: the first line that is not "NAME slots=N", or that names a machine again. DeepSpeed would
# answer with a traceback.
fault_of_hostfile() {
    awk '
        { sub(/\r$/, ""); sub(/#.*/, "") }
        NF == 0 { next }
        NF != 2 || $1 !~ /^[][A-Za-z0-9_.:@%-]+$/ || $2 !~ /^slots=0*[1-9][0-9]*$/ {
            printf "line %d is \"%s\": expected NAME slots=N, N being 1 or more", NR, $0
            exit
        }
        $1 in seen {
            printf "line %d names %s again, after line %d: expected one line for each machine", NR, $1, seen[$1]
            exit
        }
        { seen[$1] = NR }' "$1"
}

# What a training finds in its environment. README.md says why.
set_environment() {
    local root
    root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
    if [ -d "$root/.venv/bin" ]; then export PATH="$root/.venv/bin:$PATH"; fi
    if ! command -v nvidia-smi >/dev/null; then
        export DS_ACCELERATOR=cpu
        export MALLOC_TRIM_THRESHOLD_=2147483648 MALLOC_MMAP_THRESHOLD_=33554432 MALLOC_TOP_PAD_=67108864
    fi
}

# as_asked ARGUMENT...: --resume, unless the user decides about an earlier run of that name himself.
as_asked() {
    local argument
    for argument in "$@"; do
        case $argument in --resume | --overwrite) return ;; esac
    done
    echo --resume
}

# run_to_the_end COMMAND...: run a launcher and leave with its status. SIGTERM and SIGINT go past it to the training
# processes: the launcher would give them 30 s and then kill them, however far they are with their checkpoint.
run_to_the_end() {
    local launcher=''
    trap 'signalled=yes; [ -z "$launcher" ] || ask_to_stop "$launcher"' TERM INT
    $(command -v setsid) "$@" & # where there is none (macOS), Ctrl-C reaches the launcher too
    launcher=$!
    [ -z "$signalled" ] || ask_to_stop "$launcher"
    wait_for "$launcher"
}

# wait_for PROCESS: its status. A trapped signal interrupts bash's own wait; traps say so by signalled=yes.
signalled=
wait_for() {
    local now status=0
    while :; do
        signalled='' now=0
        wait "$1" || now=$?
        [ "$now" -eq 127 ] || status=$now # 127: it had ended before
        [ -n "$signalled" ] || return "$status"
    done
}

# The launcher starts one process on this machine, whose children are the ranks. Where they are not ours to reach
# (another machine) or not there yet, the launcher itself is told.
ask_to_stop() {
    local starter
    starter=$(pgrep -P "$1" -f deepspeed.launcher.launch) || starter=
    if [ -z "$starter" ] || ! pkill -TERM -P "$starter"; then
        kill -TERM "$1" ${starter:+"$starter"} 2>/dev/null || true
    fi
}
