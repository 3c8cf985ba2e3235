# The slow look through all local file systems.

SCAN_LINES_MAX=10000

# scan FIRST LAST: files of the numbers in this range, and gently. find's -uid +N means more than N.
scan() {
  local_places | find_gently -uid "+$(($1 - 1))" -uid "-$(($2 + 1))" -printf '%U %p\0' | lines |
    head -n "$SCAN_LINES_MAX" | while IFS= read -r finding; do say file "$finding"; done
  drop_fences
}

# How long the fences of a session that has nothing on the host are kept, in minutes. A command that comes late is stopped by its own
# deadline, within minutes. But a node that stood still, on a machine that was paused, reckons the deadline from when it goes on, and
# then the fence alone says that its claim is over. What comes later still is found by its mark, like all whose session is over.
FENCES_KEPT=2880

# drop_fences: those of sessions that have nothing on the host any more. While a mark of one is there, its session may be open, for
# however long nobody has had anything to do here.
drop_fences() {
  carried=$(marks)
  find "$state/sessions" -type f ! -name '*.*' -mmin "+$FENCES_KEPT" 2>/dev/null | while IFS= read -r fences; do
    is_carried "$fences" || flock -n "$fences" rm -f "$fences" "$fences.holder" "$fences.scripts"
  done
}

# is_carried FENCES: whether the mark of a grant that the session gave (hold) is on the host.
is_carried() {
  while IFS= read -r line; do
    case $line in grt_*) case $carried in *" $line "*) return 0 ;; esac ;; esac
  done <"$1"
  return 1
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
