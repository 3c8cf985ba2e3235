import { QueryClientProvider } from "@tanstack/react-query";
import { RouterProvider } from "@tanstack/react-router";
import { StrictMode } from "react";
import { createRoot } from "react-dom/client";
import { newQueryClient } from "./api/queries";
import { SayProvider } from "./parts/notice";
import { startTheme } from "./parts/theme";
import { router } from "./router";
import "./styles.css";

const page = document.getElementById("page");
if (!page) throw new Error("index.html holds the element that the page is drawn into");

startTheme();
createRoot(page).render(
  <StrictMode>
    <QueryClientProvider client={newQueryClient()}>
      <SayProvider>
        <RouterProvider router={router} />
      </SayProvider>
    </QueryClientProvider>
  </StrictMode>,
);
