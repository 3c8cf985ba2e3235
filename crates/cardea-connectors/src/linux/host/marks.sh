# Everything that carries a mark of Cardea. Whether a mark is true, only who knows the tokens can say.

# marks: KIND ACCOUNT UID GRANT TOKEN SUBJECT WHERE, with - for what is not known.
marks() {
  while IFS=: read -r entry _ number _ comment _; do
    case $comment in
      'cardea managed '*) ;;
      'cardea '*,managed*) tell_mark managed_account "$entry" "$number" "$comment" /etc/passwd ;;
      'cardea grt_'*,managed*) tell_mark managed_account "$entry" "$number" "$comment" /etc/passwd ;;
      'cardea '*) tell_mark account "$entry" "$number" "$comment" /etc/passwd ;;
    esac
  done </etc/passwd
  for file in /etc/sudoers.d/cardea-* "$dead_men"/grt_*; do
    [ -f "$file" ] && [ ! -L "$file" ] || continue
    {
      IFS= read -r first
      IFS= read -r second
    } <"$file"
    number=${second%% *}
    case $file in
      "$dead_men"/*) mark_dead_man "${first#\# }" ;;
      *) tell_mark sudo_rule - "${number#\#}" "${first#\# }" "$file" ;;
    esac
  done
  mark_keys
}

# tell_mark KIND ACCOUNT UID MARK WHERE: MARK is `cardea GRANT TOKEN`, and account tools append commas.
tell_mark() {
  where=$5
  set -f
  set -- "$1" "$2" "${3:--}" ${4%%,*}
  set +f
  [ $# -eq 6 ] && [ "$4" = cardea ] || return 0
  say mark "$1 $2 $3 $5 $6 - $where"
}

# mark_dead_man MARK: of the switch in $file, and the memberships that it would take away: those carry no mark of their own. Only
# what is there and is still the account's is told.
mark_dead_man() {
  of='-' number='-'
  while read -r kind undone proof who whose group _; do
    case $whose in '' | *[!0-9]*) continue ;; esac
    of=$who number=$whose
    [ "$kind" = group_membership ] && [ "$(id -u "$who" 2>/dev/null)" = "$whose" ] || continue
    entry=$(getent group "$group") || continue
    case ",${entry##*:}," in *",$who,"*) say mark "group_membership $who $whose $undone $proof $group $file" ;; esac
  done <"$file"
  tell_mark dead_man "$of" "$number" "$1" "$file"
}

# How many homes are looked at, how much of one file of keys is read, and for how many seconds.
HOMES_MAX=10000 KEYS_BYTES_MAX=1048576 KEYS_WAIT=2

# mark_keys: key lines end with cardea-GRANT-TOKEN. People write their own files, and may swap one for a pipe after it was looked at.
mark_keys() {
  homes | while IFS=: read -r who folder; do
    path=$folder/.ssh/authorized_keys
    # A home may be on a server that is away.
    timeout -s KILL "$KEYS_WAIT" test -f "$path" || continue
    timeout "$KEYS_WAIT" head -c "$KEYS_BYTES_MAX" "$path" 2>/dev/null |
      grep -aE -m 100 ' cardea-grt_[0-9a-z]+-[0-9a-f]+$' |
      while IFS= read -r line; do
        text=${line##* cardea-}
        say mark "authorized_key $who $(stat -c %u "$folder") ${text%-*} ${text##*-} - $path"
      done
  done
}

# homes: NAME:FOLDER of every account, and of what stands where homes do and is no account's any more. Each folder once, and those of
# accounts first.
homes() {
  {
    cut -d: -f1,6 /etc/passwd | grep ':/.'
    for folder in /root /home/*; do printf '%s\n' "${folder##*/}:$folder"; done
  } | sort -s -u -t: -k2 | head -n "$HOMES_MAX"
}
