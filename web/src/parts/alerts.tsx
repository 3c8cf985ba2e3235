// What a person should look at, as it happens: beside the page, said aloud, in nobody's way.
import { useQuery, useQueryClient } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { TriangleAlert, X } from "lucide-react";
import { alerts as alertsQuery } from "../api/queries";
import type { Alert } from "../api/view";
import { Button, IconButton } from "./button";
import { fullTime, shortTime } from "./time";

/** Alerts that are in sight; the others are counted. */
const SHOWN_MAX = 3;

export function Alerts() {
  const queries = useQueryClient();
  const { data: alerts } = useQuery(alertsQuery);
  const keep = (isKept: (alert: Alert) => boolean) =>
    queries.setQueryData(alertsQuery.queryKey, (known = []) => known.filter(isKept));
  const shown = alerts.slice(0, SHOWN_MAX);
  return (
    <section
      aria-label="Alerts"
      className="pointer-events-none fixed right-4 bottom-4 z-30 flex w-96 max-w-[calc(100vw-2rem)] flex-col gap-2"
    >
      <div role="log" aria-label="Alerts">
        <ul className="flex flex-col gap-2">
          {shown.map((alert) => (
            <One
              key={`${alert.at} ${alert.code} ${alert.session ?? ""} ${alert.text}`}
              alert={alert}
              onClose={() => keep((it) => it !== alert)}
            />
          ))}
        </ul>
      </div>
      {alerts.length > 1 && (
        <div className="pointer-events-auto flex items-center gap-2 self-end rounded-md border border-line bg-raised py-1 pr-1 pl-3 shadow-lg">
          {alerts.length > SHOWN_MAX && <span>{alerts.length - SHOWN_MAX} more</span>}
          <Button look="bare" label="Dismiss all alerts" onClick={() => keep(() => false)} />
        </div>
      )}
    </section>
  );
}

function One({ alert, onClose }: { alert: Alert; onClose: () => void }) {
  return (
    <li className="pointer-events-auto flex items-start gap-2 rounded-md border border-warn bg-warn-ground py-2 pr-1 pl-3 shadow-lg">
      <TriangleAlert size={16} className="mt-0.5 shrink-0 text-warn" aria-hidden="true" />
      <div className="min-w-0 flex-1 break-words">
        <p className="font-medium">{alert.text}</p>
        <p className="flex flex-wrap gap-x-2">
          <time dateTime={alert.at} title={fullTime(alert.at)} className="text-quiet tabular-nums">
            {shortTime(alert.at)}
          </time>
          {alert.resource && <span className="text-quiet">{alert.resource}</span>}
          {alert.session && (
            <Link
              to="."
              search={(before: object) => ({ ...before, session: alert.session ?? undefined })}
              className="font-medium text-accent underline"
            >
              Show the session
            </Link>
          )}
        </p>
      </div>
      <IconButton label={`Dismiss: ${alert.text}`} icon={X} onClick={onClose} />
    </li>
  );
}
