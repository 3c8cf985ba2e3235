// A mail server for tests: takes what it is given and prints it, one line of JSON for each mail, behind a first line that says
// its port. What it is like stands in a file: node smtp-catcher.mjs OPTIONS.json
import { readFileSync } from "node:fs";
import { SMTPServer } from "smtp-server";

const BYTES_MAX = 1 << 20;

/** `secure`: TLS from the first byte. `key`, `cert`: with them STARTTLS is offered. `user`, `password`: who may send. */
const { secure, key, cert, user, password } = JSON.parse(readFileSync(process.argv[2], "utf8"));
const server = new SMTPServer({
  secure,
  ...(cert && { key, cert }),
  // With a certificate, nobody is asked for a password before the line is encrypted.
  disabledCommands: [...(cert ? [] : ["STARTTLS"]), ...(user ? [] : ["AUTH"])],
  authOptional: !user,
  size: BYTES_MAX,
  disableReverseLookup: true,
  onAuth(auth, session, done) {
    const fits = auth.username === user && auth.password === password;
    done(fits ? null : new Error("wrong user or password"), { user: auth.username });
  },
  onRcptTo({ address }, session, done) {
    done(address.startsWith("nobody@") ? new Error("no such mailbox") : null);
  },
  onData(stream, session, done) {
    const chunks = [];
    stream.on("data", (chunk) => chunks.push(chunk));
    stream.on("end", () => {
      const { mailFrom, rcptTo } = session.envelope;
      const caught = {
        from: mailFrom.address,
        to: rcptTo.map(({ address }) => address),
        secure: session.secure,
        user: session.user ?? null,
        raw: Buffer.concat(chunks).toString("utf8"),
      };
      process.stdout.write(`${JSON.stringify(caught)}\n`);
      done();
    });
  },
});
// Clients that break off are nothing to fall over.
server.on("error", (error) => process.stderr.write(`${error.message}\n`));
server.listen(0, "127.0.0.1", () => {
  process.stdout.write(`${JSON.stringify({ port: server.server.address().port })}\n`);
});
// Nobody is left to print for.
process.stdin.resume();
process.stdin.on("end", () => process.exit(0));
