// Signing in by an identity provider: this page is left for it, and the server leads back.
import { queryOptions } from "@tanstack/react-query";
import { body, client } from "./client";

/** The providers that people can sign in by, the default one first. */
export const waysIn = queryOptions({
  queryKey: ["ways-in"],
  queryFn: async () => (await body(client.GET("/api/v1/sign-in/providers"))).items,
  staleTime: Number.POSITIVE_INFINITY,
});

/** Leaves to sign in. */
export async function leaveForSignIn(name: string, returnTo: string): Promise<never> {
  const params = { path: { name } };
  const asked = client.POST("/api/v1/sign-in/providers/{name}", { params, body: { return_to: returnTo } });
  return leave((await body(asked)).url);
}

/** Leaves to show again who one is; what was about to be done is done anew afterwards. */
export async function leaveForProof(): Promise<never> {
  const { pathname, search } = window.location;
  const asked = client.POST("/api/v1/me/proof/provider", { body: { return_to: pathname + search } });
  return leave((await body(asked)).url);
}

/** The page stays as it is until the other one is there. */
function leave(url: string): Promise<never> {
  window.location.assign(url);
  return new Promise(() => {});
}
