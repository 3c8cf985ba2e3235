// The view of the table, kept in the URL. The page holds it too, since typing must not wait for the router.
import { useNavigate, useSearch } from "@tanstack/react-router";
import { useEffect, useRef, useState } from "react";
import type { ListName } from "../../api/lists";
import { LISTS } from "./lists";
import { type View, type ViewSearch, viewOf, writeView } from "./view";

/** The view of a list and how to change it. Changes replace the URL: they are no steps of the history. */
export function useView(list: ListName): [View, (view: View) => void] {
  const navigate = useNavigate();
  const search = useSearch({ strict: false }) as ViewSearch;
  const [view, setView] = useState(() => viewOf(search, list));
  const asked = JSON.stringify(writeView(viewOf(search, list), list));
  const written = useRef(asked);

  // Somebody else changed the URL: a link, or the person. That is the new view.
  useEffect(() => {
    if (asked === written.current) return;
    written.current = asked;
    setView(viewOf(JSON.parse(asked), list));
  }, [asked, list]);

  return [
    view,
    (next) => {
      const search = writeView(next, list);
      written.current = JSON.stringify(search);
      setView(next);
      navigate({ to: LISTS[list].path, search, replace: true });
    },
  ];
}
