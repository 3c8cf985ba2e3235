# Passwords: for accounts that Cardea made for the session, which have none of their own. `*` is none, and no lock either.

# look_at_password: $presence, by what stands in the account's shadow entry while it is one that Cardea made.
look_at_password() {
  look_up
  presence=absent
  [ "$holder" = "$name" ] && is_made_by_us || return 0
  entry=$(getent shadow "$name") || return 0
  entry=${entry#*:}
  case ${entry%%:*} in '' | '*' | '!'*) ;; *) presence=ours ;; esac
}

is_made_by_us() {
  case $comment_of_holder in *,managed*) return 1 ;; 'cardea grt_'*) return 0 ;; *) return 1 ;; esac
}

observe_password() {
  look_at_password
  case $presence in
    absent) say seen absent "no account $name of Cardea's that has a password" ;;
    ours) say seen ours "account $name has a password" ;;
  esac
}

# place_password PASSWORD: encoded.
place_password() {
  require_account
  is_made_by_us || quit "$REFUSED" "account $name is not one that Cardea made: its password could not be given back"
  give_password "$name" "$1"
  look_at_password
  [ "$presence" = ours ] || quit "$REFUSED" "chpasswd gave $name a password, but it has none"
  say read "account $name has a fresh password"
}

remove_password() {
  look_at_password
  [ "$presence" = absent ] || accounts usermod -p '*' "$name" || quit "$REFUSED" "usermod cannot take the password of $name away"
  look_at_password
  [ "$presence" = absent ] || quit "$REFUSED" "account $name still has a password"
  say read "no account $name of Cardea's that has a password"
}
