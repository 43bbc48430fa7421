# shellcheck shell=bash
# common.sh: what the scripts share. Sourced; sets `root`.
root="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"

# say TEXT: a line that stands out between the output of tools.
say() {
    printf '\n== %s\n' "$*"
}

# configure FOLDER OPTION...: makes a build folder with Ninja, or goes on with
# whatever it was made with.
configure() {
    local folder="$1"
    shift
    local generator=()
    if [[ ! -f "$root/$folder/CMakeCache.txt" ]]; then
        generator=(-G Ninja)
    fi
    cmake -S "$root" -B "$root/$folder" "${generator[@]}" "$@" >"/tmp/stillsuit-configure.$$" 2>&1 || {
        cat "/tmp/stillsuit-configure.$$" >&2
        rm -f "/tmp/stillsuit-configure.$$"
        return 1
    }
    rm -f "/tmp/stillsuit-configure.$$"
}

# sources: C and C++ files of the project, each ended by a zero byte.
sources() {
    (cd "$root" && find sim hw stack kernel_model libos_model workloads experiment cli tests bench \
        -type f \( -name '*.c' -o -name '*.h' -o -name '*.cpp' -o -name '*.cc' \) -print0 | sort -z)
}
