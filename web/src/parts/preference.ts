// What a person set up for this browser, such as column widths. Remembered here only, never on the server.

/** What was remembered under a name, or the default; also when storage is off or holds nonsense. */
export function recall<T extends object>(name: string, otherwise: T): T {
  try {
    const stored: unknown = JSON.parse(localStorage.getItem(`cardea.${name}`) ?? "null");
    return stored && typeof stored === "object" ? { ...otherwise, ...stored } : otherwise;
  } catch {
    return otherwise;
  }
}

/** Remembers something; does nothing where the browser forbids it. */
export function remember(name: string, value: object): void {
  try {
    localStorage.setItem(`cardea.${name}`, JSON.stringify(value));
  } catch {
    // Private windows may have no storage: the page works the same, it only forgets.
  }
}
