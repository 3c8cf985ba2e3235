# Cardea's end on a Linux host: a root shell that takes framed work on stdin and answers on stdout.
#
# POSIX sh with coreutils, findutils, grep, shadow and util-linux; no bash. These files are sent one after the other over
# the shell's stdin, frame.sh first and serve.sh last. One frame is one line of words:
#
#   NONCE VERB DEADLINE SESSION FENCE [ARGUMENT...]
#
# Words hold only [A-Za-z0-9_./:=+,@-] and \0ooo for any other byte, and only printf %b ever decodes them, so no
# argument can be read as shell. Answers are lines that begin with NONCE, which is random, so that nothing that a command prints
# (a file name, say) passes for one; other lines are what commands said. The last line is `NONCE end STATUS`.
#
# Functions talk through variables, because $(...) costs a process each.

set -u
umask 077
PATH=/usr/sbin:/usr/bin:/sbin:/bin
LC_ALL=C
TZ=UTC0
export PATH LC_ALL TZ
unset CDPATH ENV

# What a frame may end with beside 0. The connector's answer.rs holds the same numbers.
REFUSED=10 COLLISION=11 TAMPERED=12 SUPERSEDED=13 LATE=14 BUSY=15
# Seconds that a frame waits for its session's lock, and for the lock of the account tools.
LOCK_WAIT=8 TOOLS_WAIT=3

# say WORD TEXT: one line of the answer.
say() {
  printf '%s %s\n' "$nonce" "$*"
}

# quit STATUS SENTENCE: ends the frame.
quit() {
  status=$1
  shift
  say because "$*"
  exit "$status"
}

# The host's own monotonic clock, in hundredths of a second: $uptime. Steps of the wall clock do not move it.
read_uptime() {
  read -r uptime _ </proc/uptime
  uptime=${uptime%.*}${uptime#*.}
}

in_time() {
  read_uptime
  [ "$uptime" -le "$deadline" ] || quit "$LATE" "the command reached the host after its time was over, and was not begun"
}

# hold SESSION FENCE: one frame of a session at a time, and none that a newer one has overtaken. The lock is the file's
# descriptor 9, which frame() closes for whatever the frame starts.
hold() {
  fences=$state/sessions/$1
  exec 9>>"$fences"
  if ! flock -w "$LOCK_WAIT" 9; then
    # A command of an older claim, of a node that is gone or was overtaken, ends with its shell.
    end_holder "$2" 9>&-
    if [ -z "$ended" ] || ! flock -w "$LOCK_WAIT" 9; then
      # A person with root may hold it, to keep what is to be taken away: their processes end first then.
      [ -z "$leaving" ] || (uid=$leaving gid=$leaving && end_processes) 9>&- || exit "$?"
      # Or from a process that nothing ties to them.
      [ -n "$forcing" ] && take_from_holders "$2" || quit "$BUSY" "an older command of this session still runs on the host"
    fi
  fi
  in_time
  read_newest
  [ "$2" -ge "$newest" ] || give_way "$2"
  # Appended, never rewritten: a shell that is killed here must not leave an empty file.
  [ -n "$sparing" ] || end_scripts "$2" 9>&-
  [ "$2" -eq "$newest" ] || printf '%s\n' "$2" >>"$fences"
  # No fence looks like that. Where the mark of one of them is, the session's fences stay (drop_fences).
  [ -z "$giving" ] || printf '%s\n' "$giving" >>"$fences"
  # Whoever overtakes this frame finds its shell by this. It stays only if the frame is killed, or hangs.
  printf '%s %s\n' "$2" "$self" >"$fences.holder"
  trap ': >"$fences.holder"' EXIT
}

# read_newest: $newest of the session's fences. $giving is emptied if it stands there already.
read_newest() {
  newest=0
  while read -r seen; do
    [ "$seen" != "$giving" ] || giving=
    # Whoever is root may write here. What no fence looks like is none, and neither is what the engine (FENCE_MAX) does not go above.
    case $seen in '' | *[!0-9]* | ???????????????*) continue ;; esac
    [ "$seen" -le "$newest" ] || newest=$seen
  done <"$fences"
}

# give_way FENCE: to the claim of $newest.
give_way() {
  say newest "$newest"
  quit "$SUPERSEDED" "fence $1 is older than $newest"
}

# take_from_holders FENCE: ends whoever holds the session's lock, by the kernel's own list, and takes it. Spared are a shell that
# works for this claim, and every shell of a newer one, to which this frame gives way.
take_from_holders() {
  tries=0
  until flock -w 1 9; do
    [ "$tries" -lt "$LOCK_WAIT" ] || return 1
    tries=$((tries + 1))
    find_holders 9>&-
    read_newest
    held='' shell=''
    [ ! -f "$fences.holder" ] || read -r held shell <"$fences.holder"
    case $held in '' | *[!0-9]* | ???????????????*) held=0 ;; esac
    # Whoever is root may have written that: the next claim is above it.
    [ "$held" -le "$newest" ] || newest=$held
    [ "$1" -ge "$newest" ] || give_way "$1"
    spared=
    [ "$held" -ne "$1" ] || ! start_time "${shell%.*}" || [ "$began" != "${shell#*.}" ] || spared=${shell%.*}
    for pid in $holders; do
      [ "$pid" -gt 1 ] && [ "$pid" -ne "$$" ] || continue
      [ -z "$spared" ] || ! grep -qsE "^NSsid:[[:space:]]+$spared([[:space:]]|\$)" "/proc/$pid/status" || continue
      is_alive "$pid" && kill -9 "$pid" 2>/dev/null && say found "process $pid ($command) held a lock of Cardea's and was ended"
    done
  done
}

# find_holders: $holders are the processes in which a descriptor holds the lock of $fences. The taker that /proc/locks names may
# be gone while a child of it holds on. The same inode of another file system is another file; looking at one may hang.
find_holders() {
  holders=
  inode=$(stat -c %i "$fences") file=$(stat -c %d:%i "$fences")
  for path in $(timeout "$LOCK_WAIT" grep -rlsE "^lock:.*[[:space:]]FLOCK[[:space:]].*:$inode[[:space:]]" /proc/[0-9]*/fdinfo | head -n 100); do
    pid=${path#/proc/}
    pid=${pid%%/*}
    case "$holders " in *" $pid "*) continue ;; esac
    [ "$(timeout 1 stat -L -c %d:%i "/proc/$pid/fd/${path##*/}" 2>/dev/null)" != "$file" ] || holders="$holders $pid"
  done
}

# let_go: the frame goes on without its session's lock.
let_go() {
  trap - EXIT
  : >"$fences.holder"
  exec 9>&-
}

# end_holder FENCE: kills the shell that holds the session's lock, whichever node's it is, if its claim is an older one. Sets $ended.
end_holder() {
  ended=
  [ -f "$fences.holder" ] && read -r held shell <"$fences.holder" || return 0
  case $held in '' | *[!0-9]* | ???????????????*) return 0 ;; esac
  case $shell in "$self" | *[!0-9.]*) return 0 ;; [0-9]*.[0-9]*) ;; *) return 0 ;; esac
  [ "$held" -lt "$1" ] || return 0
  end_shell "$shell"
  ended=1
}

# end_scripts FENCE: those that older claims of the session started, which run without its lock.
end_scripts() {
  [ -f "$fences.scripts" ] || return 0
  left=
  while read -r held shell; do
    # Whoever is root may write here: what no fence looks like is old.
    case $held in '' | *[!0-9]* | ???????????????*) held=0 ;; esac
    case $shell in [0-9]*.[0-9]*) ;; *) continue ;; esac
    if [ "$held" -lt "$1" ]; then end_shell "$shell"; else left=yes; fi
  done <"$fences.scripts"
  [ -n "$left" ] || rm -f "$fences.scripts"
}

# accounts COMMAND...: runs an account tool under one lock of this host. The tools' own lock makes a second one sleep
# for a whole second; that is all it saves, so nobody who holds it keeps the tool from running.
accounts() {
  flock -o -w "$TOOLS_WAIT" -E 75 /run/cardea/accounts.lock "$@"
  result=$?
  [ "$result" -eq 75 ] || return "$result"
  "$@"
}

# start_time PID: when a process began, in the kernel's ticks: $began. A pid may be used again; with this it is unique.
start_time() {
  began=
  read -r stat <"/proc/$1/stat" || return 1
  # The name in parentheses may hold anything, so count from behind it: field 22 of proc(5) is number 20 there.
  set -- ${stat##*) }
  began=${20}
} 2>/dev/null

# end_shell PID.START: kills a shell of ours and all that it started. They share its session id.
end_shell() {
  leader=${1%.*}
  # Whoever is root may have written it down: the session of the kernel's threads or the first process's never ends.
  case $leader in '' | *[!0-9]* | 0* | 1) return 0 ;; esac
  if start_time "$leader" && [ "$began" != "${1#*.}" ]; then return 0; fi
  tries=0
  while :; do
    members=$(grep -lsE "^NSsid:[[:space:]]+$leader([[:space:]]|\$)" /proc/[0-9]*/status)
    living=
    for member in $members; do
      member=${member#/proc/}
      is_alive "${member%/*}" && living="$living ${member%/*}"
    done
    [ -n "$living" ] || return 0
    [ "$tries" -lt 60 ] || quit "$BUSY" "processes of an older command do not end:$living"
    kill -9 $living 2>/dev/null
    tries=$((tries + 1))
    [ "$tries" -lt 3 ] || sleep 0.05
  done
}

# is_alive PID: whether it is there and no zombie. Sets $command to its name.
is_alive() {
  command=
  while read -r key value _; do
    case $key in
      Name:) command=$value ;;
      State:) case $value in [ZX]) return 1 ;; *) return 0 ;; esac ;;
    esac
  done <"/proc/$1/status"
  return 1
} 2>/dev/null

# claim SLOT: this shell is the first of a new connection. Whatever older connections of the same node left running is
# killed before anything else happens. Connections are counted by folders, which nobody can hold as one can hold a lock.
claim() {
  shells=$state/shells/$1
  mkdir -p "$shells" "$state/sessions" || quit "$REFUSED" "/run cannot be written"
  tries=0
  while :; do
    read_generation
    generation=$((generation + 1))
    ! mkdir "$shells/$generation" 2>/dev/null || break
    tries=$((tries + 1))
    [ "$tries" -lt 50 ] || quit "$BUSY" "$shells/$generation cannot be made"
  done
  : >"$shells/$generation/$self"
  for shell in "$shells"/*/[0-9]*; do
    folder=${shell%/*}
    [ -e "$shell" ] && [ "${folder##*/}" != "$generation" ] || continue
    end_shell "${shell##*/}"
    rm -f "$shell"
  done
  for folder in "$shells"/*; do
    [ "${folder##*/}" = "$generation" ] || rmdir "$folder" 2>/dev/null
  done
  say generation "$generation"
}

# join SLOT GENERATION: this shell is a further one of a connection. Written down first, looked second: a newer connection
# either finds it or is seen.
join() {
  shells=$state/shells/$1
  : >"$shells/$2/$self" || quit "$SUPERSEDED" "a newer connection of this node has taken over"
  read_generation
  [ "$generation" -eq "$2" ] || quit "$SUPERSEDED" "a newer connection of this node has taken over"
}

# read_generation: the newest. Whoever is root may make folders here; what no number looks like is none.
read_generation() {
  generation=0
  for folder in "$shells"/*; do
    number=${folder##*/}
    case $number in '' | *[!0-9]* | 0* | ????????????????*) continue ;; esac
    [ "$number" -le "$generation" ] || generation=$number
  done
}

# reap SLOT PID.START...: kills shells of this connection that gave no answer.
reap() {
  shells=$state/shells/$1
  shift
  for shell in "$@"; do
    end_shell "$shell"
    rm -f "$shells"/*/"$shell"
  done
}
