# Personal keys: lines of authorized_keys like the gateway's (key.sh), but left alone where the key was there before.

# look_at_personal_key KEY: $presence; foreign if the key stands there on somebody else's line.
look_at_personal_key() {
  look_at_keys
  [ "$presence" = absent ] && has_key "$(printf '%b' "$1")" || return 0
  presence=foreign
}

# has_key KEY: whether a line without our mark holds it. Read as the account: it may be a link or a pipe.
has_key() {
  timeout 5 $as_account grep -sF -D skip -e "$1" "$home/.ssh/authorized_keys" "$home/.ssh/authorized_keys2" |
    grep -qv ' cardea-grt_'
}

observe_personal_key() {
  look_at_personal_key "$1"
  case $presence in
    absent) say seen absent "no such key in $home/.ssh/authorized_keys" ;;
    ours) say seen ours "the key is in $home/.ssh/authorized_keys" ;;
    foreign) say seen foreign "the key is in $home/.ssh/authorized_keys without Cardea's mark" ;;
  esac
}

# place_personal_key EXPIRY KEY
place_personal_key() {
  place_authorized_key "$@"
}

remove_personal_key() {
  remove_authorized_key
}

extend_personal_key() {
  extend_authorized_key "$@"
}

suspend_personal_key() {
  remove_authorized_key
}

resume_personal_key() {
  place_authorized_key "$@"
}
