// Single-key shortcuts of a page. A person can turn them off (WCAG 2.1.4): speech input would set them off.
import { useEffect, useRef, useState } from "react";
import { recall, remember } from "./preference";

const isOn = () => recall("shortcuts", { isOn: true }).isOn;

/** Whether shortcuts are on, and how to switch. */
export function useShortcutSwitch(): [boolean, () => void] {
  const [on, setOn] = useState(isOn);
  return [
    on,
    () => {
      remember("shortcuts", { isOn: !on });
      setOn(!on);
    },
  ];
}

/** Runs an action when its key is pressed, unless the person is typing or a dialog is open. */
export function useShortcuts(actions: Record<string, () => void>): void {
  const latest = useRef(actions);
  latest.current = actions;
  useEffect(() => {
    const press = (event: KeyboardEvent) => {
      const action = latest.current[event.key];
      if (!action || event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented || !isOn())
        return;
      if (isTyping(event.target) || document.querySelector("[role=dialog], [role=menu]")) return;
      event.preventDefault();
      action();
    };
    document.addEventListener("keydown", press);
    return () => document.removeEventListener("keydown", press);
  }, []);
}

function isTyping(target: EventTarget | null): boolean {
  return (
    target instanceof Element && target.matches("input:not([type=checkbox], [type=radio]), textarea, select")
  );
}
