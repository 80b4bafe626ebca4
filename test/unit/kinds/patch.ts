// For tests: loads a file of the product with other text.
import { readFileSync } from "node:fs";
import { registerHooks } from "node:module";
import { fileURLToPath } from "node:url";

/** Before the file is loaded for the first time. `change` gives the parts of the new text. */
export function patch(path: string, change: (source: string) => readonly string[]): void {
  registerHooks({
    load(url, context, next) {
      if (!url.endsWith(path)) return next(url, context);
      const source = change(readFileSync(fileURLToPath(url), "utf8")).join("\n");
      return { format: "module-typescript", source, shortCircuit: true };
    },
  });
}
