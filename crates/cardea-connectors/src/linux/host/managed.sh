# Managed accounts: they stay, locked, and one session at a time has them. The comment is the mark:
#
#   at rest  cardea managed INSTALLATION,OLD COMMENT
#   out      cardea GRANT TOKEN,managed INSTALLATION,OLD COMMENT
#
# The mark of a check-out is written while the account is still locked, and that of rest when it is locked again and clean: from
# whatever instruction on the host is lost, the mark tells that there is something to put to rest.

# look_up_managed own|adopt: $presence of the check-out; $state_of_it is none, rest, out, other or foreign; $home, $gid, and $old is
# the comment of before Cardea. $conflict tells a person what stands in the way.
look_up_managed() {
  look_up
  installation=${state##*/} conflict_of_it=$conflict
  home=/home/$name old='' conflict=
  # By name, or by our mark if somebody renamed it.
  entry=$(getent passwd "${moved:-${holder:-$name}}") || {
    presence=absent state_of_it=none
    return 0
  }
  IFS=: read -r account _ number group comment home _ <<END
$entry
END
  managed="managed $installation"
  case $comment, in
    "$mark,$managed,"*) presence=ours state_of_it=out old=${comment#"$mark,$managed"} ;;
    "cardea $managed,"*) presence=absent state_of_it=rest old=${comment#"cardea $managed"} ;;
    "cardea grt_"*",$managed,"*)
      presence=foreign state_of_it=other conflict="account $account is checked out to another session" ;;
    "cardea "*) presence=foreign state_of_it=other conflict="account $account carries another mark of Cardea: $comment" ;;
    *)
      presence=foreign state_of_it=foreign old=,$comment
      conflict="account $account exists and is not Cardea's: let the activity adopt it, or name another"
      [ "$1" != adopt ] || presence=absent
      ;;
  esac
  old=${old#,}
  case $state_of_it in
    rest | out | foreign)
      if [ "$number" != "$uid" ] || [ "$account" != "$name" ]; then
        presence=foreign conflict="account $account with number $number stands where $name with number $uid should: ${conflict_of_it:-$comment}"
      fi
      ;;
  esac
  gid=$group
}

observe_managed_account() {
  look_up_managed "$1"
  case $state_of_it in out) ! is_ours_elsewhere || presence=ours ;; esac
  case $presence in
    absent) say seen absent "account $name is not checked out" ;;
    ours) say seen ours "${conflict:-account $name is checked out to this session}" ;;
    foreign) say seen foreign "$conflict" ;;
  esac
}

# is_ours_elsewhere: our mark is on an account of another name or number.
is_ours_elsewhere() {
  case $comment, in "$mark,$managed,"*) return 0 ;; *) return 1 ;; esac
}

# place_managed_account EXPIRY_DATE EXPIRY_DAY own|adopt clean|keep LEFTOVERS PASSWORD|none: the password encoded. With none the
# account has no password, and no lock either: only keys open it.
place_managed_account() {
  refuse_own_way_in
  look_up_managed "$3"
  [ "$presence" != foreign ] || quit "$COLLISION" "$conflict"
  out="$mark,managed $installation${old:+,$old}"
  if [ "$state_of_it" = none ]; then
    make_managed "$out"
  else
    check_home
    # One tool writes both: there is no moment at which it is ours and open.
    accounts usermod -L -e 1 -c "$out" "$name" || quit "$REFUSED" "usermod cannot lock and mark account $name"
  fi
  clean_managed "$4" "$5"
  if [ "$6" = none ]; then
    accounts usermod -p '*' "$name" || quit "$REFUSED" "usermod cannot take the password of $name away"
  else
    give_password "$name" "$6"
  fi
  accounts usermod -e "$1" "$name" || quit "$REFUSED" "usermod cannot open account $name"
  look_up_managed own
  shadow=$(getent shadow "$name")
  case $presence:$6:$shadow in
    "ours:none:$name:*:"*":$2:") say read "account $name, number $uid, is checked out without a password, expires on $1, home $home" ;;
    ours:*":$name:!"* | ours:*":$name:*:"*) quit "$REFUSED" "account $name was opened, but is locked" ;;
    ours:none:*) quit "$REFUSED" "account $name was opened, and has a password" ;;
    ours:*":$name:"*":$2:") say read "account $name, number $uid, is checked out with a fresh password, expires on $1, home $home" ;;
    *) quit "$REFUSED" "account $name was opened, but what was read back is not what was asked for" ;;
  esac
}

# make_managed MARK: like an account of a session, but locked.
make_managed() {
  [ -z "$conflict_of_it" ] || quit "$COLLISION" "$conflict_of_it"
  if [ -e "/home/$name" ] || [ -L "/home/$name" ]; then quit "$COLLISION" "/home/$name is on the host already"; fi
  home=/home/$name gid=$uid
  shell=/bin/bash
  [ -x "$shell" ] || shell=/bin/sh
  accounts useradd -m -d "$home" -U -u "$uid" -s "$shell" -c "$1" -e 1970-01-02 -p '!' -K UMASK=077 \
    -K UID_MAX="$uid" -K SUB_UID_COUNT=0 -K SUB_GID_COUNT=0 "$name" || explain_useradd "$?"
}

# check_home: a folder of the account's alone, far enough from the root of the file system to be emptied by mistake.
check_home() {
  case $home in
    /*/../* | */.. | */. | /*//* | / | /root | /root/* | /etc/* | /usr/* | /bin/* | /sbin/* | /proc/* | /sys/* | /dev/*)
      quit "$REFUSED" "account $name has its home in $home: give it one of its own with usermod -d" ;;
    /*/*) ;;
    *) quit "$REFUSED" "account $name has its home in $home: give it one of its own with usermod -d" ;;
  esac
  [ "$(cut -d: -f6 /etc/passwd | grep -cxF -e "$home")" -le 1 ] ||
    quit "$REFUSED" "another account lives in $home too: give $name a home of its own with usermod -d"
  [ ! -e "$home" ] && [ ! -L "$home" ] || { [ ! -L "$home" ] && [ "$(stat -c '%F %u' "$home")" = "directory $uid" ]; } ||
    quit "$REFUSED" "$home is not a folder of $name's: look at it, then move it away"
}

# clean_managed clean|keep LEFTOVERS: nothing of the last session, or of before Cardea, lets anybody in or runs.
clean_managed() {
  end_processes
  drop_run_folder
  hand_over_files "$2"
  rm -f /var/spool/cron/crontabs/"$name" /var/spool/cron/"$name" /var/lib/systemd/linger/"$name" /run/sudo/ts/"$name"
  check_home
  [ -d "$home" ] || { mkdir -m 700 "$home" && fill_home; } || quit "$REFUSED" "$home cannot be made"
  if [ "$1" = clean ]; then
    empty_home
    fill_home || quit "$REFUSED" "$home cannot be filled from /etc/skel"
  else
    drop_ways_in
  fi
}

# empty_home: what is in it, and not the folder.
empty_home() {
  take_off_mounts "$home"
  find "$home" -mindepth 1 -maxdepth 1 -exec rm -rf --one-file-system '{}' + 2>/dev/null
  [ -n "$(ls -A "$home")" ] || return 0
  chattr -R -f -i -a "$home" && say found "files in $home that could not be changed were made changeable"
  find "$home" -mindepth 1 -maxdepth 1 -exec rm -rf --one-file-system '{}' +
  [ -z "$(ls -A "$home")" ] || quit "$REFUSED" "$home cannot be emptied"
}

fill_home() {
  [ ! -d /etc/skel ] || cp -Rp /etc/skel/. "$home"/ || return 1
  chown -R -h "$uid:$gid" "$home" && chmod 700 "$home"
}

# drop_ways_in: what in a home lets somebody log in, or runs for the account without one. Nobody of the account runs now, so
# nothing is swapped meanwhile; rm follows no links.
drop_ways_in() {
  for path in "$home"/.ssh "$home"/.ssh.moved-* "$home"/.rhosts "$home"/.shosts "$home"/.k5login "$home"/.k5users \
    "$home"/.config/systemd "$home"/.config/autostart "$home"/.forward "$home"/.procmailrc; do
    [ -e "$path" ] || [ -L "$path" ] || continue
    # A link on the way would lead elsewhere.
    case $(readlink -f "${path%/*}") in "$(readlink -f "$home")" | "$(readlink -f "$home")"/*) ;; *) continue ;; esac
    take_off_mounts "$path"
    chattr -R -f -i -a "$path" 2>/dev/null
    rm -rf --one-file-system "$path" || quit "$REFUSED" "$path cannot be removed"
  done
}

# remove_managed_account own|adopt LEFTOVERS: puts it to rest.
remove_managed_account() {
  look_up_managed "$1"
  case $state_of_it in
    none)
      end_processes
      say read "no account $name, and no process of number $uid"
      return 0
      ;;
    other) if ! is_ours_elsewhere; then
      say read "$conflict, so nothing of this session was on it"
      return 0
    fi ;;
  esac
  end_processes
  if [ "$presence" = foreign ]; then
    stop_foreign "$1"
  fi
  rotate_and_lock
  clean_managed keep "${2:-chown}"
  rest="cardea managed $installation${old:+,$old}"
  accounts usermod -c "$rest" "$name" || quit "$REFUSED" "usermod cannot mark account $name as at rest"
  read_back_at_rest
}

# stop_foreign own|adopt: it has our name or our mark, and is not as we made it.
stop_foreign() {
  if is_ours_elsewhere; then
    case $account in
      root | "${SUDO_USER:-root}" | "${DOAS_USER:-root}")
        quit "$TAMPERED" "$conflict. It was left as it is: take the mark off its comment with usermod -c" ;;
    esac
    accounts usermod -L -e 1 "$account"
    quit "$TAMPERED" "$conflict. It was locked. Give it its name and number back, and Cardea puts it to rest"
  fi
  # No mark, and not the recorded number: somebody else's, made after ours was gone.
  [ "$number" = "$uid" ] || {
    say read "account $name with number $number is not the one that was checked out, and was left as it is"
    exit 0
  }
  accounts usermod -L -e 1 "$name"
  end_processes
  quit "$TAMPERED" "account $name lost Cardea's mark. It was locked and its processes were ended. If it is Cardea's, mark it with \`usermod -c 'cardea managed $installation' $name\`; if it is not, rename it"
}

# rotate_and_lock: nobody knows the new password, and it is locked beside.
rotate_and_lock() {
  accounts usermod -L -e 1 "$name" || quit "$REFUSED" "usermod cannot lock account $name"
  end_processes
  give_password "$name" "$(od -An -N24 -tx1 /dev/urandom | tr -d ' \n')"
  accounts usermod -L -e 1 "$name" || quit "$REFUSED" "usermod cannot lock account $name"
}

read_back_at_rest() {
  end_processes
  look_up_managed own
  shadow=$(getent shadow "$name")
  case $state_of_it:$shadow in
    "rest:$name:!"*":1:") ;;
    *) quit "$REFUSED" "account $name was put to rest, but what was read back is not locked, expired and marked" ;;
  esac
  for path in "$home/.ssh" "/var/spool/cron/crontabs/$name" "/var/spool/cron/$name"; do
    [ ! -e "$path" ] && [ ! -L "$path" ] || quit "$REFUSED" "$path is still there"
  done
  say read "account $name rests: locked, expired, password rotated, no process, no key, no cron table"
}
