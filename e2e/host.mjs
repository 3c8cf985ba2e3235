// A throw-away host as its root sees it, and the real ssh client.
import { spawn } from "node:child_process";

const OPTIONS = ["-F", "/dev/null", "-o", "BatchMode=yes", "-o", "LogLevel=ERROR", "-o", "IdentitiesOnly=yes", "-o", "ConnectTimeout=10"];
const ANYBODY = ["-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null"];

export class Host {
  #words;

  constructor({ address, port }, rootKey) {
    this.#words = ["ssh", ...OPTIONS, ...ANYBODY, "-i", rootKey, "-p", String(port), `root@${address}`];
  }

  /** Whether the account exists. */
  async has(account) {
    return (await run([...this.#words, `getent passwd -- '${account}'`])).code === 0;
  }

  /** Everything that a privilege could hide in. */
  async accounts() {
    const command =
      "for f in /etc/passwd /etc/shadow /etc/group /etc/gshadow /etc/sudoers /etc/sudoers.d/* /root/.ssh/* /var/spool/cron/crontabs/*; do " +
      '[ -f "$f" ] && printf "%s %s\\n" "$(sort "$f" | sha256sum)" "$f"; done; ls -A /home /var/mail; true';
    const { code, stdout, stderr } = await run([...this.#words, command]);
    if (code !== 0) throw new Error(`the host does not answer: ${stderr}`);
    return stdout;
  }
}

/** Logs in to a session through the gateway. Resolves when ssh ends; `stdin` is open until then. */
export function login(words, session, command) {
  const [program, ...options] = words;
  return run([program, ...OPTIONS, ...options, `${session}@127.0.0.1`, command], "pipe");
}

function run([program, ...words], stdin = "ignore") {
  const child = spawn(program, words, { stdio: [stdin, "pipe", "pipe"] });
  const output = { stdout: "", stderr: "" };
  for (const name of ["stdout", "stderr"]) child[name].on("data", (bytes) => (output[name] += bytes));
  const ended = new Promise((resolve, reject) => {
    child.on("error", reject);
    child.on("close", (code) => resolve({ code, ...output }));
  });
  return Object.assign(ended, { stdin: child.stdin });
}
