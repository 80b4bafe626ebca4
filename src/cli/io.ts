// What a CLI verb may touch of the world: three streams, a clock, the environment it was started with. Everything
// else a verb gets as arguments, so that a test can run one in its own process. stdout carries data only, because
// people pipe it; progress, questions and errors go to stderr.
import type { Clock } from "../model/clock.ts";

export type Io = {
  /** Data. The text brings its own newline. */
  readonly out: (text: string) => void;
  /** Prose. */
  readonly err: (text: string) => void;
  /** Whether tables may use colour: on a terminal without NO_COLOR (https://no-color.org). */
  readonly color: boolean;
  /** Whether progress may overwrite its own line. */
  readonly live: boolean;
  /** Columns of the terminal; 80 where there is none. */
  readonly columns: number;
  /** Columns that tables must fit into; undefined when output is piped: then it is whole. */
  readonly fit?: number | undefined;
  readonly stdin: () => Promise<string>;
  /** Asks a person and returns the answer; undefined without a terminal. */
  readonly ask: ((question: string) => Promise<string>) | undefined;
  /** The same, and what is typed is not shown. */
  readonly askSecret?: ((question: string) => Promise<string>) | undefined;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly clock: Clock;
  /** Aborts with Ctrl-C or SIGTERM. */
  readonly signal: AbortSignal;
};

export type Tone = "good" | "bad" | "warn" | "dim" | "bold";

const CODE: Record<Tone, number> = { good: 32, bad: 31, warn: 33, dim: 2, bold: 1 };

export function paint(io: Pick<Io, "color">, tone: Tone, text: string): string {
  return io.color ? `\u001b[${CODE[tone]}m${text}\u001b[0m` : text;
}

/** "1 host", "3 hosts": a count with its noun. */
export function count(n: number, noun: string, plural = `${noun}s`): string {
  return `${n} ${n === 1 ? noun : plural}`;
}
