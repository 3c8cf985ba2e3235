# What the host knows without being changed: an account of any name, and who is logged in.

# ping: that it answers is all.
ping() {
  :
}

# known_account NAME
known_account() {
  entry=$(getent passwd "$1") || {
    say known none
    return 0
  }
  IFS=: read -r _ _ number _ comment _ <<END
$entry
END
  entry=$(getent shadow "$1")
  IFS=: read -r _ hash _ _ _ _ _ expiry _ <<END
$entry
END
  locked=no
  case $hash in '!'*) locked=yes ;; esac
  say known "$number $locked ${expiry:--} $comment"
}

# log_ins UID...: sshd's processes that run as these numbers, for how long, the sockets that they hold, and the host's
# connections. Whoever asked puts them together. A log-in has such a process whether it has a terminal or not, and utmp is not asked.
log_ins() {
  numbers=" $* " sockets=
  for path in $(grep -lsE '^Name:[[:space:]]+sshd(-session)?$' /proc/[0-9]*/status); do
    pid=${path#/proc/}
    pid=${pid%/*}
    number=
    while read -r key value _; do
      case $key in Uid:) number=$value ;; esac
    done <"$path"
    case $numbers in *" $number "*) ;; *) continue ;; esac
    title=
    IFS= read -r title <"/proc/$pid/cmdline"
    start_time "$pid" || continue
    read_uptime
    say login "$pid $number $((uptime - began)) $title"
    for socket in $(find "/proc/$pid/fd" -lname 'socket:*' -printf '%l\n'); do
      say socket "$pid $socket"
    done
    sockets=yes
  done 2>/dev/null
  [ -z "$sockets" ] || cat /proc/net/tcp /proc/net/tcp6 2>/dev/null | while read -r _ _ remote kind _ _ _ _ _ inode _; do
    [ "$kind" != 01 ] || say connection "$inode $remote"
  done
}
