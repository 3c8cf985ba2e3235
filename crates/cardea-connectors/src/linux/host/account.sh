# Login accounts. Each verb works on the order in $grant $token $name $uid; $mark is the order's ownership mark.

# look_up: finds the account by name and by number. $presence says which of the order's it is; $holder is the name
# that has the number, $conflict tells a person what stands in the way.
look_up() {
  presence=absent holder= gid=$uid conflict= named=
  entries=$(getent passwd "$name" "$uid")
  while IFS=: read -r entry _ number group comment _; do
    [ "$entry" != "$name" ] || named=$number
    if [ "$number" = "$uid" ]; then
      holder=$entry
      # Account tools append commas when other fields of the comment are set.
      case $comment in
        "$mark" | "$mark",*) presence=ours gid=$group ;;
        *) presence=foreign conflict="number $uid belongs to account $entry ($comment), which is not Cardea's" ;;
      esac
    elif [ "$entry" = "$name" ] && [ "$presence" = absent ]; then
      presence=foreign conflict="account $name exists with number $number ($comment) and is not Cardea's"
    fi
  done <<END
$entries
END
}

observe_account() {
  look_up
  case $presence in
    absent) say seen absent "no account $name and no account with number $uid" ;;
    ours) say seen ours "account $holder with number $uid carries Cardea's mark" ;;
    foreign) say seen foreign "$conflict" ;;
  esac
}

# require_account: for privileges of an account, which exist only with it.
require_account() {
  look_up
  [ "$holder" = "$name" ] || quit "$REFUSED" "there is no account $name with number $uid on the host"
}

# place_account EXPIRY_DATE EXPIRY_DAY: the day on which it expires, as a date and as days since 1970.
place_account() {
  look_up
  [ "$presence" != foreign ] || quit "$COLLISION" "$conflict"
  if [ "$presence" = ours ] && ! is_whole "$2"; then
    # A tool was killed half-way. Nobody was let in yet: start over.
    accounts userdel -f "$holder" || quit "$REFUSED" "userdel cannot remove the half-made account $holder"
    drop_home
    presence=absent
  fi
  if [ "$presence" = absent ]; then
    if [ -e "/home/$name" ] || [ -L "/home/$name" ]; then quit "$COLLISION" "/home/$name is on the host already"; fi
    shell=/bin/bash
    [ -x "$shell" ] || shell=/bin/sh
    # `*` is no password and, other than `!`, no lock: keys open the account. No subordinate ids: they would be reused.
    accounts useradd -m -d "/home/$name" -U -u "$uid" -s "$shell" -c "$mark" -e "$1" -p '*' -K UMASK=077 \
      -K UID_MAX="$uid" -K SUB_UID_COUNT=0 -K SUB_GID_COUNT=0 "$name" || explain_useradd "$?"
    is_whole "$2" || quit "$REFUSED" "useradd made $name, but what was read back is not what was asked for: $shadow $folder"
  fi
  say read "account $name, number $uid, expires on $1, home /home/$name, no password"
}

# is_whole EXPIRY_DAY: whether all parts of our account are there. Sets $shadow and $folder.
is_whole() {
  shadow=$(getent shadow "$name")
  folder=$(stat -c '%F %u %a' "/home/$name" 2>&1)
  case $folder in
    "directory $uid 700") ;;
    "directory $uid "*) chmod 700 "/home/$name" || return 1 ;;
    *) return 1 ;;
  esac
  case $shadow in "$name:"*":$1:") return 0 ;; *) return 1 ;; esac
}

# explain_useradd STATUS: useradd(8) says with 4 and 9 that a number, name or group is taken.
explain_useradd() {
  case $1 in
    4 | 9) quit "$COLLISION" "useradd finds the name or number taken: $name, $uid" ;;
    *) quit "$REFUSED" "useradd cannot make account $name (status $1)" ;;
  esac
}

# remove_account: the account and all that could outlive it, and what is read back when that is done.
remove_account() {
  look_up
  if [ "$presence" = foreign ] && [ -n "$holder" ]; then
    accounts usermod -L -e 1 "$holder"
    end_processes
    quit "$TAMPERED" "$conflict. It was locked and its processes were ended. If it is the session's account, delete it with \`userdel $holder\`; if it is not, give it another number and unlock it"
  fi
  # From here on nobody logs in any more; what runs already has only the number.
  if [ "$presence" = ours ] && ! accounts userdel -f "$holder"; then
    accounts usermod -L -e 1 "$holder"
    end_processes
    # A full disk is what keeps userdel from its work most often, and the account may be what fills it.
    drop_home
    accounts userdel -f "$holder" ||
      quit "$REFUSED" "userdel cannot remove account $holder; its processes were ended and its home was removed"
  fi
  end_processes
  drop_run_folder
  hand_over_files
  # The name may be another's by now: then what goes by the name is not ours.
  if [ -z "$named" ] || [ "$presence" = ours ]; then
    drop_state
    drop_home
    drop_group
  fi
  read_back_gone
}

# end_processes: ends every process of the number, whichever of its ids it is, and those that log-ins of the number
# started under another one (sudo setsid).
end_processes() {
  slice=/sys/fs/cgroup/user.slice/user-$uid.slice/cgroup.kill
  tries=0 told=
  while :; do
    living=
    for path in $(grep -lsE "^(Uid:.*[[:space:]])?$uid([[:space:]]|\$)" /proc/[0-9]*/status /proc/[0-9]*/loginuid); do
      pid=${path#/proc/}
      pid=${pid%/*}
      case "$living " in *" $pid "*) continue ;; esac
      is_alive "$pid" || continue
      living="$living $pid"
      case "$told " in *" $pid "*) continue ;; esac
      told="$told $pid"
      say found "process $pid ($command) was ended"
    done
    [ -n "$living" ] || return 0
    [ "$tries" -lt 60 ] || quit "$REFUSED" "processes of number $uid do not end:$living"
    # All at once, by slice and as the number itself: nothing can fork away from that.
    [ ! -w "$slice" ] || echo 1 >"$slice"
    setpriv --reuid "$uid" --regid "$gid" --clear-groups sh -c 'kill -9 -1' 2>/dev/null
    kill -9 $living 2>/dev/null
    tries=$((tries + 1))
    [ "$tries" -lt 3 ] || sleep 0.05
  done
}

# drop_state: what the host keeps under the account's name or number.
drop_state() {
  for path in /var/lib/systemd/linger/"$name" /var/mail/"$name" /var/spool/mail/"$name" /run/sudo/ts/"$name" \
    /var/lib/sudo/lectured/"$name" /run/faillock/"$name"; do
    [ ! -f "$path" ] || rm -f "$path"
  done
}

# drop_run_folder: /run/user/UID, which a log-in manager mounts and may leave behind.
drop_run_folder() {
  path=/run/user/$uid
  [ -d "$path" ] || return 0
  ! mountpoint -q "$path" || umount -l "$path"
  rm -rf --one-file-system "$path"
}

# lines: names end with NUL and may hold line ends; one line each, without.
lines() {
  tr '\n\000' ' \n'
}

# hand_over_files: where anybody may write, cron tables and at jobs of the number are removed, and its other files become
# root's; the kernel takes setuid and setgid off. -delete and -execdir work inside the file's folder, so that nobody can
# swap a folder on the way.
hand_over_files() {
  set --
  for folder in /var/spool/cron /var/spool/at /tmp /var/tmp /dev/shm /dev/mqueue /run /var/crash; do
    [ ! -d "$folder" ] || set -- "$@" "$folder"
  done
  find "$@" -xdev -depth -uid "$uid" '(' \
    -path '/var/spool/*' -type f -printf 'scheduled job %p was removed\0' -delete -o \
    -printf 'file %p was given to root\0' -execdir chown -h root:root '{}' + ')' | lines | {
    count=0
    while IFS= read -r finding; do
      count=$((count + 1))
      [ "$count" -gt 100 ] || say found "$finding"
    done
    [ "$count" -le 100 ] || say found "and $((count - 100)) more files"
  }
}

# drop_home: the recorded folder and no other: /home/NAME, a real folder, the account's.
drop_home() {
  path=/home/$name
  [ -e "$path" ] || [ -L "$path" ] || return 0
  [ ! -L "$path" ] && [ "$(stat -c '%F %u' "$path")" = "directory $uid" ] ||
    quit "$REFUSED" "$path is not the account's folder any more: look at it, then move it away"
  rm -rf --one-file-system "$path" && return 0
  # Something is mounted below it.
  grep -F " $path/" /proc/self/mountinfo | while read -r _ _ _ _ place _; do
    place=$(printf '%b' "$place")
    umount -l "$place" && say found "mount $place was taken off"
  done
  rm -rf --one-file-system "$path" || quit "$REFUSED" "$path cannot be removed"
}

# drop_group: the account's own group, which userdel leaves where USERGROUPS_ENAB is off.
drop_group() {
  entry=$(getent group "$name") || return 0
  IFS=: read -r _ _ number _ <<END
$entry
END
  # Another number is another's group.
  [ "$number" = "$gid" ] || return 0
  accounts groupdel "$name" || quit "$REFUSED" "groupdel cannot remove the account's group $name"
  ! getent group "$name" >/dev/null || quit "$REFUSED" "group $name is still there"
}

# read_back_gone: looks again, and says what was seen.
read_back_gone() {
  was_presence=$presence was_named=$named
  look_up
  [ -z "$holder" ] || quit "$REFUSED" "account $holder with number $uid is still there"
  if [ -n "$was_named" ] && [ "$was_presence" != ours ]; then
    say read "no account with number $uid, no process of it; $conflict and was left alone"
    return 0
  fi
  [ -z "$named" ] || quit "$REFUSED" "account $name is still there with number $named"
  for path in "/home/$name" "/var/spool/cron/crontabs/$name" "/var/spool/cron/$name"; do
    [ ! -e "$path" ] && [ ! -L "$path" ] || quit "$REFUSED" "$path is still there"
  done
  say read "no account $name, none with number $uid, no group of it, no process, no home, no cron table"
}
