// What the file of a noun is given to work with: streams and clock of the run, the programs that only the composition
// root can start, the command tree, and the wrapper that keeps a verb's exit code.
import type { Command } from "commander";
import type { Io } from "./io.ts";

/** A verb's work; gives the exit code if it is not 0. Commander hands over arguments, then options. */
type Verb<Args extends readonly unknown[]> = (cli: Cli, ...args: Args) => Promise<number | void>;

export type Cli = {
  readonly io: Io;
  readonly programs: Programs;
  /** The command tree with the verbs of all nouns. */
  readonly tree: () => Promise<Command>;
  /** A verb for commander, whose exit code is kept. */
  readonly verb: <Args extends readonly unknown[]>(work: Verb<Args>) => (...args: Args) => Promise<void>;
};

/** Options of a verb that all have a value. */
export type Flags = Readonly<Record<string, string | undefined>>;

export type PurgeFlags = {
  readonly stateDir?: string;
  readonly socket?: string;
  readonly netnsPrefix?: string;
  readonly cniDir?: string;
  readonly etcDir?: string;
  readonly runDir?: string;
  readonly ovsdb?: string;
  readonly yes?: boolean;
};

/** What only the composition root can start; each gives an exit code when it ends. */
export type Programs = {
  readonly server: (flags: Flags) => Promise<number>;
  readonly agent: (flags: Flags) => Promise<number>;
  readonly purge: (io: Io, flags: PurgeFlags) => Promise<number>;
  readonly demoUp: (io: Io, foreground: boolean) => Promise<number>;
  readonly demoDown: (io: Io) => Promise<number>;
};
