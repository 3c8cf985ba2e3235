// A QR code, drawn here: what it says never leaves the page.
import { encode } from "uqr";

/** Cells around it that stay empty, as the standard wants. */
const MARGIN = 4;

export function Qr({ text, label }: { text: string; label: string }) {
  const { size, data } = encode(text, { border: MARGIN });
  const path = data.flatMap((row, y) => row.flatMap((isDark, x) => (isDark ? [`M${x} ${y}h1v1h-1z`] : [])));
  // Black on white in every theme: some cameras read nothing else.
  return (
    <svg
      role="img"
      aria-label={label}
      viewBox={`0 0 ${size} ${size}`}
      shapeRendering="crispEdges"
      className="size-52 self-center"
    >
      <rect width={size} height={size} fill="#fff" />
      <path d={path.join("")} fill="#000" />
    </svg>
  );
}
