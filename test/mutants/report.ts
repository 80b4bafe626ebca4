// The result of the planted bugs: a table by place and by kind, and every survivor with its line before and after.
import { changeOf, lineAt } from "./edit.ts";
import { type Equivalent, isSame } from "./equivalent.ts";
import type { Verdict } from "./trial.ts";

type Fate = "caught" | "survived" | "equivalent";
export type Sorted = {
  readonly fate: Fate;
  readonly file: string;
  /** file:line */
  readonly at: string;
  readonly kind: string;
  readonly before: string;
  readonly after: string;
  readonly caughtBy: string | undefined;
  /** Test files that execute the place, as far as they were run. */
  readonly tried: number;
};

export function sorted({ mutant, caughtBy, tried }: Verdict, source: string, known: readonly Equivalent[]): Sorted {
  const { file, kind, start } = mutant;
  const change = { file, ...changeOf(source, mutant) };
  const isKnown = known.some((one) => isSame(one, change));
  const fate = caughtBy !== undefined ? "caught" : isKnown ? "equivalent" : "survived";
  return { fate, at: `${file}:${lineAt(source, start)}`, kind, ...change, caughtBy, tried };
}

type Asked = { readonly places: readonly string[]; readonly seed: number; readonly isJson: boolean };

export function printReport(results: readonly Sorted[], { places, seed, isJson }: Asked): void {
  if (isJson) return console.log(JSON.stringify({ seed, results }));
  for (const { at, kind, before, after, tried } of results.filter(({ fate }) => fate === "survived")) {
    console.log(`${at} ${kind}: ${tried === 0 ? "no test gets there" : `survived ${tried} test files`}`);
    console.log(`- ${before}\n+ ${after}\n`);
  }
  const row = (cells: readonly (string | number)[]) =>
    console.log(cells.map((cell, i) => (i === 0 ? String(cell).padEnd(28) : String(cell).padStart(10))).join(""));
  row([`seed ${seed}`, "planted", "caught", "survived", "equivalent", "rate"]);
  for (const place of places) row([place, ...counts(results.filter((one) => isAt(one.file, place)))]);
  if (places.length > 1) row(["all", ...counts(results)]);
  console.log("");
  for (const [kind, some] of Map.groupBy(results, ({ kind }) => kind)) row([kind, ...counts(some)]);
}

function isAt(file: string, place: string): boolean {
  return file === place || file.startsWith(`${place}/`);
}

/** Of those that change something. */
function counts(results: readonly Sorted[]): (string | number)[] {
  const of = (fate: Fate) => results.filter((one) => one.fate === fate).length;
  const judged = of("caught") + of("survived");
  const rate = judged === 0 ? "-" : `${((100 * of("caught")) / judged).toFixed(0)} %`;
  return [results.length, of("caught"), of("survived"), of("equivalent"), rate];
}
