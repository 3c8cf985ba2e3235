# Moving an end that the host keeps. Each takes what its place_ takes, and makes nothing that is not there.

# extend KIND GRANT TOKEN NAME UID [ARGUMENT...]
extend() {
  kind=$1
  order "$2" "$3" "$4" "$5"
  shift 5
  case $kind in
    managed_account) extend_account "$@" ;;
    *) if has_function extend_"$kind"; then extend_"$kind" "$@"; else say read "the host keeps no end of it"; fi ;;
  esac
}

# has_function NAME: effects of actions say by their functions what can be done to them.
has_function() {
  command -v "$1" >/dev/null
}

not_there() {
  say found "$1, so there was no end to move"
  say read "$1"
}

# set_expiry DATE DAY: of the account $holder, and reads it back.
set_expiry() {
  accounts usermod -e "$1" "$holder" || quit "$REFUSED" "usermod cannot move the expiry of $holder"
  read_expires "$holder"
  [ "$expires" = "$2" ] ||
    quit "$REFUSED" "usermod moved the expiry of $holder to day $2, but day ${expires:-none} is what was read back"
  say read "account $holder expires on $1"
}

extend_account() {
  look_up
  case $presence in
    absent) not_there "there is no account $name" ;;
    foreign) quit "$TAMPERED" "$conflict" ;;
    ours)
      [ -n "$holder" ] || quit "$TAMPERED" "$conflict"
      if is_shut; then not_there "account $holder is locked"; else set_expiry "$@"; fi
      ;;
  esac
}

# is_shut: whether the account $holder is locked: it expired on the first day of all.
is_shut() {
  case $(getent shadow "$holder") in "$holder:"*":1:") return 0 ;; *) return 1 ;; esac
}

extend_authorized_key() {
  look_at_keys
  case $presence in
    absent) not_there "/home/$name/.ssh/authorized_keys does not hold the key" ;;
    ours) place_authorized_key "$@" ;;
  esac
}
