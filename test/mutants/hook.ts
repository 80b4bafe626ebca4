// Inside every process of a trial: one file is loaded with a bug in it. The tree itself is not touched.
import { readFileSync } from "node:fs";
import { registerHooks } from "node:module";

const path = process.env["WEFT_MUTANT"];
if (path !== undefined) {
  const { url, source } = JSON.parse(readFileSync(path, "utf8")) as { readonly url: string; readonly source: string };
  registerHooks({
    load: (at, context, next) =>
      at === url ? { format: "module-typescript", source, shortCircuit: true } : next(at, context),
  });
}
