// A program of the lease bench in a process of its own: questions go in, answers come out, one at a time.
import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";

/** Questions are values with the field `ask`; the answer to each is A. */
export class Child<Q extends { readonly ask: string }, A> {
  readonly #process: ChildProcess;

  /** `program` is a file of this folder. */
  constructor(program: string, argv: readonly string[]) {
    const path = new URL(program, import.meta.url).pathname;
    this.#process = fork(path, [...argv], {
      execArgv: ["--expose-gc"],
      stdio: ["ignore", "inherit", "inherit", "ipc"],
    });
  }

  async ask(question: Q): Promise<A> {
    const ended = new AbortController();
    try {
      const gone = once(this.#process, "exit", ended).then(([code]) => {
        throw new Error(`${this.#process.spawnargs.slice(1).join(" ")} ended with ${String(code)}; see above`);
      });
      const answered = once(this.#process, "message", ended);
      this.#process.send(question);
      const [answer] = await Promise.race([answered, gone]);
      // The program and this side share the types.
      return answer as A;
    } finally {
      ended.abort();
    }
  }

  /** Ends it; the answer to `stop`, if the program gives one, is not waited for. */
  async end(): Promise<void> {
    if (this.#process.exitCode !== null || this.#process.signalCode !== null) return;
    const exited = once(this.#process, "exit");
    if (this.#process.connected) this.#process.disconnect();
    await exited;
  }
}

/** The other side: answers until the parent is gone, then `close`. What it throws ends the process. */
export function answering<Q, A>(answer: (question: Q) => Promise<A>, close: () => Promise<void>): void {
  process.on("message", (question) => {
    void answer(question as Q).then((value) => process.send?.(value));
  });
  process.once("disconnect", () => void close().then(() => process.exit()));
}
