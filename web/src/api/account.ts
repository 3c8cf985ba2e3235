// What the profile page reads: how one signs in, from where one is signed in, and which programs act in one's name.
import { queryOptions } from "@tanstack/react-query";
import { body, client } from "./client";

/** One's second factor. */
export const myFactors = queryOptions({
  queryKey: ["account", "factors"],
  queryFn: () => body(client.GET("/api/v1/me/factors")),
  gcTime: 0,
});

/** One's sign-ins that are not over, newest first. */
export const mySignIns = queryOptions({
  queryKey: ["account", "sign-ins"],
  queryFn: async () => (await body(client.GET("/api/v1/sign-ins"))).items,
  gcTime: 0,
});

/** One's tokens that are not over, newest first. */
export const myTokens = queryOptions({
  queryKey: ["account", "tokens"],
  queryFn: async () => (await body(client.GET("/api/v1/tokens"))).items,
  gcTime: 0,
});
