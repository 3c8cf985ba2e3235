# Public keys in the account's ~/.ssh/authorized_keys. On accounts that are Cardea's, folder and file are root's. The account owns
# the folder above, so it may swap ~/.ssh for anything at any moment: whatever is not root's own folder is moved aside, never
# followed. On people's own accounts nothing is moved: the file is changed as the account itself, which can only harm itself.

# Seconds that reading or writing as somebody else may take: they may have put a pipe in the way.
THEIRS_WAIT=10

# find_home: $home of the account; $as_account runs a command as the account if it is somebody's own, and is empty otherwise.
find_home() {
  home=/home/$name as_account='' gid=$uid
  entry=$(getent passwd "$name") || return 0
  IFS=: read -r _ _ number group comment folder _ <<END
$entry
END
  [ "$number" = "$uid" ] || return 0
  gid=$group
  case $comment in
    'cardea managed '* | 'cardea grt_'*,managed*) home=$folder ;;
    'cardea '*) ;;
    *)
      # A folder of root's own in it was made for an account of ours, whose mark somebody took off.
      ! in_keys_folder || return 0
      home=$folder
      as_account="timeout $THEIRS_WAIT setpriv --reuid $uid --regid $gid --clear-groups --"
      ;;
  esac
}

# look_at_keys: $presence of the order's key. Changes into ~/.ssh if that is root's.
look_at_keys() {
  presence=absent
  find_home
  if [ -n "$as_account" ]; then
    ! $as_account grep -qsF -D skip -e " cardea-$grant-$token" "$home/.ssh/authorized_keys" || presence=ours
    return 0
  fi
  in_keys_folder || return 0
  find_key
}

# in_keys_folder: goes into ~/.ssh, and stays there whatever the account does to the name. Fails if it is not root's alone: in a
# folder of root's that others may write (one that was handed over, say), anything can be planted.
in_keys_folder() {
  [ ! -L "$home" ] && cd -P "$home" || return 1
  real=$PWD
  [ -d .ssh ] && [ ! -L .ssh ] && cd -P .ssh || return 1
  [ "$PWD" = "$real/.ssh" ] && is_roots_alone .
} 2>/dev/null

# is_roots_alone PATH: whether it is root's and neither its group nor others may write it.
is_roots_alone() {
  case $(stat -c '%u %a' "$1") in *[2367] | *[2367]?) return 1 ;; '0 '*) return 0 ;; *) return 1 ;; esac
}

# are_keys_strange: whether what stands for authorized_keys is no file that only root wrote, under this name alone: it was planted
# before the folder was root's.
are_keys_strange() {
  [ -e authorized_keys ] || [ -L authorized_keys ] || return 1
  [ -L authorized_keys ] || [ ! -f authorized_keys ] || ! is_roots_alone authorized_keys ||
    [ "$(stat -c %h authorized_keys)" != 1 ]
}

# set_strange_keys_aside: they are neither read nor followed, and what they say does not count. mv -T renames a link itself.
set_strange_keys_aside() {
  are_keys_strange || return 0
  mv -T authorized_keys "authorized_keys.moved-$$" || quit "$REFUSED" "$PWD/authorized_keys is not root's own file, and cannot be moved away"
  say found "~/.ssh/authorized_keys was not root's own file; it was moved to authorized_keys.moved-$$"
}

# find_key: looks for our line. Only in a folder of root's, where nobody can plant a link or a pipe.
find_key() {
  presence=absent
  [ ! -L authorized_keys ] && [ -f authorized_keys ] || return 0
  while IFS= read -r line; do
    case $line in *" cardea-$grant-$token") presence=ours ;; esac
  done <authorized_keys
}

observe_authorized_key() {
  look_at_keys
  case $presence in
    absent) say seen absent "no key of this grant in $home/.ssh/authorized_keys" ;;
    ours) say seen ours "the key is in $home/.ssh/authorized_keys" ;;
  esac
}

# place_authorized_key EXPIRY KEY: YYYYMMDDHHMMSSZ, or @SECONDS for an sshd that knows only its own time zone; the key encoded.
place_authorized_key() {
  require_account
  refuse_own_way_in
  expiry=$1
  case $expiry in @*) expiry=$(unset TZ && date -d "$expiry" +%Y%m%d%H%M%S) ;; esac
  key=$(printf '%b' "$2")
  case $key in *[!A-Za-z0-9+/=@.\ -]* | '') quit "$REFUSED" "the key is not one OpenSSH public-key line" ;; esac
  line="restrict,pty,expiry-time=\"$expiry\" $key cardea-$grant-$token"
  find_home
  if [ -n "$as_account" ]; then
    change_their_keys "$line" || quit "$REFUSED" "$home/.ssh/authorized_keys cannot be written as $name"
  else
    make_keys_folder
    chattr -f -i . 2>/dev/null
    rewrite_keys "$line"
    pin_keys_folder
  fi
  look_at_keys
  [ "$presence" = ours ] || quit "$REFUSED" "$home/.ssh/authorized_keys does not hold the key that was written to it"
  say read "$home/.ssh/authorized_keys holds the key until $expiry"
}

make_keys_folder() {
  tries=0
  until in_keys_folder; do
    [ "$tries" -lt 3 ] || quit "$REFUSED" "$home/.ssh is taken away as often as it is made"
    tries=$((tries + 1))
    move_keys_aside
    mkdir -m 755 .ssh
  done
}

# pin_keys_folder: the account owns the folder above, but nobody renames or removes what is immutable. So what lets people in is
# only what root wrote, where the file system can do that.
pin_keys_folder() {
  chattr -f +i . 2>/dev/null ||
    say found "the file system of $home has no immutable folders: the account can put keys of its own in the place of ~/.ssh"
}

# move_keys_aside: works inside the account's home. mv -T renames a link itself.
move_keys_aside() {
  [ ! -L "$home" ] && cd -P "$home" || quit "$REFUSED" "$home is not a folder that can be entered"
  [ -e .ssh ] || [ -L .ssh ] || return 0
  mv -T .ssh ".ssh.moved-$$-$tries" && say found "~/.ssh was not root's own folder; it was moved to ~/.ssh.moved-$$-$tries"
}

# rewrite_keys [LINE]: all lines but those of our grant, and with an argument a new one, in one step.
rewrite_keys() {
  umask 022
  set_strange_keys_aside
  rm -rf --one-file-system authorized_keys.new
  # Nothing that is there is opened: neither a link nor a file that somebody made meanwhile.
  set -C
  write_keys "$@" >authorized_keys.new && mv -f -T authorized_keys.new authorized_keys
  written=$?
  # Before anything else: the end of the frame writes to a file that is there.
  set +C
  [ "$written" -ne 0 ] || return 0
  rm -f authorized_keys.new
  pin_keys_folder
  quit "$REFUSED" "$PWD/authorized_keys cannot be written, and was left as it is"
}

# write_keys [LINE]: fails with the first line that is not written. On a full disk later ones, or none, may go well, and the other
# lines are other sessions' keys.
write_keys() {
  [ ! -f authorized_keys ] || while IFS= read -r old || [ -n "$old" ]; do
    case $old in *" cardea-$grant-"*) ;; *) printf '%s\n' "$old" || return 1 ;; esac
  done <authorized_keys || return 1
  [ $# -eq 0 ] || printf '%s\n' "$1"
}

# change_their_keys [LINE]: the same in somebody's own file, as them. Their links, modes and other lines stay; what is empty after
# the last of our lines was made by us.
change_their_keys() {
  $as_account env HOME="$home" sh -c '
    umask 077
    cd "$HOME" && mkdir -p .ssh && cd .ssh || exit 1
    file=$(readlink -f authorized_keys) || exit 1
    fresh=$file.cardea
    rm -f "$fresh"
    if [ -e "$file" ]; then
      [ -f "$file" ] && cp -p "$file" "$fresh" || { rm -f "$fresh"; exit 1; }
    fi
    # grep says with 1 that no line is left, and with more that not all was read.
    { [ ! -e "$file" ] || grep -avF -e " cardea-$1-" "$file" || [ $? -eq 1 ]; } >"$fresh" &&
      { [ $# -lt 2 ] || printf "%s\n" "$2" >>"$fresh"; } &&
      mv -f "$fresh" "$file" || { rm -f "$fresh"; exit 1; }
    [ -s "$file" ] || rm -f "$file"
    [ $# -gt 1 ] || rmdir "$HOME/.ssh" 2>/dev/null || :
  ' cardea "$grant" "$@"
}

remove_authorized_key() {
  tries=gone
  find_home
  if [ ! -e "$home" ] && [ ! -L "$home" ]; then
    say read "no folder $home, so no key in it"
    return 0
  fi
  if [ -n "$as_account" ]; then
    look_at_keys
    [ "$presence" = absent ] || change_their_keys || quit "$REFUSED" "$home/.ssh/authorized_keys cannot be written as $name"
  else
    drop_key
  fi
  look_at_keys
  [ "$presence" = absent ] || quit "$REFUSED" "$home/.ssh/authorized_keys still holds the key"
  say read "no key of this grant in $home/.ssh/authorized_keys"
}

drop_key() {
  # A folder that is not root's is not what sshd reads any more once it is out of the way.
  in_keys_folder || move_keys_aside
  in_keys_folder || return 0
  find_key
  if [ "$presence" = ours ] || are_keys_strange; then
    chattr -f -i . 2>/dev/null
    rewrite_keys
    if [ -s authorized_keys ]; then pin_keys_folder; else rm -f authorized_keys; fi
  fi
}
