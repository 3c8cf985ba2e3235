# Orders: what is observed, placed and removed, by its kind.

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
