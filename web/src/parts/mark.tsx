/** Cardea's mark: two leaves of a hinge, and the pin that holds them. */
export function Mark({ size = 20 }: { size?: number }) {
  return (
    <svg viewBox="0 0 24 24" width={size} height={size} fill="none" aria-hidden="true">
      <path
        d="M10.2 5H4v14h6.2M13.8 5H20v14h-6.2"
        className="stroke-accent"
        strokeWidth="2"
        strokeLinejoin="round"
      />
      <path d="M12 3v4M12 10v4M12 17v4" className="stroke-brass" strokeWidth="3" strokeLinecap="round" />
    </svg>
  );
}
