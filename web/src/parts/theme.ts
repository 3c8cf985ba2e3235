// Light and dark: the system's choice unless the person chose. Set on the root element, read by the style sheet.
import { useState } from "react";
import { recall, remember } from "./preference";

export type Theme = "system" | "light" | "dark";

const system = () => globalThis.matchMedia("(prefers-color-scheme: dark)");

function chosen(): Theme {
  const { theme } = recall<{ theme: Theme }>("theme", { theme: "system" });
  return theme === "light" || theme === "dark" ? theme : "system";
}

function show(): void {
  const theme = chosen();
  const isDark = theme === "dark" || (theme === "system" && system().matches);
  document.documentElement.dataset.theme = isDark ? "dark" : "light";
}

/** Shows the chosen theme and follows the system from now on. Called once, before the first drawing. */
export function startTheme(): void {
  show();
  system().addEventListener("change", show);
}

/** The choice, and how to change it. */
export function useTheme(): [Theme, (theme: Theme) => void] {
  const [theme, setTheme] = useState(chosen);
  return [
    theme,
    (next) => {
      remember("theme", { theme: next });
      setTheme(next);
      show();
    },
  ];
}
