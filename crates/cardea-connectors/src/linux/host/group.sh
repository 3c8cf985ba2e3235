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
    accounts gpasswd -a "$name" "$1" >/dev/null || quit "$REFUSED" "gpasswd cannot add $name to group $1"
  fi
  look_at_group "$1"
  [ "$presence" = foreign ] || quit "$REFUSED" "gpasswd added $name to group $1, but it does not list it"
  say read "group $1 has members: $members"
}

remove_group_membership() {
  look_at_group "$1"
  [ "$presence" != foreign ] || accounts gpasswd -d "$name" "$1" >/dev/null ||
    quit "$REFUSED" "gpasswd cannot take $name out of group $1"
  look_at_group "$1"
  case $presence in
    none) say read "there is no group $1" ;;
    absent) say read "group $1 has members: $members" ;;
    foreign) quit "$REFUSED" "group $1 still lists $name" ;;
  esac
}
