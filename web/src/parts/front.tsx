// The pages before sign-in: the mark, a title, one card.
import type { ReactNode } from "react";
import { Mark } from "./mark";

export function Front({ title, children }: { title: string; children: ReactNode }) {
  return (
    <main className="flex min-h-full flex-col items-center justify-center gap-5 p-6">
      <div className="flex items-center gap-2.5 text-xl font-semibold tracking-tight">
        <Mark size={30} />
        Cardea
      </div>
      <div className="w-full max-w-sm rounded-lg border border-line bg-surface p-6 shadow-sm">
        <h1 className="mb-4 text-lg font-semibold">{title}</h1>
        {children}
      </div>
      <p className="text-quiet">Privilege for a while, and never longer.</p>
    </main>
  );
}
