// Passkeys: what the browser and its authenticators do between two calls of the server.
import { body, client } from "./client";
import { Problem } from "./problem";
import type { PasskeyShown } from "./view";

const TOO_OLD = "This browser cannot use passkeys. Use another one, or choose another way.";

/** What stopped the browser, in words for people. */
const STOPPED: Record<string, string> = {
  InvalidStateError: "This device has a passkey of yours already. Choose another device.",
  NotAllowedError: "No passkey was used. Try again, or choose another way.",
  NotSupportedError: "This device cannot keep a passkey that asks who you are. Choose another device.",
  SecurityError:
    "Passkeys work only at the address that Cardea is known by. Open that address, then try again.",
};

/** Asks the person for any passkey of theirs. */
export async function askPasskey(): Promise<PasskeyShown> {
  const { challenge, options } = await body(client.POST("/api/v1/sign-in/passkey/challenge"));
  const publicKey = able().parseRequestOptionsFromJSON(options as PublicKeyCredentialRequestOptionsJSON);
  const credential = await attempt(() => navigator.credentials.get({ publicKey }));
  return { challenge, credential };
}

/** Makes a passkey and registers it. Gives the recovery codes, if it is the first factor. */
export async function makePasskey(name: string): Promise<string[]> {
  const { challenge, options } = await body(client.POST("/api/v1/me/factors/passkeys", { body: { name } }));
  const publicKey = able().parseCreationOptionsFromJSON(options as PublicKeyCredentialCreationOptionsJSON);
  const credential = await attempt(() => navigator.credentials.create({ publicKey }));
  const made = client.POST("/api/v1/me/factors/passkeys/confirm", { body: { name, challenge, credential } });
  return (await body(made)).recovery_codes;
}

/** The browser's part, if it has one that reads and writes JSON. */
function able(): typeof PublicKeyCredential {
  const part = globalThis.PublicKeyCredential;
  if (typeof part?.parseRequestOptionsFromJSON !== "function") throw new Problem("no-passkeys", 0, TOO_OLD);
  return part;
}

async function attempt(act: () => Promise<Credential | null>): Promise<unknown> {
  try {
    return ((await act()) as PublicKeyCredential | null)?.toJSON();
  } catch (error) {
    const name = error instanceof DOMException ? error.name : "";
    throw new Problem("passkey-stopped", 0, STOPPED[name] ?? "The passkey did not work. Try again.");
  }
}
