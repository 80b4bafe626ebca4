// For tests: loads the table of kinds with one more row, as if a kind had been added. Import it before any module that
// loads the table; a program of its own gets it by `--import`.
import { patch } from "./patch.ts";

const NOTE = new URL("./note.ts", import.meta.url).href;

patch("/src/model/kinds.ts", (source) => [
  `import { note } from "${NOTE}";`,
  source.replace("\n} as const satisfies", "\n  note,$&"),
]);
