// @vitest-environment node
import { readFile } from "node:fs/promises";
import openapi, { astToString, COMMENT_HEADER } from "openapi-typescript";
import { expect, it } from "vitest";

it("the generated client is as fresh as the OpenAPI document (else: npm run generate)", async () => {
  const fresh = astToString(await openapi(new URL("../../docs/openapi.json", import.meta.url)));
  const committed = await readFile(new URL("../src/api/schema.ts", import.meta.url), "utf8");
  expect(committed).toBe(`${COMMENT_HEADER}${fresh}`);
}, 30_000);
