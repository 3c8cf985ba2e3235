// Comma separated values (RFC 4180), safe to open in a spreadsheet, and the way to hand them to the person.

/** A cell that a spreadsheet would take for a formula gets an apostrophe in front, so that it stays text. */
function cell(value: string | number): string {
  if (typeof value === "number") return String(value);
  const text = /^[=+\-@\t\r]/.test(value) ? `'${value}` : value;
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

/** Lines of cells as one text. */
export function csv(lines: (string | number)[][]): string {
  return lines.map((line) => `${line.map(cell).join(",")}\r\n`).join("");
}

/** Gives a text to the person as a file. */
export function download(name: string, type: string, text: string): void {
  const url = URL.createObjectURL(new Blob([text], { type }));
  const link = document.createElement("a");
  link.href = url;
  link.download = name;
  link.click();
  URL.revokeObjectURL(url);
}
