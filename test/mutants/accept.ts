// Which bugs types and lint accept: only those can get into the tree. Many are tried at once in a copy of the source,
// and an error belongs to the bug in the same function. When that is unclear, the batch is halved.
import { cpSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { runCheck } from "../runner/checks.ts";
import { type Mutant, type SourceOf, planted } from "./edit.ts";
import { parses } from "./find.ts";

/** Where an error is, and the name that it quotes. */
type Place = { readonly file: string; readonly line: number; readonly name: string };
const CHECKS = [
  { name: "types", program: "tsc", argv: ["-p", ".", "--pretty", "false"] },
  { name: "lint", program: "oxlint", argv: ["--deny-warnings", "--format=unix", "src"] },
];

export class Judge {
  readonly #sourceOf: SourceOf;
  readonly #folder = mkdtempSync(join(tmpdir(), "weft-mutants-"));

  constructor(root: string, sourceOf: SourceOf) {
    this.#sourceOf = sourceOf;
    cpSync(join(root, "package.json"), join(this.#folder, "package.json"));
    // What lint knows by types is about promises, and no bug that is planted leaves one behind: without, it is instant.
    const rules = readFileSync(join(root, ".oxlintrc.json"), "utf8").replace('"typeAware": true', '"typeAware": false');
    writeFileSync(join(this.#folder, ".oxlintrc.json"), rules);
    for (const part of ["src", "demo"]) cpSync(join(root, part), join(this.#folder, part), { recursive: true });
    symlinkSync(join(root, "node_modules"), join(this.#folder, "node_modules"));
    writeFileSync(
      join(this.#folder, "tsconfig.json"),
      JSON.stringify({ extends: join(root, "tsconfig.json"), include: ["src"] }),
    );
  }

  close(): void {
    rmSync(this.#folder, { recursive: true, force: true });
  }

  /** Those that are accepted, in the order given. No two of them may be in one zone. */
  accepted(batch: readonly Mutant[]): Promise<readonly Mutant[]> {
    return this.#accepted(batch.filter((mutant) => parses(mutant, this.#sourceOf(mutant.file))));
  }

  async #accepted(batch: readonly Mutant[]): Promise<readonly Mutant[]> {
    if (batch.length === 0) return [];
    const places = await this.#errorsWith(batch);
    const owners = places.map((place) => this.#ownerOf(place, batch));
    const rest = batch.filter((mutant) => !owners.includes(mutant));
    if (places.length === 0) return rest;
    // Without the guilty once more: an error in the function of one bug may be the doing of another.
    if (!owners.includes(undefined)) return this.#accepted(rest);
    // An error that has no owner: somebody in here did it.
    if (rest.length === 0 || batch.length === 1) return [];
    const half = Math.ceil(rest.length / 2);
    return [...(await this.#accepted(rest.slice(0, half))), ...(await this.#accepted(rest.slice(half)))];
  }

  /** Whose error it is: by its file, its function, or the name that was used there and is not any more. */
  #ownerOf({ file, line, name }: Place, batch: readonly Mutant[]): Mutant | undefined {
    const here = batch.filter((mutant) => mutant.file === file);
    if (here.length === 1) return here[0];
    const within = here.find(({ zone: [first, last] }) => first <= line && line <= last);
    if (within !== undefined || name === "") return within;
    const source = this.#sourceOf(file);
    const users = here.filter(({ start, end }) => source.slice(start, end).includes(name));
    return users.length === 1 ? users[0] : undefined;
  }

  async #errorsWith(batch: readonly Mutant[]): Promise<Place[]> {
    const byFile = Map.groupBy(batch, ({ file }) => file);
    try {
      for (const [file, edits] of byFile) writeFileSync(join(this.#folder, file), planted(this.#sourceOf(file), edits));
      const [types, lint] = await Promise.all(CHECKS.map((check) => runCheck(this.#folder, check)));
      return [...placesIn(types), ...placesIn(lint)];
    } finally {
      for (const file of byFile.keys()) writeFileSync(join(this.#folder, file), this.#sourceOf(file));
    }
  }
}

/** `src/a.ts(3,7): error …` of the compiler's, `src/a.ts:3:7: …` of the linter's. */
function placesIn(check: { readonly ok: boolean; readonly output: string } | undefined): Place[] {
  if (check === undefined || check.ok) return [];
  const errors = check.output.matchAll(/^(src\/\S+?\.ts)[(:](\d+)[,:]\d+\)?: (?:[^'\n]*'(\w+)')?/gm);
  const places = [...errors].map(([, file = "", line, name = ""]) => ({ file, line: Number(line), name }));
  if (places.length === 0) throw new Error(`a check failed without naming a place:\n${check.output.slice(0, 2000)}`);
  return places;
}
