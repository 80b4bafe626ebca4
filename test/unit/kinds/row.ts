// For tests: loads the table of kinds with one more row, as if a kind had been added. Import it before any module that
// loads the table; a program of its own gets it by `--import`.
import { readFileSync } from "node:fs";
import { registerHooks } from "node:module";
import { fileURLToPath } from "node:url";

const NOTE = new URL("./note.ts", import.meta.url).href;

registerHooks({
  load(url, context, next) {
    if (!url.endsWith("/src/model/kinds.ts")) return next(url, context);
    const source = readFileSync(fileURLToPath(url), "utf8")
      .replace("import { endpoint }", `import { note } from "${NOTE}";\nimport { endpoint }`)
      .replace("  securitygroup,\n}", "  securitygroup,\n  note,\n}");
    return { format: "module-typescript", source, shortCircuit: true };
  },
});
