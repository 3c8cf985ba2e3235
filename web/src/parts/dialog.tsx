// A modal window: keeps the focus, closes with Escape, gives the focus back. The veil is our own element, since the
// library's would add a style tag that the content security policy forbids.
import { X } from "lucide-react";
import { Dialog as Radix } from "radix-ui";
import { type ReactNode, type RefObject, useState } from "react";
import { IconButton } from "./button";
import { SignInEnd } from "./sign-in-end";

type Properties = {
  title: string;
  /** One sentence below the title. */
  description?: ReactNode;
  /** Called when the person closes it in any way. */
  onClose: () => void;
  size?: "small" | "large";
  /** Whether a click beside it closes it; not where work could be lost. */
  isEasy?: boolean;
  /** What gets the focus first; otherwise the first control. */
  focusFirst?: RefObject<HTMLElement | null>;
  children: ReactNode;
  footer?: ReactNode;
};

/** Mounted is open. */
export function Dialog({
  title,
  description,
  onClose,
  size = "small",
  isEasy = true,
  focusFirst,
  children,
  footer,
}: Properties) {
  const [wayBack] = useState(focusPath);
  const width = size === "small" ? "max-w-md" : "max-w-5xl h-[min(46rem,100%)]";
  return (
    <Radix.Root open onOpenChange={(isOpen) => !isOpen && onClose()}>
      <Radix.Portal>
        <div className="fixed inset-0 z-40 flex items-center justify-center bg-veil p-6 narrow:p-0">
          <Radix.Content
            {...(description ? {} : { "aria-describedby": undefined })}
            onPointerDownOutside={(event) => !isEasy && event.preventDefault()}
            onCloseAutoFocus={(event) => {
              event.preventDefault();
              wayBack.find((element) => element.isConnected)?.focus();
            }}
            onOpenAutoFocus={(event) => {
              if (!focusFirst?.current) return;
              event.preventDefault();
              focusFirst.current.focus();
            }}
            className={`flex max-h-full w-full flex-col overflow-hidden rounded-lg border border-line bg-raised shadow-xl outline-none narrow:h-full narrow:max-w-none narrow:rounded-none ${width}`}
          >
            <header className="flex items-start gap-3 border-b border-line px-4 py-3">
              <div className="min-w-0 flex-1">
                <Radix.Title className="text-base font-semibold">{title}</Radix.Title>
                {description && <Radix.Description className="text-quiet">{description}</Radix.Description>}
              </div>
              <Radix.Close asChild>
                <IconButton label="Close" icon={X} />
              </Radix.Close>
            </header>
            <SignInEnd />
            <div className="flex min-h-0 flex-1 flex-col overflow-auto p-4">{children}</div>
            {footer && (
              <footer className="flex flex-wrap items-center justify-end gap-2 border-t border-line px-4 py-3">
                {footer}
              </footer>
            )}
          </Radix.Content>
        </div>
      </Radix.Portal>
    </Radix.Root>
  );
}

/** What has the focus, and what around it could: who closes the window may have removed the first of them. */
function focusPath(): HTMLElement[] {
  const path: HTMLElement[] = [];
  for (let element = document.activeElement; element; element = element.parentElement) {
    if (element.matches("a, button, input, select, textarea, [tabindex]")) path.push(element as HTMLElement);
  }
  return path;
}
