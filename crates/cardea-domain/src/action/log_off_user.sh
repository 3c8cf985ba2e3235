# Log-off: ends what runs as the account, now. Nothing of it stays, so there is nothing to observe or remove later.

observe_log_off() {
  say seen absent "a log-off leaves nothing on the host"
}

place_log_off() {
  require_account
  refuse_own_way_in
  end_processes
  say read "no process of number $uid"
}

remove_log_off() {
  say read "a log-off leaves nothing on the host"
}
