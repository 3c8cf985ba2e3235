# The dead man's switch: a one-shot on the host that removes what a session placed, by mark only, when its end has passed and
# nobody did. It is a file of ours and the means to run it: a systemd timer, else at, else an entry in /etc/cron.d.

dead_men=/var/lib/cardea-host

# look_at_dead_man: $presence of the order's file, or of what would run it. $runners is what would.
look_at_dead_man() {
  file=$dead_men/$grant presence=absent
  runners=$(armed)
  [ -e "$file" ] || [ -e "$file.new" ] || [ -n "$runners" ] || return 0
  presence=ours
}

# observe_dead_man: one that nothing runs is there all the same, and is to be removed or set again; what is told says which it is.
observe_dead_man() {
  look_at_dead_man
  case $presence:$runners in
    absent:*) say seen absent "no file $file" ;;
    ours:) say seen ours "$file, and nothing that runs it" ;;
    ours:*) say seen ours "$file" ;;
  esac
}

# place_dead_man END VERSION UNDO...: END in seconds since 1970; VERSION of the functions; each UNDO encoded, the words of a remove.
place_dead_man() {
  end=$1 library_file=$dead_men/library-$2
  shift 2
  file=$dead_men/$grant
  hold_dead_men || quit "$REFUSED" "$dead_men cannot be made"
  was=
  [ ! -e "$file" ] || was=$(armed)none
  # Written anew each time: somebody may have changed what root is to run.
  rm -f "$library_file.new"
  printf '%s\n' "$library" >"$library_file.new" && mv -f -T "$library_file.new" "$library_file" ||
    quit "$REFUSED" "$library_file cannot be written"
  # The new means first, then the file with the new end, then the older means go: whatever fails or breaks off, the switch that was
  # there still is, with the end that it had.
  older=$(jobs_of_ours)
  if ! write_dead_man "$@" >"$file.new" || ! arm "$end"; then
    rm -f "$file.new"
    quit "$REFUSED" "${means:-$file} cannot be set to run $file at $end"
  fi
  mv -f "$file.new" "$file" || quit "$REFUSED" "$file cannot be written"
  disarm_others
  case $means:$was in
    nothing:*)
      say found "the host has no systemd, at or cron that runs: if Cardea never comes back, what ends by itself there is keys and sudo rules, and accounts on the day after" ;;
    *:none) say found "nothing on the host ran $file any more: it was set again" ;;
  esac
  say read "$file runs at $end, by $means"
}

# write_dead_man UNDO...: fails with the first line that is not written.
write_dead_man() {
  means=
  printf '# %s\nstate=%s end=%s grant=%s token=%s\n' "$mark" "$state" "$end" "$grant" "$token" &&
    printf '. %s\ndead_man_acts <<UNDO\n' "$library_file" || return 1
  for undo in "$@"; do printf '%b\n' "$undo" || return 1; done
  echo UNDO
}

extend_dead_man() {
  look_at_dead_man
  if [ "$presence" = ours ]; then place_dead_man "$@"; else not_there "there is no file $file"; fi
}

remove_dead_man() {
  file=$dead_men/$grant
  if [ -d "$dead_men" ]; then
    hold_dead_men
    drop_dead_man
  fi
  look_at_dead_man
  [ "$presence" = absent ] || quit "$REFUSED" "$file or what runs it is still there: $runners"
  say read "no file $file, and nothing that runs it"
}

# hold_dead_men: they share the folder and the file of functions. The last of them takes the folder away, with the lock in it: who
# waited for that one waits anew. Root may hold the lock; then it goes without.
hold_dead_men() {
  tries=0
  while [ "$tries" -lt 20 ]; do
    tries=$((tries + 1))
    mkdir -p "$dead_men" || return 1
    # Without `command` a shell ends that cannot open it.
    command exec 8>>"$dead_men/lock" || continue
    flock -w "$TOOLS_WAIT" 8 || break
    [ ! "$dead_men/lock" -ef /proc/self/fd/8 ] || return 0
  done
  mkdir -p "$dead_men"
} 2>/dev/null

# drop_dead_man: the order's, and with the last one what they share.
drop_dead_man() {
  disarm
  rm -f "$file" "$file.new"
  for other in "$dead_men"/grt_*; do [ ! -e "$other" ] || return 0; done
  rm -f "$dead_men"/library-* "$dead_men/lock"
  rmdir "$dead_men"
}

unit() {
  unit=cardea-$grant
  timer=/etc/systemd/system/$unit.timer service=/etc/systemd/system/$unit.service
  table=/etc/cron.d/$unit
}

# arm END: sets $means. Fails if the means that the host has does not take it. Jobs of at that are in $older stay, and do not count.
arm() {
  unit
  if [ -d /run/systemd/system ]; then
    means=systemd
    arm_systemd "$1"
  elif command -v at >/dev/null && has_process atd; then
    means=at
    # at knows minutes.
    when=$(($1 + 59))
    soonest=$(($(date +%s) + 60))
    [ "$when" -ge "$soonest" ] || when=$soonest
    arm_at "$(date -d "@$when" +%Y%m%d%H%M)"
  elif [ -d /etc/cron.d ] && has_process 'crond?'; then
    means=cron
    # Every minute: the file knows its time, and is tried again when something stood in the way.
    printf '# %s\n* * * * * root exec sh %s\n' "$mark" "$file" >"$file.cron" && mv -f "$file.cron" "$table"
  else
    means=nothing
  fi
}

# arm_at TIME: at does not look whether all of a job was written.
arm_at() {
  said=$(printf 'exec sh %s\n' "$file" | at -t "$1" 2>&1) || return 1
  for job in $(jobs_of_ours); do
    case $older in *"$job"*) ;; *) return 0 ;; esac
  done
  number=${said##*job }
  number=${number%% *}
  case $number in '' | *[!0-9]*) ;; *) atrm "$number" ;; esac
  return 1
}

has_process() {
  grep -qsxE "Name:[[:space:]]+$1" /proc/[0-9]*/status
}

# arm_systemd END: systemd.timer(5). After a failure it runs again five minutes later; a missed time is made up for at boot. Started
# is not enough: a timer that runs already would keep its older time. systemd reads no file of these other names.
arm_systemd() {
  printf '# %s\n[Unit]\nDescription=End of a session of Cardea\n[Timer]\nOnCalendar=%s UTC\nOnUnitInactiveSec=5min\nPersistent=true\nAccuracySec=1s\n[Install]\nWantedBy=timers.target\n' \
    "$mark" "$(date -d "@$1" '+%Y-%m-%d %H:%M:%S')" >"$timer.new" &&
    printf '# %s\n[Unit]\nDescription=End of a session of Cardea\n[Service]\nType=oneshot\nExecStart=/bin/sh %s\n' \
      "$mark" "$file" >"$service.new" &&
    mv -f "$service.new" "$service" && mv -f "$timer.new" "$timer" &&
    systemctl daemon-reload && systemctl --quiet enable "$unit.timer" && systemctl restart "$unit.timer"
}

# jobs_of_ours: the files of at jobs that are to run the order's file. One that runs has `=` for its first letter.
jobs_of_ours() {
  grep -lsxF "exec sh $file" /var/spool/cron/atjobs/a* /var/spool/at/a* 2>/dev/null
}

# armed: what would run the order's file.
armed() {
  unit
  for path in "$timer" "$service" "$table"; do [ ! -e "$path" ] || echo "$path"; done
  jobs_of_ours
}

disarm() {
  unit
  drop_timer
  rm -f "$table" "$file.cron"
  drop_jobs $(jobs_of_ours)
}

# disarm_others: all but what was set just now, by $means. With none, what is there may yet run one day.
disarm_others() {
  [ "$means" != nothing ] || return 0
  [ "$means" = systemd ] || drop_timer
  [ "$means" = cron ] || rm -f "$table" "$file.cron"
  drop_jobs $older
}

drop_timer() {
  [ -e "$timer" ] || [ -e "$service" ] || return 0
  [ ! -d /run/systemd/system ] || systemctl --quiet disable --now "$unit.timer" 2>/dev/null
  rm -f "$timer" "$service" "$timer.new" "$service.new"
  [ ! -d /run/systemd/system ] || systemctl daemon-reload
}

# drop_jobs FILE...: of at. A job's file is named with a letter, five hexadecimal digits of its number and eight of its time.
drop_jobs() {
  for job in "$@"; do
    number=${job##*/a}
    case $number in *[!0-9a-f]* | ????????) continue ;; esac
    atrm "$((0x${number%????????}))" 2>/dev/null
  done
}

# dead_man_acts: what the file runs; what to remove comes on stdin, one remove a line. Whoever comes first, it or Cardea, the
# other finds nothing.
dead_man_acts() {
  [ "$(date +%s)" -ge "$end" ] || return 0
  nonce=cardea file=$dead_men/$grant mark="cardea $grant $token"
  mkdir -p "$state" /run/cardea
  # What it says goes to the system's log, and nothing depends on somebody listening.
  trap '' PIPE
  remove_all 2>&1 | { logger -t cardea || cat; } >/dev/null 2>&1
}

remove_all() {
  failed=
  while IFS= read -r words; do
    set -f
    set -- $words
    set +f
    dead_man_removes "$@" </dev/null
    # What carries no mark any more is not ours to remove, now or later.
    case $? in 0 | "$TAMPERED") ;; *) failed=yes ;; esac
  done
  hold_dead_men
  if [ -z "$failed" ]; then
    drop_dead_man
    return 0
  fi
  # at runs a job once; the others come again by themselves.
  unit
  older=$(jobs_of_ours)
  [ -e "$timer" ] || [ -e "$table" ] || arm "$(($(date +%s) + 300))"
}

# dead_man_removes KIND GRANT TOKEN NAME UID [ARGUMENT...]: in a shell of its own. Memberships carry no mark: they are taken from
# the name only while it has the number.
dead_man_removes() (
  ! is_anothers_too "$@" || return 0
  [ "$1" != group_membership ] || [ "$(id -u "$4" 2>/dev/null)" = "$5" ] || return 0
  remove "$@"
)

# is_anothers_too KIND GRANT TOKEN ...: whether a switch that is due later, and will run, removes the same: what several sessions hold
# carries the mark of the first of them, and stays for the last.
is_anothers_too() {
  for other in "$dead_men"/grt_*; do
    case $other in "$file" | *.new | *.cron) continue ;; esac
    grep -qsE "^$1 $2 $3( |\$)" "$other" || continue
    later=$(sed -n '2s/.* end=\([0-9]*\) .*/\1/p' "$other")
    [ "${later:-0}" -gt "$end" ] && [ -n "$(file=$other grant=${other##*/} && armed)" ] && return 0
  done
  return 1
}
