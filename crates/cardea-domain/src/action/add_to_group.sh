# Membership of the order's account in the group $1. Nothing on the host can carry a mark: the ledger knows whose it is.

# look_at_group GROUP: $presence of the membership, $members as they are listed.
look_at_group() {
  presence=none members=
  entry=$(getent group "$1") || return 0
  presence=absent members=${entry##*:}
  case ",$members," in *",$name,"*) presence=foreign ;; esac
}

observe_group_membership() {
  look_at_group "$1"
  case $presence in
    none) say seen absent "there is no group $1" ;;
    absent) say seen absent "group $1 has members: $members" ;;
    foreign) say seen foreign "$name is a member of group $1" ;;
  esac
}

place_group_membership() {
  look_at_group "$1"
  [ "$presence" != none ] ||
    quit "$REFUSED" "there is no group $1 on the host: make it, or name another in the activity's add_to_group"
  if [ "$presence" = absent ]; then
    require_account
    refuse_own_way_in
    accounts gpasswd -a "$name" "$1" >/dev/null || quit "$REFUSED" "gpasswd cannot add $name to group $1"
  fi
  look_at_group "$1"
  [ "$presence" = foreign ] || quit "$REFUSED" "gpasswd added $name to group $1, but it does not list it"
  say read "group $1 has members: $members"
}

# remove_group_membership GROUP end|report: processes keep the groups that they were started with, so those are ended too, or told.
remove_group_membership() {
  leave_group "$1"
  holding=
  if [ "${2:-end}" = report ]; then tell_members "$1"; else end_members "$1"; fi
  case $presence in
    none) say read "there is no group $1" ;;
    absent) say read "group $1 has members: $members; ${holding:-no process} of number $uid is in it" ;;
  esac
}

# suspend_group_membership GROUP: processes that are in the group stay: a lock stops those of Cardea's accounts.
suspend_group_membership() {
  leave_group "$1"
  say read "group $1 has members: $members"
}

# leave_group GROUP
leave_group() {
  look_at_group "$1"
  [ "$presence" != foreign ] || accounts gpasswd -d "$name" "$1" >/dev/null ||
    quit "$REFUSED" "gpasswd cannot take $name out of group $1"
  look_at_group "$1"
  [ "$presence" != foreign ] || quit "$REFUSED" "group $1 still lists $name"
}

resume_group_membership() {
  place_group_membership "$@"
}

# find_members GROUP: $living is the account's processes that hold the group; $told those that were told of, with what becomes of
# them. Where the group is the account's first, it is not ours.
find_members() {
  living=
  group_number=$(getent group "$1") || return 0
  group_number=${group_number#*:*:}
  group_number=${group_number%%:*}
  [ "$(id -g "$name" 2>/dev/null)" != "$group_number" ] || return 0
  for path in $(grep -lsE "^(Uid:.*[[:space:]])?$uid([[:space:]]|\$)" /proc/[0-9]*/status); do
    pid=${path#/proc/}
    pid=${pid%/*}
    grep -qsE "^(Groups|Gid):(.*[[:space:]])?$group_number([[:space:]]|\$)" "$path" && is_alive "$pid" || continue
    living="$living $pid"
    case "$told " in *" $pid "*) continue ;; esac
    told="$told $pid"
    say found "process $pid ($command) was in group $1 and $2"
  done
}

# tell_members GROUP: they go on, and whoever reads this decides.
tell_members() {
  told=
  find_members "$1" "goes on"
  [ -z "$living" ] || holding="process$living"
}

# end_members GROUP
end_members() {
  tries=0 told=
  while :; do
    find_members "$1" "was ended"
    [ -n "$living" ] || return 0
    [ "$tries" -lt 60 ] || quit "$REFUSED" "processes of number $uid that are in group $1 do not end:$living"
    kill -9 $living 2>/dev/null
    tries=$((tries + 1))
    [ "$tries" -lt 3 ] || sleep 0.05
  done
}
