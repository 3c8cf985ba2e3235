# Login accounts. Each verb works on the order in $grant $token $name $uid; $mark is the order's ownership mark.

# look_up: finds the account by name, by number, and by the grant in its mark. $presence says which of the order's it is; $holder
# is the name that has the number, $moved the name of ours under another number, $conflict tells a person what stands in the way.
look_up() {
  presence=absent holder= gid=$uid conflict= named= moved= stray= comment_of_holder=
  entries=$(getent passwd "$name" "$uid"; grep -sE "^$name:|:cardea $grant " /etc/passwd)
  while IFS=: read -r entry _ number group comment _; do
    [ "$entry" != "$name" ] || named=$number
    marked=
    # Account tools append commas when other fields of the comment are set.
    case $comment in "$mark" | "$mark",*) marked=yes ;; esac
    if [ "$number" = "$uid" ]; then
      holder=$entry comment_of_holder=$comment
      if [ -n "$marked" ]; then
        presence=ours gid=$group
      else
        presence=foreign conflict="number $uid belongs to account $entry ($comment), which is not Cardea's"
      fi
    elif [ -n "$marked" ]; then
      moved=$entry from=$number
    elif [ -n "$entry" ]; then
      stray=$entry claim=$comment wrong="account $entry exists with number $number ($comment) and is not Cardea's"
    fi
  done <<END
$entries
END
  [ -z "$holder" ] || return 0
  if [ -n "$moved" ]; then
    presence=ours conflict="account $moved carries Cardea's mark, but was moved from number $uid to $from"
  elif [ -n "$stray" ]; then
    presence=foreign conflict=$wrong
    # Nobody else's account names our grant.
    case $claim in "cardea $grant "*) presence=ours ;; esac
  fi
}

observe_account() {
  look_up
  case $presence in
    absent) say seen absent "no account $name and no account with number $uid" ;;
    ours) say seen ours "${conflict:-account $holder with number $uid carries Cardea's mark}" ;;
    foreign) say seen foreign "$conflict" ;;
  esac
}

# require_account: for privileges of an account, which exist only with it.
require_account() {
  look_up
  [ "$holder" = "$name" ] || quit "$REFUSED" "there is no account $name with number $uid on the host"
}

# refuse_own_way_in: nothing is given to, or taken from, the account by which Cardea itself works here.
refuse_own_way_in() {
  case $name in
    root | "${SUDO_USER:-root}" | "${DOAS_USER:-root}") quit "$REFUSED" "$name is Cardea's own way in: name another account" ;;
  esac
  [ "$uid" != "${SUDO_UID:-0}" ] || quit "$REFUSED" "number $uid is Cardea's own way in: name another account"
}

# give_password NAME PASSWORD: encoded. On stdin, so that no list of processes shows it.
give_password() {
  printf '%s:%b\n' "$1" "$2" | accounts chpasswd || quit "$REFUSED" "chpasswd does not take a password for $1"
}

# place_account EXPIRY_DATE EXPIRY_DAY: the day on which it expires, as a date and as days since 1970.
place_account() {
  look_up
  [ "$presence" != foreign ] || quit "$COLLISION" "$conflict"
  [ "$presence" = absent ] || [ -n "$holder" ] || quit "$TAMPERED" "$conflict"
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
    is_whole "$2" || quit "$REFUSED" "useradd made $name, but what was read back is not what was asked for: it expires on day ${expires:-none}, $folder"
  fi
  say read "account $name, number $uid, expires on $1, home /home/$name, no password"
}

# is_whole EXPIRY_DAY: whether all parts of our account are there. Sets $expires and $folder.
is_whole() {
  read_expires "$name"
  folder=$(stat -c '%F %u %a' "/home/$name" 2>&1)
  case $folder in
    "directory $uid 700") ;;
    "directory $uid "*) chmod 700 "/home/$name" || return 1 ;;
    *) return 1 ;;
  esac
  [ "$expires" = "$1" ]
}

# read_expires NAME: $expires is the day of the account's shadow line, of which nothing else is for anybody's eyes.
read_expires() {
  expires=$(getent shadow "$1" | cut -d: -f8)
}

# explain_useradd STATUS: useradd(8) says with 4 and 9 that a number, name or group is taken.
explain_useradd() {
  case $1 in
    4 | 9) quit "$COLLISION" "useradd finds the name or number taken: $name, $uid" ;;
    *) quit "$REFUSED" "useradd cannot make account $name (status $1)" ;;
  esac
}

# remove_account LEFTOVERS: the account and all that could outlive it, and what is read back when that is done.
remove_account() {
  look_up
  case $comment_of_holder in
    "$mark",managed*) quit "$TAMPERED" "account $holder is a managed one and is not deleted: remove its check-out" ;;
  esac
  # First of all: a process of theirs that is root could hold up all that follows.
  end_processes
  [ -n "$holder" ] || [ "$presence" = absent ] || bring_back
  if [ "$presence" = foreign ]; then
    accounts usermod -L -e 1 "$holder"
    end_processes
    quit "$TAMPERED" "$conflict. It was locked and its processes were ended. If it is the session's account, delete it with \`userdel $holder\`; if it is not, give it another number and unlock it"
  fi
  # From here on nobody logs in any more; what runs already has only the number.
  if [ "$presence" = ours ] && ! said=$(accounts userdel -f "$holder" 2>&1); then
    printf '%s\n' "$said"
    # Every tool waits a quarter of a minute for whoever holds that lock, and would have to do so three times.
    case $said in
      # They say that they cannot lock, too, when they cannot write the lock.
      *"write error"* | *"No space left"*) ;;
      *"cannot lock"*)
        end_processes
        quit "$REFUSED" "another process holds the lock of the account files, so account $holder is still there; its processes were ended"
        ;;
    esac
    accounts usermod -L -e 1 "$holder"
    end_processes
    # A full disk is what keeps userdel from its work most often, and the account may be what fills it.
    drop_home
    accounts userdel -f "$holder" ||
      quit "$REFUSED" "userdel cannot remove account $holder; its processes were ended and its home was removed"
  fi
  end_processes
  drop_run_folder
  hand_over_files "${1:-chown}"
  drop_state
  drop_home
  drop_group
  read_back_gone
}

# bring_back: an account of our name or grant has another number, which may be root's. Only its own line is changed: nothing is
# done to processes or files of that number.
bring_back() {
  # A person with root may put our mark on these, so that we lock the host, or ourselves out of it.
  case ${moved:-$stray} in
    root | "${SUDO_USER:-root}" | "${DOAS_USER:-root}")
      quit "$TAMPERED" "$conflict. It was left as it is: take the mark off its comment with usermod -c"
      ;;
  esac
  # Neither our mark nor our number: made by somebody after ours was gone, unless it is a way to be root.
  [ "$presence" != foreign ] || [ "$(id -u "$stray")" = 0 ] ||
    quit "$TAMPERED" "$conflict. It was left as it is. If it is the session's account, delete it with \`userdel $stray\`; if it is not, give it another name"
  accounts usermod -L -e 1 "${moved:-$stray}"
  case $moved in
    '' | *[!A-Za-z0-9_-]*)
      quit "$TAMPERED" "$conflict. It should have number $uid. It was locked. If it is the session's account, delete its lines in /etc/passwd, /etc/shadow and /etc/group; if it is not, give it another name and unlock it"
      ;;
  esac
  # usermod -u refuses while the other number has processes, and root always has.
  accounts sed -i -E "s/^($moved:[^:]*):[^:]*(:[^:]*:$mark[:,])/\\1:$uid\\2/" /etc/passwd
  say found "$conflict; it was moved back"
  look_up
  [ -n "$holder" ] || quit "$REFUSED" "$conflict, and cannot be moved back: look at /etc/passwd"
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
    /var/lib/sudo/lectured/"$name" /run/faillock/"$name" "$state/frozen/$uid"; do
    [ ! -f "$path" ] || rm -f "$path"
  done
}

# drop_run_folder: /run/user/UID, which a log-in manager mounts and may leave behind.
drop_run_folder() {
  path=/run/user/$uid
  [ -d "$path" ] || return 0
  take_off_mounts "$path"
  rm -rf --one-file-system "$path"
}

# take_off_mounts PATH: every mount at or below it, or refuses. rm --one-file-system follows a bind mount of the same file
# system. Outermost first, with all below it, and made private before, or a mount that was bound in would be taken off elsewhere too.
take_off_mounts() {
  tries=0
  while find_mount "$1"; do
    tries=$((tries + 1))
    [ "$tries" -le 200 ] && mount --make-rprivate "$mount" && umount -l "$mount" ||
      quit "$REFUSED" "mount $mount cannot be taken off, so nothing below $1 was removed: take it off"
    say found "mount $mount was taken off"
  done
}

# find_mount PATH: $mount is the outermost mount at or below it. Fails if there is none. mountinfo writes spaces and the like as
# \ooo; the x keeps a line end at the end of a name.
find_mount() {
  mount=
  while read -r _ _ _ _ place _; do
    case $place in *\\*) place=$(printf '%bx' "$place") && place=${place%x} ;; esac
    case $place in "$1" | "$1"/*) [ -n "$mount" ] && [ "${#place}" -ge "${#mount}" ] || mount=$place ;; esac
  done </proc/self/mountinfo || quit "$REFUSED" "/proc/self/mountinfo cannot be read, so nothing below $1 was removed"
  [ -n "$mount" ]
}

# lines: names end with NUL and may hold line ends; one line each, without.
lines() {
  tr '\n\000' ' \n'
}

# drop_home: the recorded folder and no other: /home/NAME, a real folder, the account's.
drop_home() {
  path=/home/$name
  [ -e "$path" ] || [ -L "$path" ] || return 0
  take_off_mounts "$path"
  [ ! -L "$path" ] && [ "$(stat -c '%F %u' "$path")" = "directory $uid" ] ||
    quit "$REFUSED" "$path is not the account's folder any more: look at it, then move it away"
  # Ours: see pin_keys_folder.
  (home=$path && in_keys_folder && chattr -f -i . 2>/dev/null)
  rm -rf --one-file-system "$path" && return 0
  # chattr -R follows no links.
  chattr -R -f -i -a "$path" && say found "files in $path that could not be changed were made changeable"
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
  look_up
  [ "$presence" = absent ] || quit "$REFUSED" "an account is still there: ${conflict:-$holder with number $uid}"
  for path in "/home/$name" "/var/spool/cron/crontabs/$name" "/var/spool/cron/$name"; do
    [ ! -e "$path" ] && [ ! -L "$path" ] || quit "$REFUSED" "$path is still there"
  done
  say read "no account $name, none with number $uid, no group of it, no process, no home, no cron table"
}
