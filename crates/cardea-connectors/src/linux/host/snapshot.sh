# What could keep somebody's root beyond their session: names and fingerprints, to be compared with others later.

SNAPSHOT_ITEMS_MAX=20000

# snapshot quick|full: lines `item FINGERPRINT KIND NAME`.
snapshot() {
  own=$(printf '%s\n' "$library" | sha256sum)
  own=${own%% *}
  {
    while IFS=: read -r entry _ number _ _ house _; do
      case $number in *[!0]*) continue ;; esac
      printf 'root account %s\n' "$entry"
      # Every file of it: sshd reads authorized_keys2 as well.
      case $house in /root | / | '') ;; *) prints key "$house/.ssh" ;; esac
    done </etc/passwd
    members
    prints sudoers /etc/sudoers /etc/sudoers.d /etc/doas.conf
    prints key /root/.ssh
    prints schedule /etc/crontab /etc/anacrontab /etc/cron.d /etc/cron.hourly /etc/cron.daily /etc/cron.weekly \
      /etc/cron.monthly /var/spool/cron /var/spool/at
    prints unit /etc/systemd /run/systemd/system /run/systemd/transient /usr/lib/systemd/system \
      /usr/local/lib/systemd /var/lib/systemd/linger /etc/init.d /etc/rc.local
    prints dead_man "$dead_men"
    prints preload /etc/ld.so.preload
    prints pam /etc/pam.d /etc/pam.conf /etc/security
    prints sshd /etc/ssh
    [ "$1" != full ] ||
      local_places | find_gently -type f -perm /6000 -exec sha256sum -z '{}' + | lines | items setuid
  } | head -n "$SNAPSHOT_ITEMS_MAX" | while IFS= read -r line; do say item "$line"; done
}

# members: who is in which group, and whose first group is one of the system's. What a dead man's switch names is a session's, and
# comes and goes with it; so is what an account of Cardea's has.
members() {
  ours=' '
  while read -r kind _ _ who _ group _; do
    [ "$kind" != group_membership ] || ours="$ours$who:$group "
  done <<END
$(cat "$dead_men"/grt_* 2>/dev/null)
END
  while IFS=: read -r entry _ _ number comment _; do
    case $comment in 'cardea grt_'* | 'cardea managed '*) ours="$ours$entry " && continue ;; esac
    case $number in '' | ????* | *[!0-9]*) ;; *) printf 'first member %s\n' "$entry of group number $number" ;; esac
  done </etc/passwd
  while IFS=: read -r group _ _ names; do
    while [ -n "$names" ]; do
      entry=${names%%,*}
      case $names in *,*) names=${names#*,} ;; *) names= ;; esac
      case $ours in *" $entry:$group "* | *" $entry "*) continue ;; esac
      printf 'listed member %s\n' "$entry of group $group"
    done
  done </etc/group
}

# prints KIND PATH...: a fingerprint of each file, and each link with where it leads to.
prints() {
  kind=$1
  shift
  for place in "$@"; do
    shift
    [ ! -e "$place" ] && [ ! -L "$place" ] || set -- "$@" "$place"
  done
  [ $# -gt 0 ] || return 0
  find "$@" -xdev -type f -exec sha256sum -z '{}' + 2>/dev/null | lines | items "$kind"
  find "$@" -xdev -type l -printf 'link  %p -> %l\0' 2>/dev/null | lines | items "$kind"
}

# items KIND: `FINGERPRINT  PATH` on stdin. An at job has a number for a name; ours are told by what they run.
# What the dead man's switch has beside its files comes and goes: locks and halves, which nobody runs, and its functions, which are
# ours while they are the same as these.
items() {
  while read -r print path; do
    case "$1 $path" in
      "dead_man $dead_men/lock" | "dead_man $dead_men/"*.new | "dead_man $dead_men/"*.cron) continue ;;
      "dead_man $dead_men/library-"*) [ "$print" != "$own" ] || continue ;;
      "dead_man $dead_men/grt_"*) [ "$print" = link ] || path=$dead_men/cardea-${path##*/} ;;
      # at's counter, which every job of ours moves.
      *' '*/atjobs/.SEQ | *' /var/spool/at/.SEQ') continue ;;
      *' '*/atjobs/* | *' /var/spool/at/'*)
        job=$(grep -soE -m 1 "^exec sh $dead_men/grt_[0-9a-z]+\$" "$path") && path=/var/spool/at/cardea-${job##*/} print=job
        ;;
    esac
    printf '%s %s\n' "$print" "$1 $path"
  done
}
