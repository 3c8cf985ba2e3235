# Public keys in the account's ~/.ssh/authorized_keys. Folder and file are root's. The account owns the folder above, so it may
# swap ~/.ssh for anything at any moment: whatever is not root's own folder is moved aside, never followed.

# look_at_keys: $presence of the order's key. Changes into ~/.ssh if that is root's.
look_at_keys() {
  presence=absent
  in_keys_folder || return 0
  find_key
}

# in_keys_folder: goes into ~/.ssh, and stays there whatever the account does to the name. Fails if it is not root's.
in_keys_folder() {
  [ ! -L "/home/$name" ] && cd -P "/home/$name" || return 1
  home=$PWD
  [ -d .ssh ] && [ ! -L .ssh ] && cd -P .ssh || return 1
  [ "$PWD" = "$home/.ssh" ] && [ -O . ]
} 2>/dev/null

# find_key: looks for our line. Only in a folder of root's, where nobody can plant a link or a pipe.
find_key() {
  presence=absent
  [ -f authorized_keys ] || return 0
  while IFS= read -r line; do
    case $line in *" cardea-$grant-$token") presence=ours ;; esac
  done <authorized_keys
}

observe_authorized_key() {
  look_at_keys
  case $presence in
    absent) say seen absent "no key of this grant in /home/$name/.ssh/authorized_keys" ;;
    ours) say seen ours "the key is in /home/$name/.ssh/authorized_keys" ;;
  esac
}

# place_authorized_key EXPIRY KEY: YYYYMMDDHHMMSSZ, or @SECONDS for an sshd that knows only its own time zone; the key encoded.
place_authorized_key() {
  require_account
  make_keys_folder
  expiry=$1
  case $expiry in @*) expiry=$(unset TZ && date -d "$expiry" +%Y%m%d%H%M%S) ;; esac
  rewrite_keys "$expiry" "$2"
  find_key
  [ "$presence" = ours ] || quit "$REFUSED" "/home/$name/.ssh/authorized_keys does not hold the key that was written to it"
  say read "$PWD/authorized_keys holds the key until $expiry"
}

make_keys_folder() {
  tries=0
  until in_keys_folder; do
    [ "$tries" -lt 3 ] || quit "$REFUSED" "/home/$name/.ssh is taken away as often as it is made"
    tries=$((tries + 1))
    move_keys_aside
    mkdir -m 755 .ssh
  done
}

# move_keys_aside: works inside the account's home. mv -T renames a link itself.
move_keys_aside() {
  [ ! -L "/home/$name" ] && cd -P "/home/$name" || quit "$REFUSED" "/home/$name is not a folder that can be entered"
  [ -e .ssh ] || [ -L .ssh ] || return 0
  mv -T .ssh ".ssh.moved-$$-$tries" && say found "~/.ssh was not root's own folder; it was moved to ~/.ssh.moved-$$-$tries"
}

# rewrite_keys [EXPIRY KEY]: all lines but those of our grant, and with arguments a new one, in one step.
rewrite_keys() {
  umask 022
  [ ! -e authorized_keys.new ] && [ ! -L authorized_keys.new ] || rm -f authorized_keys.new
  {
    [ ! -f authorized_keys ] || while IFS= read -r line; do
      case $line in *" cardea-$grant-"*) ;; *) printf '%s\n' "$line" ;; esac
    done <authorized_keys
    [ $# -eq 0 ] || printf 'restrict,pty,expiry-time="%s" %b cardea-%s-%s\n' "$1" "$2" "$grant" "$token"
  } >authorized_keys.new && mv -f authorized_keys.new authorized_keys ||
    quit "$REFUSED" "$PWD/authorized_keys cannot be written"
}

remove_authorized_key() {
  tries=gone
  if [ ! -e "/home/$name" ] && [ ! -L "/home/$name" ]; then
    say read "no folder /home/$name, so no key in it"
    return 0
  fi
  # A folder that is not root's is not what sshd reads any more once it is out of the way.
  in_keys_folder || move_keys_aside
  if in_keys_folder; then
    find_key
    if [ "$presence" = ours ]; then
      rewrite_keys
      [ -s authorized_keys ] || rm -f authorized_keys
    fi
  fi
  look_at_keys
  [ "$presence" = absent ] || quit "$REFUSED" "/home/$name/.ssh/authorized_keys still holds the key"
  say read "no key of this grant in /home/$name/.ssh/authorized_keys"
}
