# Lock and unlock. What carries a mark is taken away and placed again from the order, so that there is no second form of it
# that could be forgotten; accounts of Cardea's expire and their processes are stopped.

# lock KIND GRANT TOKEN NAME UID [ARGUMENT...]: the arguments of remove.
lock() {
  kind=$1
  order "$2" "$3" "$4" "$5"
  shift 5
  case $kind in
    account | managed_account) shut_account ;;
    authorized_key) remove_authorized_key ;;
    *)
      if has_function suspend_"$kind"; then suspend_"$kind" "$@"; else say read "nothing of it can be suspended"; fi
      ;;
  esac
}

# unlock KIND GRANT TOKEN NAME UID [ARGUMENT...]: the arguments of place.
unlock() {
  kind=$1
  order "$2" "$3" "$4" "$5"
  shift 5
  case $kind in
    account | managed_account) open_account "$@" ;;
    authorized_key) place_authorized_key "$@" ;;
    *)
      if has_function resume_"$kind"; then resume_"$kind" "$@"; else say read "nothing of it was suspended"; fi
      ;;
  esac
}

require_ours() {
  look_up
  [ "$presence" = ours ] && [ -n "$holder" ] || quit "$TAMPERED" "${conflict:-there is no account $name with number $uid}"
}

shut_account() {
  require_ours
  accounts usermod -e 1 "$holder" || quit "$REFUSED" "usermod cannot make $holder expire"
  is_shut || quit "$REFUSED" "usermod made $holder expire, but it is open"
  freeze
  say read "account $holder expired, and its processes are stopped"
}

# open_account DATE DAY
open_account() {
  require_ours
  set_expiry "$1" "$2"
  thaw
}

# freeze: stops every process of the number, by its ids, its log-in and its slice, until none runs. Which ones were stopped
# is written down before, so that those that had stopped by themselves stay so.
freeze() {
  frozen=$state/frozen/$uid
  mkdir -p "$state/frozen" || quit "$REFUSED" "/run cannot be written"
  tries=0
  while :; do
    running=
    for path in $(grep -lsE "^(Uid:.*[[:space:]])?$uid([[:space:]]|\$)|/user-$uid\\.slice(/|\$)" \
      /proc/[0-9]*/status /proc/[0-9]*/loginuid /proc/[0-9]*/cgroup); do
      pid=${path#/proc/}
      pid=${pid%/*}
      case "$running " in *" $pid "*) continue ;; esac
      runs "$pid" && start_time "$pid" || continue
      printf '%s\n' "$pid.$began" >>"$frozen" || quit "$REFUSED" "/run cannot be written"
      kill -STOP "$pid" 2>/dev/null
      running="$running $pid"
    done
    [ -n "$running" ] || return 0
    [ "$tries" -lt 60 ] || quit "$REFUSED" "processes of number $uid do not stop:$running"
    tries=$((tries + 1))
    [ "$tries" -lt 3 ] || sleep 0.05
  done
}

# runs PID: whether it is there and neither stopped nor a zombie.
runs() {
  while read -r key value _; do
    case $key in State:) case $value in [TtZX]) return 1 ;; *) return 0 ;; esac ;; esac
  done <"/proc/$1/status"
  return 1
} 2>/dev/null

thaw() {
  frozen=$state/frozen/$uid
  [ -f "$frozen" ] || return 0
  while IFS=. read -r pid since; do
    case $pid in '' | *[!0-9]*) continue ;; esac
    start_time "$pid" && [ "$began" = "$since" ] && kill -CONT "$pid" 2>/dev/null
  done <"$frozen"
  rm -f "$frozen"
}
