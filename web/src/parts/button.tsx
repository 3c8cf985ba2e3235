// Buttons. The label is always there as text; `icon` buttons carry it as their accessible name and tooltip.
import type { LucideIcon } from "lucide-react";
import type { ButtonHTMLAttributes } from "react";

type Look = "plain" | "primary" | "danger" | "bare";

const LOOKS: Record<Look, string> = {
  plain: "border border-edge bg-surface text-ink hover:bg-hover",
  primary: "border border-accent bg-accent text-on-accent hover:bg-accent-hover hover:border-accent-hover",
  danger: "border border-bad bg-bad text-surface hover:bg-bad-hover hover:border-bad-hover",
  bare: "border border-transparent text-quiet hover:bg-hover hover:text-ink",
};

const DISABLED = "disabled:border-line disabled:bg-transparent disabled:text-quiet disabled:opacity-60";

type Properties = Omit<ButtonHTMLAttributes<HTMLButtonElement>, "children"> & {
  label: string;
  icon?: LucideIcon;
  look?: Look;
  /** Whether a narrow screen shows the icon alone. */
  isShort?: boolean;
};

/** A button with a label and perhaps an icon. */
export function Button({
  label,
  icon: Icon,
  look = "plain",
  isShort = false,
  className = "",
  ...rest
}: Properties) {
  return (
    <button
      type="button"
      {...rest}
      className={`inline-flex h-8 shrink-0 items-center justify-center gap-1.5 rounded-md px-3 font-medium whitespace-nowrap ${LOOKS[look]} ${DISABLED} ${className}`}
    >
      {Icon && <Icon size={15} aria-hidden="true" />}
      <span className={isShort ? "narrow:sr-only" : ""}>{label}</span>
    </button>
  );
}

/** A button that shows only its icon. */
export function IconButton({
  label,
  icon: Icon,
  look = "bare",
  className = "",
  ...rest
}: Omit<Properties, "isShort"> & { icon: LucideIcon }) {
  return (
    <button
      type="button"
      title={label}
      aria-label={label}
      {...rest}
      className={`inline-flex size-7 shrink-0 items-center justify-center rounded-md ${LOOKS[look]} ${DISABLED} ${className}`}
    >
      <Icon size={15} aria-hidden="true" />
    </button>
  );
}
