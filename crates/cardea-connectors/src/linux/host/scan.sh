# The slow look through all local file systems.

SCAN_LINES_MAX=10000

# scan FIRST LAST: files of the numbers in this range, and gently. find's -uid +N means more than N.
scan() {
  local_places | find_gently -uid "+$(($1 - 1))" -uid "-$(($2 + 1))" -printf '%U %p\0' | lines |
    head -n "$SCAN_LINES_MAX" | while IFS= read -r finding; do say file "$finding"; done
  # Two hours are longer than any command or script may take: no older one is left that such a file could stop.
  find "$state/sessions" -type f -mmin +120 -exec flock -n '{}' rm -f '{}' ';'
}

# local_places: where local file systems are, each ended by NUL.
local_places() {
  while read -r _ place type _; do
    case $type in
      ext[234] | xfs | btrfs | f2fs | jfs | zfs | tmpfs | overlay | vfat | exfat)
        printf '%b' "$place" && printf '\000'
        ;;
    esac
  done </proc/self/mounts | sort -zu
}

# find_gently EXPRESSION...: find in the places that come on stdin.
find_gently() {
  if command -v ionice >/dev/null; then gently="ionice -c 3 nice -n 19"; else gently="nice -n 19"; fi
  xargs -0 -r -I '{place}' $gently find '{place}' -xdev "$@" 2>/dev/null
}
