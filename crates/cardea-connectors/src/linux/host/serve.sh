# The loop. It stands last: what is sent after this is frames.

frame() {
  verb=$2 deadline=$3
  in_time
  # The number whose processes may have to go first: the account's in `remove KIND GRANT TOKEN NAME UID`.
  leaving='' forcing=''
  # What takes away takes the session's lock from whoever keeps it.
  case $verb in
    remove) leaving=${10} forcing=yes ;;
    lock) forcing=yes ;;
  esac
  # A log-in through the gateway, an extension and a password that is shown for the first time have fences of their own, and take
  # over none of the session's steps: a script that runs meanwhile goes on. It does beside a lock too.
  sparing=
  case "$verb ${6:-}" in
    'extend '* | 'lock '* | 'unlock '* | 'place authorized_key' | 'place password') sparing=yes ;;
    # Looking for the password and for nothing else.
    'observe password') [ $# -gt 11 ] || sparing=yes ;;
  esac
  # What may be on the host from here on, under a mark of this grant.
  giving=
  case $verb in place | unlock) giving=$7 ;; esac
  [ "$4" = - ] || hold "$4" "$5"
  if [ "$verb" = run_script ]; then
    # It may take an hour. A newer frame finds it by this instead of by the lock.
    printf '%s %s\n' "$5" "$self" >>"$fences.scripts" || quit "$REFUSED" "/run cannot be written"
    let_go
  fi
  shift 5
  # Whatever the verb starts must not keep the lock.
  "$verb" "$@" 9>&-
}

serve() {
  start_time "$$"
  self=$$.$began
  trap 'rm -f "$state"/shells/*/*/"$self" 2>/dev/null' EXIT
  read_uptime
  printf 'cardea-hello %s %s %s %s\n' "$self" "$uptime" "$(date +%s)" "$(id -u)"
  while IFS= read -r request; do
    set -f
    set -- $request
    set +f
    [ $# -ge 5 ] || continue
    nonce=$1
    # A shell of its own: what goes wrong in a frame ends the frame, and its locks with it.
    (
      frame "$@"
      exit "$?"
    ) </dev/null 2>&1
    printf '\n%s end %s\n' "$nonce" "$?"
  done
}

serve
