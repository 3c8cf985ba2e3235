// What the people page reads: who there is, how the directories go that they come from, and of one of them how and from where they sign in.
import { queryOptions } from "@tanstack/react-query";
import { body, client } from "./client";

/** Every user that one may see. */
export const people = queryOptions({
  queryKey: ["people"],
  queryFn: async () => (await body(client.GET("/api/v1/users"))).items,
});

/** Every directory that one may see. A look that changes nobody tells nobody, so each opening of the page reads it anew. */
export const directories = queryOptions({
  queryKey: ["directories"],
  queryFn: async () => (await body(client.GET("/api/v1/directories"))).items,
  gcTime: 0,
});

/** Somebody's second factor. */
export const factorsOf = (name: string) =>
  queryOptions({
    queryKey: ["person", name, "factors"],
    queryFn: () => body(client.GET("/api/v1/users/{name}/factors", { params: { path: { name } } })),
    gcTime: 0,
  });

/** Somebody's sign-ins that are not over, newest first. */
export const signInsOf = (user: string) =>
  queryOptions({
    queryKey: ["person", user, "sign-ins"],
    queryFn: async () => (await body(client.GET("/api/v1/sign-ins", { params: { query: { user } } }))).items,
    gcTime: 0,
  });

/** Somebody's SSH keys. */
export const keysOf = (name: string) =>
  queryOptions({
    queryKey: ["person", name, "ssh-keys"],
    queryFn: async () =>
      (await body(client.GET("/api/v1/users/{name}/ssh-keys", { params: { path: { name } } }))).items,
    gcTime: 0,
  });
