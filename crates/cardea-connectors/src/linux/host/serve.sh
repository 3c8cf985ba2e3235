# The loop. It stands last: what is sent after this is frames.

# each VERB ORDERS...: an order is GRANT TOKEN NAME UID and one argument.
observe() {
  while [ $# -ge 6 ]; do
    order "$2" "$3" "$4" "$5"
    # A shell of its own: looking at keys changes the folder.
    (observe_"$1" "$6")
    shift 6
  done
}

# order GRANT TOKEN NAME UID
order() {
  grant=$1 token=$2 name=$3 uid=$4 mark="cardea $1 $2"
}

# place KIND GRANT TOKEN NAME UID [ARGUMENT...], and remove alike.
place() {
  kind=$1
  order "$2" "$3" "$4" "$5"
  shift 5
  place_"$kind" "$@"
}

remove() {
  kind=$1
  order "$2" "$3" "$4" "$5"
  shift 5
  remove_"$kind" "$@"
}

frame() {
  verb=$2 deadline=$3
  in_time
  # The number whose processes may have to go first: the account's in `remove KIND GRANT TOKEN NAME UID`.
  leaving=
  [ "$verb" != remove ] || leaving=${10}
  [ "$4" = - ] || hold "$4" "$5"
  shift 5
  # Whatever the verb starts must not keep the lock.
  "$verb" "$@" 9>&-
}

serve() {
  start_time "$$"
  self=$$.$began
  trap 'rm -f "$state"/shells/*/"$self" 2>/dev/null' EXIT
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
