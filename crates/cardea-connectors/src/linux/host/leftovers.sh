# Files outside of a home. Nobody of the account runs any more, but others may: what is found is changed from inside of its own
# folder (-execdir, -delete), so that nobody can swap a folder on the way, and no link is followed. A folder is removed only when it
# is empty, and never with what is in it: others may have put that there.

# Where files are archived: root's alone, a folder for each grant.
archives=/var/lib/cardea-leftovers
# More than this is handed to root where it is, in KiB: an archive must not fill the host.
ARCHIVE_KIB_MAX=1048576

# hand_over_files archive|chown|delete: where anybody may write, cron tables and at jobs of the number are removed, and its other
# files are archived, given to root or removed. The kernel takes setuid and setgid off what root is given.
hand_over_files() {
  leftovers=$1
  set --
  for folder in /var/spool/cron /var/spool/at /tmp /var/tmp /dev/shm /dev/mqueue /run /var/crash; do
    [ ! -d "$folder" ] || set -- "$@" "$folder"
  done
  [ "$leftovers" != archive ] || archive_fits "$@" || leftovers=chown
  { find "$@" -xdev -uid "$uid" -type f -links +1 ! -path '/var/spool/*' \
    -printf 'file %p has %n names: the others may be where nobody looked\0'
  archive=$archives/$grant
  case $leftovers in
    archive) archive_files "$@" ;;
    delete) delete_files "$@" ;;
  esac
  find "$@" -xdev -depth -uid "$uid" -path '/var/spool/*' -type f -delete -printf 'scheduled job %p was removed\0'
  # Whatever is left of it, from above: in a folder that is root's alone nobody swaps what comes next.
  find "$@" -xdev -uid "$uid" -printf '%y %p was given to root\0' -execdir chown -h root:root '{}' + \
    ! -type l -perm /022 -execdir sh -c "$close_off" close '{}' +; } | lines | tell_leftovers
}

# What runs in the folder of what was given to root and others may still write: a folder of root's that others may write could be
# moved to where root's folders are trusted. A folder is entered, and changed only if it is what the name says; chmod follows
# links, so what else there is is changed only where others cannot swap it any more.
close_off='
  cd -P . || exit 0
  here=${PWD%/}
  for file in "$@"; do
    shift
    if [ -L "$file" ]; then continue; fi
    if [ -d "$file" ]; then
      (cd -P "$file" && [ "$PWD" = "$here/${file#./}" ] && [ -O . ] && chmod go-w .)
    else
      set -- "$@" "$file"
    fi
  done
  [ $# -gt 0 ] && [ -O . ] || exit 0
  case $(stat -c %a .) in [1357]???) ;; *[2367] | *[2367]?) exit 0 ;; esac
  chmod go-w "$@"'

# tell_leftovers: one finding a line; f is a file, d a folder, l a link.
tell_leftovers() {
  count=0
  while IFS= read -r finding; do
    count=$((count + 1))
    case $finding in
      'd '*) finding="folder ${finding#* }" ;;
      'l '*) finding="link ${finding#* }" ;;
      ?' '*) finding="file ${finding#* }" ;;
    esac
    [ "$count" -gt 100 ] || say found "$finding"
  done
  [ "$count" -le 100 ] || say found "and $((count - 100)) more files"
}

# archive_fits FOLDER...: whether what is there may be archived.
archive_fits() {
  total=0
  while read -r size; do
    total=$((total + size))
  done <<END
$(find "$@" -xdev -uid "$uid" -type f -printf '%k\n')
END
  [ "$total" -gt "$ARCHIVE_KIB_MAX" ] || return 0
  say found "$total KiB of files are too much for an archive: they are given to root where they are"
  return 1
}

# archive_files FOLDER...: each by itself, below the path that it had. Pipes and sockets hold nothing and are removed.
archive_files() {
  find "$@" -xdev -depth -uid "$uid" ! -path '/var/spool/*' '(' \
    '(' -type p -o -type s ')' -delete -printf '%y %p was removed\0' -o \
    ! -type d -execdir sh -c "$move_in" archive "$archive" '{}' + -o \
    -type d -empty -delete -printf 'd %p was removed\0' ')'
}

# What runs in a file's folder. The x keeps a line end at the end of the folder's name.
move_in='
  umask 077
  archive=$1
  shift
  here=$(pwd -P && echo x)
  here=${here%?x}
  mkdir -p "$archive$here" || exit 0
  for file in "$@"; do
    mv --backup=numbered -T -- "$file" "$archive$here/${file#./}" &&
      chown -h root:root "$archive$here/${file#./}" && printf "file %s was archived in %s\\0" "$here/${file#./}" "$archive"
  done'

# delete_files FOLDER...: names, not what they stand for: a file with other names lives on under those.
delete_files() {
  find "$@" -xdev -depth -uid "$uid" ! -path '/var/spool/*' '(' \
    ! -type d -delete -printf '%y %p was removed\0' -o -type d -empty -delete -printf 'd %p was removed\0' ')'
}
