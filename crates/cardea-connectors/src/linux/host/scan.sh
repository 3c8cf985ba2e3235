# The slow look through all local file systems.

SCAN_LINES_MAX=10000

# scan FIRST LAST: files of the numbers in this range, and gently.
scan() {
  while read -r _ place type _; do
    case $type in
      ext[234] | xfs | btrfs | f2fs | jfs | zfs | tmpfs | overlay | vfat | exfat)
        printf '%b' "$place" && printf '\000'
        ;;
    esac
  done </proc/self/mounts | sort -zu | find_numbers "$1" "$2" | lines | head -n "$SCAN_LINES_MAX" |
    while IFS= read -r finding; do say file "$finding"; done
  # An hour is longer than any command may take: no older command is left that such a file could stop.
  find "$state/sessions" -type f -mmin +60 -exec flock -n '{}' rm -f '{}' ';'
}

# find_numbers FIRST LAST: places come on stdin. find's -uid +N means more than N.
find_numbers() {
  if command -v ionice >/dev/null; then gently="ionice -c 3 nice -n 19"; else gently="nice -n 19"; fi
  xargs -0 -r -I '{}' $gently find '{}' -xdev -uid "+$(($1 - 1))" -uid "-$(($2 + 1))" -printf '%U %p\0' 2>/dev/null
}
