# Scripts of administrators: as root, once, on a shell of their own, which is killed with all that it started when the
# connection is lost (end_shell) or a frame of a newer claim of the session comes (hold).

# The same as the port's Script::OUTPUT_BYTES_MAX.
OUTPUT_BYTES_MAX=65536
# Hundredths of a second that a script's own background work may hold its output after the end.
OUTPUT_WAIT=100

# run_script GRANT LIMIT TEXT [NAME=VALUE...]: LIMIT in seconds; TEXT and each VALUE encoded.
run_script() {
  run=$state/scripts/$1 limit=$2
  mkdir -p "$state/scripts" || quit "$REFUSED" "/run cannot be written"
  # The folder stays: nobody runs it again, whatever became of it.
  mkdir "$run" || quit "$REFUSED" "the script of grant $1 was begun on this host before, and is not run twice"
  printf '%b' "$3" >"$run/text" && mkfifo "$run/pipe" || quit "$REFUSED" "the script cannot be written below /run"
  # Not by the kernel: /run is often mounted noexec.
  IFS= read -r first <"$run/text"
  case $first in '#!'*) program=${first#??} ;; *) program=/bin/sh ;; esac
  shift 3
  for pair in "$@"; do
    value=$(printf '%bx' "${pair#*=}")
    export "${pair%%=*}=${value%x}"
  done
  {
    head -c "$OUTPUT_BYTES_MAX"
    cat >/dev/null
  } <"$run/pipe" >"$run/output" &
  reader=$!
  read_uptime
  begun=$uptime
  # timeout makes a process group of its own.
  set -f
  timeout -k 5 "$limit" $program "$run/text" >"$run/pipe" 2>&1 &
  group=$!
  wait "$group"
  status=$?
  kill -9 -- "-$group" 2>/dev/null
  tell_script
}

# tell_script: what became of it, in $status, and what it said.
tell_script() {
  read_uptime
  over=no
  [ "$((uptime - begun))" -lt "$((limit * 100))" ] || case $status in 124 | 137) over=yes ;; esac
  tries=0
  while is_alive "$reader" && [ "$tries" -lt "$((OUTPUT_WAIT / 5))" ]; do
    tries=$((tries + 1))
    sleep 0.05
  done
  kill -9 "$reader" 2>/dev/null
  say script "$status $over"
  tr -d '\000' <"$run/output" | fold -b -w 4000 | while IFS= read -r line || [ -n "$line" ]; do say out "$line"; done
  rm -f "$run/text" "$run/pipe" "$run/output"
}
