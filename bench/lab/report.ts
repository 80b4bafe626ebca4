// Numbers and how they are shown: quantiles of samples, ratios within one run, a table for people, one line of JSON for
// programs. Samples are milliseconds unless a name says otherwise.

export type Quantiles = { readonly p50: number; readonly p90: number; readonly p99: number; readonly samples: number };

/** The nearest-rank quantile of a non-empty list; p in 0..1. */
function quantile(samples: readonly number[], p: number): number {
  const sorted = samples.toSorted((a, b) => a - b);
  return sorted[Math.max(0, Math.ceil(sorted.length * p) - 1)] ?? Number.NaN;
}

export function quantilesOf(samples: readonly number[]): Quantiles {
  return {
    p50: quantile(samples, 0.5),
    p90: quantile(samples, 0.9),
    p99: quantile(samples, 0.99),
    samples: samples.length,
  };
}

export function median(samples: readonly number[]): number {
  return quantile(samples, 0.5);
}

/** Where the true median lies, in 95 of 100 cases: by order statistics, which assume no distribution. */
export function medianRange(samples: readonly number[]): readonly [number, number] {
  const half = 0.98 / Math.sqrt(samples.length);
  return [quantile(samples, Math.max(0, 0.5 - half)), quantile(samples, Math.min(1, 0.5 + half))];
}

/** What a bench answers: named numbers, possibly grouped, and the table of a reader. */
export type Answer = {
  readonly bench: string;
  readonly values: Readonly<Record<string, number | Readonly<Record<string, number>>>>;
  readonly columns: readonly string[];
  readonly rows: readonly (readonly (string | number)[])[];
  /** What was measured against what, and the target, in a sentence or two. */
  readonly notes: readonly string[];
};

/** Prints one line with `--json`, a table otherwise. */
export function show(answer: Answer, argv: readonly string[]): void {
  if (argv.includes("--json")) {
    console.log(JSON.stringify({ bench: answer.bench, ...answer.values }, (_, value: unknown) => shortened(value)));
    return;
  }
  const cells = [answer.columns, ...answer.rows].map((row) => row.map(cellOf));
  const widths = answer.columns.map((_, i) => Math.max(...cells.map((row) => row[i]?.length ?? 0)));
  for (const row of cells) {
    console.log(
      row.map((cell, i) => (i === 0 ? cell.padEnd(widths[i] ?? 0) : cell.padStart(widths[i] ?? 0))).join("  "),
    );
  }
  for (const note of answer.notes) console.log(`\n${note}`);
}

/** Quantiles as table cells, in the order p50, p90, p99. */
export function cellsOf({ p50, p90, p99 }: Quantiles): number[] {
  return [p50, p90, p99];
}

function cellOf(value: string | number): string {
  return typeof value === "string" ? value : String(shortened(value));
}

/** Four digits are more than a measurement is good for. */
function shortened(value: unknown): unknown {
  return typeof value === "number" ? Number(value.toPrecision(4)) : value;
}
