// Short messages: a notice in the page, and one that passes by at the bottom and is said aloud.
import { CircleAlert, Info, TriangleAlert } from "lucide-react";
import { createContext, type ReactNode, useCallback, useContext, useRef, useState } from "react";

const TONES = {
  bad: { look: "border-bad bg-bad-ground text-bad", Icon: CircleAlert },
  warn: { look: "border-warn bg-warn-ground text-warn", Icon: TriangleAlert },
  busy: { look: "border-busy bg-busy-ground text-busy", Icon: Info },
} as const;

/** Something that the person should know, where it matters. Bad ones are said aloud at once. */
export function Notice({ tone, children }: { tone: keyof typeof TONES; children: ReactNode }) {
  const { look, Icon } = TONES[tone];
  return (
    <div
      role={tone === "bad" ? "alert" : "status"}
      className={`flex items-start gap-2 rounded-md border px-3 py-2 ${look}`}
    >
      <Icon size={16} className="mt-0.5 shrink-0" aria-hidden="true" />
      <div className="min-w-0 flex-1 text-ink">{children}</div>
    </div>
  );
}

const SHOWN_MS = 6_000;
const Say = createContext<(text: string) => void>(() => {});

/** How to tell the person in passing that something worked. */
export function useSay(): (text: string) => void {
  return useContext(Say);
}

/** Shows what {@link useSay} was given, one message at a time. */
export function SayProvider({ children }: { children: ReactNode }) {
  const [text, setText] = useState("");
  const timer = useRef<ReturnType<typeof setTimeout>>(undefined);
  const say = useCallback((next: string) => {
    clearTimeout(timer.current);
    setText(next);
    timer.current = setTimeout(() => setText(""), SHOWN_MS);
  }, []);
  return (
    <Say value={say}>
      {children}
      <div
        role="status"
        className="pointer-events-none fixed inset-x-0 bottom-4 z-50 flex justify-center px-4"
      >
        {text && <p className="rounded-md bg-ink px-3 py-2 text-surface shadow-lg">{text}</p>}
      </div>
    </Say>
  );
}
