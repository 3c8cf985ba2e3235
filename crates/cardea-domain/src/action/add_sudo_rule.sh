# Sudo rules: one file each in /etc/sudoers.d. Its first line is the ownership mark.

# look_at_rule: $presence of the order's file; $rule is its second line.
look_at_rule() {
  file=/etc/sudoers.d/cardea-$grant
  presence=absent rule= fresh=$file.new
  # Half-written, by a shell that was killed. Only root writes here, and the name is our grant's.
  if [ -e "$fresh" ] || [ -L "$fresh" ]; then presence=ours rule="$fresh is half-written"; fi
  [ -e "$file" ] || [ -L "$file" ] || return 0
  presence=foreign
  [ -f "$file" ] && [ ! -L "$file" ] || return 0
  {
    IFS= read -r first
    IFS= read -r rule
  } <"$file"
  [ "$first" != "# $mark" ] || presence=ours
}

observe_sudo_rule() {
  look_at_rule
  case $presence in
    absent) say seen absent "no file $file" ;;
    ours) say seen ours "$file: $rule" ;;
    foreign) say seen foreign "$file does not carry Cardea's mark" ;;
  esac
}

# place_sudo_rule END RUN_AS ask|free COMMANDS: sudo asks for a password or not; COMMANDS as sudoers reads them, encoded.
place_sudo_rule() {
  look_at_rule
  refuse_own_way_in
  [ "$presence" != foreign ] || quit "$COLLISION" "$file is on the host and does not carry Cardea's mark"
  [ -d /etc/sudoers.d ] || quit "$REFUSED" "there is no folder /etc/sudoers.d: install sudo"
  grep -qsE '^[[:space:]]*[#@]includedir[[:space:]]+"?(/etc/)?sudoers\.d/?"?([[:space:]]|$)' /etc/sudoers ||
    quit "$REFUSED" "/etc/sudoers does not include /etc/sudoers.d: add the line \`@includedir /etc/sudoers.d\`"
  # sudo skips names with a dot, so a half-written file is never a rule.
  [ ! -e "$fresh" ] && [ ! -L "$fresh" ] || rm -f "$fresh"
  # Mode 0440 from the first moment on. Frames run in a shell of their own, so this reaches no other.
  umask 0337
  if ! write_rule "$@" >"$fresh" || ! visudo -c -f "$fresh" >/dev/null; then
    rm -f "$fresh"
    quit "$REFUSED" "visudo does not accept the rule, or it cannot be written"
  fi
  mv -f "$fresh" "$file" || quit "$REFUSED" "$file cannot be written"
  write_rule "$@" | cmp -s - "$file" || quit "$REFUSED" "$file does not hold what was written to it"
  look_at_rule
  say read "$file: $rule"
}

# write_rule END RUN_AS ask|free COMMANDS. The number, not the name: names with odd characters mean other things there.
write_rule() {
  tag=NOPASSWD
  [ "$3" = free ] || tag=PASSWD
  printf '# %s\n#%s ALL=(%s) NOTAFTER=%s %s: %b\n' "$mark" "$uid" "$2" "$1" "$tag" "$4"
}

extend_sudo_rule() {
  look_at_rule
  case $presence in
    absent) not_there "there is no file $file" ;;
    foreign) quit "$TAMPERED" "$file does not carry Cardea's mark any more" ;;
    ours) place_sudo_rule "$@" ;;
  esac
}

suspend_sudo_rule() {
  remove_sudo_rule
}

resume_sudo_rule() {
  place_sudo_rule "$@"
}

remove_sudo_rule() {
  look_at_rule
  [ "$presence" != foreign ] ||
    quit "$TAMPERED" "$file does not carry Cardea's mark any more, so it was left as it is: look at it and remove it"
  [ "$presence" = absent ] || rm -f "$file" "$fresh" || quit "$REFUSED" "$file cannot be removed"
  look_at_rule
  [ "$presence" = absent ] || quit "$REFUSED" "$file is still there"
  say read "no file $file, and no $fresh"
}
