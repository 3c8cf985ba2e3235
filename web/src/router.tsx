// The pages and their addresses.
import { createRootRoute, createRoute, createRouter, Link } from "@tanstack/react-router";
import type { ListName } from "./api/lists";
import { Front } from "./parts/front";
import { LISTS } from "./parts/sessions/lists";
import { readSearch, type ViewSearch } from "./parts/sessions/view";
import { ListPage, SignedIn, SignedOut } from "./routes/gate";
import { InvitationPage } from "./routes/invitation";
import { PeoplePage } from "./routes/people";
import { ProfilePage } from "./routes/profile";
import { SetUpPage } from "./routes/set-up";
import { SignInPage } from "./routes/sign-in";

const root = createRootRoute({ notFoundComponent: NotFound });
const signedIn = createRoute({ getParentRoute: () => root, id: "signed-in", component: SignedIn });
const lists = (Object.keys(LISTS) as ListName[]).map((list) =>
  createRoute({
    getParentRoute: () => signedIn,
    path: LISTS[list].path,
    component: () => <ListPage list={list} />,
    validateSearch: (search: Record<string, unknown>): ViewSearch & { session?: string } => ({
      ...readSearch(search, list),
      ...(typeof search.session === "string" && search.session ? { session: search.session } : {}),
    }),
  }),
);
const profile = createRoute({ getParentRoute: () => signedIn, path: "/profile", component: ProfilePage });
const people = createRoute({ getParentRoute: () => signedIn, path: "/people", component: PeoplePage });
const signedOut = createRoute({ getParentRoute: () => root, id: "signed-out", component: SignedOut });
const signIn = createRoute({
  getParentRoute: () => signedOut,
  path: "/sign-in",
  component: () => <SignInPage {...signIn.useSearch()} />,
  validateSearch: (search): { next?: string; refused?: string } => ({
    ...(typeof search.next === "string" ? { next: search.next } : {}),
    ...(typeof search.refused === "string" ? { refused: search.refused } : {}),
  }),
});
const setUp = createRoute({ getParentRoute: () => signedOut, path: "/set-up", component: SetUpPage });
const invitation = createRoute({
  getParentRoute: () => root,
  path: "/invitation",
  component: InvitationPage,
});

export const router = createRouter({
  routeTree: root.addChildren([
    signedIn.addChildren([...lists, people, profile]),
    signedOut.addChildren([signIn, setUp]),
    invitation,
  ]),
  parseSearch,
  stringifySearch,
});

declare module "@tanstack/react-router" {
  interface Register {
    router: typeof router;
  }
}

/** Query strings as everybody writes them: texts only, a key repeated for a list. */
function parseSearch(text: string): Record<string, string | string[]> {
  const entries = new URLSearchParams(text);
  return Object.fromEntries(
    [...new Set(entries.keys())].map((key) => {
      const values = entries.getAll(key);
      return [key, values.length > 1 ? values : (values[0] ?? "")];
    }),
  );
}

function stringifySearch(search: Record<string, unknown>): string {
  const entries = new URLSearchParams();
  for (const [key, value] of Object.entries(search)) {
    for (const each of Array.isArray(value) ? value : [value]) {
      if (each !== undefined && each !== null && each !== "") entries.append(key, String(each));
    }
  }
  const text = entries.toString();
  return text ? `?${text}` : "";
}

function NotFound() {
  return (
    <Front title="There is no such page">
      <Link to="/" className="font-medium text-accent underline">
        Go to the active sessions
      </Link>
    </Front>
  );
}
