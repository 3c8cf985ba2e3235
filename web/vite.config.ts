import tailwindcss from "@tailwindcss/vite";
import react from "@vitejs/plugin-react";
import { defineConfig } from "vitest/config";

// `npm run dev` serves the pages and hands API calls to a server on this address.
const server = process.env.CARDEA_SERVER ?? "https://127.0.0.1:8443";

export default defineConfig({
  plugins: [react(), tailwindcss()],
  build: {
    target: ["chrome123", "firefox121", "safari17.5"],
    // Everything is a file of its own: the content security policy allows neither data URLs nor inline code.
    assetsInlineLimit: 0,
    // One file on purpose: a page that stays open for days must not miss a part of it after an upgrade.
    chunkSizeWarningLimit: 750,
    modulePreload: { polyfill: false },
  },
  server: {
    proxy: { "/api": { target: server, secure: false, changeOrigin: true, headers: { origin: server } } },
  },
  test: {
    environment: "happy-dom",
    include: ["tests/**/*.test.{ts,tsx}"],
    setupFiles: [],
    restoreMocks: true,
  },
});
