// The bar on top of every page of a signed-in person: where one is, how the link is, and who one is.
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { Link, useNavigate } from "@tanstack/react-router";
import { CircleUser, KeyRound, LogOut, Users, WifiOff } from "lucide-react";
import { body, client } from "../api/client";
import type { Link as LinkState } from "../api/events";
import { canDecide, type ListName } from "../api/lists";
import { Problem } from "../api/problem";
import { me as meQuery, seesAll, sessionList } from "../api/queries";
import type { Me } from "../api/view";
import { Mark } from "./mark";
import { Menu, MenuCheck, MenuChoice, MenuHeading, MenuItem, MenuLine } from "./menu";
import { useSay } from "./notice";
import { LISTS } from "./sessions/lists";
import { useShortcutSwitch } from "./shortcut";
import { useTheme } from "./theme";

export function Header({ me, link }: { me: Me; link: LinkState }) {
  return (
    <>
      <header className="flex h-12 shrink-0 items-center gap-4 border-b border-line bg-surface px-4 narrow:h-auto narrow:flex-wrap narrow:gap-x-2 narrow:pt-1.5">
        <Link to="/" className="flex items-center gap-2 text-base font-semibold tracking-tight">
          <Mark />
          <span>Cardea</span>
        </Link>
        <Navigation me={me} />
        <span className="flex-1" />
        <LinkMark link={link} />
        <UserMenu me={me} />
      </header>
      {link === "lost" && (
        <div
          role="alert"
          className="flex items-center justify-center gap-2 border-b border-warn bg-warn-ground px-4 py-1.5"
        >
          <WifiOff size={15} className="shrink-0 text-warn" aria-hidden="true" />
          Connection lost, retrying. What you see may be out of date.
        </div>
      )}
    </>
  );
}

/** The lists, with how much waits on those that wait for somebody. */
function Navigation({ me }: { me: Me }) {
  const scope = seesAll(me) ? "all" : "mine";
  const scheduled = useQuery(sessionList("scheduled", scope));
  const approvals = useQuery(sessionList("approvals", scope));
  const mine = [...(approvals.data?.values() ?? [])].filter((it) => canDecide(it, me.user));
  const counts = { active: 0, scheduled: scheduled.data?.size ?? 0, approvals: mine.length, history: 0 };
  return (
    <nav
      aria-label="Main"
      className="flex h-full min-w-0 overflow-x-auto narrow:order-last narrow:h-9 narrow:w-full"
    >
      {(Object.keys(NAMES) as ListName[]).map((list) => (
        <Link
          key={list}
          to={LISTS[list].path}
          activeOptions={{ exact: true, includeSearch: false }}
          className="flex h-full shrink-0 items-center gap-1.5 border-b-2 border-transparent px-2 whitespace-nowrap text-quiet narrow:flex-1 narrow:justify-center narrow:px-1.5 hover:text-ink focus-visible:-outline-offset-2 aria-[current=page]:border-accent aria-[current=page]:font-semibold aria-[current=page]:text-ink"
        >
          {NAMES[list]}
          {counts[list] > 0 && (
            <span
              className={`rounded-full px-1.5 text-xs leading-4.5 tabular-nums ${list === "approvals" ? "bg-accent font-semibold text-on-accent" : "bg-sunken text-ink"}`}
            >
              {counts[list]}
              <span className="sr-only">{list === "approvals" ? " to decide" : " to come"}</span>
            </span>
          )}
        </Link>
      ))}
    </nav>
  );
}

const NAMES: Record<ListName, string> = {
  active: "Active",
  scheduled: "Scheduled",
  approvals: "Approvals",
  history: "History",
};

const LINKS: Record<LinkState, { text: string; look: string }> = {
  opening: { text: "Connecting", look: "bg-edge" },
  live: { text: "Live", look: "bg-good" },
  lost: { text: "Offline", look: "bg-warn" },
};

function LinkMark({ link }: { link: LinkState }) {
  return (
    <span
      className="flex items-center gap-1.5 text-quiet narrow:sr-only"
      title="Whether changes arrive by themselves"
    >
      <span className={`size-2 rounded-full ${LINKS[link].look}`} aria-hidden="true" />
      {LINKS[link].text}
    </span>
  );
}

function UserMenu({ me }: { me: Me }) {
  const queries = useQueryClient();
  const navigate = useNavigate();
  const say = useSay();
  const [theme, setTheme] = useTheme();
  const [shortcuts, switchShortcuts] = useShortcutSwitch();
  const signOut = useMutation({
    mutationFn: () => body(client.POST("/api/v1/sign-out")),
    onSuccess: () => queries.setQueryData(meQuery.queryKey, null),
    onError: (error) => say(Problem.from(error).message),
  });
  return (
    <Menu
      trigger={
        <button
          type="button"
          className="flex h-8 max-w-48 items-center gap-1.5 rounded-md px-2 hover:bg-hover"
        >
          <CircleUser size={16} className="shrink-0 text-quiet" aria-hidden="true" />
          <span className="truncate">{me.user}</span>
        </button>
      }
    >
      <MenuHeading>
        <span className="block font-semibold text-ink">{me.full_name || me.user}</span>
        <span className="block">{me.roles.join(", ")}</span>
      </MenuHeading>
      <MenuLine />
      <MenuHeading>Theme</MenuHeading>
      <MenuChoice
        value={theme}
        onChoose={setTheme}
        options={{ system: "As the system", light: "Light", dark: "Dark" }}
      />
      <MenuLine />
      <MenuCheck isOn={shortcuts} onToggle={switchShortcuts}>
        Shortcuts: n new, / search
      </MenuCheck>
      <MenuLine />
      {me.permissions.includes("configuration.see") && (
        <MenuItem onSelect={() => navigate({ to: "/people" })}>
          <Users size={15} aria-hidden="true" />
          People
        </MenuItem>
      )}
      <MenuItem onSelect={() => navigate({ to: "/profile" })}>
        <KeyRound size={15} aria-hidden="true" />
        Profile
      </MenuItem>
      <MenuItem onSelect={() => signOut.mutate()}>
        <LogOut size={15} aria-hidden="true" />
        Sign out
      </MenuItem>
    </Menu>
  );
}
