// Copies a text to the clipboard and says so.
import { Check, Copy, type LucideIcon } from "lucide-react";
import { useEffect, useState } from "react";
import { IconButton } from "./button";
import { useSay } from "./notice";

const SHOWN_MS = 1_500;

/** A small button that copies `text`. `label` says what: "Copy user name". A secret is never repeated by what it says. */
export function CopyButton({
  text,
  label,
  icon = Copy,
  tabIndex,
  isSecret = false,
}: {
  text: string;
  label: string;
  icon?: LucideIcon;
  tabIndex?: number;
  isSecret?: boolean;
}) {
  const say = useSay();
  const [isDone, setDone] = useState(false);
  useEffect(() => {
    if (!isDone) return;
    const timer = setTimeout(() => setDone(false), SHOWN_MS);
    return () => clearTimeout(timer);
  }, [isDone]);

  async function copy() {
    try {
      await navigator.clipboard.writeText(text);
      setDone(true);
      say(isSecret ? "Copied." : `Copied: ${text}`);
    } catch {
      say(`Your browser does not let this page copy${isSecret ? "." : `. The text is: ${text}`}`);
    }
  }

  return <IconButton label={label} icon={isDone ? Check : icon} tabIndex={tabIndex} onClick={copy} />;
}
