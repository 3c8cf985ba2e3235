# Scripts run on a shell of their own (script.sh). What they did is not known, so nothing here says more than that.

observe_script() {
  say seen absent "what the script did is not known"
}

remove_script() {
  say read "unproven: a script has no inverse, and what it did was not looked at"
}
