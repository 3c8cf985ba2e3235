// An identity provider for tests: `oidc-provider`, which is certified, with a page that signs in whoever it is told to. What it is
// like stands in a file: node identity-provider.mjs OPTIONS.json. It takes one line of JSON for each order and answers each with
// one; the first line that it says is where it is.
import { readFileSync } from "node:fs";
import { createServer } from "node:http";
import { createInterface } from "node:readline";
import { CompactSign, exportJWK, generateKeyPair } from "jose";
import Provider from "oidc-provider";

const REDIRECTS_MAX = 20;

/**
 * `now`: the time there, in seconds; it stands still, as the clocks of tests do. `client_id`, `client_secret`, `redirect_uri`: who
 * may ask, `logout_uri`: and hears who has left. `people`: claims by account, with `amr` and `acr` of their sign-ins.
 */
const options = JSON.parse(readFileSync(process.argv[2], "utf8"));
const { people } = options;
standStillAt(options.now * 1000);
// What it advises those who run it for others: answers have the other way out for themselves.
console.info = console.error;

let [handle, signs, provider] = [null, null, null];
let isSilent = false;
const logouts = [];
const server = createServer((request, response) => {
  if (isSilent) return response.writeHead(503).end();
  if (request.url.startsWith("/interaction/")) return signIn(request, response);
  return handle(request, response);
});
server.listen(0, "127.0.0.1", async () => {
  options.issuer = `http://127.0.0.1:${server.address().port}`;
  await withNewKeys();
  say({ issuer: options.issuer });
});

function say(answer) {
  process.stdout.write(`${JSON.stringify(answer)}\n`);
}

function standStillAt(now) {
  const Real = Date;
  globalThis.Date = class extends Real {
    constructor(...given) {
      super(...(given.length ? given : [now]));
    }
    static now() {
      return now;
    }
    static standAt(time) {
      now = time;
    }
  };
}

async function withNewKeys() {
  const { privateKey } = await generateKeyPair("RS256", { extractable: true });
  const key = { ...(await exportJWK(privateKey)), use: "sig", alg: "RS256", kid: `key-${Date.now()}-${Math.random()}` };
  signs = { privateKey, kid: key.kid };
  provider = new Provider(options.issuer, configuration(key));
  for (const event of ["server_error", "backchannel.error"]) {
    provider.on(event, (_, error) => process.stderr.write(`${event}: ${error.stack}\n`));
  }
  handle = provider.callback();
}

function configuration(key) {
  return {
    clients: [
      {
        client_id: options.client_id,
        client_secret: options.client_secret,
        redirect_uris: [options.redirect_uri],
        backchannel_logout_uri: options.logout_uri,
        backchannel_logout_session_required: true,
        require_auth_time: true,
      },
    ],
    jwks: { keys: [key] },
    // The word that somebody has left is kept, for the test to deliver.
    fetch: async (_, { body }) => {
      logouts.push(body.get("logout_token"));
      return new Response(null, { status: 204 });
    },
    claims: { openid: ["sub", "amr", "acr"], profile: ["name", "preferred_username"], email: ["email"], groups: ["groups"] },
    conformIdTokenClaims: options.claims_in_userinfo ?? false,
    scopes: ["openid", "profile", "email", "groups"],
    features: {
      devInteractions: { enabled: false },
      backchannelLogout: { enabled: true },
      rpInitiatedLogout: { enabled: true, logoutSource: (ctx, form) => void (ctx.body = form) },
    },
    cookies: { keys: ["of a test"] },
    pkce: { required: () => true },
    interactions: { url: (_, interaction) => `/interaction/${interaction.uid}` },
    findAccount: (_, id) => people[id] && { accountId: id, claims: () => claimsOf(id) },
    // Nobody is asked whether Cardea may know who they are.
    async loadExistingGrant({ oidc }) {
      const known = oidc.session.grantIdFor(oidc.client.clientId);
      // A code that is shown twice takes the one that it came from away.
      const before = known && (await oidc.provider.Grant.find(known));
      if (before) return before;
      const grant = new oidc.provider.Grant({ clientId: oidc.client.clientId, accountId: oidc.session.accountId });
      grant.addOIDCScope("openid profile email groups");
      await grant.save();
      return grant;
    },
  };
}

function claimsOf(id) {
  const { amr, acr, ...claims } = people[id];
  return { sub: id, ...claims };
}

/** Signs in whom the visitor says that they are, if the provider asks. */
async function signIn(request, response) {
  const account = request.headers["x-person"];
  const { amr, acr } = people[account] ?? {};
  const said = account ? { login: { accountId: account, amr, acr } } : { error: "access_denied" };
  await provider.interactionFinished(request, response, said);
}

/** A browser without pictures: follows redirects and forms as far as they stay here. */
const cookies = new Map();
async function visit(url, { person, form }) {
  for (let step = 0; step < REDIRECTS_MAX; step++) {
    if (!url.startsWith(options.issuer)) return { landed: url };
    const cookie = [...cookies].map(([name, value]) => `${name}=${value}`).join("; ");
    const headers = { cookie, ...(person && { "x-person": person }) };
    const sent = form ? { method: "POST", body: new URLSearchParams(form) } : {};
    const answer = await fetch(url, { redirect: "manual", headers, ...sent });
    form = undefined;
    for (const line of answer.headers.getSetCookie()) {
      const [name, value] = line.split(";")[0].split(/=(.*)/);
      if (value) cookies.set(name, value);
      else cookies.delete(name);
    }
    const to = answer.headers.get("location");
    if (!to) return { status: answer.status, text: await answer.text() };
    url = new URL(to, url).href;
  }
  return { status: 508, text: "it goes round in circles" };
}

/** Signs out there, and gives the words that went out about it. */
async function leave() {
  const asked = await visit(`${options.issuer}/session/end`, {});
  const xsrf = /name="xsrf" value="([^"]+)"/.exec(asked.text)?.[1];
  await visit(`${options.issuer}/session/end/confirm`, { form: { xsrf, logout: "yes" } });
  return { logout_tokens: logouts.splice(0) };
}

/** A token as the provider could sign it, or as somebody else would. */
async function forge({ header = {}, claims, by = "provider" }) {
  const body = new TextEncoder().encode(JSON.stringify(claims));
  if (by === "nobody") {
    const part = (value) => Buffer.from(value).toString("base64url");
    return { token: `${part(JSON.stringify({ alg: "none", ...header }))}.${part(body)}.` };
  }
  if (by === "its public key") {
    const [published] = (await (await fetch(`${options.issuer}/jwks`)).json()).keys;
    const secret = new TextEncoder().encode(JSON.stringify(published));
    const signed = new CompactSign(body).setProtectedHeader({ alg: "HS256", kid: signs.kid, ...header });
    return { token: await signed.sign(secret) };
  }
  const key = by === "provider" ? signs.privateKey : (await generateKeyPair("RS256")).privateKey;
  const signed = new CompactSign(body).setProtectedHeader({ alg: "RS256", kid: signs.kid, ...header });
  return { token: await signed.sign(key) };
}

const orders = {
  visit: (order) => visit(order.url, order),
  leave,
  forge,
  rotate: async () => (await withNewKeys(), {}),
  silence: async ({ silent }) => ((isSilent = silent), {}),
  person: async ({ id, claims }) => ((people[id] = claims), {}),
  time: async ({ now }) => (Date.standAt(now * 1000), {}),
};

createInterface({ input: process.stdin })
  .on("line", async (line) => {
    const { order, ...given } = JSON.parse(line);
    try {
      say(await orders[order](given));
    } catch (error) {
      say({ error: error.stack });
    }
  })
  // Nobody is left to work for.
  .on("close", () => process.exit(0));
