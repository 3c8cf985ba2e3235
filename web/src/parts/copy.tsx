// Copies a text to the clipboard and says so.
import { Check, Copy, type LucideIcon } from "lucide-react";
import { useEffect, useState } from "react";
import { IconButton } from "./button";
import { useSay } from "./notice";

const SHOWN_MS = 1_500;

/** A small button that copies `text`. `label` says what: "Copy user name". */
export function CopyButton({
  text,
  label,
  icon = Copy,
  tabIndex,
}: {
  text: string;
  label: string;
  icon?: LucideIcon;
  tabIndex?: number;
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
      say(`Copied: ${text}`);
    } catch {
      say(`Your browser does not let this page copy. The text is: ${text}`);
    }
  }

  return <IconButton label={label} icon={isDone ? Check : icon} tabIndex={tabIndex} onClick={copy} />;
}
